#!/bin/sh
# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# A TLS server on loopback: server.sh start DIRECTORY PORT [OPTION of s_server...], with port 0 for any, prints the port;
# server.sh stop DIRECTORY
set -eu

command=$1
cd "$2"
if [ "$command" = stop ]; then
    if [ -f server.pid ]; then
        kill "$(cat server.pid)" || true
        while kill -0 "$(cat server.pid)" 2> /dev/null; do sleep 0.1; done
        rm server.pid
    fi
    exit 0
fi
port=$3
shift 3
if [ ! -f certificate.pem ]; then
    openssl req -x509 -newkey rsa:2048 -nodes -days 5 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 \
        -keyout key.pem -out certificate.pem 2> /dev/null
fi
openssl s_server -accept "127.0.0.1:$port" -www -cert certificate.pem -key key.pem "$@" > server.log 2>&1 &
echo $! > server.pid
for _attempt in $(seq 100); do
    if grep -q ^ACCEPT server.log; then
        # Only a port that the system has chosen is told.
        chosen=$(sed -n 's/^ACCEPT .*://p' server.log | head -n 1)
        echo "${chosen:-$port}"
        exit 0
    fi
    sleep 0.1
done
cat server.log >&2
exit 1
