# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which chains are trusted, in order and complete; acceptance cases 32 to 39."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import certificate, chain
from ansible_collections.ringmaster.webops.tests.unit.plugins.module_utils.tls.issued import (
    CA,
    FETCH,
    LEAF,
    MIDDLE,
    NOW,
    ROOT,
    RSA_KEY,
    SAN,
    Issued,
    RealAuthority,
    mutated,
    name,
    openssl,
)

SHA1_WITH_RSA = "2a864886f70d010105"


def judge(
    *sent: Issued, anchor: Issued = ROOT, reference: str = "www.example.com", fetched: Sequence[Issued] = ()
) -> chain.Trust:
    anchors = certificate.Anchors([anchor.pem])
    return chain.judge_trust([one.der for one in sent], anchors, reference, NOW, [one.der for one in fetched])


# --- trust


def test_a_good_chain() -> None:
    assert judge(LEAF, MIDDLE) == chain.Trust(True, "", "", True, False)


def test_order_and_strangers_do_not_matter() -> None:
    stranger = Issued("stranger", extensions=[(CA, True)])
    assert judge(LEAF, stranger, ROOT, MIDDLE).trusted


def test_an_anchor_may_be_the_leaf_itself() -> None:
    alone = Issued("alone", extensions=[(SAN, False)])
    assert judge(alone, anchor=alone).trusted


def test_an_anchor_may_be_an_intermediate() -> None:
    assert judge(LEAF, anchor=MIDDLE).trusted


def limited(length: int) -> Issued:
    return Issued("limited", extensions=[(x509.BasicConstraints(ca=True, path_length=length), True)])


def constrained(**trees: list[x509.GeneralName]) -> Issued:
    constraints = x509.NameConstraints(trees.get("permitted"), trees.get("excluded"))
    return Issued("constrained", extensions=[(CA, True), (constraints, True)])


def leaf_of(issuer: Issued, *more: tuple[x509.ExtensionType, bool]) -> Issued:
    return Issued("leaf", issuer, [(SAN, False), *more])


def usage(sign: bool, server: bool = True) -> x509.KeyUsage:
    return x509.KeyUsage(server, False, False, False, False, sign, False, False, False)


EXPIRED = Issued("leaf", MIDDLE, [(SAN, False)], to_days=-1)
FUTURE = Issued("leaf", MIDDLE, [(SAN, False)], from_days=1)
OLD_MIDDLE = Issued("old middle", ROOT, [(CA, True)], to_days=-1)
FUTURE_MIDDLE = Issued("future middle", ROOT, [(CA, True)], from_days=1)
OTHER_ROOT = Issued("other root", extensions=[(CA, True)])
NO_CA = Issued("no authority", ROOT, [(x509.BasicConstraints(ca=False, path_length=None), True)])
BARE = Issued("bare", ROOT)
NO_SIGN = Issued("may not sign", ROOT, [(CA, True), (usage(False), True)])
RSA_ROOT = Issued("rsa root", extensions=[(CA, True)], key=RSA_KEY)
# Neither library nor program signs an elliptic chain so, hence the name of the algorithm is put in afterwards.
SHA1_MIDDLE = Issued("sha1 middle", RSA_ROOT, [(CA, True)]).with_algorithm(SHA1_WITH_RSA)
CLIENT_MIDDLE = Issued(
    "client middle", ROOT, [(CA, True), (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)]
)
STRANGE = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
STRANGE_MIDDLE = Issued("strange middle", ROOT, [(CA, True), (STRANGE, True)])
CLIENT_ONLY = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
FORGED = Issued("root", extensions=[(CA, True)])
FETCHED_MIDDLE = Issued("middle of another", OTHER_ROOT, [(CA, True), (FETCH, False)])

