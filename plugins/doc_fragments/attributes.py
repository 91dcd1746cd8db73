# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Attributes that the collection's modules share."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation fragments: each module composes what is true of it."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying the target.
  diff_mode:
    description: Returns details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
"""

    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This module only reads, so check mode changes nothing about what it does.
  diff_mode:
    support: N/A
    details:
      - This module does not change anything.
"""

    ACTIONGROUP_WEBOPS = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/ringmaster.webops.webops) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - ringmaster.webops.webops
"""
