#!/usr/bin/env bash
# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Audits this machine with a server that was started for it, beside a host that cannot be reached, and looks at the report.
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

openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
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
{"audit_tls_targets": [{"host": "127.0.0.1", "port": ${port}, "server_name": "localhost"}],
 "audit_ca_path": "${directory}/certificate.pem",
 "audit_report_directory": "${directory}/report"}
JSON
if ! ANSIBLE_NOCOLOR=1 ansible-playbook ringmaster.webops.audit -i inventory.ini -e "@${directory}/variables.json" \
    > "${directory}/log" 2>&1; then
    cat "${directory}/log"
    exit 1
fi

python3 - "${directory}/report" << 'PYTHON' || { cat "${directory}/log"; exit 1; }
import json
import pathlib
import sys

report = json.loads(pathlib.Path(sys.argv[1], "report.json").read_text())
page = pathlib.Path(sys.argv[1], "index.html").read_text()
hosts = {host["host"]: host for host in report["hosts"]}
facts = {entry["host"]: entry for entry in report["facts"]}

# Both sides of the host that answers: what a visitor sees, searched as one's own, and what the host has.
(endpoint,) = facts["lb1"]["tls_endpoints"]
assert endpoint["vulnerability_tests"] == "active", endpoint["vulnerability_tests"]
assert facts["lb1"]["error"] is None, facts["lb1"]["error"]
assert facts["lb1"]["tls_libraries"]["libraries"]
assert hosts["lb1"]["libraries"]["heartbleed_now"] is False, hosts["lb1"]["libraries"]
assert hosts["lb1"]["tls"]["vulnerabilities"]["vulnerable"] == 0, hosts["lb1"]["tls"]
assert hosts["lb1"]["tls"]["vulnerabilities"]["tested"] >= 16, hosts["lb1"]["tls"]
assert "TLS libraries: what the host has" in page

# The other host hides nothing and is not hidden.
assert hosts["gone"]["verdict"] == "unknown", hosts["gone"]
assert hosts["gone"]["libraries"] is None
for part in ("packages", "libraries"):
    assert f"{part}: " in facts["gone"]["error"], facts["gone"]["error"]
PYTHON
