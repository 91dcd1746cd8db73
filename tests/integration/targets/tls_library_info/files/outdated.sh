#!/bin/sh
# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Start a process that has loaded a library file which is there no more: outdated.sh PYTHON LIBRARY, prints the number of
# the process and the path of the file. The caller ends the process.
set -eu

directory=$(mktemp -d)
copy=$directory/$(basename "$2")
cp "$2" "$copy"
"$1" -c 'import ctypes, sys, time; ctypes.CDLL(sys.argv[1]); print("loaded", flush=True); time.sleep(300)' "$copy" \
    > "$directory/log" 2>&1 &
process=$!
for _attempt in $(seq 100); do
    if grep -q loaded "$directory/log"; then
        rm -r "$directory"
        echo "$process"
        echo "$copy"
        exit 0
    fi
    sleep 0.1
done
cat "$directory/log" >&2
kill "$process"
exit 1
