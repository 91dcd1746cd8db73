# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the facts of an endpoint say about each vulnerability. Pure functions: no connection, and nothing is measured.

What a probe has found stands. What no probe was asked for, or none could find out, is decided by the facts where they
decide it; by exclusion too, which needs facts without gaps: where a protocol was not tested, nothing is excluded.
Whatever remains is ``not_tested``, with the fact that is missing or the level of ``vulnerability_tests`` that would
find out. The level ``none`` sends no probe; what follows from the facts is said at every level, since it costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import offers, policy_facts
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.offers import UP_TO_TLS12, Offers
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.registry import CipherSuite
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.finding import (
    EXPOSED,
    LEVELS,
    NOT_APPLICABLE,
    NOT_TESTED,
    NOT_VULNERABLE,
    VULNERABLE,
    Finding,
)

_TLS10_TO_TLS12 = UP_TO_TLS12[:3]

_Which = Callable[[CipherSuite], bool]


class _Facts:
    """One result, and the questions that several vulnerabilities have in common."""

    def __init__(self, result: Mapping[str, Any]) -> None:
        self.result = result
        self.offers = Offers.of(result)
        self.extensions: Mapping[str, Sequence[str]] = result["extensions"]

    def refused(self, *protocols: str) -> Finding | None:
        """Return the finding of what needs one of the protocols, where every one of them is refused."""
        if not self.offers.refuses(*protocols):
            return None
        verb = "are" if len(protocols) > 1 else "is"
        return Finding(NOT_APPLICABLE, f"{', '.join(protocols)} {verb} refused")

    def gap(self, *protocols: str) -> str:
        """Return why the protocols may have more suites than were seen; empty where they have not."""
        gaps = [policy_facts.gap(self.result, f"protocols.{name}", f"cipher_suites.{name}") for name in protocols]
        for name in protocols:
            if self.offers.protocols.get(name) not in ("offered", "not_offered"):
                gaps.append(f"{name} was not tested")
        return "; ".join(dict.fromkeys(filter(None, gaps)))

    def without(self, protocols: Sequence[str], kind: str, status: str = NOT_VULNERABLE) -> Finding:
        """Return the finding of what needs suites of a kind, where none was seen."""
        refused = self.refused(*protocols)
        gap = self.gap(*protocols)
        if refused or gap:
            return refused or Finding(NOT_TESTED, gap)
        return Finding(status, f"no {kind} is accepted")

    def echoed_everywhere(self, extension: str) -> bool:
        """Whether the extension was echoed in each of the protocols that have extensions, and all of them are known."""
        offered = self.offers.offered(*_TLS10_TO_TLS12)
        return self._extensions_are_known and all(extension in self.extensions[name] for name in offered)

    def never_echoed(self, extension: str) -> bool:
        """Whether the extension was echoed in none of the protocols that have extensions, and all of them are known."""
        return self._extensions_are_known and not any(extension in names for names in self.extensions.values())

    @property
    def one_kind_of_server(self) -> bool:
        """Whether no answers were seen that different servers behind one address must have given."""
        return not policy_facts.gap(self.result, "extensions")

    @property
    def _extensions_are_known(self) -> bool:
        offered = self.offers.offered(*_TLS10_TO_TLS12)
        statuses = [self.offers.protocols.get(name) for name in UP_TO_TLS12]
        known = all(status in ("offered", "not_offered") for status in statuses)
        return known and self.one_kind_of_server and bool(offered) and all(name in self.extensions for name in offered)


# Returns None for what only a probe can tell.
_Judge = Callable[[_Facts], "Finding | None"]


# --- what the accepted suites decide


def _cbc(suite: CipherSuite) -> bool:
    return suite.cbc


def _accepted(protocols: Sequence[str], kind: str, which: _Which, status: str) -> _Judge:
    """Return the judge of what is there when such suites are accepted, and not there when they are not."""

    def judge(facts: _Facts) -> Finding:
        names = offers.names_of(filter(which, facts.offers.suites_of(*protocols)))
        return Finding(status, f"{kind}: {names}") if names else facts.without(protocols, kind)

    return judge


def _needs(protocols: Sequence[str], kind: str, which: _Which) -> _Judge:
    """Return the judge of what only a probe finds, and only where such suites are accepted."""

    def judge(facts: _Facts) -> Finding | None:
        if any(map(which, facts.offers.suites_of(*protocols))):
            return None
        finding = facts.without(protocols, kind, NOT_APPLICABLE)
        return None if finding.status == NOT_TESTED else finding

    return judge


