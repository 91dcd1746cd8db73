#!/bin/sh
# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Run the integration targets under one environment: integration.sh ENVIRONMENT [TARGET...]
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
environment=$1
shift
python=$("$here/$environment/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
exec "$here/scripts/ansible_test.sh" "$here/$environment" integration --color no --python "$python" "$@"
