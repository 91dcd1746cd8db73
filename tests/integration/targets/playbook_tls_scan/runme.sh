#!/usr/bin/env bash
# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Scans a server with a certificate that nobody trusts and a port where nothing listens, from two scanners and from none.
set -eu

directory="$(mktemp -d)"
server=""
finish() {
    if [ -n "${server}" ]; then
        kill "${server}"
    fi
    rm -rf "${directory}"
}
trap finish EXIT

openssl req -x509 -newkey rsa:2048 -nodes -days 5 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
    -keyout "${directory}/key.pem" -out "${directory}/certificate.pem" 2> /dev/null
openssl s_server -accept 127.0.0.1:0 -www -cert "${directory}/certificate.pem" -key "${directory}/key.pem" \
    > "${directory}/server.log" 2>&1 &
server=$!
port=""
for _attempt in $(seq 100); do
    port="$(sed -n 's/^ACCEPT .*://p' "${directory}/server.log" | head -n 1)"
    if [ -n "${port}" ]; then
        break
    fi
    sleep 0.1
done

cat > "${directory}/variables.json" << JSON
{"tls_scan_targets": [
  {"host": "127.0.0.1", "port": ${port}, "server_name": "localhost", "name": "good"},
  {"host": "127.0.0.1", "port": 1, "name": "nobody"},
  {"host": "127.0.0.1", "port": ${port}, "server_name": "localhost", "name": "good again"}],
 "tls_scan_ca_path": "${directory}/certificate.pem"}
JSON

scan() {
    ANSIBLE_NOCOLOR=1 ansible-playbook ringmaster.webops.tls_scan -e "@${directory}/variables.json" "$@" \
        > "${directory}/log" 2>&1
}
wanted() {
    if ! grep -q -- "$1" "${directory}/log"; then
        echo "not found: $1"
        cat "${directory}/log"
        exit 1
    fi
}

# Two scanners share the targets; without a minimum nothing fails, and the certificate of five days is told.
scan -i inventory.ini || { cat "${directory}/log"; exit 1; }
wanted 'ok: \[scanner1\] => (item=good)'
wanted 'ok: \[scanner1\] => (item=good again)'
wanted 'ok: \[scanner2\] => (item=nobody)'
wanted 'WARNING: good: CN=localhost has [45] days left'
wanted 'nobody: .*nothing listens there'

# The control node alone, with a minimum.
if scan -i localhost, -c local -e "ansible_python_interpreter={{ ansible_playbook_python }}" \
    -e tls_scan_minimum_grade=A -e tls_scan_expiry_warn_days=2; then
    echo "a target that cannot be measured is known to be A or better"
    cat "${directory}/log"
    exit 1
fi
wanted 'not known to be A or better: .*nobody'
if grep -q 'days left' "${directory}/log"; then
    cat "${directory}/log"
    exit 1
fi
