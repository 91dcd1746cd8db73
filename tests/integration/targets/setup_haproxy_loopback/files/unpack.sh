#!/bin/sh
# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Unpack Debian's haproxy and the libraries that this machine lacks into a directory: unpack.sh DIRECTORY
set -eu

directory=$1
packages=$directory/packages
root=$directory/root
mkdir -p "$packages" "$root"
cd "$packages"

fetch() {
    apt-get download "$@" 2>apt.log || {
        cat apt.log >&2
        echo "apt-get download $*: the packages cannot be fetched. Run apt-get update, or give the machine a mirror." >&2
        exit 1
    }
    for package in *.deb; do
        dpkg-deb --extract "$package" "$root"
        rm "$package"
    done
}

fetch haproxy
libraries=$root/usr/lib/$(uname -m)-linux-gnu
missing() { LD_LIBRARY_PATH=$libraries ldd "$root/usr/sbin/haproxy" | sed -n 's/^[[:space:]]*\(.*\) => not found$/\1/p'; }

# The libraries that haproxy itself wants, then those that these want.
for round in first second; do
    [ -n "$(missing)" ] || break
    if [ "$round" = first ]; then wanted=haproxy; else wanted=$fetched; fi
    # shellcheck disable=SC2086 # one word for each package
    fetched=$(apt-cache depends --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances \
        $wanted | sed -n 's/^ *Depends: \(lib[^ <>:]*\)$/\1/p' | sort -u | while read -r name; do
        dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null | grep -qx installed || echo "$name"
    done)
    [ -z "$fetched" ] && break
    # shellcheck disable=SC2086
    fetch $fetched
done

cat >"$directory/haproxy" <<END
#!/bin/sh
LD_LIBRARY_PATH='$libraries' exec '$root/usr/sbin/haproxy' "\$@"
END
chmod 755 "$directory/haproxy"
