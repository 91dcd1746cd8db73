#!/usr/bin/env bash
# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# A real module on a real root, slowed down: what a person sees of it, what comes back, and what is left when it is ended.
set -eu

directory="$(mktemp -d)"
play=""
finish() {
    if [ -n "${play}" ]; then
        kill -KILL "${play}" 2> /dev/null || true
    fi
    rm -rf "${directory}"
}
trap finish EXIT

export ANSIBLE_NOCOLOR=1
# Python keeps back what it writes to a file, and so would the lines come with the end of the play.
export PYTHONUNBUFFERED=1
export TMPDIR="${directory}/temporary"
mkdir "${TMPDIR}"
export ANSIBLE_ASYNC_DIR="${directory}/async"
export ANSIBLE_REMOTE_TMP="${directory}/tmp"
variables=(-i inventory.ini -e "place=${directory}")

fail() {
    cat "${directory}/log"
    echo "$1"
    exit 1
}

# A root with one package, of which reading takes seconds at the rate that is asked for, and with a file that was changed.
build() {
    mkdir -p "${directory}"/root/var/lib/dpkg/{info,updates,triggers} "${directory}"/alpha/{DEBIAN,usr/share/alpha}
    : > "${directory}/root/var/lib/dpkg/status"
    printf '%s\n' "Package: alpha" "Version: 1.0" "Architecture: all" "Maintainer: Nobody <nobody@example.org>" \
        "Description: a test" > "${directory}/alpha/DEBIAN/control"
    for number in $(seq 1000); do
        head -c 4096 /dev/urandom > "${directory}/alpha/usr/share/alpha/${number}"
    done
    dpkg-deb --root-owner-group --build "${directory}/alpha"
    PATH="${PATH}:/usr/sbin:/sbin" dpkg --root="${directory}/root" --log="${directory}/dpkg.log" --force-all \
        --install "${directory}/alpha.deb"
    echo changed > "${directory}/root/usr/share/alpha/7"
}

# What is left of a module: processes (the directory is in their command lines), and files.
left() {
    grep -las "${directory}/tmp/ansible-tmp" /proc/[0-9]*/cmdline || true
    find "${directory}/async" "${directory}/tmp" -mindepth 1 2> /dev/null || true
    find "${TMPDIR}" -name 'ansible_*_payload_*'
}

nothing_is_left() {
    for _attempt in $(seq 100); do
        if [ -z "$(left)" ]; then
            return
        fi
        sleep 0.2
    done
    left
    fail "$1 left something"
}

build > "${directory}/log" 2>&1 || fail "the root could not be built"

ansible-playbook "${variables[@]}" verify.yml > "${directory}/log" 2>&1 || fail "a result is not what it should be"
# Without -v, as it is run and in check mode; also before the task is ended by its timeout.
for task in "Verify" "Verify in check mode"; do
    sed -n "/^TASK \[${task}\]/,/^ok: /p" "${directory}/log" > "${directory}/lines"
    grep -Eq '^\[host1\] verifies: [0-9]+ of [0-9]+ files \([0-9]+ %\), [01] findings?$' "${directory}/lines" \
        || fail "no progress was shown: ${task}"
done
nothing_is_left "a task that is late"

# A connection that breaks may print nothing and report success: no answer is not the answer that nothing runs.
cat > "${directory}/sh" << 'SHELL'
#!/bin/sh
case "$2" in
    *webops-answer-begins*)
        echo asked >> "$0.log"
        if mkdir "$0.swallowed" 2> /dev/null; then
            exit 0
        fi
        rmdir "$0.swallowed" ;;
esac
exec /bin/sh "$@"
SHELL
chmod 755 "${directory}/sh"
ansible-playbook "${variables[@]}" broken.yml > "${directory}/log" 2>&1 || fail "an answer that was lost ends a module"
[ "$(wc -l < "${directory}/sh.log")" -gt 2 ] || fail "no answer was swallowed"
nothing_is_left "a task with lost answers"

# Signals as a terminal and a service manager send them; a shell's children ignore the first unless told otherwise.
for signal in INT TERM; do
    python3 -c 'import os, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)
os.execvp(sys.argv[1], sys.argv[1:])' ansible-playbook "${variables[@]}" endless.yml > "${directory}/log" 2>&1 &
    play=$!
    for _attempt in $(seq 300); do
        if grep -q '^\[host1\]' "${directory}/log"; then
            break
        fi
        sleep 0.2
    done
    [ -n "$(left)" ] || fail "nothing runs that could be ended"
    kill -s "${signal}" "${play}"
    wait "${play}" && fail "it ended well, though it was ended by ${signal}"
    play=""
    nothing_is_left "SIG${signal}"
done
