#!/bin/sh
# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Unpack a Debian package and the libraries that this machine lacks, install nothing: unpack.sh DIRECTORY PACKAGE
# DIRECTORY/bin/PACKAGE then runs the package's /usr/sbin/PACKAGE.
set -eu

directory=$1
package=$2
root=$directory/root
libraries=$root/usr/lib/$(uname -m)-linux-gnu
mkdir -p "$directory/packages" "$directory/bin" "$root"
cd "$directory/packages"

fetch() {
    apt-get download "$@" 2>apt.log || {
        cat apt.log >&2
        echo "apt-get download $*: the packages cannot be fetched. Run apt-get update, or give the machine a mirror." >&2
        exit 1
    }
    for archive in *.deb; do
        dpkg-deb --extract "$archive" "$root"
        rm "$archive"
    done
}

# Print the libraries that packages depend on and that are not installed here.
absent_libraries() {
    apt-cache depends --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances "$@" |
        sed -n 's/^ *Depends: \(lib[^ <>:]*\)$/\1/p' | sort -u | while read -r name; do
        dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null | grep -qx installed || echo "$name"
    done
}

all_found() { ! LD_LIBRARY_PATH=$libraries ldd "$root/usr/sbin/$package" | grep -q 'not found'; }

fetch "$package"
wanted=$package
# The libraries that the program itself wants, then those that these want.
for _round in first second; do
    if all_found; then break; fi
    # shellcheck disable=SC2086 # one word for each package
    wanted=$(absent_libraries $wanted)
    [ -n "$wanted" ] || break
    # shellcheck disable=SC2086
    fetch $wanted
done

cat >"$directory/bin/$package" <<END
#!/bin/sh
LD_LIBRARY_PATH='$libraries' exec '$root/usr/sbin/$package' "\$@"
END
chmod 755 "$directory/bin/$package"