_PADDING_ORACLE = _needs(_TLS10_TO_TLS12, "CBC cipher suite from TLS 1.0 to TLS 1.2", _cbc)
_AES_PADDING_ORACLE = _needs(
    _TLS10_TO_TLS12,
    "AES-CBC cipher suite from TLS 1.0 to TLS 1.2",
    lambda suite: suite.cbc and suite.encryption.startswith("AES"),
)


def _logjam(facts: _Facts) -> Finding:
    """Judge what finite field Diffie-Hellman up to TLS 1.2 is worth (Adrian et al., 2015).

    512 bits were broken in minutes for anybody; 1024 bits are in reach of whoever can afford the computation once for
    a prime. So parameters of 1024 bits are ``exposed``, all the more where other servers share the prime.
    """
    suites = [suite for suite in facts.offers.suites_of(*UP_TO_TLS12) if suite.key_exchange == "DHE"]
    export = offers.names_of(suite for suite in suites if suite.export)
    if export:
        return Finding(VULNERABLE, f"cipher suites with DH parameters of export strength: {export}")
    parameters = facts.result["dh_parameters"]
    weakest = min(parameters, key=lambda entry: int(entry["bits"]), default=None)
    if weakest is not None and weakest["bits"] <= 1024:
        shared = f", a prime that many servers share ({weakest['known_prime']})" if weakest.get("known_prime") else ""
        status = VULNERABLE if weakest["bits"] < 1024 else EXPOSED
        return Finding(status, f"DH parameters of {weakest['bits']} bits{shared}")
    if not suites:
        return facts.without(UP_TO_TLS12, "cipher suite with finite field Diffie-Hellman", NOT_APPLICABLE)
    gap = facts.gap(*UP_TO_TLS12) or policy_facts.gap(facts.result, "dh_parameters")
    if gap or weakest is None:
        return Finding(NOT_TESTED, gap or "the DH parameters were not seen")
    return Finding(NOT_VULNERABLE, f"the weakest DH parameters have {weakest['bits']} bits")


def _lucky13(facts: _Facts) -> Finding:
    """Judge CBC without encrypt-then-MAC (RFC 7366), which a server agrees to for CBC suites alone."""
    kind = "CBC cipher suite"
    protocols = [name for name in UP_TO_TLS12 if any(map(_cbc, facts.offers.suites_of(name)))]
    if not protocols:
        return facts.without(UP_TO_TLS12, kind)
    mac_first = [name for name in protocols if "encrypt_then_mac" not in facts.extensions.get(name, ())]
    if mac_first:
        return Finding(EXPOSED, f"{kind}s without encrypt-then-MAC: {', '.join(mac_first)}")
    gap = facts.gap(*UP_TO_TLS12) or policy_facts.gap(facts.result, "extensions")
    return Finding(NOT_TESTED, gap) if gap else Finding(NOT_VULNERABLE, "every CBC cipher suite encrypts, then MACs")


def _drown(facts: _Facts) -> Finding:
    """Judge this endpoint alone; :func:`share_keys` looks at the others."""
    if facts.offers.offered("SSLv2"):
        return Finding(VULNERABLE, "SSL 2.0 is offered, which is enough even without a cipher of it (CVE-2015-3197)")
    gap = facts.gap("SSLv2")
    return Finding(NOT_TESTED, gap) if gap else Finding(NOT_VULNERABLE, "SSL 2.0 is refused here")


# --- what other facts decide


def _crime(facts: _Facts) -> Finding:
    compression = facts.result["compression"]
    if compression:
        return Finding(VULNERABLE, "the server compresses what it encrypts")
    refused, gap = facts.refused(*UP_TO_TLS12), facts.gap(*UP_TO_TLS12)
    if refused or gap or compression is None:
        return refused or Finding(NOT_TESTED, gap or "no answer shows whether the server compresses")
    return Finding(NOT_VULNERABLE, "the server takes no compression where it is offered")


def _no_http(facts: _Facts) -> Finding | None:
    starttls, http = facts.result["target"].get("starttls"), facts.result["http"]
    if starttls:
        return Finding(NOT_APPLICABLE, f"the endpoint speaks {starttls}, not HTTP")
    return Finding(NOT_APPLICABLE, "the endpoint does not speak HTTP") if http and not http["speaks_http"] else None


