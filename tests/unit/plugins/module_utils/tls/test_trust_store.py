# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Trust anchors from files and directories."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.trust_store import read_anchors


def test_a_file_with_text_between_the_certificates(tmp_path: Path) -> None:
    first, second = trustme.CA().cert_pem.bytes().decode(), trustme.CA().cert_pem.bytes().decode()
    path = tmp_path / "ca.pem"
    path.write_text(f"# one\n{first}\n# two\n{second}{first}")
    assert [pem.strip() for pem in read_anchors(str(path))] == [first.strip(), second.strip()]


def test_the_older_label_is_the_same_thing(tmp_path: Path) -> None:
    pem = trustme.CA().cert_pem.bytes().decode()
    path = tmp_path / "ca.pem"
    path.write_text(pem.replace("CERTIFICATE", "X509 CERTIFICATE"))
    assert read_anchors(str(path)) == [pem.strip()]


def test_a_directory(tmp_path: Path) -> None:
    pem = trustme.CA().cert_pem.bytes()
    (tmp_path / "a.pem").write_bytes(pem)
    (tmp_path / "b.pem").write_bytes(trustme.CA().cert_pem.bytes())
    (tmp_path / "README").write_bytes(b"\xff no certificate")
    assert len(read_anchors(str(tmp_path))) == 2


@pytest.mark.parametrize(("content", "reason"), [(None, "it cannot be read"), (b"nothing", "it holds no certificate")])
def test_what_cannot_be_used_is_told(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidInputError, match=reason) as caught:
        read_anchors(str(path))
    assert str(path) in caught.value.value