UNTRUSTED = [
    ("case_32 expired", [EXPIRED, MIDDLE], "expired"),
    ("case_33 not yet valid", [FUTURE, MIDDLE], "not_yet_valid"),
    ("case_34 self-signed", [Issued("alone", extensions=[(SAN, False)])], "self_signed"),
    ("case_35 unknown authority", [leaf_of(OTHER_ROOT), OTHER_ROOT], "untrusted_root"),
    ("case_35 unknown authority, not sent", [leaf_of(OTHER_ROOT)], "unknown_issuer"),
    ("case_37 intermediate missing", [leaf_of(MIDDLE, (FETCH, False))], "chain_incomplete"),
    ("case_37 root or intermediate missing", [leaf_of(FETCHED_MIDDLE), FETCHED_MIDDLE], "chain_incomplete"),
    ("case_38 sha-1 intermediate", [leaf_of(SHA1_MIDDLE), SHA1_MIDDLE], "weak_signature"),
    ("issuer neither sent nor known", [LEAF], "unknown_issuer"),
    ("intermediate expired", [leaf_of(OLD_MIDDLE), OLD_MIDDLE], "expired"),
    ("intermediate not yet valid", [leaf_of(FUTURE_MIDDLE), FUTURE_MIDDLE], "not_yet_valid"),
    ("issuer is no authority", [leaf_of(NO_CA), NO_CA], "invalid_chain"),
    ("issuer without constraints", [leaf_of(BARE), BARE], "invalid_chain"),
    ("issuer may not sign", [leaf_of(NO_SIGN), NO_SIGN], "invalid_chain"),
    ("for clients", [leaf_of(MIDDLE, (CLIENT_ONLY, False)), MIDDLE], "not_for_servers"),
    ("issuer for clients", [leaf_of(CLIENT_MIDDLE), CLIENT_MIDDLE], "not_for_servers"),
    ("key for certificates alone", [leaf_of(MIDDLE, (usage(True, server=False), True)), MIDDLE], "not_for_servers"),
    ("unknown critical extension", [leaf_of(MIDDLE, (STRANGE, True)), MIDDLE], "invalid_chain"),
    ("unknown critical extension above", [leaf_of(STRANGE_MIDDLE), STRANGE_MIDDLE], "invalid_chain"),
    ("root's name on another key", [leaf_of(FORGED)], "unknown_issuer"),
    ("root's name on another key, sent", [leaf_of(FORGED), FORGED], "untrusted_root"),
]


@pytest.mark.parametrize(("sent", "reason"), [case[1:] for case in UNTRUSTED], ids=[case[0] for case in UNTRUSTED])
def test_untrusted(sent: list[Issued], reason: str) -> None:
    trust = judge(*sent)
    assert (trust.trusted, trust.reason, bool(trust.detail), trust.name_matches) == (False, reason, True, True)
    assert trust.chain_incomplete is (reason == "chain_incomplete")


def test_case_35_the_unknown_authority_is_trusted_once_it_is_an_anchor() -> None:
    assert judge(leaf_of(OTHER_ROOT), OTHER_ROOT, anchor=OTHER_ROOT).trusted


@pytest.mark.parametrize(
    ("reference", "matches"), [("www.example.com", True), ("192.0.2.1", True), ("example.com", False), ("leaf", False)]
)
def test_case_36_names(reference: str, matches: bool) -> None:
    trust = judge(LEAF, MIDDLE, reference=reference)
    assert (trust.trusted, trust.name_matches) == (True, matches)


# --- chains that are not complete


def test_case_37_what_had_to_be_fetched_makes_the_chain_trusted_and_incomplete() -> None:
    trust = judge(leaf_of(MIDDLE, (FETCH, False)), fetched=[MIDDLE, ROOT])
    assert (trust.trusted, trust.reason, trust.chain_incomplete) == (True, "", True)
    assert trust.detail.startswith("the server does not send middle, which")


def test_what_was_sent_and_what_was_fetched_make_one_chain() -> None:
    lower = Issued("lower", MIDDLE, [(CA, True), (FETCH, False)])
    trust = judge(leaf_of(lower), lower, fetched=[MIDDLE])
    assert (trust.trusted, trust.chain_incomplete, "lower" in trust.detail) == (True, True, False)


def test_what_was_fetched_and_is_not_needed_changes_nothing() -> None:
    assert judge(LEAF, MIDDLE, fetched=[MIDDLE, OTHER_ROOT]) == judge(LEAF, MIDDLE)


def test_what_was_fetched_may_show_that_the_root_is_not_trusted() -> None:
    trust = judge(leaf_of(FETCHED_MIDDLE), fetched=[FETCHED_MIDDLE, OTHER_ROOT])
    assert (trust.trusted, trust.reason, trust.chain_incomplete) == (False, "untrusted_root", False)