def _breach(facts: _Facts) -> Finding:
    http = facts.result["http"]
    no_http = _no_http(facts)
    if no_http or http is None or http.get("compressed") is None:
        return no_http or Finding(NOT_TESTED, policy_facts.gap(facts.result, "http") or "no answer over HTTP was seen")
    if http["compressed"]:
        return Finding(EXPOSED, "the answer to GET / is compressed, and so may be pages with secrets in them")
    return Finding(NOT_VULNERABLE, "the answer to GET / is not compressed; other pages were not asked for")


def _opossum(facts: _Facts) -> Finding | None:
    plain = facts.result.get("plain_http") or {}
    if plain.get("reachable") is False:
        return Finding(NOT_APPLICABLE, "nothing listens on the port for HTTP in clear")
    if plain.get("speaks_http") is False:
        return Finding(NOT_APPLICABLE, "the port for HTTP in clear does not speak HTTP")
    no_http = _no_http(facts)
    if no_http is None and facts.result["target"].get("http_port") is None:
        return Finding(NOT_TESTED, "it is not known where the site answers in clear: http_port says so")
    return no_http


def _heartbleed(facts: _Facts) -> Finding | None:
    if facts.never_echoed("heartbeat"):
        return Finding(NOT_APPLICABLE, "the heartbeat extension is not echoed")
    return facts.refused(*UP_TO_TLS12)


def _ccs_injection(facts: _Facts) -> Finding | None:
    """Exclude CVE-2014-0224 where every protocol agrees to an extended master secret (RFC 7627).

    It is a fault of OpenSSL alone, repaired in June 2014 in 0.9.8za, 1.0.0m and 1.0.1h; OpenSSL agrees to an extended
    master secret from 1.1.0 (2016) on. SSL 3.0 has no extensions to tell by.
    """
    if facts.echoed_everywhere("extended_master_secret") and facts.offers.refuses("SSLv3"):
        evidence = "excluded: it agrees to an extended master secret, as no OpenSSL with this fault does"
        return Finding(NOT_VULNERABLE, evidence)
    return facts.refused(*UP_TO_TLS12)


def _ticketbleed(facts: _Facts) -> Finding | None:
    """Exclude CVE-2016-9244 where no tickets are issued, or TLS 1.3 is spoken.

    It is a fault of F5's TLS stack in BIG-IP 11.6 and 12.0 to 12.1.2; 13.0 (2017) is repaired, and TLS 1.3, which was
    published in 2018, came later still.
    """
    if facts.never_echoed("session_ticket"):
        return Finding(NOT_APPLICABLE, "the session ticket extension is not echoed")
    refused = facts.refused(*UP_TO_TLS12)
    if refused is None and facts.offers.offered("TLSv1.3") and facts.one_kind_of_server:
        return Finding(NOT_VULNERABLE, "excluded: it speaks TLS 1.3, as no BIG-IP with this fault does")
    return refused


def _insecure_renegotiation(facts: _Facts) -> Finding | None:
    if facts.result["renegotiation"]["secure"] and not facts.gap(*UP_TO_TLS12):
        return Finding(NOT_VULNERABLE, "the server knows RFC 5746: it answers with renegotiation_info")
    return facts.refused(*UP_TO_TLS12)


def _starttls_injection(facts: _Facts) -> Finding | None:
    if facts.result["target"].get("starttls") is None:
        return Finding(NOT_APPLICABLE, "TLS begins with the first byte: there is nothing to inject into")
    return None


