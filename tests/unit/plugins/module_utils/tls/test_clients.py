# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which well-known clients connect, and with what: tables of facts, a published result, and real servers."""

from __future__ import annotations

import base64
import datetime
import json
import os
import socket
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import (
    certificate,
    client_table,
    clients,
    key_shares,
    probe,
    registry,
    scan,
    wire,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.client_table import Client

from .....peers import servers as peers
from .configurations import Start, openssl, tlslite, with_key, with_parameters

Entry = dict[str, Any]

_RSA, _P256, _P384, _P521 = ("RSA", None), ("ECDSA", "secp256r1"), ("ECDSA", "secp384r1"), ("ECDSA", "secp521r1")
_SUITES13 = "1301 1302 1303"
# Mozilla's intermediate and old profiles, with an RSA certificate.
_INTERMEDIATE = "C02F C030 CCA8"
_OLD = f"{_INTERMEDIATE} C027 C013 C028 C014 009C 009D 003C 003D 002F 0035 000A"
_OLD_CBC = "C013 C014 002F 0035 000A"
_PROTOCOLS = ("SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3")


def _result(
    suites: dict[str, str],
    order: str = "server",
    groups: str = "001D 0017 0018",
    keys: tuple[tuple[str, str | None], ...] = (_RSA,),
    **other: object,
) -> Entry:
    """Return the result of an endpoint with such lists: protocol -> cipher suites, and groups, as hexadecimal numbers.

    ``order`` says whose order decides, of suites and of groups.
    """
    return {
        "protocols": [{"name": name, "status": "offered" if name in suites else "not_offered"} for name in _PROTOCOLS],
        "cipher_suites": {
            name: [registry.cipher_suite(int(number, 16)).as_dict() for number in numbers.split()]
            for name, numbers in suites.items()
        },
        "preference": dict.fromkeys(suites, order),
        "chacha20_priority": None,
        "groups": [
            {**registry.named_group(int(number, 16)).as_dict(), "protocols": ["TLSv1.3", "TLSv1.2"]}
            for number in groups.split()
        ],
        "groups_preference": {"TLSv1.3": order, "TLSv1.2": order},
        "dh_parameters": [],
        "certificates": [
            {"leaf": {"key_type": key_type, "curve": curve}, "server_name_sent": True} for key_type, curve in keys
        ],
        "renegotiation": {"secure": True},
        "server_name_required": False,
        "not_tested": [],
        **other,
    }


def _by_name(result: Entry) -> dict[str, Entry]:
    entries: list[Entry] = clients.simulate(result)
    return {entry["name"]: entry for entry in entries}


def _negotiated(entry: Entry) -> str:
    """Return in short what a client that connects for certain negotiates, else why not."""
    if entry["connects"] is not True:
        return str(entry["reason"])
    short = str(entry["cipher_suite"]).replace("TLS_", "").replace("_WITH", "")
    return f"{entry['protocol']} {short} {entry['group']}"


def _connecting(result: Entry) -> set[str]:
    return {name for name, entry in _by_name(result).items() if entry["connects"]}


def _suites_of_references(result: Entry) -> dict[str, registry.CipherSuite]:
    """Return the suites that the reference clients negotiate for certain."""
    found = {}
    for entry in clients.simulate(result):
        suite = registry.suite_by_name(str(entry["cipher_suite"]))
        if entry["reference"] and entry["connects"] and suite is not None:
            found[str(entry["name"])] = suite
    return found


def _not_tested(fact: str) -> list[dict[str, str]]:
    return [{"fact": fact, "reason": "a reset, twice"}]


# --- the table


def test_the_table_is_consistent() -> None:
    names = [client.name for client in client_table.CLIENTS]
    assert len(set(names)) == len(names) >= 20
    for client in client_table.CLIENTS:
        assert list(client.versions) == sorted(client.versions, reverse=True), client.name
        assert set(client.cipher_suites) <= set(registry.CIPHER_SUITE_NAMES), client.name
        assert len(set(client.cipher_suites)) == len(client.cipher_suites), client.name
        assert set(client.groups) <= set(registry.GROUPS), client.name
        assert set(client.key_shares) <= set(client.groups), client.name
        speaks_tls13 = registry.TLS13 in client.versions
        assert speaks_tls13 == bool(set(client.cipher_suites) & set(registry.TLS13_CIPHER_SUITES)), client.name
        assert speaks_tls13 == bool(client.key_shares), client.name
        assert (client.versions[0] >= registry.TLS12) == bool(client.signature_schemes), client.name
        curves = any(registry.cipher_suite(number).key_exchange == "ECDHE" for number in client.cipher_suites)
        assert curves == bool(client.groups), client.name


def test_reference_clients_are_those_of_ssl_labs_and_newer_ones() -> None:
    # isReference of sims[].client in published results of the API (engine 2.1.10, criteria 2009q, and of 2015).
    names = [client.name for client in client_table.CLIENTS if client.reference]
    references = {name.rpartition(" on ")[0] or name for name in names}
    assert references == {
        "Chrome 156",
        "Edge 15",
        "Edge 133",
        "Firefox 153 ESR",
        "Internet Explorer 11",
        "OpenSSL 1.0.1l",
        "OpenSSL 1.0.2e",
        "OpenSSL 1.1.1d",
        "OpenSSL 3.0.19 and curl 7.88.1",
        "OpenSSL 3.5.0",
        "Safari 6.0.4",
        "Safari 9",
        "Safari 12.1",
        "Safari 18.4",
    }


def test_an_entry_has_the_documented_keys_and_plain_values() -> None:
    for entry in clients.simulate(_result({"TLSv1.2": _INTERMEDIATE})):
        assert list(entry) == [
            "name",
            "reference",
            "connects",
            "protocol",
            "cipher_suite",
            "possible_cipher_suites",
            "group",
            "reason",
        ]
        json.dumps(entry)
        assert entry["connects"] or (entry["reason"] and entry["protocol"] is None), entry


# --- profiles


def test_mozilla_intermediate() -> None:
    suites = {"TLSv1.3": _SUITES13, "TLSv1.2": _INTERMEDIATE}
    found = _by_name(_result(suites, "client", "11EC 001D 0017 0018"))
    for name, expected in {
        "Android 7.0": "TLSv1.2 ECDHE_RSA_AES_128_GCM_SHA256 secp256r1",
        "Chrome 156": "TLSv1.3 AES_128_GCM_SHA256 X25519MLKEM768",
        "Firefox 31.3.0 ESR on Windows 7": "TLSv1.2 ECDHE_RSA_AES_128_GCM_SHA256 secp256r1",
        "Internet Explorer 11 on Windows 10": "TLSv1.2 ECDHE_RSA_AES_256_GCM_SHA384 secp256r1",
        "Internet Explorer 11 on Windows 7": "no common cipher suite in TLSv1.2",
        "Java 8u161": "TLSv1.2 ECDHE_RSA_AES_256_GCM_SHA384 secp256r1",
        "Java 21.0.8": "TLSv1.3 AES_256_GCM_SHA384 x25519",
        "OpenSSL 1.0.1l": "TLSv1.2 ECDHE_RSA_AES_256_GCM_SHA384 secp384r1",
        "Safari 12.1 on iOS 12": "TLSv1.3 CHACHA20_POLY1305_SHA256 x25519",
        "Java 7u25": "no common protocol: the client speaks TLSv1.0, SSLv3, the server TLSv1.2, TLSv1.3",
    }.items():
        assert _negotiated(found[name]) == expected, name


def test_mozilla_modern() -> None:
    result = _result({"TLSv1.3": _SUITES13}, "client", "11EC 001D 0017 0018", (_P256,))
    speaking = {client.name for client in client_table.CLIENTS if registry.TLS13 in client.versions}
    assert _connecting(result) == speaking


def test_mozilla_old_lets_everyone_in() -> None:
    suites = {"TLSv1.3": _SUITES13, "TLSv1.2": _OLD, "TLSv1.1": _OLD_CBC, "TLSv1.0": _OLD_CBC}
    found = _by_name(_result(suites))
    assert {name for name, entry in found.items() if not entry["connects"]} == set()
    assert _negotiated(found["Internet Explorer 8 on Windows XP"]) == "TLSv1.0 RSA_3DES_EDE_CBC_SHA None"
    assert _negotiated(found["Java 6u45"]) == "TLSv1.0 RSA_AES_128_CBC_SHA None"
    assert _negotiated(found["Java 25.0.2"]) == "TLSv1.3 AES_128_GCM_SHA256 x25519"


def test_sslv3_alone_leaves_the_oldest() -> None:
    found = _by_name(_result({"SSLv3": "0005 002F 000A"}, groups=""))
    for client in client_table.CLIENTS:
        entry = found[client.name]
        assert entry["connects"] is (registry.SSL3 in client.versions), client.name
        assert entry["protocol"] == ("SSLv3" if entry["connects"] else None), client.name


# --- what the rules about what is negotiated look at, by the numbers of the acceptance cases


def test_case_23_rsa_key_exchange_that_the_server_prefers() -> None:
    found = _suites_of_references(_result({"TLSv1.2": "009C 002F C02F C013", "TLSv1.0": "002F C013"}))
    assert len(found) >= 10
    assert not any(suite.forward_secrecy for suite in found.values()), found


def test_case_24_rsa_key_exchange_where_the_client_chooses() -> None:
    found = _suites_of_references(_result({"TLSv1.2": "009C 002F C02F C013 C028", "TLSv1.0": "002F C013"}, "client"))
    assert len(found) >= 10
    assert all(suite.forward_secrecy for suite in found.values()), found


def test_case_25_triple_des_last() -> None:
    found = _suites_of_references(_result({"TLSv1.2": "C02F C030 C013 C014 000A"}))
    assert len(found) >= 10
    assert not any("3DES" in suite.name for suite in found.values()), found


def test_case_25_triple_des_is_what_is_left_for_one_that_knows_nothing_else_on_the_list() -> None:
    found = _suites_of_references(_result({"TLSv1.2": "C02F C030 000A"}))
    left = {name for name, suite in found.items() if "3DES" in suite.name}
    assert left == {"Internet Explorer 11 on Windows 7"}


def test_case_26_triple_des_alone() -> None:
    result = _result({"TLSv1.2": "000A", "TLSv1.0": "000A"})
    found = _suites_of_references(result)
    assert {suite.id for suite in found.values()} == {0x000A}
    assert "Safari 18.4 on macOS 15" in found
    assert _negotiated(_by_name(result)["Chrome 156"]) == "no common cipher suite in TLSv1.2"


def test_case_27_rc4_that_the_server_prefers() -> None:
    found = _suites_of_references(_result({"TLSv1.2": "0005 C013", "TLSv1.0": "0005 C013"}))
    rc4 = {name for name, suite in found.items() if "RC4" in suite.name}
    assert rc4 == {"OpenSSL 1.0.1l", "OpenSSL 1.0.2e", "Safari 6.0.4 on OS X 10.8", "Safari 9 on OS X 10.11"}
    assert found["Internet Explorer 11 on Windows 7"].id == 0xC013


@pytest.mark.parametrize(
    ("priority", "cipher_suite", "possible"),
    [
        (True, "TLS_CHACHA20_POLY1305_SHA256", []),
        (False, "TLS_AES_256_GCM_SHA384", []),
        (None, None, ["TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]),
    ],
)
def test_case_48_chacha20_goes_to_the_client_that_puts_it_first(
    priority: bool | None, cipher_suite: str | None, possible: list[str]
) -> None:
    found = _by_name(_result({"TLSv1.3": "1302 1303 1301"}, chacha20_priority=priority))
    entry = found["Safari 12.1 on iOS 12"]
    assert (entry["cipher_suite"], entry["possible_cipher_suites"]) == (cipher_suite, possible)
    assert bool(entry["reason"]) == bool(possible)
    assert found["Chrome 156"]["cipher_suite"] == "TLS_AES_256_GCM_SHA384"


# --- certificates, groups, primes


def test_an_ecdsa_certificate_needs_a_client_that_knows_its_curve() -> None:
    suites = {"TLSv1.2": "C02C C02B C00A", "TLSv1.0": "C00A"}
    found = _by_name(_result(suites, keys=(_P384,)))
    assert found["Chrome 49 on Windows 7"]["connects"]
    assert _negotiated(found["Safari 5.1.9 on OS X 10.6"]) == "TLSv1.0 ECDHE_ECDSA_AES_256_CBC_SHA secp256r1"
    assert _negotiated(found["Android 7.0"]) == "the client does not know secp384r1, the curve of the certificate's key"
    assert _negotiated(found["Java 6u45"]) == "no common cipher suite in TLSv1.0"


def test_the_rsa_certificate_beside_it_serves_the_others() -> None:
    found = _by_name(_result({"TLSv1.2": "C02B C02F"}, keys=(_P384, _RSA)))
    assert _negotiated(found["Android 7.0"]) == "TLSv1.2 ECDHE_RSA_AES_128_GCM_SHA256 secp256r1"
    assert _negotiated(found["Chrome 49 on Windows 7"]) == "TLSv1.2 ECDHE_ECDSA_AES_128_GCM_SHA256 secp256r1"


def test_in_tls13_the_certificate_needs_a_signature_scheme_of_its_curve() -> None:
    found = _by_name(_result({"TLSv1.3": _SUITES13}, keys=(_P521,)))
    assert _negotiated(found["Chrome 156"]) == "the client knows no signature scheme for a secp521r1 key"
    assert found["Firefox 153 ESR"]["connects"]


def test_a_group_that_only_some_know() -> None:
    found = _by_name(_result({"TLSv1.3": _SUITES13, "TLSv1.2": "C02F"}, groups="0019"))
    assert _negotiated(found["Chrome 156"]) == "no common group"
    assert _negotiated(found["Firefox 153 ESR"]) == "TLSv1.3 AES_128_GCM_SHA256 secp521r1"
    assert _negotiated(found["Chrome 49 on Windows 7"]) == "no common group"


def test_a_group_of_tls13_alone_is_none_for_tls12() -> None:
    assert _negotiated(_by_name(_result({"TLSv1.3": _SUITES13}, groups="0100"))["Java 21.0.8"]).endswith(" ffdhe2048")
    assert _negotiated(_by_name(_result({"TLSv1.2": "C02F"}, groups="0100"))["Java 21.0.8"]) == "no common group"


def test_a_group_that_tls12_alone_showed_is_none_for_tls13() -> None:
    result = _result({"TLSv1.3": _SUITES13, "TLSv1.2": "C02F"}, groups="001D 0017")
    result["groups"][1]["protocols"] = ["TLSv1.2"]
    found = _by_name(result)
    assert _negotiated(found["Java 11.0.7"]) == "no common group"
    assert _negotiated(found["Android 7.0"]) == "TLSv1.2 ECDHE_RSA_AES_128_GCM_SHA256 secp256r1"


def test_the_groups_between_which_it_is_not_known() -> None:
    entry = _by_name(_result({"TLSv1.3": _SUITES13}, groups="0018 001D 11EC"))["Chrome 156"]
    # what the server likes best, and of the two with a share what it likes better, or what comes first
    between = "X25519MLKEM768, secp384r1, x25519"
    assert entry["reason"] == f"it is not known which group the server takes: {between}"


def test_the_key_of_static_ecdh_is_on_a_curve_too() -> None:
    p224, suites = ("ECDSA", "secp224r1"), {"TLSv1.0": "C00E"}
    assert _by_name(_result(suites, keys=(p224,)))["Java 7u25"]["connects"] is True
    assert _by_name(_result(suites, keys=(p224,)))["Safari 5.1.9 on OS X 10.6"]["connects"] is False


@pytest.mark.parametrize(
    ("order", "groups", "name", "group"),
    [
        ("client", "0018 0017 001D", "Googlebot Feb 2018", "x25519"),
        ("server", "0018 0017 001D", "Googlebot Feb 2018", "secp384r1"),
        ("not_tested", "0018 0017 001D", "Googlebot Feb 2018", None),
        ("not_tested", "0018", "Googlebot Feb 2018", "secp384r1"),
        ("server", "001D 0017", "Chrome 156", "x25519"),  # the only group with a share
        ("server", "0018 0017", "Chrome 156", "secp384r1"),  # none has a share, so the server asks for what it likes
        ("server", "0018 001D", "Chrome 156", None),  # what it likes, or what spares it a round trip
        ("server", "001D 11EC", "Chrome 156", None),  # of two shares the one that it likes, or the first
    ],
)
def test_the_group(order: str, groups: str, name: str, group: str | None) -> None:
    result = _result({"TLSv1.3": _SUITES13, "TLSv1.2": "C02F"}, groups=groups)
    result["groups_preference"] = {"TLSv1.3": order, "TLSv1.2": order}
    entry = _by_name(result)[name]
    assert (entry["connects"], entry["group"]) == (True, group)
    assert ("which group the server takes" in str(entry["reason"])) is (group is None)


@pytest.mark.parametrize(
    ("sizes", "name", "connects"),
    [
        ((1024,), "Java 7u25", True),
        ((2048,), "Java 7u25", False),
        ((4096,), "Java 7u25", False),
        ((), "Java 7u25", None),
        ((1024, 2048), "Java 7u25", None),
        ((2048,), "Java 8u161", True),
        ((4096,), "Java 8u161", False),
        ((4096,), "Internet Explorer 11 on Windows 10", True),
        ((8192,), "Internet Explorer 11 on Windows 10", False),
        ((512,), "OpenSSL 1.0.1l", True),
        ((512,), "OpenSSL 1.0.2e", False),
        ((), "OpenSSL 1.0.1l", True),
        ((1024,), "OpenSSL 1.1.1d on Debian 10", False),
        ((2048,), "OpenSSL 1.1.1d on Debian 10", True),
    ],
)
def test_a_client_takes_primes_of_some_sizes_alone(sizes: tuple[int, ...], name: str, connects: bool | None) -> None:
    suites = {"TLSv1.2": "0033 C013", "TLSv1.0": "0033 C013"}
    parameters = [{"protocol": protocol, "bits": bits} for protocol in suites for bits in sizes]
    entry = _by_name(_result(suites, dh_parameters=parameters))[name]
    assert entry["connects"] is connects, entry
    if connects is None:
        assert entry["cipher_suite"] == "TLS_DHE_RSA_WITH_AES_128_CBC_SHA"
    if connects is not True:
        assert "DH parameters" in entry["reason"]


def test_a_prime_of_another_protocol_is_no_matter() -> None:
    parameters = [{"protocol": "TLSv1.2", "bits": 2048}, {"protocol": "TLSv1.0", "bits": 1024}]
    found = _by_name(_result({"TLSv1.2": "0033", "TLSv1.0": "0033"}, dh_parameters=parameters))
    assert found["Java 7u25"]["connects"] is True
    assert found["OpenSSL 1.1.1d on Debian 10"]["connects"] is True


def test_a_prime_is_no_matter_where_another_suite_is_picked() -> None:
    parameters = [{"protocol": "TLSv1.0", "bits": 4096}]
    found = _by_name(_result({"TLSv1.0": "C013 0033"}, dh_parameters=parameters))
    assert found["Java 7u25"]["connects"]
    assert found["Java 6u45"]["connects"] is False


def test_openssl_3_refuses_what_tls10_and_tls11_sign() -> None:
    openssl3 = "OpenSSL 3.0.19 and curl 7.88.1 on Debian 12"
    signed = _by_name(_result({"TLSv1.1": "C013"}))[openssl3]
    assert signed["reason"] == "the client refuses the signatures of TLSv1.1, which are made with SHA-1"
    assert _by_name(_result({"TLSv1.1": "002F"}))[openssl3]["connects"]


def test_openssl_3_refuses_a_server_without_secure_renegotiation() -> None:
    insecure = {"secure": False}
    up_to_tls12 = _connecting(_result({"TLSv1.2": "C02F"})) - _connecting(
        _result({"TLSv1.2": "C02F"}, renegotiation=insecure)
    )
    assert up_to_tls12 == {"OpenSSL 3.0.19 and curl 7.88.1 on Debian 12", "OpenSSL 3.5.0"}
    both = {"TLSv1.3": _SUITES13, "TLSv1.2": "C02F"}
    assert _connecting(_result(both, renegotiation=insecure)) == _connecting(_result(both))


# --- the name


def _shown(key_type: str, curve: str | None, name_sent: bool) -> Entry:
    return {"leaf": {"key_type": key_type, "curve": curve}, "server_name_sent": name_sent}


@pytest.mark.parametrize(
    ("certificates", "connects"),
    [
        ([_shown("RSA", None, True)], True),
        ([_shown("RSA", None, True), _shown("RSA", None, True)], True),
        ([_shown("RSA", None, False)], True),
        ([_shown("ECDSA", "secp256r1", False), _shown("RSA", None, False)], True),
        ([_shown("RSA", None, True), _shown("RSA", None, False)], True),
        # the scan, which offers everything, was shown another kind of key than this client can use
        ([_shown("RSA", None, True), _shown("ECDSA", "secp256r1", False)], None),
        # HAProxy has only one of two certificates for a client that sends no name
        ([_shown("RSA", None, True), _shown("ECDSA", "secp256r1", True)], None),
    ],
)
def test_a_client_without_a_name_gets_what_is_shown_without_one(
    certificates: list[Entry], connects: bool | None
) -> None:
    entry = _by_name(_result({"TLSv1.0": "C009 002F"}, certificates=certificates))["Java 6u45"]
    assert (entry["connects"], entry["cipher_suite"]) == (connects, "TLS_RSA_WITH_AES_128_CBC_SHA")
    assert bool(entry["reason"]) is (connects is None)


def test_what_is_shown_without_a_name_may_not_have_been_tested() -> None:
    found = _by_name(_result({"TLSv1.0": "C013 002F"}, not_tested=_not_tested("certificates.without_server_name")))
    assert found["Java 6u45"]["connects"] is None
    assert found["Java 7u25"]["connects"] is True


def test_a_client_with_a_name_does_not_get_what_is_shown_without_one() -> None:
    certificates = [_shown("ECDSA", "secp521r1", True), _shown("ECDSA", "secp256r1", False)]
    found = _by_name(_result({"TLSv1.2": "C02B"}, certificates=certificates))
    assert found["Chrome 49 on Windows 7"]["connects"] is False


# --- what was not tested


def test_a_protocol_that_was_not_tested_leaves_open_what_speaks_it() -> None:
    result = _result({"TLSv1.2": "C02F"}, not_tested=_not_tested("protocols.TLSv1.3"))
    result["protocols"][-1]["status"] = "not_tested"
    found = _by_name(result)
    assert found["Chrome 156"]["connects"] is None
    assert found["Chrome 156"]["reason"] == "it is not known whether the server offers TLSv1.3: a reset, twice"
    assert found["Chrome 49 on Windows 7"]["connects"]


def test_an_older_protocol_that_was_not_tested_is_no_matter() -> None:
    result = _result({"TLSv1.2": "C02F"}, not_tested=_not_tested("protocols.TLSv1.0"))
    result["protocols"][2]["status"] = "not_tested"
    found = _by_name(result)
    assert found["Chrome 49 on Windows 7"]["connects"]
    assert found["Java 7u25"]["connects"] is None


def test_a_list_that_may_be_too_short_decides_nothing_where_nothing_known_is_common() -> None:
    result = _result({"TLSv1.2": "C028"}, "client", not_tested=_not_tested("cipher_suites.TLSv1.2"))
    entry = _by_name(result)["Chrome 156"]
    assert (entry["connects"], entry["cipher_suite"]) == (None, None)
    assert len(entry["possible_cipher_suites"]) == 12  # all that it offers for TLS 1.2
    assert "a reset, twice" in entry["reason"]


def test_a_list_that_may_be_too_short_is_no_matter_where_the_client_gets_what_it_likes_best() -> None:
    found = _by_name(_result({"TLSv1.2": "C028"}, "client", not_tested=_not_tested("cipher_suites.TLSv1.2")))
    assert _negotiated(found["Internet Explorer 11 on Windows 7"]) == "TLSv1.2 ECDHE_RSA_AES_256_CBC_SHA384 secp256r1"


def test_a_list_that_may_be_too_short_connects_for_certain_with_what_is_known() -> None:
    entry = _by_name(_result({"TLSv1.2": "C02F"}, not_tested=_not_tested("cipher_suites.TLSv1.2")))["Android 7.0"]
    assert entry["connects"]
    assert entry["cipher_suite"] is None
    assert "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" in entry["possible_cipher_suites"]
    assert entry["reason"] == "the list of cipher suites may be too short: a reset, twice"


@pytest.mark.parametrize(
    ("suites", "cipher_suite", "possible"),
    [
        ("009C C02F", None, ["C02F", "009C"]),
        ("C02F 009C", "C02F", []),
        ("C02F", "C02F", []),
    ],
)
def test_an_order_that_was_not_tested_leaves_both_candidates(
    suites: str, cipher_suite: str | None, possible: list[str]
) -> None:
    result = _result({"TLSv1.2": suites}, "not_tested", not_tested=_not_tested("preference.TLSv1.2"))
    entry = _by_name(result)["Chrome 49 on Windows 7"]
    name = None if cipher_suite is None else registry.cipher_suite(int(cipher_suite, 16)).name
    assert (entry["connects"], entry["cipher_suite"]) == (True, name)
    assert entry["possible_cipher_suites"] == [registry.cipher_suite(int(number, 16)).name for number in possible]
    if possible:
        assert entry["group"] is None
        assert entry["reason"] == "it is not known whose order of cipher suites decides: a reset, twice"


def test_groups_that_may_be_more() -> None:
    result = _result({"TLSv1.2": "C02F"}, groups="0019", not_tested=_not_tested("groups.TLSv1.2"))
    found = _by_name(result)
    assert found["Chrome 49 on Windows 7"]["connects"] is None
    assert found["Firefox 31.3.0 ESR on Windows 7"]["connects"] is True
    assert found["Firefox 31.3.0 ESR on Windows 7"]["group"] is None
    for name in ("Chrome 49 on Windows 7", "Firefox 31.3.0 ESR on Windows 7"):
        assert found[name]["reason"] == "the list of groups may be too short: a reset, twice"


def test_groups_of_tls12_that_may_be_more_are_no_matter_for_tls13() -> None:
    suites = {"TLSv1.3": _SUITES13, "TLSv1.2": "C02F"}
    found = _by_name(_result(suites, groups="001D", not_tested=_not_tested("groups.TLSv1.2")))
    assert _negotiated(found["Chrome 156"]) == "TLSv1.3 AES_128_GCM_SHA256 x25519"
    assert found["Chrome 156"]["reason"] is None


@pytest.mark.parametrize(
    ("fact", "keys", "connects"),
    [
        ("certificates", (), None),
        ("certificates.RSA", (_P521,), None),
        ("certificates.chain", (_P521,), False),
        ("certificates.issuers", (_P521,), False),
        ("certificates.without_server_name", (_P521,), False),
    ],
)
def test_certificates_that_may_be_more(
    fact: str, keys: tuple[tuple[str, str | None], ...], connects: bool | None
) -> None:
    entry = _by_name(_result({"TLSv1.3": _SUITES13}, keys=keys, not_tested=_not_tested(fact)))["Chrome 156"]
    assert entry["connects"] is connects


@pytest.mark.parametrize("leaf", [{"error": "no certificate"}, {"key_type": "unknown"}, {"key_type": "ECDSA"}])
@pytest.mark.parametrize("suites", [{"TLSv1.3": _SUITES13}, {"TLSv1.2": "C02B"}])
def test_a_key_that_is_not_known_leaves_it_open(suites: dict[str, str], leaf: Entry) -> None:
    found = _by_name(_result(suites, certificates=[{"leaf": leaf, "server_name_sent": True}]))
    assert found["Chrome 156"]["connects"] is None


# --- a published result of SSL Labs' simulation: the same clients' hellos, sent to a real server by somebody else

# NShevchik/sitetest, src/sslexample.js: engine 2.1.10, criteria 2009q, March 2023; Apache 2.4.29.
_PUBLISHED_CBC = "002F 0033 0041 0045 C013 0035 0039 0084 0088 C014"
_PUBLISHED = {
    "TLSv1.3": "1301 1302 1303",
    "TLSv1.2": "002F 0033 0041 0045 C013 003C 0067 009C 009E 00BA 00BE C027 C02F C050 C052 C060 C076 C09C C09E C0A0 "
    "C0A2 0035 0039 0084 0088 C014 003D 006B 009D 009F 00C0 00C4 C028 C030 C051 C053 C061 C077 C09D C09F C0A1 C0A3 "
    "CCA8 CCAA",
    "TLSv1.1": _PUBLISHED_CBC,
    "TLSv1.0": _PUBLISHED_CBC,
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Android 2.3.7", "TLSv1.0 RSA_AES_128_CBC_SHA None"),
        ("Android 4.4.2", "TLSv1.2 ECDHE_RSA_AES_256_GCM_SHA384 secp521r1"),
        ("Edge 15 on Windows 10", "TLSv1.2 ECDHE_RSA_AES_256_GCM_SHA384 x25519"),
        ("Firefox 31.3.0 ESR on Windows 7", "TLSv1.2 ECDHE_RSA_AES_128_GCM_SHA256 secp256r1"),
        ("Googlebot Feb 2018", "TLSv1.2 ECDHE_RSA_AES_128_GCM_SHA256 x25519"),
        ("Internet Explorer 8 on Windows XP", "no common cipher suite in TLSv1.0"),
        ("Internet Explorer 11 on Windows 7", "TLSv1.2 ECDHE_RSA_AES_256_CBC_SHA384 secp256r1"),
        ("Internet Explorer 11 on Windows 10", "TLSv1.2 ECDHE_RSA_AES_256_GCM_SHA384 secp256r1"),
        ("Java 6u45", "TLSv1.0 RSA_AES_128_CBC_SHA None"),
        ("Java 7u25", "TLSv1.0 ECDHE_RSA_AES_128_CBC_SHA secp256r1"),
        ("Java 8u161", "TLSv1.2 ECDHE_RSA_AES_256_CBC_SHA384 secp256r1"),
        ("OpenSSL 0.9.8y", "TLSv1.0 DHE_RSA_AES_256_CBC_SHA None"),
        ("OpenSSL 1.0.1l", "TLSv1.2 ECDHE_RSA_AES_256_GCM_SHA384 secp521r1"),
        ("OpenSSL 1.0.2e", "TLSv1.2 ECDHE_RSA_AES_256_GCM_SHA384 secp256r1"),  # there 1.0.2s
        ("OpenSSL 1.1.1d on Debian 10", "TLSv1.3 AES_256_GCM_SHA384 x25519"),  # there 1.1.1c
        ("Safari 5.1.9 on OS X 10.6", "TLSv1.0 ECDHE_RSA_AES_128_CBC_SHA secp256r1"),
        ("Safari 6.0.4 on OS X 10.8", "TLSv1.0 ECDHE_RSA_AES_256_CBC_SHA secp256r1"),
    ],
)
def test_the_simulation_says_what_ssl_labs_saw(name: str, expected: str) -> None:
    parameters = [{"protocol": protocol, "bits": 2048} for protocol in _PUBLISHED]
    result = _result(_PUBLISHED, "client", "0017 0018 0019 001D 001E", dh_parameters=parameters)
    assert _negotiated(_by_name(result)[name]) == expected


# --- real servers


def _hello(client: Client) -> bytes:
    """Return the ClientHello of a client: its lists, in its order."""
    extensions = [wire.EXTENDED_MASTER_SECRET, wire.RENEGOTIATION_INFO]
    if client.server_name:
        extensions.append(wire.server_name("localhost"))
    if client.groups:
        extensions += [wire.supported_groups(client.groups), wire.EC_POINT_FORMATS]
    if client.signature_schemes:
        extensions.append(wire.signature_algorithms(client.signature_schemes))
    if client.versions[0] == registry.TLS13:
        shares = [(group, key_shares.public_value(group) or b"") for group in client.key_shares]
        extensions += [wire.supported_versions(client.versions), wire.key_share(tuple(shares))]
    version = min(client.versions[0], registry.TLS12)
    return wire.encode_client_hello(
        wire.ClientHello(version, client.cipher_suites, os.urandom(32), tuple(extensions), os.urandom(32))
    )


def _facts(port: int) -> Entry:
    """Return what a scan says of a server, with its certificates parsed."""
    target = {"host": "127.0.0.1", "port": port, "server_name": "localhost"}
    facts: Entry = scan.scan_targets([target], scan.Options(timeout_seconds=10))[0]
    assert facts["reachable"], facts["error"]
    now = datetime.datetime.now(datetime.timezone.utc)
    for entry in facts["certificates"]:
        entry["leaf"] = certificate.describe(base64.b64decode(entry["chain_der"][0]), now)
    return facts


def _refuses(client: Client, flight: wire.Flight) -> bool:
    """Whether a client does not go on with a server's answer."""
    hello, exchange = flight.server_hello, flight.key_exchange
    assert hello is not None
    if hello.version < registry.TLS12 and exchange is not None and client.sha1_signatures_refused:
        return True
    bits = exchange.dh_prime_bits if exchange else None
    return bits is not None and not client.dh_min_bits <= bits <= (client.dh_max_bits or bits)


def _compare(client: Client, entry: Entry, outcome: probe.Outcome) -> str:
    """Return how the simulation differs from what the server did, or nothing."""
    flight = outcome.flight
    if flight is None or flight.server_hello is None:
        refused = outcome.kind in (probe.ALERT, probe.CLOSED)
        return "" if refused and entry["connects"] is not True else f"{entry} said, {outcome.detail}"
    if _refuses(client, flight):
        return "" if entry["connects"] is not True else f"{entry} said, but the client refuses such an answer"
    hello, exchange = flight.server_hello, flight.key_exchange
    group = hello.group if hello.version == registry.TLS13 else exchange.group if exchange else None
    seen = {
        "protocol": registry.VERSION_NAMES[hello.version],
        "cipher_suite": registry.cipher_suite(hello.cipher_suite).name,
        "group": None if group is None else registry.named_group(group).name,
    }
    said = {key: entry[key] for key in seen}
    if seen["cipher_suite"] in entry["possible_cipher_suites"]:
        said["cipher_suite"] = seen["cipher_suite"]
    if entry["reason"] and said["group"] is None:
        said["group"] = seen["group"]
    return "" if said == seen else f"{entry} said, {seen} seen"


def _p384() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP384R1())


def _p521() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP521R1())


