# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys that do not fit are found before a server sees them."""

from __future__ import annotations

import base64
import ssl
import subprocess
from pathlib import Path

import pytest
import trustme

from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.key_pairs import certificates, unfit_pairs
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.release import (
    Facts,
    Release,
    ReleaseFile,
    compose,
)

AUTHORITY = trustme.CA()
ONE, OTHER = AUTHORITY.issue_cert("a.test"), AUTHORITY.issue_cert("b.test")
CHAIN = b"".join(part.bytes() for part in ONE.cert_chain_pems)
KEY, WRONG = ONE.private_key_pem.bytes(), OTHER.private_key_pem.bytes()


def release(**contents: bytes) -> Release:
    """Return a release; in the names ``__`` stands for a slash, ``_`` for a dot."""
    files = (
        ReleaseFile(name.replace("__", "/").replace("_", "."), content, sensitive=b"PRIVATE" in content)
        for name, content in contents.items()
    )
    return compose(files, Facts())


@pytest.mark.parametrize(
    "contents",
    [
        {"a__fullchain_pem": CHAIN, "a__privkey_pem": KEY},
        {"fullchain_rsa_pem": CHAIN, "privkey_rsa_pem": KEY},
        {"site_pem": CHAIN, "site_pem_key": KEY},
        {"site_pem": CHAIN + KEY},
    ],
    ids=["fullchain", "fullchain.rsa", "beside", "in one file"],
)
def test_keys_that_fit_and_keys_that_do_not(contents: dict[str, bytes]) -> None:
    assert unfit_pairs(release(**contents)) == []
    wrong = {name: content.replace(KEY, WRONG) for name, content in contents.items()}
    (sentence,) = unfit_pairs(release(**wrong))
    certificate, key = (min(wrong), max(wrong))
    assert certificate.replace("__", "/").replace("_", ".") in sentence
    assert key.replace("__", "/").replace("_", ".") in sentence
    assert "belongs to another certificate" in sentence
    assert "PRIVATE" not in sentence


def test_each_misfit_is_told() -> None:
    both = release(a__fullchain_pem=CHAIN, a__privkey_pem=WRONG, b_pem=CHAIN, b_pem_key=WRONG)
    assert len(unfit_pairs(both)) == 2


def test_what_is_no_pair_is_left_alone() -> None:
    assert unfit_pairs(release(ca_pem=CHAIN, other_key=WRONG, nginx_conf=b"x")) == []


def test_a_key_of_another_kind_and_a_weak_one(tmp_path: Path) -> None:
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:1024",
            "-nodes",
            "-keyout",
            "k",
            "-out",
            "c",
            "-subj",
            "/CN=a.test",
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    chain, key = (tmp_path / "c").read_bytes(), (tmp_path / "k").read_bytes()
    assert unfit_pairs(release(a_pem=chain, a_pem_key=key)) == []
    (sentence,) = unfit_pairs(release(a_pem=chain, a_pem_key=KEY))
    assert "a.pem.key" in sentence


def test_an_encrypted_key_is_refused_and_nobody_is_asked(tmp_path: Path) -> None:
    (tmp_path / "k").write_bytes(KEY)
    encrypted = subprocess.run(
        ["openssl", "pkey", "-in", str(tmp_path / "k"), "-aes128", "-passout", "pass:x"],
        check=True,
        capture_output=True,
    ).stdout
    (sentence,) = unfit_pairs(release(a_pem=CHAIN, a_pem_key=encrypted))
    assert "it is encrypted" in sentence


def test_what_cannot_be_read_as_a_key() -> None:
    broken = KEY.replace(KEY.splitlines()[1], b"AAAA")
    (sentence,) = unfit_pairs(release(a_pem=CHAIN, a_pem_key=broken))
    assert "OpenSSL cannot read one of the two" in sentence


def test_nothing_stays_open() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    unfit_pairs(release(a_pem=CHAIN, a_pem_key=WRONG))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_certificates_of_files(tmp_path: Path) -> None:
    (tmp_path / "own.pem").write_bytes(CHAIN)
    der = base64.b64encode(ssl.PEM_cert_to_DER_cert(ONE.cert_chain_pems[0].bytes().decode())).decode()
    paths = ["a.pem", str(tmp_path / "own.pem"), "nosuch.pem", str(tmp_path / "nosuch.pem"), "broken.pem"]
    broken = b"-----BEGIN CERTIFICATE-----\nAAA=A\n-----END CERTIFICATE-----\n"
    assert certificates(release(a_pem=CHAIN + KEY, broken_pem=broken), paths) == {
        paths[0]: [der],
        paths[1]: [der],
        paths[2]: [],
        paths[3]: [],
        paths[4]: [],
    }
