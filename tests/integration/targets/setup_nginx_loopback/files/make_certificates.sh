#!/bin/sh
# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Make an authority and a certificate of each kind from it: make_certificates.sh DIRECTORY
# No system configuration of openssl takes part.
set -eu

cd "$1"
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
export OPENSSL_CONF="$PWD/openssl.cnf"
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
