#!/bin/sh
# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The tests of `make test`. Units, and the integration targets of what runs in Ansible itself, run under every ansible-core
# that the machine's Pythons allow; modules run in the host's Python, whichever core sends them, and under the newest here.
# REQUIRED_CORES="2.19 2.21" makes the absence of one a failure. pytest runs last, so that its summary closes the output.
set -eu

cd "$(dirname "$0")/.."

step() {
    printf '\n==> %s\n' "$*"
    started=$(date +%s)
    "$@" || { printf '%s\n' "test: failed: $*" >&2; exit 1; }
    printf '==> %s: %s s\n' "$1" "$(($(date +%s) - started))"
}

# Sanity does nothing but compute, and molecule mostly waits for hosts: sanity takes what molecule leaves of the machine.
molecule_and_sanity() {
    mkdir -p build
    nice -n 19 scripts/ansible_test.sh .venv sanity --color no >build/sanity.log 2>&1 &
    molecule=0
    scripts/molecule.sh test --all || molecule=$?
    sanity=0
    wait $! || sanity=$?
    printf '\n==> %s\n' "What sanity said meanwhile"
    cat build/sanity.log
    [ "$molecule" = 0 ] || printf '%s\n' "test: failed: molecule" >&2
    [ "$sanity" = 0 ] || printf '%s\n' "test: failed: sanity" >&2
    [ "$molecule$sanity" = 00 ]
}

newest=$(.venv/bin/python -c 'from ansible.release import __version__ as v; print(".".join(v.split(".")[:2]))')
cores=$newest
if [ "$newest" != 2.19 ] && [ -n "$(scripts/setup.sh python 2.19)" ]; then
    scripts/setup.sh venv .venv-2.19 test 2.19
    cores="2.19 $newest"
fi
for core in ${REQUIRED_CORES:-}; do
    case " $cores " in
        *" $core "*) ;;
        *) printf '%s\n' "test: ansible-core $core is required, but no Python here runs it (found: $cores). Install one." >&2; exit 1 ;;
    esac
done
printf '%s\n' "test: ansible-core $cores"

[ "$cores" = "$newest" ] || step .venv-2.19/bin/python -m pytest -q -n 2
in_ansible_itself=$(cd tests/integration/targets && echo action_* callback_* filter_* lookup_* playbook_* test_* webserver_*)
# shellcheck disable=SC2086
[ "$cores" = "$newest" ] || step scripts/integration.sh .venv-2.19 $in_ansible_itself
step scripts/integration.sh .venv
step molecule_and_sanity
step .venv/bin/python -m pytest -q tests/proof/test_lab.py
# Nothing after it: pytest's summary closes the output.
printf '\n==> %s\n' "Units, with coverage"
exec .venv/bin/python -m pytest -n 2 --cov=plugins --cov-report=term:skip-covered
