#!/usr/bin/env bash
# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Scans a server of the inventory, the same server by a name that is not in the inventory, and a port where nothing
# listens: from two scanners, from one that answers and one that does not, and from none.
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
  {"host": "127.0.0.1", "port": ${port}, "server_name": "localhost", "name": "own"},
  {"host": "127.0.0.1", "port": 1, "name": "nobody"},
  {"host": "localhost", "port": ${port}, "name": "foreign"}],
 "tls_scan_ca_path": "${directory}/certificate.pem"}
JSON

# What a play after the playbook finds in its results.
cat > "${directory}/after.yml" << YAML
- name: Scan
  ansible.builtin.import_playbook: ringmaster.webops.tls_scan

- name: Use what was gathered
  hosts: "{{ 'scanners' if groups['scanners'] | default([]) else 'localhost' }}"
  gather_facts: false
  tasks:
    - name: Show the results
      ansible.builtin.debug:
        msg: "{{ item.target.name }} tests {{ item.vulnerability_tests }} opossum {{ item.vulnerabilities.opossum.status }}"
      loop: "{{ tls_scan_results | selectattr('reachable') }}"
      run_once: true
YAML

scan() {
    ANSIBLE_NOCOLOR=1 ansible-playbook "${directory}/after.yml" -e "@${directory}/variables.json" "$@" \
        > "${directory}/log" 2>&1
}
wanted() {
    if ! grep -q -- "$1" "${directory}/log"; then
        echo "not found: $1"
        cat "${directory}/log"
        exit 1
    fi
}
unwanted() {
    if grep -q -- "$1" "${directory}/log"; then
        echo "found: $1"
        cat "${directory}/log"
        exit 1
    fi
}
passes() {
    scan "$@" || { cat "${directory}/log"; exit 1; }
}
fails() {
    if scan "$@"; then
        echo "it did not fail"
        cat "${directory}/log"
        exit 1
    fi
}

# Two scanners share the targets, and one of them tells what both have found. Without a minimum nothing fails, and the
# certificate of five days is told. What would look like an attack is sent to hosts of the inventory alone.
passes -i inventory.ini
wanted 'ok: \[scanner1\] => (item=own)'
wanted 'ok: \[scanner1\] => (item=nobody)'
wanted 'WARNING: own: CN=localhost has [45] days left'
wanted 'nobody: .*nothing listens there'
wanted 'own: .*vulnerabilities tested: [12][0-9] of 24'
unwanted 'WARNING: own: .* is vulnerable'
wanted 'own tests active'
wanted 'foreign tests passive'

# The share of a scanner that cannot be reached is told, and so is what the other has found.
echo 'scanner2 ansible_connection=ssh ansible_host=127.0.0.1 ansible_port=1' > "${directory}/unreachable.ini"
fails -i inventory.ini -i "${directory}/unreachable.ini"
wanted 'not measured: .*nobody.*Failed to connect'
wanted 'own: .*vulnerabilities tested'

# The control node alone, with a minimum; the level of the search is chosen, and so is the guide's version.
alone() {
    "$@" -i localhost, -c local -e "ansible_python_interpreter={{ ansible_playbook_python }}" \
        -e tls_scan_expiry_warn_days=2 -e tls_scan_criteria=2009q -e tls_scan_vulnerability_tests=deep
}
alone fails -e tls_scan_minimum_grade=A
wanted 'not known to be A or better: nobody'
unwanted 'not known to be A or better: .*own'
unwanted 'days left'
alone passes
wanted 'own tests deep'
wanted 'foreign tests deep'

# What an option says wrongly fails the run too, with the reason.
alone fails -e tls_scan_ca_path=/nonexistent/ca.pem
wanted 'ca_path /nonexistent/ca.pem: it cannot be read'
