#!/bin/sh
# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# A TLS server on loopback that does not send the certificate of its issuer, and a web server that has it:
# incomplete_chain.sh start DIRECTORY PYTHON, which prints the port of the first; incomplete_chain.sh stop DIRECTORY
set -eu

cd "$2"
if [ "$1" = stop ]; then
    for file in *.pid; do
        if [ -f "$file" ]; then kill "$(cat "$file")" || true; fi
    done
    exit 0
fi
umask 077

# Wait for a line in a log, and print what it captures.
wait_for() {
    for _attempt in $(seq 100); do
        found=$(sed -n "s/$2/\\1/p" "$1" | head -n 1)
        if [ -n "$found" ]; then
            echo "$found"
            return
        fi
        sleep 0.1
    done
    cat "$1" >&2
    exit 1
}

"$3" -u -m http.server --bind 127.0.0.1 --directory . 0 > http.log 2>&1 &
echo $! > http.pid
http_port=$(wait_for http.log '.* port \([0-9]*\) .*')

cat > openssl.cnf <<END
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
subjectAltName = IP:127.0.0.1
authorityInfoAccess = caIssuers;URI:http://127.0.0.1:$http_port/intermediate.der
END
export OPENSSL_CONF="$PWD/openssl.cnf"
for name in root intermediate leaf; do
    openssl ecparam -name prime256v1 -genkey -noout -out "$name.key"
done
openssl req -x509 -new -key root.key -subj '/CN=root' -days 5 -extensions authority -out root.pem
openssl req -new -key intermediate.key -subj '/CN=intermediate' |
    openssl x509 -req -CA root.pem -CAkey root.key -CAcreateserial -days 5 -extfile openssl.cnf -extensions authority \
        -out intermediate.pem
openssl x509 -in intermediate.pem -outform DER -out intermediate.der
openssl req -new -key leaf.key -subj '/CN=localhost' |
    openssl x509 -req -CA intermediate.pem -CAkey intermediate.key -CAcreateserial -days 5 -extfile openssl.cnf \
        -extensions server -out leaf.pem

openssl s_server -accept 127.0.0.1:0 -www -cert leaf.pem -key leaf.key > server.log 2>&1 &
echo $! > server.pid
wait_for server.log '^ACCEPT .*:\([0-9]*\)$'
