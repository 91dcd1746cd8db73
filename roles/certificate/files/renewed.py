# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run by certbot or lego after a renewal: test the new certificate and each server, and only then reload the server.

Apache's own test does not look at certificates, and an Apache that is reloaded with a key that does not fit ends. So
the pair is tested here first: a TLS handshake in memory, with the key, for every name.
"""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from pathlib import Path

# The certificate itself is the anchor: whether its authority is trusted is not the question here. The name came with
# Python 3.10 (ssl.VERIFY_X509_PARTIAL_CHAIN).
_X509_PARTIAL_CHAIN = 0x80000
# Two or three flights do; a library that wants more is stuck.
_MAX_FLIGHTS = 10
_TIMEOUT_SECONDS = 90
# A job of cron knows less of the system than a login.
_SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
# systemd unit -> the server's own test.
_SERVERS = {
    "nginx": ["nginx", "-t", "-q"],
    "apache2": ["apache2ctl", "configtest"],
    "haproxy": ["haproxy", "-c", "-q", "-f", "/etc/haproxy/haproxy.cfg"],
}


class RefusedError(Exception):
    """Why nothing is reloaded."""


def renewed(environment: dict[str, str]) -> tuple[Path, Path, list[str]]:
    """Return chain, key and names of what was renewed, as certbot or lego say it in the environment."""
    if "RENEWED_LINEAGE" in environment:
        lineage = Path(environment["RENEWED_LINEAGE"])
        return lineage / "fullchain.pem", lineage / "privkey.pem", environment.get("RENEWED_DOMAINS", "").split()
    if "LEGO_CERT_PATH" in environment and "LEGO_CERT_KEY_PATH" in environment:
        names = environment.get("LEGO_CERT_DOMAIN", "").split()
        return Path(environment["LEGO_CERT_PATH"]), Path(environment["LEGO_CERT_KEY_PATH"]), names
    raise RefusedError("neither RENEWED_LINEAGE nor LEGO_CERT_PATH is set: this is to be run by certbot or lego")


def check_pair(fullchain: Path, private_key: Path, names: list[str]) -> None:
    """Raise RefusedError where the key does not fit, the certificate is not valid now, or not for a name."""
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        # An empty passphrase, so that nobody is asked for one at a terminal.
        server.load_cert_chain(fullchain, private_key, password="")
        client.load_verify_locations(fullchain)
        client.verify_flags |= _X509_PARTIAL_CHAIN
        client.check_hostname = bool(names)
        for name in names or [""]:
            _shake_hands(server, client, name.replace("*", "any-name", 1) or None)
    except ssl.SSLCertVerificationError as error:
        raise RefusedError(f"{fullchain}: {error.verify_message}") from error
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise RefusedError(f"{fullchain} and {private_key}: {error}") from error


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, name: str | None) -> None:
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(down, up, server_hostname=name),
        server.wrap_bio(up, down, server_side=True),
    ]
    for _flight in range(_MAX_FLIGHTS):
        ends = [end for end in ends if not _is_done(end)]
        if not ends:
            return
    raise ssl.SSLError("the handshake does not end")


def _is_done(end: ssl.SSLObject) -> bool:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def reload(unit: str, test: list[str]) -> None:
    """Reload a server that accepts its configuration; raise RefusedError where it does not, or did not survive."""
    tested = _run(test)
    if tested.returncode != 0:
        raise RefusedError(f"{unit} refuses its configuration and was not reloaded: {tested.stdout.strip()}")
    reloaded = _run(["systemctl", "reload", unit])
    if reloaded.returncode != 0 or not is_active(unit):
        raise RefusedError(f"{unit} could not be reloaded. See: journalctl -u {unit}")


def is_active(unit: str) -> bool:
    """Whether a unit runs now."""
    return _run(["systemctl", "is-active", "--quiet", unit]).returncode == 0


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_SECONDS,
            env={**os.environ, "PATH": f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, str(error))


def main() -> int:
    """Return the exit status: 0 when every server that runs was reloaded, else 1 with the reasons on standard error."""
    problems = []
    try:
        check_pair(*renewed(dict(os.environ)))
    except RefusedError as error:
        sys.stderr.write(f"not reloaded: {error}\n")
        return 1
    for unit, test in _SERVERS.items():
        try:
            if is_active(unit):
                reload(unit, test)
        except RefusedError as error:
            problems.append(str(error))
    sys.stderr.write("".join(f"{problem}\n" for problem in problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
