#!/bin/sh
# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Run every benchmark: each prints ratios against its peers, all measured in the same run.
set -eu

cd "$(dirname "$0")/.."
for benchmark in tests/benchmarks/*.py; do
    .venv/bin/python "$benchmark"
done
