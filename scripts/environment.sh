# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
#
# Sourced from the top of the clone: the tools of .venv, with this clone as their only collection and state in it.

PATH="$PWD/.venv/bin:$PATH"
ANSIBLE_COLLECTIONS_PATH="$PWD/collections"
ANSIBLE_HOME="$PWD/.ansible"
export PATH ANSIBLE_COLLECTIONS_PATH ANSIBLE_HOME
