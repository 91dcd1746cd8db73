#!/bin/sh
# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Unpack Debian's nginx, with the libraries that this machine lacks, and make certificates: prepare.sh DIRECTORY
set -eu

directory=$1
packages=$directory/packages
root=$directory/root
libraries=$root/usr/lib/$(uname -m)-linux-gnu
mkdir -p "$packages" "$root" "$directory/run"
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

fetch nginx
if LD_LIBRARY_PATH=$libraries ldd "$root/usr/sbin/nginx" | grep -q 'not found'; then
    # shellcheck disable=SC2046 # one word for each package
    fetch $(apt-cache depends --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces nginx \
        | sed -n 's/^ *Depends: \(lib[^ <>:]*\)$/\1/p' | grep -vx 'libc6' | sort -u)
fi

cat >"$directory/nginx" <<END
#!/bin/sh
LD_LIBRARY_PATH='$libraries' exec '$root/usr/sbin/nginx' -p '$directory' -c '$directory/nginx.conf' "\$@"
END
chmod 755 "$directory/nginx"

# An authority of its own, and a certificate of each kind from it; no system configuration of openssl takes part.
cd "$directory"
cat >openssl.cnf <<END
[req]
distinguished_name = name
prompt = no
[name]
CN = localhost
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, IP:127.0.0.1
END
export OPENSSL_CONF="$directory/openssl.cnf"
umask 077
openssl ecparam -name prime256v1 -genkey -noout -out ca.key
openssl req -x509 -new -key ca.key -subj '/CN=loopback authority' -days 30 -extensions authority -out ca.pem
openssl ecparam -name prime256v1 -genkey -noout -out ecdsa.key
openssl genrsa -out rsa.key 2048
for kind in ecdsa rsa; do
    openssl req -new -key "$kind.key" -out "$kind.csr"
    openssl x509 -req -in "$kind.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 20 \
        -extfile openssl.cnf -extensions server -out "$kind.pem"
done
