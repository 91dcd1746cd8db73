#!/usr/bin/env bash
# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Runs small playbooks with the callback enabled and compares the table that they end with, letter by letter.
set -eu

output="$(mktemp -d)"
trap 'rm -rf "${output}"' EXIT

export ANSIBLE_CALLBACKS_ENABLED=ringmaster.webops.summary
export ANSIBLE_NOCOLOR=1
export COLUMNS=120
export PYTHONIOENCODING=utf-8

# Run a playbook on hosts that are new, and compare its table with standard input.
expect() {
    rm -rf "${output:?}/hosts"
    if ! ansible-playbook -i inventory.ini -e "output_directory=${output}/hosts" "$@" > "${output}/log" 2>&1; then
        cat "${output}/log"
        return 1
    fi
    sed -n '/^WEBOPS SUMMARY/,$p' "${output}/log" | sed -e 1d -e "s,${output}/hosts,OUTPUT," > "${output}/table"
    diff -u - "${output}/table"
}

# What the modules measured, and nothing about hosts that they did not see.
expect measure.yml -e with_report=false << 'TABLE'
host  ok  changed  failed  unreachable  verdict   TLS  certificate  packages      findings  verified
────────────────────────────────────────────────────────────────────────────────────────────────────
web1   3        2       0            0  ok        -    -            consistent           0       4/4
web2   3        2       0            0  critical  -    -            inconsistent         1       4/4

web2: package content differs: 1 content_changed

1 of 2 hosts is critical.
Packages verified on 2 and TLS measured on 0 of 2 hosts.
TABLE

# With a report, the hosts that only it knows, and where it is.
expect measure.yml -e with_report=true << 'TABLE'
host  ok  changed  failed  unreachable  verdict   TLS  certificate  packages      findings  verified
────────────────────────────────────────────────────────────────────────────────────────────────────
web1   4        3       0            0  ok        -    -            consistent           0       4/4
web2   3        2       0            0  critical  -    -            inconsistent         1       4/4
web3   -        -       -            -  unknown   -    -            -                    -         -

web2: package content differs: 1 content_changed
web3: not measured: ssh: connect to host web3 port 22: No route to host

1 of 3 hosts is critical.
Packages verified on 2 and TLS measured on 0 of 3 hosts.
Report: OUTPUT/report/index.html
TABLE

# A narrow terminal that knows ASCII only.
COLUMNS=70 PYTHONIOENCODING=ascii expect measure.yml -e with_report=true << 'TABLE'
host  ok  chg  fail  unr  verdict   TLS  cert  packages      found
------------------------------------------------------------------
web1   4    3     0    0  ok        -    -     consistent        0
web2   3    2     0    0  critical  -    -     inconsistent      1
web3   -    -     -    -  unknown   -    -     -                 -

web2: package content differs: 1 content_changed
web3: not measured: ssh: connect to host web3 port 22: No route to host

1 of 3 hosts is critical.
Packages verified on 2 and TLS measured on 0 of 3 hosts.
Report: OUTPUT/report/index.html
TABLE

# Nothing of the collection ran: no table.
expect other.yml < /dev/null
if grep -q 'WEBOPS SUMMARY' "${output}/log"; then
    cat "${output}/log"
    exit 1
fi
