#!/bin/sh
# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Unpack Debian's nginx into a directory, without installing it: unpack_nginx.sh DIRECTORY
set -eu

cd "$1"
apt-get download nginx 2>apt.log || {
    cat apt.log >&2
    echo "apt-get download nginx: it cannot be fetched. Run apt-get update, or give the machine a mirror." >&2
    exit 1
}
dpkg-deb --extract nginx_*.deb .
