# shellcheck shell=sh
# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Have nginx run with the nginx.conf that is on the disk: take_into_use.sh HAS_CHANGED IS_CHECK (True or False each).
# Prints "reloaded", or "a reload is due" in check mode; nothing if there is nothing to do.
#
# The workers are the only proof. nginx's master answers a reload before it has tried: if it cannot bind an address, the
# old workers go on with the old configuration, and the reload counts as done. And workers that are older than the file
# have never read it, such as after a run that was stopped before its reload.
set -eu

has_changed=$1
is_check=$2
configuration=/etc/nginx/nginx.conf
confirmed=$configuration.confirmed
first=$configuration.before-ringmaster
error_log=/var/log/nginx/error.log
deadline_seconds=30

# The process ids of the workers that take connections, without those that only end what they have begun.
workers() {
    children=$(cat "/proc/$master/task/$master/children")
    for pid in $children; do
        case $(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline") in
            *"shutting down"*) ;;
            "nginx: worker process"*) echo "$pid" ;;
        esac
    done
}

# Whether a worker was started before the file was put in place.
a_worker_is_older() {
    file_age=$(echo "$(date +%s.%N) $(stat --format=%.9Z "$configuration")" | awk '{ print $1 - $2 }')
    for pid in $(workers); do
        # Field 22 is the start, in ticks since the boot (proc_pid_stat(5)).
        awk -v file_age="$file_age" -v ticks="$(getconf CLK_TCK)" \
            'NR == FNR { uptime = $1; next } { exit !(uptime - $22 / ticks > file_age) }' \
            /proc/uptime "/proc/$pid/stat" && return 0
    done
    return 1
}

# Put back what the workers run with, so that the next start of nginx holds no surprise, and say why.
refuse() {
    previous=$confirmed
    [ -e "$previous" ] || previous=$first
    cp --preserve "$previous" "$configuration.new"
    mv "$configuration.new" "$configuration"
    echo "$1" >&2
    tail --bytes=+"$((log_size + 1))" "$error_log" | grep '\[emerg\]' | cut -d ' ' -f 3- | sort -u >&2
    exit 1
}

# Keep a copy of what the workers run with.
confirm() {
    cmp --quiet "$configuration" "$confirmed" && return
    cp --preserve "$configuration" "$confirmed.new"
    mv "$confirmed.new" "$confirmed"
}

master=$(systemctl show --property=MainPID --value nginx.service)
if [ "$has_changed" != True ] && ! a_worker_is_older; then
    [ "$is_check" = True ] || confirm
    exit 0
elif [ "$is_check" = True ]; then
    echo "a reload is due"
    exit 0
fi

before=$(workers)
log_size=$(stat --format=%s "$error_log" 2>/dev/null || echo 0)
systemctl reload nginx.service || refuse "systemctl reload nginx failed"
deadline=$(($(date +%s) + deadline_seconds))
while [ "$(date +%s)" -lt "$deadline" ]; do
    now=$(workers)
    if [ -n "$now" ] && ! echo "$now" | grep --quiet --line-regexp --fixed-strings "$before"; then
        confirm
        echo reloaded
        exit 0
    fi
    sleep 0.2
done
refuse "no new workers within $deadline_seconds seconds"
