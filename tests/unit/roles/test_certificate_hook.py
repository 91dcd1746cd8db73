# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hook of the role certificate, as certbot and lego run it, with real pairs and servers that note their calls."""

from __future__ import annotations

import datetime
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

HOOK = Path(__file__).resolve().parents[3] / "roles/certificate/files/renewed.py"
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "www")])
NAMES = ["www.example.org", "*.example.org"]


def write_pair(directory: Path, days: int = 9) -> None:
    """Write a new pair; it began ten days ago."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(NAME)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority that nobody knows")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=10))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in NAMES]), critical=False)
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )
    (directory / "fullchain.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (directory / "privkey.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )


class Host:
    """Programs that note how they are called, in the order of their calls."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.programs = directory / "bin"
        self.programs.mkdir()
        for program in ("systemctl", "nginx", "apache2ctl", "haproxy"):
            self.program(program)
        write_pair(directory)

    def program(self, name: str, body: str = "") -> None:
        path = self.programs / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> {self.directory}/calls\n{body}\n', encoding="utf-8")
        path.chmod(0o755)

    def run(self, **environment: str) -> subprocess.CompletedProcess[str]:
        default = {"RENEWED_LINEAGE": str(self.directory), "RENEWED_DOMAINS": " ".join(NAMES)}
        return subprocess.run(
            [sys.executable, "-I", str(HOOK)],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            env={"PATH": str(self.programs), **(environment or default)},
        )

    def calls(self) -> list[str]:
        path = self.directory / "calls"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def reloads(self) -> list[str]:
        return [call for call in self.calls() if call.startswith("systemctl reload")]


@pytest.fixture(name="host")
def host_with_all_servers(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_each_server_that_runs_is_tested_then_reloaded_then_looked_at(host: Host) -> None:
    host.program("systemctl", 'case "$*" in *apache2|*haproxy) exit 3;; esac')
    done = host.run()

    assert (done.returncode, done.stderr) == (0, "")
    assert host.calls() == [
        "systemctl is-active --quiet nginx",
        "nginx -t -q",
        "systemctl reload nginx",
        "systemctl is-active --quiet nginx",
        "systemctl is-active --quiet apache2",
        "systemctl is-active --quiet haproxy",
    ]


def test_lego_tells_it_in_words_of_its_own(host: Host) -> None:
    done = host.run(
        LEGO_CERT_PATH=str(host.directory / "fullchain.pem"),
        LEGO_CERT_KEY_PATH=str(host.directory / "privkey.pem"),
        LEGO_CERT_DOMAIN="www.example.org",
    )

    assert (done.returncode, len(host.reloads())) == (0, 3)


def another_key(host: Host) -> None:
    before = (host.directory / "fullchain.pem").read_bytes()
    write_pair(host.directory)
    (host.directory / "fullchain.pem").write_bytes(before)


def ended(host: Host) -> None:
    write_pair(host.directory, days=-1)


def nothing(_host: Host) -> None:
    pass


def no_key(host: Host) -> None:
    (host.directory / "privkey.pem").unlink()


@pytest.mark.parametrize(
    ("break_it", "names", "reason"),
    [
        (another_key, NAMES, "values mismatch"),
        (ended, NAMES, "certificate has expired"),
        (nothing, ["www.example.net"], "Hostname mismatch"),
        (no_key, NAMES, "No such file or directory"),
    ],
    ids=["a key that does not fit", "a certificate that has ended", "another name", "no key"],
)
def test_no_server_is_touched_for_a_bad_pair(
    host: Host, break_it: Callable[[Host], None], names: list[str], reason: str
) -> None:
    break_it(host)
    done = host.run(RENEWED_LINEAGE=str(host.directory), RENEWED_DOMAINS=" ".join(names))

    assert done.returncode == 1
    assert done.stderr.startswith("not reloaded: ")
    assert reason in done.stderr
    assert host.calls() == []


def test_a_server_that_refuses_its_configuration_is_not_reloaded_and_the_others_are(host: Host) -> None:
    host.program("apache2ctl", "echo 'Syntax error on line 7' >&2; exit 1")
    done = host.run()

    assert done.returncode == 1
    assert done.stderr == "apache2 refuses its configuration and was not reloaded: Syntax error on line 7\n"
    assert host.reloads() == ["systemctl reload nginx", "systemctl reload haproxy"]


def test_a_server_that_did_not_survive_its_reload_is_told(host: Host) -> None:
    host.program("systemctl", f'case "$*" in *apache2) test "$(grep -c apache2$ {host.directory}/calls)" = 1;; esac')
    done = host.run()

    assert done.returncode == 1
    assert "apache2 could not be reloaded. See: journalctl -u apache2" in done.stderr


def test_it_says_who_is_to_run_it(host: Host) -> None:
    done = host.run(HOME="/")

    assert done.returncode == 1
    assert "this is to be run by certbot or lego" in done.stderr
