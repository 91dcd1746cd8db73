#!/bin/sh
# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Get this machine ready, and say what is missing where it may not do so itself.
#
#   setup.sh packages PACKAGE...          install the Debian packages that are missing (root on Debian only)
#   setup.sh optional-packages PACKAGE... the same where it may, else nothing
#   setup.sh remove-packages              remove what `packages` installed, except what others need by now
#   setup.sh remove-python                the same for what `venv` installed
#   setup.sh venv DIRECTORY SET [CORE]    make or complete a Python environment: SET is control-node, test or
#                                         development; CORE is an ansible-core release, by default the newest that runs
#   setup.sh peers DIRECTORY              make or complete the Python environment of what benchmarks compare with
#   setup.sh python [CORE]                print the Python that an environment would be made from
#   setup.sh pythons                      print the directories of all Pythons from 3.9 on, newest first
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
# dpkg wants these, and a root shell by way of `su` does not have them.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

say() { printf '%s\n' "setup: $*"; }
die() { printf '%s\n' "setup: $*" >&2; exit 1; }

# Every directory that may hold a Python: PATH, and the versions behind pyenv's shims, which do not always run.
python_directories() {
    printf '%s\n' "$PATH" | tr ':' '\n'
    for shims in $(printf '%s\n' "$PATH" | tr ':' '\n' | grep '/shims$' || true) "${PYENV_ROOT:-$HOME/.pyenv}/shims"; do
        ls -d "${shims%/shims}"/versions/*/bin 2>/dev/null || true
    done
}

# The first directory whose python$1 really runs and is no shim; $2 is a statement that must succeed in it.
find_python() {
    python_directories | while read -r directory; do
        candidate="$directory/python$1"
        [ -x "$candidate" ] || continue
        case $directory in */shims) continue ;; esac
        "$candidate" -c "$2" 2>/dev/null || continue
        printf '%s\n' "$candidate"
        break
    done
}

# ansible-core 2.21 wants Python 3.12 or newer, 2.19 wants 3.11 to 3.13.
pythons_for() {
    case $1 in
        2.19) echo 3.13 3.12 3.11 ;;
        2.21) echo 3.14 3.13 3.12 ;;
        *) die "ansible-core $1: no constraints for it. Choose 2.19 or 2.21." ;;
    esac
}

python_for() {
    for version in $(pythons_for "$1"); do
        found=$(find_python "$version" 'import ensurepip, ssl, venv')
        if [ -n "$found" ]; then printf '%s\n' "$found"; return; fi
    done
}

newest_core() {
    if [ -n "$(python_for 2.21)" ]; then echo 2.21; else echo 2.19; fi
}

on_debian_as_root() { [ "$(id -u)" = 0 ] && [ -e /etc/debian_version ] && command -v apt-get >/dev/null; }

is_installed() { dpkg-query --show --showformat '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }

# Every package that dpkg knows, with its state: one that left only its configuration behind must not be purged later.
packages_with_state() { dpkg-query --show --showformat '${binary:Package} ${db:Status-Status}\n' | sort; }

enabled_units() { find /etc/systemd/system -type l ! -lname /dev/null 2>/dev/null | sort || true; }

# What is missing of the packages $2... is installed; which ones that brought is noted in .lab/$1.
install_packages() {
    record="$here/.lab/$1"
    shift
    missing=''
    for package in "$@"; do
        # Off Debian a program of that name will do.
        command -v "$package" >/dev/null || is_installed "$package" || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    [ "$(uname)" = Linux ] || die "$(uname): this needs Linux. Run it on Debian 12 or 13; a virtual machine will do."
    on_debian_as_root || die "missing here:$missing. Install them (on Debian, as root: apt-get install$missing), then run this again."
    say "installing Debian packages:$missing"
    mkdir -p "$here/.lab"
    before=$(mktemp -d)
    packages_with_state > "$before/packages"
    enabled_units > "$before/units"
    # shellcheck disable=SC2086
    if (without_starting_services apt_install $missing); then status=0; else status=1; fi
    note_new_packages "$before/packages" >> "$record"
    enabled_units | comm -13 "$before/units" - | while read -r unit; do disable_unit "$unit"; done
    rm -rf "$before"
    return "$status"
}

# Print what dpkg must do to undo what happened since packages_with_state gave the file $1. Upgrades stay.
note_new_packages() {
    packages_with_state | comm -13 "$1" - | sed -n 's/ installed$//p' | while read -r package; do
        case $(sed -n "s/^$package //p" "$1") in
            '' | not-installed) echo "--purge $package" ;;
            config-files) echo "--remove $package" ;;
        esac
    done
}

# Packages enable what they bring; nothing here needs that. $1 is the link that does it.
disable_unit() {
    rm -f "$1"
    [ ! -d /run/systemd/system ] || systemctl stop "$(basename "$1")" >/dev/null 2>&1 || true
}

