#!/bin/sh
# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Build the reference of all plugins and roles as HTML: build/docs/index.html.
set -eu

cd "$(dirname "$0")/.."
. scripts/environment.sh
rst=build/docs-source
rm -rf "$rst" build/docs
mkdir -p "$rst"
antsibull-docs collection --use-current --squash-hierarchy --dest-dir "$rst" ringmaster.webops
cat > "$rst/conf.py" <<'PYTHON'
project = "ringmaster.webops"
extensions = ["sphinx_antsibull_ext"]
html_theme = "alabaster"
suppress_warnings = ["ref.ref"]  # these labels stand in Ansible's own documentation
PYTHON
sphinx-build -q -b html "$rst" build/docs
printf '%s\n' "The reference: build/docs/index.html"
