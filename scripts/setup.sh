#!/bin/sh
# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Get this machine ready, and say what is missing where it may not do so itself.
#
#   setup.sh packages PACKAGE...          install the Debian packages that are missing (root on Debian only)
#   setup.sh remove-packages              remove what `packages` installed, except what others need by now
#   setup.sh venv DIRECTORY SET [CORE]    make or complete a Python environment: SET is control-node, test or
#                                         development; CORE is an ansible-core release, by default the newest that runs
#   setup.sh python [CORE]                print the Python that an environment would be made from
#   setup.sh pythons                      print the directories of all Pythons from 3.9 on, newest first
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)

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

installed_packages() { dpkg-query --show --showformat '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p' | sort -u; }

install_packages() {
    missing=''
    for package in "$@"; do
        dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    on_debian_as_root || die "missing here:$missing. Install them (on Debian, as root: apt-get install$missing), then run this again."
    say "installing Debian packages:$missing (make clean removes them again)"
    mkdir -p "$here/.lab"
    before=$(mktemp)
    installed_packages > "$before"
    # shellcheck disable=SC2086
    apt_install $missing
    installed_packages | comm -13 "$before" - >> "$here/.lab/debian-packages"
    rm -f "$before"
}

remove_packages() {
    [ -s "$here/.lab/debian-packages" ] || return 0
    say "removing the Debian packages that were installed for the lab and the tests"
    # dpkg, unlike apt, never takes along another package that has come to depend on one of these.
    xargs dpkg --remove < "$here/.lab/debian-packages" >/dev/null 2>&1 ||
        say "some stay, because other packages depend on them by now"
    rm -f "$here/.lab/debian-packages"
}

apt_install() {
    DEBIAN_FRONTEND=noninteractive
    export DEBIAN_FRONTEND
    apt-get install -qq -y --no-install-recommends "$@" >/dev/null 2>&1 && return
    apt-get update -qq >/dev/null || die "apt-get update failed. Check the network and the machine's apt sources, then run this again."
    apt-get install -qq -y --no-install-recommends "$@" >/dev/null ||
        die "apt-get could not install: $*. Its messages stand above."
}

ensure_python() {
    [ -z "$(python_for 2.19)$(python_for 2.21)" ] || return 0
    if on_debian_as_root && [ "${WITHOUT_PACKAGES:-}" != 1 ]; then
        say "installing Debian packages: python3-venv"
        apt_install python3-venv
        [ -z "$(python_for 2.19)$(python_for 2.21)" ] || return 0
    fi
    die "no Python from 3.11 on with venv was found. Install one (on Debian 12 and newer, as root: apt-get install python3-venv), then run this again."
}

make_venv() {
    directory=$1 set=$2
    ensure_python
    core=${3:-$(newest_core)}
    python=$(python_for "$core")
    [ -n "$python" ] || die "ansible-core $core needs one of Python $(pythons_for "$core"), with venv; none runs here. Install one."
    constraints="$here/requirements/constraints-ansible-core-$core.txt"
    requirements="$here/requirements/$set.txt"
    stamp="$directory/.$set-$(cat "$constraints" "$here"/requirements/*.txt "$0" | cksum | tr ' ' '-')"
    [ ! -e "$stamp" ] || return 0
    say "making $directory: $("$python" --version), ansible-core $core, packages for: $set"
    version=$("$python" -c 'import sys; print(sys.version)')
    if [ "$("$directory/bin/python" -c 'import pip, sys; print(sys.version)' 2>/dev/null)" != "$version" ]; then
        "$python" -m venv --clear "$directory"
    fi
    "$directory/bin/python" -m pip install -qq --disable-pip-version-check --constraint "$constraints" --requirement "$requirements" ||
        die "pip could not install what $requirements names. Check the network and pip's configuration, then run this again."
    "$directory/bin/python" "$here/scripts/install_collections.py" "$constraints" community.crypto
    : > "$stamp"
}

case ${1:-} in
    packages) shift; install_packages "$@" ;;
    remove-packages) remove_packages ;;
    venv) make_venv "$2" "$3" "${4:-}" ;;
    python) ensure_python; python_for "${2:-$(newest_core)}" ;;
    pythons)
        for version in 3.14 3.13 3.12 3.11 3.10 3.9; do
            found=$(find_python "$version" 'import ensurepip, ssl, venv')
            [ -z "$found" ] || dirname "$found"
        done ;;
    *) die "unknown command '${1:-}'. Use packages, remove-packages, venv, python or pythons." ;;
esac