# Name -> what the facts decide, and the level of vulnerability_tests that has a probe; empty where facts always decide.
_VULNERABILITIES: dict[str, tuple[_Judge, str]] = {
    "heartbleed": (_heartbleed, "active"),
    "ccs_injection": (_ccs_injection, "active"),
    "robot": (
        _needs(UP_TO_TLS12, "cipher suite with RSA key exchange", lambda suite: suite.key_exchange == "RSA"),
        "deep",
    ),
    "ticketbleed": (_ticketbleed, "active"),
    "poodle": (_accepted(("SSLv3",), "CBC cipher suite on SSL 3.0", _cbc, VULNERABLE), ""),
    "poodle_tls": (_PADDING_ORACLE, "deep"),
    "zombie_poodle": (_PADDING_ORACLE, "deep"),
    "goldendoodle": (_PADDING_ORACLE, "deep"),
    "sleeping_poodle": (_PADDING_ORACLE, "deep"),
    "zero_length_padding_oracle": (_PADDING_ORACLE, "deep"),
    "cve_2016_2107": (_AES_PADDING_ORACLE, "deep"),
    "freak": (
        _accepted(
            UP_TO_TLS12,
            "cipher suite with RSA keys of export strength",
            lambda suite: suite.export and suite.key_exchange == "RSA",
            VULNERABLE,
        ),
        "",
    ),
    "logjam": (_logjam, ""),
    "drown": (_drown, ""),
    "sweet32": (
        _accepted(UP_TO_TLS12, "cipher suite with blocks of 64 bits", offers.has_blocks_of_64_bits, EXPOSED),
        "",
    ),
    "beast": (_accepted(("TLSv1.0", "SSLv3"), "CBC cipher suite on TLS 1.0 or SSL 3.0", _cbc, EXPOSED), ""),
    "lucky13": (_lucky13, ""),
    "rc4": (_accepted(UP_TO_TLS12, "cipher suite with RC4", offers.uses_rc4, EXPOSED), ""),
    "crime": (_crime, ""),
    "breach": (_breach, ""),
    "opossum": (_opossum, "active"),
    "insecure_renegotiation": (_insecure_renegotiation, "active"),
    "client_initiated_renegotiation": (lambda facts: facts.refused(*UP_TO_TLS12), "active"),
    "starttls_injection": (_starttls_injection, "active"),
}
NAMES = tuple(_VULNERABILITIES)


def judge(result: Mapping[str, Any]) -> dict[str, Finding]:
    """Return a finding for each of :data:`NAMES`, in their order, from the facts of an endpoint that was reached.

    ``result`` is a result of ``tls_endpoint_info``. A probe's finding stands, unless it is ``not_tested`` and the facts
    decide, or clears one server where there are several.
    """
    facts = _Facts(result)
    probes: Mapping[str, Mapping[str, str]] = result.get("probes") or {}
    return {name: _judge(name, facts, probes.get(name)) for name in NAMES}


def _judge(name: str, facts: _Facts, probed: Mapping[str, str] | None) -> Finding:
    judge_by_facts, level = _VULNERABILITIES[name]
    if probed is not None and probed["status"] == NOT_VULNERABLE and not facts.one_kind_of_server:
        evidence = f"only one of several kinds of servers behind this address was probed: {probed['evidence']}"
        return Finding(NOT_TESTED, evidence)
    if probed is not None and probed["status"] != NOT_TESTED:
        return Finding(probed["status"], probed["evidence"])
    by_facts = judge_by_facts(facts)
    if by_facts is not None:
        return by_facts
    return Finding(NOT_TESTED, probed["evidence"] if probed is not None else _why_no_probe(facts, level))


def _why_no_probe(facts: _Facts, level: str) -> str:
    asked = str(facts.result.get("vulnerability_tests", "none"))
    if asked in LEVELS and LEVELS.index(asked) >= LEVELS.index(level):
        return "the probe has no result"
    return f"vulnerability_tests is {asked}: {level} would test it"


# --- one key in several places


def share_keys(results: Sequence[Mapping[str, Any]]) -> dict[int, Finding]:
    """Return, by their place in ``results``, the findings ``drown`` that another result changes.

    What a server encrypts with an RSA key can be read with the help of any other server that has the same key and
    offers SSL 2.0 (Aviram et al., 2016, section 4). ``results`` have their certificates described.
    """
    helpers: dict[str, str] = {}
    for result in results:
        if _offers_sslv2(result):
            for key in _rsa_keys(result):
                helpers.setdefault(key, _name(result))
    changed = {}
    for place, result in enumerate(results):
        shared = next((helpers[key] for key in _rsa_keys(result) if key in helpers), None)
        if shared is not None and not _offers_sslv2(result):
            changed[place] = Finding(VULNERABLE, f"{shared} has the same RSA key and offers SSL 2.0")
    return changed


def _offers_sslv2(result: Mapping[str, Any]) -> bool:
    return any(entry["name"] == "SSLv2" and entry["status"] == "offered" for entry in result["protocols"])


def _rsa_keys(result: Mapping[str, Any]) -> list[str]:
    leaves = [entry["leaf"] for entry in result["certificates"]]
    return [leaf["spki_sha256"] for leaf in leaves if leaf.get("key_type") == "RSA" and leaf.get("spki_sha256")]


def _name(result: Mapping[str, Any]) -> str:
    target, address = result["target"], result.get("address")
    return f"{target['name']} ({address})" if address not in (None, target["host"]) else str(target["name"])