# dpkg, unlike apt, never takes along another package that has come to depend on one of these.
remove_packages() {
    record="$here/.lab/$1"
    [ -s "$record" ] || return 0
    if ls /run/ringmaster-lab/*.json >/dev/null 2>&1; then
        say "Debian packages stay: a lab of another clone needs them. Run this again when that is gone."
        return 0
    fi
    on_debian_as_root || die "the Debian packages in .lab/$1 were installed by root. Run this as root to remove them."
    say "removing Debian packages: $(sed 's/^--[a-z]* //' "$record" | tr '\n' ' ')"
    for action in --purge --remove; do
        packages=$(sed -n "s/^$action //p" "$record")
        # shellcheck disable=SC2086
        [ -z "$packages" ] || dpkg $action $packages >/dev/null 2>&1 ||
            say "some stay, because other packages depend on them by now"
    done
    rm -f "$record"
}

# Run a command with its output in the file $1; when it fails, say $2 with its first complaint.
quietly() {
    log=$1 failure=$2
    shift 2
    "$@" > "$log" 2>&1 || die "$failure ($(grep -E -m 1 '^(ERROR|WARNING|E|W):' "$log" || echo 'no reason given')). Everything it said is in $log."
}

# Run a command that installs packages, which would start what they bring (invoke-rc.d(8)).
without_starting_services() {
    policy=/usr/sbin/policy-rc.d
    if [ -e "$policy" ]; then "$@"; return; fi
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
    "$@"
}

apt_install() {
    DEBIAN_FRONTEND=noninteractive
    export DEBIAN_FRONTEND
    apt-get install -qq -y --no-install-recommends "$@" >/dev/null 2>&1 && return
    quietly "$here/.lab/apt.log" "apt-get could not install $*; check the network and the machine's apt sources, then run this again" \
        sh -c 'apt-get update -q && apt-get install -q -y --no-install-recommends "$@"' apt-get "$@"
}

ensure_python() {
    [ -z "$(python_for 2.19)$(python_for 2.21)" ] || return 0
    if on_debian_as_root && [ "${WITHOUT_PACKAGES:-}" != 1 ]; then
        install_packages python-packages python3-venv
        [ -z "$(python_for 2.19)$(python_for 2.21)" ] || return 0
    fi
    die "no Python from 3.11 on with venv was found. Install one (on Debian 12 and newer, as root: apt-get install python3-venv), then run this again."
}

# Each set of requirements contains the ones after it.
sets_in() {
    case $1 in
        development) echo development test control-node ;;
        test) echo test control-node ;;
        control-node) echo control-node ;;
        *) die "unknown set of packages '$1'. Use control-node, test or development." ;;
    esac
}

make_venv() {
    directory=$1 set=$2
    sets=$(sets_in "$set")
    ensure_python
    core=${3:-$(newest_core)}
    python=$(python_for "$core")
    [ -n "$python" ] || die "ansible-core $core needs one of Python $(pythons_for "$core"), with venv; none runs here. Install one."
    constraints="$here/requirements/constraints-ansible-core-$core.txt"
    requirements="$here/requirements/$set.txt"
    # An environment holds its own path: in a clone that was moved or copied it must be made again.
    wanted="$here $(cat "$constraints" "$here"/requirements/*.txt "$0" | cksum)"
    [ "$(cat "$directory/.made-$set" 2>/dev/null)" != "$wanted" ] || return 0
    say "making $directory: $("$python" --version), ansible-core $core, packages for: $set (this takes a minute)"
    if ! grep -qF "$here/$directory" "$directory/bin/activate" 2>/dev/null || ! "$directory/bin/python" -c 'import pip' 2>/dev/null; then
        "$python" -m venv --clear "$directory"
    fi
    quietly "$directory/pip.log" "pip could not install what $requirements names; check the network and pip's configuration, then run this again" \
        "$directory/bin/python" -m pip install --disable-pip-version-check --constraint "$constraints" --requirement "$requirements"
    "$directory/bin/python" "$here/scripts/install_collections.py" "$constraints" community.crypto
    for name in $sets; do printf '%s\n' "$wanted" > "$directory/.made-$name"; done
}

make_peers() {
    directory=$1
    requirements="$here/requirements/peers.txt"
    wanted="$here $(cksum < "$requirements")"
    [ "$(cat "$directory/.made-peers" 2>/dev/null)" != "$wanted" ] || return 0
    ensure_python
    python=$(python_for "$(newest_core)")
    say "making $directory: $("$python" --version), what the benchmarks compare with"
    "$python" -m venv --clear "$directory"
    quietly "$directory/pip.log" "pip could not install what $requirements names; check the network and pip's configuration, then run this again" \
        "$directory/bin/python" -m pip install --disable-pip-version-check --requirement "$requirements"
    printf '%s\n' "$wanted" > "$directory/.made-peers"
}

case ${1:-} in
    packages) shift; install_packages debian-packages "$@" ;;
    optional-packages) shift; ! on_debian_as_root || install_packages debian-packages "$@" ;;
    remove-packages) remove_packages debian-packages ;;
    remove-python) remove_packages python-packages ;;
    venv) make_venv "$2" "$3" "${4:-}" ;;
    peers) make_peers "$2" ;;
    python) ensure_python; python_for "${2:-$(newest_core)}" ;;
    pythons)
        for version in 3.14 3.13 3.12 3.11 3.10 3.9; do
            found=$(find_python "$version" 'import ensurepip, ssl, venv')
            [ -z "$found" ] || dirname "$found"
        done ;;
    *) die "unknown command '${1:-}'. Use packages, optional-packages, remove-packages, remove-python, venv, peers, python or pythons." ;;
esac