def test_a_chain_that_stays_incomplete_says_what_is_missing_and_what_to_do() -> None:
    trust = judge(leaf_of(MIDDLE, (FETCH, False)))
    for part in ("CN=middle", "http://ca.example/middle.der", "Let the server send it"):
        assert part in trust.detail


# --- weak signatures, made by the program openssl


@pytest.mark.parametrize(
    ("digest", "reason"),
    [("sha256", ""), ("sha1", "weak_signature"), ("md5", "weak_signature")],
    ids=["sha-256 leaf", "case_38 sha-1 leaf", "case_39 md5 leaf"],
)
def test_the_signature_of_the_leaf(tmp_path: Path, digest: str, reason: str) -> None:
    authority = RealAuthority(tmp_path)
    leaf = authority.issue(digest)
    now = datetime.datetime.now(datetime.timezone.utc)
    trust = chain.judge_trust([leaf], certificate.Anchors([authority.pem]), "localhost", now)
    assert (trust.trusted, trust.reason, trust.name_matches) == (not reason, reason, True)
    assert not reason or f"rsa-with-{digest}" in trust.detail


@pytest.mark.parametrize("digest", ["sha1", "md5"])
@pytest.mark.parametrize("sent", [True, False])
def test_case_38_the_signature_of_the_root_does_not_matter(tmp_path: Path, digest: str, sent: bool) -> None:
    authority = RealAuthority(tmp_path, digest)
    der = [authority.issue(), ssl.PEM_cert_to_DER_cert(authority.pem)]
    now = datetime.datetime.now(datetime.timezone.utc)
    for anchors, reason in ((certificate.Anchors([authority.pem]), ""), (certificate.Anchors([]), "untrusted_root")):
        trust = chain.judge_trust(der if sent else der[:1], anchors, "localhost", now)
        assert (trust.trusted, trust.reason) == (not reason, reason if sent else reason and "unknown_issuer")


def test_a_self_signed_leaf_that_is_an_anchor_may_be_signed_with_anything() -> None:
    alone = Issued("alone", extensions=[(SAN, False)], key=RSA_KEY).with_algorithm(SHA1_WITH_RSA)
    assert judge(alone, anchor=alone).trusted
    assert judge(alone).reason == "self_signed"


def odd_authority(directory: Path, subject: str) -> Issued:
    """Return an authority with a key that the package does not know, and that openssl made."""
    openssl(directory, "ecparam", "-name", "secp160r1", "-genkey", "-noout", "-out", "odd.key")
    openssl(directory, "req", "-x509", "-key", "odd.key", "-subj", f"/CN={subject}", "-out", "odd.pem")
    odd = Issued(subject)
    odd.certificate = x509.load_pem_x509_certificate((directory / "odd.pem").read_bytes())
    return odd


def test_a_signature_that_cannot_be_verified_is_no_distrust(tmp_path: Path) -> None:
    odd = odd_authority(tmp_path, "odd")
    openssl(tmp_path, "req", "-newkey", "rsa:2048", "-nodes", "-keyout", "leaf.key", "-subj", "/CN=leaf", "-out", "csr")
    openssl(tmp_path, "x509", "-req", "-in", "csr", "-CA", "odd.pem", "-CAkey", "odd.key", "-out", "leaf.pem")
    leaf = ssl.PEM_cert_to_DER_cert((tmp_path / "leaf.pem").read_text())
    now = datetime.datetime.now(datetime.timezone.utc)
    trust = chain.judge_trust([leaf], certificate.Anchors([odd.pem]), "localhost", now)
    assert (trust.trusted, trust.reason) == (None, "unsupported_algorithm")
    assert "ecdsa-with-sha256" in trust.detail


def test_a_key_that_cannot_be_used_makes_nothing_of_a_signature_that_another_key_made(tmp_path: Path) -> None:
    decoy = odd_authority(tmp_path, "old middle")
    assert judge(leaf_of(OLD_MIDDLE), decoy, OLD_MIDDLE).reason == "expired"


def test_where_one_of_two_ways_cannot_be_verified_it_is_not_known_whether_there_is_one(tmp_path: Path) -> None:
    unknown = odd_authority(tmp_path, "unknown")
    good_or_not = Issued("old middle", unknown, [(CA, True)], key=OLD_MIDDLE.key)
    for ways in ([OLD_MIDDLE, good_or_not], [good_or_not, OLD_MIDDLE]):
        assert judge(leaf_of(OLD_MIDDLE), *ways, anchor=unknown).reason == "unsupported_algorithm"


