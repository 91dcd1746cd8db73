# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rules of the SSL Server Rating Guide that no score expresses, as a table with the versions they are in.

The rules about what is negotiated look at what reference clients get. A rule holds when one of them gets something weak
for certain, though it would rather have something better that the server accepts, or though the server has nothing
better for anybody. What a server keeps for clients that know nothing better does no harm. Where no reference client
connects at all, such a rule holds when the best protocol that is offered has nothing better.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ansible_collections.ringmaster.webops.plugins.module_utils.tls.client_table import CLIENTS
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.grade_view import NOT_TESTED, View
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.offers import (
    UP_TO_TLS12,
    has_blocks_of_64_bits,
    names_of,
    uses_rc4,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.registry import CipherSuite, suite_by_name
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.finding import LIKELY, VULNERABLE

_TLS = ("TLSv1.3", "TLSv1.2", "TLSv1.1", "TLSv1.0")
_TLS11_AND_TLS12 = ("TLSv1.2", "TLSv1.1")
_WITH_AEAD = ("TLSv1.3", "TLSv1.2")  # older protocols have none (RFC 5246 6.2.3.3)
_MOST_CLIENTS = 3
_SUITES_OF_CLIENTS = {client.name: client.cipher_suites for client in CLIENTS}

_Check = Callable[[View], "str | None"]
_Missing = Callable[[View], "list[str]"]
_Which = Callable[[CipherSuite], bool]


def _nothing(_view: View) -> list[str]:
    return []


@dataclass(frozen=True)
class Rule:
    """One rule: ``limit`` is the best grade it leaves, ``None`` for a warning (A becomes A-).

    ``check`` returns the evidence when the rule applies. ``since`` is the guide's version that brought it, ``until``
    the first one without it; a rule that the guide does not name has the version that was in force when the rating
    began to follow it, and 2009 stands for the first of all. ``missing`` returns the facts that the rule wants and the
    view lacks, beside those that were not tested.
    """

    name: str
    limit: str | None
    since: str
    check: _Check
    until: str = ""
    missing: _Missing = _nothing

    def holds_in(self, criteria: str) -> bool:
        """Whether the rule is in force in a version of the guide."""
        return self.since <= criteria and (not self.until or criteria < self.until)


# --- what is offered


def _offered(*names: str) -> _Check:
    return lambda view: f"{', '.join(view.offered(*names))} offered" if view.offered(*names) else None


def _suites(which: _Which) -> _Check:
    return lambda view: names_of(filter(which, view.all_suites)) or None


def _no_modern_protocol(view: View) -> str | None:
    best = next(iter(view.offered("TLSv1.1", "TLSv1.0", "SSLv3", "SSLv2")), None)
    return f"the best protocol is {best}" if best and view.refuses("TLSv1.2", "TLSv1.3") else None


def _nothing_above_ssl3(view: View) -> str | None:
    return _no_modern_protocol(view) if view.refuses(*_TLS) else None


def _only_rc4(view: View) -> str | None:
    suites = view.all_suites
    return "every suite uses RC4" if suites and all(map(uses_rc4, suites)) else None


def _parameters_below(bits: int) -> _Check:
    def check(view: View) -> str | None:
        weak = [f"DH parameters of {size} bits" for size in view.dh_bits if size < bits]
        weak += [f"group {name}" for name, size in view.group_bits.items() if size < bits]
        return ", ".join(dict.fromkeys(weak)) or None

    return check


# --- what reference clients negotiate


@dataclass(frozen=True)
class _Choice:
    """The suites of which one is negotiated, by ``client``; by none of the clients where that is empty."""

    client: str
    protocol: str
    suites: tuple[CipherSuite, ...]


def _choices(view: View) -> list[_Choice]:
    """Return what each reference client that connects gets; what the best protocol has where none connects."""
    choices = []
    for entry in view.clients:
        if entry["reference"] and entry["connects"]:
            names = [entry["cipher_suite"]] if entry["cipher_suite"] else entry["possible_cipher_suites"]
            suites = tuple(suite for suite in map(suite_by_name, names) if suite is not None)
            choices.append(_Choice(entry["name"], entry["protocol"], suites))
    if choices:
        return choices
    best = next(iter(view.offered("TLSv1.3", *UP_TO_TLS12)), "")
    return [_Choice("", best, tuple(view.suites_of(best)))]


def _negotiated(protocols: tuple[str, ...], which: _Which) -> _Check:
    def check(view: View) -> str | None:
        choices = [choice for choice in _choices(view) if choice.protocol in protocols and choice.suites]
        bad = [choice for choice in choices if all(map(which, choice.suites)) and _is_a_fault(view, choice, which)]
        if not bad:
            return None
        if not bad[0].client:
            return f"the best that is accepted is {bad[0].protocol} with {names_of(bad[0].suites)}"
        shown = [f"{each.client} ({each.protocol} with {names_of(each.suites)})" for each in bad[:_MOST_CLIENTS]]
        more = f" and {len(bad) - _MOST_CLIENTS} more" if len(bad) > _MOST_CLIENTS else ""
        return f"negotiated by {', '.join(shown)}{more}"

    return check


def _is_a_fault(view: View, choice: _Choice, which: _Which) -> bool:
    """Whether the server is to blame for a bad choice: it has nothing better, or what the client would rather have.

    Without forward secrecy nothing counts as better: clients prefer CBC with it to AEAD without.
    """
    better = {suite.id for suite in view.suites_of(choice.protocol) if suite.forward_secrecy and not which(suite)}
    chosen = {suite.id for suite in choice.suites}
    liked = (number for number in _SUITES_OF_CLIENTS.get(choice.client, ()) if number in better | chosen)
    return not better or next(liked, None) not in chosen


def _undecided(protocols: tuple[str, ...], which: _Which) -> _Missing:
    """Return whose order counts as missing where that decides whether a reference client gets such a suite."""

    def missing(view: View) -> list[str]:
        open_ones = [choice for choice in _choices(view) if choice.client and choice.protocol in protocols]
        return [f"preference.{each.protocol}" for each in open_ones if len(set(map(which, each.suites))) > 1]

    return missing


def _negotiates(name: str, limit: str, since: str, protocols: tuple[str, ...], which: _Which) -> Rule:
    return Rule(name, limit, since, _negotiated(protocols, which), missing=_undecided(protocols, which))


# --- certificates


def _key_below(bits: int) -> _Check:
    def check(view: View) -> str | None:
        weakest = min((each.strength_bits for each in view.certificates if each.strength_bits), default=bits)
        return f"a certificate's key is worth {weakest} RSA bits" if weakest < bits else None

    return check


def broken_signatures(algorithms: tuple[str, ...]) -> list[str]:
    """Return those of a chain's signature algorithms whose hash can be forged at will: MD5 and older."""
    return sorted({name for name in algorithms if any(hash_name in name for hash_name in ("md5", "md4", "md2"))})


def _broken_signature(view: View) -> str | None:
    used = tuple(name for certificate in view.certificates for name in certificate.signature_algorithms)
    bad = broken_signatures(used)
    return f"a certificate is signed with {', '.join(bad)}" if bad else None


def _exponent_one(view: View) -> str | None:
    bad = any(certificate.rsa_public_exponent == 1 for certificate in view.certificates)
    return "the RSA public exponent is 1" if bad else None


def _chain_incomplete(view: View) -> str | None:
    bad = any(certificate.trusted and certificate.chain_incomplete for certificate in view.certificates)
    return "a certificate is trusted only together with an issuer that the server does not send" if bad else None


# --- vulnerabilities, and the rest


def _vulnerable(name: str) -> _Check:
    def check(view: View) -> str | None:
        status, evidence = view.vulnerability(name)
        return evidence if status == VULNERABLE else None

    return check


def _vulnerability(rule: str, limit: str, since: str, name: str = "") -> Rule:
    """Return the rule of a vulnerability. It wants a proof: what is merely likely leaves the grade an upper bound."""
    name = name or rule

    def missing(view: View) -> list[str]:
        return [f"vulnerabilities.{name}"] if view.vulnerability(name)[0] in (NOT_TESTED, LIKELY) else []

    return Rule(rule, limit, since, _vulnerable(name), missing=missing)


def _hsts_disabled(view: View) -> str | None:
    hsts = view.hsts or {}
    return "Strict-Transport-Security says max-age=0" if hsts.get("valid") and not hsts.get("max_age_seconds") else None


def _hsts_invalid(view: View) -> str | None:
    hsts = view.hsts or {}
    bad = hsts.get("present") and not hsts.get("valid")
    return f"Strict-Transport-Security is not valid: {hsts.get('value')}" if bad else None


def _no_fallback_scsv(view: View) -> str | None:
    return "a fallback to an older protocol is not refused" if view.fallback_scsv == "not_supported" else None


_TABLE: tuple[Rule, ...] = (
    Rule("ssl2_offered", "F", "2009c", _offered("SSLv2")),
    Rule("ssl3_offered", "B", "2009h", _offered("SSLv3")),
    Rule("no_protocol_above_ssl3", "F", "2009i", _nothing_above_ssl3),
    Rule("no_tls12_or_tls13", "C", "2009j", _no_modern_protocol),
    Rule("tls10_or_tls11_offered", "B", "2009q", _offered("TLSv1.0", "TLSv1.1")),
    Rule("tls13_not_offered", None, "2009r", lambda v: "TLSv1.3 is not offered" if v.refuses("TLSv1.3") else None),
    Rule("key_below_1024", "F", "2009e", _key_below(1024)),
    Rule("key_below_2048", "B", "2009e", _key_below(2048)),
    Rule("parameters_below_1024", "F", "2009j", _parameters_below(1024)),
    Rule("parameters_below_2048", "B", "2009j", _parameters_below(2048)),
    Rule("anonymous_suites", "F", "2009", _suites(lambda suite: suite.authentication == "anon")),
    Rule("export_suites", "F", "2009j", _suites(lambda suite: suite.export)),
    Rule("rsa_public_exponent_1", "F", "2009l", _exponent_one),
    _negotiates("no_forward_secrecy", "B", "2009p", _TLS, lambda suite: not suite.forward_secrecy),
    Rule("suites_below_112_bits", "F", "2009", _suites(lambda suite: suite.bits < 112)),
    Rule("rc4_offered", "B", "2009i", _suites(uses_rc4)),
    _negotiates("rc4_negotiated", "C", "2009j", _TLS11_AND_TLS12, uses_rc4),
    Rule("rc4_only", "F", "2009k", _only_rc4),
    _negotiates("block_cipher_of_64_bits_negotiated", "C", "2009n", _TLS11_AND_TLS12, has_blocks_of_64_bits),
    _negotiates("no_aead", "B", "2009p", _WITH_AEAD, lambda suite: not suite.aead),
    Rule(
        "secure_renegotiation_missing",
        None,
        "2009e",
        lambda v: "renegotiation_info was not echoed" if v.secure_renegotiation is False else None,
    ),
    _vulnerability("insecure_renegotiation", "F", "2009c"),
    _vulnerability("compression", "C", "2009j", "crime"),
    _vulnerability("poodle", "C", "2009g"),
    _vulnerability("poodle_tls", "F", "2009g"),
    _vulnerability("heartbleed", "F", "2009e"),
    _vulnerability("ccs_injection", "F", "2009e"),
    _vulnerability("drown", "F", "2009l"),
    _vulnerability("cve_2016_2107", "F", "2009m"),
    _vulnerability("ticketbleed", "F", "2009n"),
    _vulnerability("robot", "F", "2009p"),
    _vulnerability("zombie_poodle", "F", "2009p"),
    _vulnerability("goldendoodle", "F", "2009p"),
    _vulnerability("sleeping_poodle", "F", "2009p"),
    _vulnerability("zero_length_padding_oracle", "F", "2009p"),
    Rule("md5_or_md2_signature", "F", "2009e", _broken_signature),
    Rule("chain_incomplete", "B", "2009i", _chain_incomplete),
    Rule(
        "fallback_scsv_missing",
        "A",
        "2009h",
        _no_fallback_scsv,
        until="2009r",
        missing=lambda v: ["fallback_scsv"] if v.fallback_scsv == NOT_TESTED else [],
    ),
    Rule("hsts_disabled", None, "2009r", _hsts_disabled),
    Rule("hsts_invalid", None, "2009r", _hsts_invalid),
)


def rules_of(criteria: str) -> list[Rule]:
    """Return the rules of a version of the guide."""
    return [rule for rule in _TABLE if rule.holds_in(criteria)]
