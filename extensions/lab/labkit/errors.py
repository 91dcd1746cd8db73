# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception of the lab: a sentence for the person at the keyboard."""

from __future__ import annotations


class LabError(Exception):
    """Something the lab cannot do; the message names the value, the reason and the remedy."""
