# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Show how far the module of the same name is."""

from __future__ import annotations

from ansible_collections.ringmaster.webops.plugins.plugin_utils.followed_module import FollowedModule


class ActionModule(FollowedModule):
    """The control node's half of M(ringmaster.webops.package_consistency)."""

    module_name = "ringmaster.webops.package_consistency"