# --- what an authority may sign


def test_path_length() -> None:
    root = limited(0)
    assert judge(leaf_of(root), anchor=root).trusted
    middle = Issued("middle", root, [(CA, True)])
    assert judge(leaf_of(middle), middle, anchor=root).reason == "invalid_chain"


@pytest.mark.parametrize(
    ("trees", "trusted"),
    [
        ({"permitted": [x509.DNSName("example.com")]}, True),
        ({"permitted": [x509.DNSName("example.org")]}, False),
        ({"excluded": [x509.DNSName("www.example.com")]}, False),
        ({"excluded": [x509.DNSName("example.org")]}, True),
        ({"permitted": [x509.DirectoryName(name("leaf"))]}, True),
        ({"permitted": [x509.DirectoryName(name("other"))]}, False),
        ({"excluded": [x509.DirectoryName(name("leaf"))]}, False),
        ({"permitted": [x509.IPAddress(ipaddress.ip_network("192.0.2.0/24"))]}, True),
        ({"permitted": [x509.IPAddress(ipaddress.ip_network("198.51.100.0/24"))]}, False),
        ({"excluded": [x509.IPAddress(ipaddress.ip_network("192.0.2.0/24"))]}, False),
    ],
)
def test_name_constraints(trees: dict[str, list[x509.GeneralName]], trusted: bool) -> None:
    root = constrained(**trees)
    assert judge(leaf_of(root), anchor=root).trusted is trusted


def test_directory_names_bind_authorities_too() -> None:
    root = constrained(excluded=[x509.DirectoryName(name("middle"))])
    middle = Issued("middle", root, [(CA, True)])
    assert judge(leaf_of(middle), middle, anchor=root).reason == "invalid_chain"


@pytest.mark.parametrize(("permitted", "excluded"), [("www.example.com", None), (None, "www.example.com")])
def test_a_wildcard_is_not_within_one_of_its_names(permitted: str | None, excluded: str | None) -> None:
    trees = {"permitted": permitted, "excluded": excluded}
    root = constrained(**{kind: [x509.DNSName(tree)] for kind, tree in trees.items() if tree})
    wildcard = x509.SubjectAlternativeName([x509.DNSName("*.example.com")])
    assert judge(Issued("leaf", root, [(wildcard, False)]), anchor=root).reason == "invalid_chain"


# --- hostile chains


def test_many_certificates_of_one_name_end() -> None:
    crowd = [Issued("crowd", Issued("crowd", extensions=[(CA, True)]), [(CA, True)]) for _one in range(8)]
    assert not judge(Issued("leaf", crowd[0], [(SAN, False)]), *crowd).trusted


def test_a_labyrinth_ends() -> None:
    """Six levels of six cross-signed authorities each have 46,656 ways to nowhere."""
    levels: list[list[Issued]] = [[Issued("level 0", extensions=[(CA, True)])] * 6]
    for depth in range(1, 7):
        key = RSA_KEY
        levels.append([Issued(f"level {depth}", levels[-1][0], [(CA, True)], key=key) for _one in range(6)])
        for one in levels[-1]:
            one.key = key
    crowd = [one for level in levels[1:] for one in level]
    trust = judge(leaf_of(levels[-1][0]), *crowd)
    assert (trust.trusted, trust.reason) == (False, "invalid_chain")
    assert "200 tries" in trust.detail


def test_a_path_may_not_be_longer_than_ten() -> None:
    path = [ROOT]
    for depth in range(10):
        path.append(Issued(f"level {depth}", path[-1], [(CA, True)]))
    assert judge(leaf_of(path[8]), *path[1:]).trusted
    assert judge(leaf_of(path[9]), *path[1:]).reason == "invalid_chain"


@pytest.mark.parametrize("der", [b"", b"\x30\x03\x02\x01\x01", b"\xff" * 300])
def test_what_is_no_certificate(der: bytes) -> None:
    trust = chain.judge_trust([der], certificate.Anchors([ROOT.pem]), "www.example.com", NOW)
    assert (trust.trusted, trust.reason, trust.name_matches) == (False, "unreadable", False)
    assert chain.describe_order([der], certificate.Anchors([])) == chain.NOT_SEEN


