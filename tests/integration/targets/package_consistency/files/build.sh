#!/bin/sh
# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Usage: build.sh PLACE - makes PLACE/root, a dpkg root with one package, and PLACE/archive, a signed archive with it.
set -eu
place=$1
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin" GNUPGHOME="$place/gnupg"
chmod 755 "$place"
cd "$place"

mkdir -p alpha/DEBIAN alpha/usr/bin alpha/usr/share/alpha alpha/etc
printf 'Package: alpha\nVersion: 1.0\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\nDescription: a test\n' \
    > alpha/DEBIAN/control
echo /etc/alpha.conf > alpha/DEBIAN/conffiles
echo 'setting = 1' > alpha/etc/alpha.conf
seq 20000 > alpha/usr/bin/alpha
echo alpha > alpha/usr/share/alpha/deleted
ln -s deleted alpha/usr/share/alpha/link
chmod -R u=rwX,go=rX alpha
chmod 755 alpha/usr/bin/alpha

mkdir -p archive root/var/lib/dpkg/info root/var/lib/dpkg/updates root/var/lib/dpkg/triggers root/etc/apt/trusted.gpg.d
dpkg-deb --root-owner-group --build alpha archive/alpha_1.0_all.deb
touch root/var/lib/dpkg/status
dpkg --root="$place/root" --log=/dev/null --force-all --install archive/alpha_1.0_all.deb

mkdir -m 700 gnupg
gpg --batch --passphrase '' --quick-generate-key test@example.org ed25519 sign 1d
gpg --export > root/etc/apt/trusted.gpg.d/test.gpg
cd archive
dpkg-scanpackages . > Packages
{
    printf 'Origin: Test\nSuite: test\nCodename: test\nDate: %s\nSHA256:\n' "$(date -u '+%a, %d %b %Y %H:%M:%S UTC')"
    printf ' %s %s Packages\n' "$(sha256sum Packages | cut -d ' ' -f 1)" "$(stat -c %s Packages)"
} > Release
gpg --batch --clearsign --output InRelease Release
rm Release
gpgconf --kill all
echo "deb file:$place/archive ./" > ../root/etc/apt/sources.list