def _both_keys(*options: str) -> Start:
    """Start ``openssl s_server`` with an ECDSA and an RSA certificate."""
    return lambda real: real.openssl(*options, certificates=(real.ecdsa, real.rsa))


_EVERYTHING = ("-cipher", "ALL:@SECLEVEL=0")
_RSA_FIRST = "AES128-SHA:AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-SHA:@SECLEVEL=0"
_DHE_FIRST = ("-serverpref", "-no_tls1_3", "-cipher", "DHE-RSA-AES128-SHA:ECDHE-RSA-AES128-SHA:@SECLEVEL=0")
_NO_NAME = {client.name for client in client_table.CLIENTS if not client.server_name}
_SPEAKING_AES = _NO_NAME - {"Internet Explorer 8 on Windows XP"}

# A server; the clients of which it is not known whether they connect; whether the group of all others is known.
_SERVERS: dict[str, tuple[Start, set[str], bool]] = {
    "OpenSSL": (openssl(), set(), True),
    "OpenSSL, its own order": (openssl("-serverpref"), set(), True),
    "OpenSSL, TLS 1.2 alone": (openssl("-tls1_2"), set(), True),
    "OpenSSL, TLS 1.2 alone, its own order": (openssl("-tls1_2", "-serverpref"), set(), False),
    "OpenSSL, TLS 1.3 alone": (openssl("-tls1_3", "-groups", "P-384"), set(), True),
    "OpenSSL, all it has": (openssl(*_EVERYTHING), set(), True),
    "OpenSSL, all it has, both keys": (_both_keys(*_EVERYTHING), _SPEAKING_AES, True),
    "OpenSSL, all it has, both keys, its own order": (_both_keys("-serverpref", *_EVERYTHING), _SPEAKING_AES, True),
    "OpenSSL, both keys": (_both_keys(), set(), True),
    "OpenSSL, both keys, other groups": (_both_keys("-serverpref", "-groups", "P-384:P-256"), set(), False),
    "OpenSSL, P-384 key": (with_key(_p384, openssl("-serverpref", *_EVERYTHING)), set(), False),
    "OpenSSL, P-521 key": (with_key(_p521, openssl(*_EVERYTHING)), set(), True),
    "OpenSSL, P-521 alone": (openssl("-groups", "P-521", *_EVERYTHING), set(), True),
    "OpenSSL, ChaCha20 promoted": (openssl("-serverpref", "-prioritize_chacha"), set(), True),
    "OpenSSL, ChaCha20 promoted in TLS 1.2": (openssl("-serverpref", "-prioritize_chacha", "-tls1_2"), set(), False),
    "OpenSSL, RSA key exchange first": (openssl("-serverpref", "-no_tls1_3", "-cipher", _RSA_FIRST), set(), True),
    "OpenSSL, TLS 1.0 alone": (openssl("-tls1", *_EVERYTHING), set(), True),
    "OpenSSL, TLS 1.1 alone": (openssl("-tls1_1", "-cipher", "AES128-SHA:@SECLEVEL=0"), set(), True),
    "OpenSSL, 1024 bits": (with_parameters(1024, lambda path: openssl(*_DHE_FIRST, "-dhparam", path)), set(), True),
    "OpenSSL, 2048 bits": (with_parameters(2048, lambda path: openssl(*_DHE_FIRST, "-dhparam", path)), set(), True),
    "nginx, intermediate": (lambda real: real.nginx(peers.nginx_intermediate()), set(), True),
    "HAProxy": (lambda real: real.haproxy("ssl-min-ver TLSv1.0 ciphers ALL:@SECLEVEL=0"), _SPEAKING_AES, True),
    "GnuTLS": (lambda real: real.gnutls("NORMAL"), _SPEAKING_AES, True),
    "GnuTLS, its own order": (lambda real: real.gnutls("NORMAL:%SERVER_PRECEDENCE"), _SPEAKING_AES, False),
    "tlslite-ng, RC4 first": (tlslite("3.1", "3.3", "rc4,aes128gcm,aes128,3des"), set(), True),
}


@pytest.mark.parametrize("name", _SERVERS)
def test_a_real_server_does_what_the_simulation_says(name: str, real: peers.Servers) -> None:
    start, unknown, groups_known = _SERVERS[name]
    port = start(real)
    found = _by_name(_facts(port))
    endpoint = probe.Endpoint(socket.AF_INET, "127.0.0.1", port)
    outcomes = {client.name: probe.ask(endpoint, _hello(client), 10) for client in client_table.CLIENTS}
    for client in client_table.CLIENTS:
        assert not _compare(client, found[client.name], outcomes[client.name])
    assert {client for client, entry in found.items() if entry["connects"] is None} == unknown
    assert groups_known is not any(entry["connects"] and entry["reason"] for entry in found.values())