DAMAGED = mutated(LEAF.der, MIDDLE.der, ROOT.der, constrained(permitted=[x509.DNSName("example.com")]).der)
ANY_CHAIN = st.lists(st.one_of(DAMAGED, st.sampled_from([LEAF.der, MIDDLE.der]), st.binary(max_size=40)), min_size=1)


@given(ANY_CHAIN, st.lists(DAMAGED, max_size=2))
def test_damaged_chains_get_a_verdict(sent: list[bytes], fetched: list[bytes]) -> None:
    anchors = certificate.Anchors([ROOT.pem])
    trust = chain.judge_trust(sent, anchors, "www.example.com", NOW, fetched)
    assert bool(trust.reason) is not bool(trust.trusted)
    assert chain.describe_order(sent, anchors)["chain_order"] in ("correct", "wrong", None)


# --- order, and what is too much


def fingerprint(one: Issued) -> str:
    return hashlib.sha256(one.der).hexdigest()


STRANGER = Issued("stranger", extensions=[(CA, True)])
CROSS = Issued("root", OTHER_ROOT, [(CA, True)], key=ROOT.key)
# Another generation of an authority: its name, and another key.
KEYED_ROOT, OTHER_GENERATION = (
    Issued("keyed", extensions=[(CA, True), (x509.SubjectKeyIdentifier(digest), False)]) for digest in (b"1", b"2")
)
KEYED_LEAF = leaf_of(KEYED_ROOT, (x509.AuthorityKeyIdentifier(b"1", None, None), False))

ORDERS = [
    ("leaf alone", [LEAF], "correct", [], False),
    ("an anchor as the leaf", [ROOT], "correct", [], False),
    ("leaf and intermediate", [LEAF, MIDDLE], "correct", [], False),
    ("root too", [LEAF, MIDDLE, ROOT], "correct", [], True),
    ("cross-signed root", [LEAF, MIDDLE, CROSS], "correct", [], False),
    ("cross-signed root and the other root", [LEAF, MIDDLE, CROSS, OTHER_ROOT], "correct", [], False),
    ("root and its cross-signed twin", [LEAF, MIDDLE, ROOT, CROSS], "correct", [], True),
    ("root before the intermediate", [LEAF, ROOT, MIDDLE], "wrong", [], True),
    ("leaf twice", [LEAF, LEAF, MIDDLE], "wrong", [LEAF], False),
    ("a stranger", [LEAF, STRANGER, MIDDLE], "wrong", [STRANGER], False),
    ("a stranger at the end, twice", [LEAF, MIDDLE, STRANGER, STRANGER], "wrong", [STRANGER], False),
    ("an issuer is missing", [LEAF, ROOT], "wrong", [ROOT], True),
    ("another generation", [KEYED_LEAF, KEYED_ROOT, OTHER_GENERATION], "wrong", [OTHER_GENERATION], False),
    ("a forged root", [leaf_of(FORGED), ROOT], "wrong", [], True),
    ("signed with sha-1", [SHA1_MIDDLE, RSA_ROOT], "correct", [], False),
]


@pytest.mark.parametrize(
    ("sent", "order", "extra", "anchor"), [case[1:] for case in ORDERS], ids=[case[0] for case in ORDERS]
)
def test_order(sent: list[Issued], order: str, extra: list[Issued], anchor: bool) -> None:
    assert chain.describe_order([one.der for one in sent], certificate.Anchors([ROOT.pem])) == {
        "chain_order": order,
        "extra_certificates": [fingerprint(one) for one in extra],
        "contains_anchor": anchor,
    }


def test_what_cannot_be_parsed_is_extra_and_out_of_order() -> None:
    described = chain.describe_order([LEAF.der, b"garbage", MIDDLE.der], certificate.Anchors([]))
    assert described["chain_order"] == "wrong"
    assert described["extra_certificates"] == [hashlib.sha256(b"garbage").hexdigest()]


def test_the_verdict_in_a_result() -> None:
    assert judge(LEAF, MIDDLE).as_dict() == {
        "trusted": True,
        "reason": None,
        "detail": None,
        "name_matches": True,
        "chain_incomplete": False,
    }
