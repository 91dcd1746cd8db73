# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.certificates.request import wanted
from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError

SOURCES = ("given", "acme", "own_ca", "self_signed")
PAIR = {"fullchain": "/given/www.pem", "private_key": "/given/www-key.pem"}


def entry(**more: object) -> dict[str, Any]:
    return {"name": "www", "names": ["www.example.org"], **more}


@pytest.mark.parametrize(
    ("one", "acme", "sources"),
    [
        (entry(), False, ("own_ca", "self_signed")),
        (entry(), True, ("acme", "own_ca", "self_signed")),
        (entry(given=[PAIR]), True, SOURCES),
        (entry(names=["*.example.org"]), True, ("own_ca", "self_signed")),
        (entry(sources=["self_signed", "acme"]), True, ("self_signed", "acme")),
    ],
    ids=["nothing configured", "an ACME server", "given files", "a wildcard", "sources of its own"],
)
def test_sources_are_those_that_are_configured(one: dict[str, Any], acme: bool, sources: tuple[str, ...]) -> None:
    (certificate,) = wanted([one], SOURCES, acme=acme)

    assert certificate.requests[0].sources == sources


def test_each_key_type_is_a_request_with_its_own_pair_and_files() -> None:
    other = {"fullchain": "/given/rsa.pem", "private_key": "/given/rsa-key.pem"}
    (certificate,) = wanted([entry(key_types=["ecdsa-p256", "rsa-2048"], given=[PAIR, other])], SOURCES, acme=False)

    assert [(one.key_type, one.suffix, one.given, one.label) for one in certificate.requests] == [
        ("ecdsa-p256", "", ("/given/www.pem", "/given/www-key.pem"), "www"),
        ("rsa-2048", ".rsa", ("/given/rsa.pem", "/given/rsa-key.pem"), "www (RSA)"),
    ]


def test_names_are_written_as_in_certificates() -> None:
    (certificate,) = wanted([entry(names=["WWW.Example.ORG", "2001:DB8:0::1"])], SOURCES, acme=False)

    assert certificate.requests[0].names == ("www.example.org", "2001:db8::1")


@pytest.mark.parametrize(
    ("entries", "acme", "reason"),
    [
        ([entry(name="../etc")], False, "its name is that of a directory, and this cannot be one"),
        ([entry(name=".versions")], False, "its name is that of a directory"),
        ([entry(), entry()], False, "two certificates have this name"),
        ([entry(names=[])], False, "it is for no name"),
        ([entry(key_types=["rsa-1024"])], False, "key type rsa-1024 is not known"),
        ([entry(key_types=["rsa-2048", "rsa-4096"])], False, "have the same algorithm"),
        (
            [entry(key_types=["ecdsa-p256", "rsa-2048"], given=[PAIR])],
            False,
            "1 pairs of files are given for 2 key types",
        ),
        ([entry(sources=["acme"])], False, "its source acme cannot be used for it"),
        ([entry(sources=["acme"], names=["*.example.org"])], True, "its source acme cannot be used for it"),
        ([entry(sources=["given"])], True, "its source given cannot be used for it"),
    ],
)
def test_what_cannot_be_fulfilled_is_refused_with_the_name_of_the_entry(
    entries: list[dict[str, Any]], acme: bool, reason: str
) -> None:
    with pytest.raises(InvalidInputError, match=f"certificate_certificates, entry .*{reason}"):
        wanted(entries, SOURCES, acme=acme)


def test_nothing_configured_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="none of its sources is configured"):
        wanted([entry()], ["acme"], acme=False)
