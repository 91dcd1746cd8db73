#!/bin/sh
# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Every static check, in the order of their speed; stops at the first that finds something.
set -eu

cd "$(dirname "$0")/.."
. scripts/environment.sh

check() { printf '%s\n' "lint: $*"; "$@"; }

check ruff check --quiet .
check ruff format --quiet --check .
check mypy
check env MYPYPATH=extensions/lab mypy extensions/lab/lab.py extensions/demo/sticky_sessions.py
check yamllint --strict .
check antsibull-changelog lint
check antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs self --check-extra-docs-refs .
check ansible-lint --offline --profile production --strict -q
