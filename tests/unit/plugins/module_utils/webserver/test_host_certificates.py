# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates in directories and files, and no private key that anybody reads."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import host_certificates
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.host_certificates import find

from ..tls.issued import Issued

SITE = Issued("www.example.com")
ISSUER = Issued("issuer")
CHAIN = SITE.pem + "\n# the issuer\n" + ISSUER.pem
KEY = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"


def put(directory: Path, *names: str) -> None:
    for name in names:
        (directory / name).write_text(KEY if name.startswith("privkey") else CHAIN)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["fullchain.pem", "privkey.pem"], [("fullchain.pem", "privkey.pem", True)]),
        (
            ["fullchain.rsa.pem", "privkey.rsa.pem", "fullchain.pem", "privkey.pem", "chain.pem", "README"],
            [("fullchain.pem", "privkey.pem", True), ("fullchain.rsa.pem", "privkey.rsa.pem", True)],
        ),
        (["fullchain.pem", "privkey.rsa.pem"], [("fullchain.pem", "privkey.pem", False)]),
        (["privkey.pem"], [("fullchain.pem", "privkey.pem", False)]),
        ([], [("fullchain.pem", "privkey.pem", False)]),
    ],
)
def test_pairs_of_a_directory(tmp_path: Path, names: list[str], expected: Sequence[tuple[str, str, bool]]) -> None:
    put(tmp_path, *names)
    assert [(each.fullchain, each.private_key, each.exists) for each in find(str(tmp_path))] == [
        (str(tmp_path / fullchain), str(tmp_path / key), exists) for fullchain, key, exists in expected
    ]


@pytest.mark.parametrize(
    ("names", "given", "key", "exists"),
    [
        (["fullchain.pem", "privkey.pem"], "fullchain.pem", "privkey.pem", True),
        (["fullchain.pem"], "fullchain.pem", None, True),
        (["site.pem", "privkey.pem"], "site.pem", None, True),
        (["site"], "site", None, True),
        ([], "site.pem", None, False),
        ([], "site.crt", None, False),
    ],
)
def test_a_file(tmp_path: Path, names: list[str], given: str, key: str | None, exists: bool) -> None:
    put(tmp_path, *names)
    (found,) = find(str(tmp_path / given))
    expected = (str(tmp_path / given), str(tmp_path / key) if key else None, exists)
    assert (found.fullchain, found.private_key, found.exists) == expected


def test_a_directory_that_is_not_there_lacks_the_usual_files(tmp_path: Path) -> None:
    (found,) = find(str(tmp_path / "site"))
    assert (found.fullchain, found.exists, found.sha256, found.chain) == (
        str(tmp_path / "site" / "fullchain.pem"),
        False,
        None,
        (),
    )


def test_the_chain_in_its_order_and_the_digest_of_the_file(tmp_path: Path) -> None:
    put(tmp_path, "fullchain.pem", "privkey.pem")
    (found,) = find(str(tmp_path))
    assert found.chain == (SITE.der, ISSUER.der)
    assert found.sha256 == hashlib.sha256(CHAIN.encode()).hexdigest()


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    (tmp_path / "live").mkdir()
    put(tmp_path / "archive", "fullchain7.pem", "privkey7.pem")
    for name in ("fullchain", "privkey"):
        (tmp_path / "live" / f"{name}.pem").symlink_to(f"../archive/{name}7.pem")
    (found,) = find(str(tmp_path / "live"))
    assert (found.exists, len(found.chain)) == (True, 2)


@pytest.mark.parametrize(
    ("content", "certificates"),
    [
        ("", 0),
        ("no certificate", 0),
        (KEY, 0),
        (KEY + SITE.pem, 1),
        ("-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n", 1),
        (SITE.pem * 40, 32),
    ],
)
def test_what_is_in_a_file(tmp_path: Path, content: str, certificates: int) -> None:
    (tmp_path / "site.pem").write_text(content)
    (found,) = find(str(tmp_path / "site.pem"))
    assert len(found.chain) == certificates
    assert all(der in (b"", SITE.der) for der in found.chain)


def test_no_key_is_ever_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def read(path: str, most_bytes: int) -> bytes:
        opened.append(Path(path).name)
        return Path(path).read_bytes()[:most_bytes]

    monkeypatch.setattr(host_certificates, "read_regular", read)
    put(tmp_path, "fullchain.pem", "privkey.pem", "fullchain.rsa.pem", "privkey.rsa.pem")
    find(str(tmp_path))
    find(str(tmp_path / "fullchain.pem"))
    assert opened == ["fullchain.pem", "fullchain.rsa.pem", "fullchain.pem"]


def test_what_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, _most_bytes: int) -> bytes:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(host_certificates, "read_regular", refuse)
    put(tmp_path, "fullchain.pem")
    with pytest.raises(MeasurementError, match=r"fullchain\.pem: it cannot be read \(Permission denied\)"):
        find(str(tmp_path))


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fullchain.pem")
    (found,) = find(str(tmp_path))
    assert not found.exists
