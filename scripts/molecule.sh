#!/bin/sh
# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Run molecule with its state in this clone: molecule.sh test --all, molecule.sh converge -s site, ...
set -eu

cd "$(dirname "$0")/.."
. scripts/environment.sh
exec molecule "$@" --no-command-borders
