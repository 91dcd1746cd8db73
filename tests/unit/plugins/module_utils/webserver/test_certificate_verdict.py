# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is said of a certificate that lies on a host."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import AuthorityInformationAccessOID

from ansible_collections.ringmaster.webops.plugins.module_utils.tls.certificate import Anchors
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.certificate_verdict import judge

from ..tls.issued import CA, NOW, SAN, Issued, access

ROOT = Issued("root", extensions=[(CA, True)])
MIDDLE = Issued("middle", ROOT, [(CA, True)])
SITE = Issued("site", MIDDLE, [(SAN, False)])
ANCHORS = Anchors([ROOT.pem])
FOUND = {"fullchain": "/x/fullchain.pem", "private_key": "/x/privkey.pem", "exists": True, "sha256": "00"}


def judged(*chain: Issued | str, anchors: Anchors = ANCHORS, exists: bool = True) -> dict[str, Any]:
    texts = [each if isinstance(each, str) else base64.b64encode(each.der).decode() for each in chain]
    return judge({**FOUND, "exists": exists}, texts, anchors, NOW)


def test_a_trusted_one() -> None:
    assert judged(SITE, MIDDLE) == {
        **FOUND,
        "key_type": "ecdsa",
        "trusted": True,
        "reason": None,
        "detail": None,
        "names": ["www.example.com", "192.0.2.1"],
        "not_after": "2026-08-20T12:00:00Z",
        "days_left": 80,
        "ocsp_responder": False,
    }


def test_other_kinds() -> None:
    key = rsa.generate_private_key(65537, 2048)
    responder = access(AuthorityInformationAccessOID.OCSP, "http://ocsp.example/")
    found = judged(Issued("site", MIDDLE, [(SAN, False), (responder, False)], key=key), MIDDLE)
    assert (found["key_type"], found["ocsp_responder"], found["trusted"]) == ("rsa", True, True)


@pytest.mark.parametrize(
    ("chain", "reason"),
    [
        ((SITE,), "unknown_issuer"),
        ((Issued("site", MIDDLE, [(SAN, False)], to_days=-1), MIDDLE), "expired"),
        ((Issued("self", extensions=[(SAN, False)]),), "self_signed"),
        ((Issued("nameless", Issued("other", extensions=[(CA, True)])),), "unknown_issuer"),
    ],
)
def test_untrusted_ones_say_why(chain: tuple[Issued, ...], reason: str) -> None:
    found = judged(*chain)
    assert (found["trusted"], found["reason"]) == (False, reason)
    assert found["detail"]
    assert found["key_type"] == "ecdsa"


def test_an_expired_one_has_less_than_no_days() -> None:
    assert judged(Issued("site", MIDDLE, [(SAN, False)], to_days=-1), MIDDLE)["days_left"] == -1


def test_without_anchors_nothing_is_trusted() -> None:
    assert not judged(SITE, MIDDLE, anchors=Anchors([]))["trusted"]


@pytest.mark.parametrize("chain", [(), ("",), ("AAAA",), ("not base64",)])
def test_what_is_no_certificate(chain: tuple[str, ...]) -> None:
    found = judged(*chain)
    assert (found["trusted"], found["reason"], found["key_type"], found["names"]) == (False, "unreadable", None, [])
    assert found.keys() == judged(SITE, MIDDLE).keys()


def test_a_file_that_is_not_there_has_no_fault() -> None:
    found = judged(exists=False)
    assert (found["trusted"], found["reason"], found["detail"]) == (False, None, None)
