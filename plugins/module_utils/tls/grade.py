# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An SSL-Labs-style grade: a pure function of facts, by the numbers of the SSL Server Rating Guide, version 2009r.

Scores, caps and warnings are rules in a table. A rule whose facts are not known is never passed in silence: what could
still lower the grade is in ``missing_facts``, and the grade is then an upper bound. Outside the grade are revocation
(no CRL or OCSP server is asked), keys that are known to be weak (Debian's of 2008), and a key that another server uses
with SSL 2.0 (DROWN).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ansible_collections.ringmaster.webops.plugins.module_utils.tls.registry import CipherSuite

LETTERS = ("A+", "A", "A-", "B", "C", "D", "E", "F")
CRITERIA = "2009r"
LONG_HSTS_SECONDS = 180 * 86400

_PROTOCOL_SCORES = {"SSLv2": 0, "SSLv3": 80, "TLSv1.0": 90, "TLSv1.1": 95, "TLSv1.2": 100, "TLSv1.3": 100}
_KEY_EXCHANGE_SCORES = ((512, 20), (1024, 40), (2048, 80), (4096, 90))  # bits below -> score, else 100
_LETTER_SCORES = ((80, "A"), (65, "B"), (50, "C"), (35, "D"), (20, "E"))
_UP_TO_TLS12 = ("TLSv1.2", "TLSv1.1", "TLSv1.0", "SSLv3")
_TLS = ("TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3")


@dataclass(frozen=True)
class Certificate:
    """What the grade has to know of one certificate: its key as RSA-equivalent bits, its signatures, its trust."""

    strength_bits: int
    signature_algorithms: tuple[str, ...] = ()
    rsa_public_exponent: int | None = None
    trusted: bool = True
    trust_reason: str = ""
    name_matches: bool = True


@dataclass(frozen=True)
class View:
    """The facts of one endpoint as the rules see them.

    ``protocols`` is name -> status, ``suites`` protocol -> suites in the order found, ``group_bits`` group name ->
    RSA-equivalent bits, ``dh_bits`` the sizes of the finite field parameters, ``extensions`` protocol -> what the
    server echoed, ``hsts`` the facts of http.py (``None`` when the endpoint speaks no HTTP), ``not_tested`` the names
    of the facts that could not be measured.
    """

    protocols: dict[str, str]
    suites: dict[str, tuple[CipherSuite, ...]]
    preference: dict[str, str] = field(default_factory=dict)
    group_bits: dict[str, int] = field(default_factory=dict)
    dh_bits: tuple[int, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    extensions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    compression: bool | None = None
    secure_renegotiation: bool | None = None
    hsts: dict[str, object] | None = None
    not_tested: tuple[str, ...] = ()

    def offered(self, *names: str) -> list[str]:
        """Return those of the protocols that the server offers."""
        return [name for name in names if self.protocols.get(name) == "offered"]

    def refuses(self, *names: str) -> bool:
        """Whether each of the protocols was asked for and refused."""
        return all(self.protocols.get(name) == "not_offered" for name in names)

    @property
    def all_suites(self) -> list[CipherSuite]:
        """All suites of all protocols."""
        return [suite for suites in self.suites.values() for suite in suites]

    @property
    def suites_up_to_tls12(self) -> list[CipherSuite]:
        """All suites of the protocols up to TLS 1.2."""
        return [suite for name in _UP_TO_TLS12 for suite in self.suites.get(name, ())]

    def echoed(self, extension: str) -> bool:
        """Whether the server echoed an extension in every protocol up to TLS 1.2 that has extensions."""
        protocols = self.offered("TLSv1.2", "TLSv1.1", "TLSv1.0")
        return bool(protocols) and all(extension in self.extensions.get(name, ()) for name in protocols)


@dataclass(frozen=True)
class Grade:
    """A grade and all that explains it."""

    grade: str | None
    grade_trust_ignored: str | None
    scores: dict[str, float | None]
    caps: list[dict[str, str]]
    warnings: list[dict[str, str]]
    missing_facts: list[str]

    def as_dict(self) -> dict[str, object]:
        """Return the grade as it stands in a result."""
        return {
            "grade": self.grade,
            "grade_trust_ignored": self.grade_trust_ignored,
            "grade_is_upper_bound": bool(self.missing_facts),
            "grade_missing_facts": self.missing_facts,
            "scores": self.scores,
            "caps": self.caps,
            "warnings": self.warnings,
        }


# --- scores


def protocol_score(view: View) -> float | None:
    """Return the mean of the best and the worst protocol's score."""
    scores = [_PROTOCOL_SCORES[name] for name in view.offered(*_PROTOCOL_SCORES)]
    return (max(scores) + min(scores)) / 2 if scores else None


def key_exchange_score(view: View) -> float | None:
    """Return the score of the weakest of certificate key, groups and parameters; anonymous suites score 0."""
    if any(suite.authentication == "anon" for suite in view.all_suites):
        return 0.0
    strengths = [certificate.strength_bits for certificate in view.certificates]
    if not strengths:
        return None
    strengths += [*view.group_bits.values(), *view.dh_bits]
    score = float(next((value for below, value in _KEY_EXCHANGE_SCORES if min(strengths) < below), 100))
    return min(score, 40.0) if any(suite.export for suite in view.all_suites) else score


def cipher_strength_score(view: View) -> float | None:
    """Return the mean of the strongest and the weakest suite's score."""
    bits = [suite.bits for suite in view.all_suites]
    if not bits:
        return None
    return (_bits_score(max(bits)) + _bits_score(min(bits))) / 2


def _bits_score(bits: int) -> float:
    if bits == 0:
        return 0.0
    return 20.0 if bits < 128 else 80.0 if bits < 256 else 100.0


def letter_of(score: float) -> str:
    """Return the letter of a total score, before rules."""
    return next((letter for least, letter in _LETTER_SCORES if score >= least), "F")


# --- rules


def negotiated(view: View) -> tuple[str, list[CipherSuite]]:
    """Return what a reference client that knows no TLS 1.3 gets: the protocol, and the suites it may be.

    The client prefers forward secrecy, then AEAD, and offers 3DES and RC4 last. There is more than one suite where it
    is not known whose order decides, and where the server accepts none of the client's: then it is whatever it accepts.
    """
    protocol = next(iter(view.offered("TLSv1.2", "TLSv1.1", "TLSv1.0")), "")
    usable = [suite for suite in view.suites.get(protocol, ()) if _reference_rank(suite) is not None]
    if not usable:
        return protocol, list(view.suites.get(protocol, ()))
    by_server = usable[0]
    by_client = min(usable, key=lambda suite: _reference_rank(suite) or 0)
    preference = view.preference.get(protocol)
    if preference == "server":
        return protocol, [by_server]
    if preference == "client" or by_server == by_client:
        return protocol, [by_client]
    return protocol, [by_server, by_client]


def _reference_rank(suite: CipherSuite) -> int | None:
    """Return the place of a suite in the reference client's list, ``None`` when it is not on it."""
    if suite.authentication not in ("RSA", "ECDSA") or suite.key_exchange not in ("ECDHE", "DHE", "RSA"):
        return None
    if suite.export or not suite.encryption.startswith(("AES", "CHACHA20", "3DES", "RC4")):
        return None
    weakness = 4 if suite.encryption.startswith("RC4") else 3 if suite.encryption.startswith("3DES") else 0
    key_exchange = {"ECDHE": 0, "DHE": 1, "RSA": 2}[suite.key_exchange]
    return 100 * weakness + 10 * key_exchange + (0 if suite.aead else 1)


def _names(suites: Iterable[CipherSuite]) -> str:
    found = sorted({suite.name for suite in suites})
    return ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")


def _offered(*names: str) -> Callable[[View], str | None]:
    return lambda view: f"{', '.join(view.offered(*names))} offered" if view.offered(*names) else None


def _suites(which: Callable[[CipherSuite], bool]) -> Callable[[View], str | None]:
    return lambda view: _names(filter(which, view.all_suites)) or None


def _negotiated(protocols: tuple[str, ...], which: Callable[[CipherSuite], bool]) -> Callable[[View], str | None]:
    def check(view: View) -> str | None:
        protocol, suites = negotiated(view)
        bad = protocol in protocols and suites and all(which(suite) for suite in suites)
        return f"{protocol} negotiates {_names(suites)}" if bad else None

    return check


def _no_modern_protocol(view: View) -> str | None:
    offered = view.offered(*_PROTOCOL_SCORES)
    return f"the best protocol is {offered[-1]}" if offered and view.refuses("TLSv1.2", "TLSv1.3") else None


def _weakest_key(view: View) -> int | None:
    return min((certificate.strength_bits for certificate in view.certificates), default=None)


def _key_below(bits: int) -> Callable[[View], str | None]:
    def check(view: View) -> str | None:
        weakest = _weakest_key(view)
        return f"a certificate's key is worth {weakest} RSA bits" if weakest is not None and weakest < bits else None

    return check


def _parameters_below(bits: int) -> Callable[[View], str | None]:
    def check(view: View) -> str | None:
        weak = [f"DH parameters of {size} bits" for size in view.dh_bits if size < bits]
        weak += [f"group {name}" for name, size in view.group_bits.items() if size < bits]
        return ", ".join(dict.fromkeys(weak)) or None

    return check


def _no_aead(view: View) -> str | None:
    protocol, suites = negotiated(view)
    bad = suites and not any(suite.aead for suite in suites)
    return f"{protocol} negotiates {_names(suites)}" if bad else None


def _rc4_only(view: View) -> str | None:
    suites = view.all_suites
    return "every suite uses RC4" if suites and all(_rc4(suite) for suite in suites) else None


def _rc4(suite: CipherSuite) -> bool:
    return suite.encryption.startswith("RC4")


def _block64(suite: CipherSuite) -> bool:
    return suite.encryption.startswith(("3DES", "DES", "IDEA", "RC2", "28147", "MAGMA"))


def _signed_with(*algorithms: str) -> Callable[[View], str | None]:
    def check(view: View) -> str | None:
        used = [name for certificate in view.certificates for name in certificate.signature_algorithms]
        bad = sorted({name for name in used if any(algorithm in name for algorithm in algorithms)})
        return f"a certificate is signed with {', '.join(bad)}" if bad else None

    return check


def _exponent_one(view: View) -> str | None:
    bad = any(certificate.rsa_public_exponent == 1 for certificate in view.certificates)
    return "the RSA public exponent is 1" if bad else None


def _poodle(view: View) -> str | None:
    return _names(suite for suite in view.suites.get("SSLv3", ()) if suite.cbc) or None


def _hsts_disabled(view: View) -> str | None:
    hsts = view.hsts or {}
    return "Strict-Transport-Security says max-age=0" if hsts.get("valid") and not hsts.get("max_age_seconds") else None


def _hsts_invalid(view: View) -> str | None:
    hsts = view.hsts or {}
    bad = hsts.get("present") and not hsts.get("valid")
    return f"Strict-Transport-Security is not valid: {hsts.get('value')}" if bad else None


@dataclass(frozen=True)
class Rule:
    """One rule: ``limit`` is the best grade it leaves, ``None`` for a warning (A becomes A-); ``since`` its version."""

    name: str
    limit: str | None
    since: str
    check: Callable[[View], str | None]


RULES: tuple[Rule, ...] = (
    Rule("ssl2_offered", "F", "2009c", _offered("SSLv2")),
    Rule("ssl3_offered", "B", "2009h", _offered("SSLv3")),
    Rule("no_protocol_above_ssl3", "F", "2009i", lambda v: _no_modern_protocol(v) if v.refuses(*_TLS) else None),
    Rule("no_tls12_or_tls13", "C", "2009j", _no_modern_protocol),
    Rule("tls10_or_tls11_offered", "B", "2009q", _offered("TLSv1.0", "TLSv1.1")),
    Rule("tls13_not_offered", None, "2009r", lambda v: "TLSv1.3 is not offered" if v.refuses("TLSv1.3") else None),
    Rule("key_below_1024", "F", "2009e", _key_below(1024)),
    Rule("key_below_2048", "B", "2009e", _key_below(2048)),
    Rule("parameters_below_1024", "F", "2009j", _parameters_below(1024)),
    Rule("parameters_below_2048", "B", "2009j", _parameters_below(2048)),
    Rule("anonymous_suites", "F", "2009c", _suites(lambda suite: suite.authentication == "anon")),
    Rule("export_suites", "F", "2009j", _suites(lambda suite: suite.export)),
    Rule("rsa_public_exponent_1", "F", "2009l", _exponent_one),
    Rule("no_forward_secrecy", "B", "2009p", _negotiated(_TLS, lambda suite: not suite.forward_secrecy)),
    Rule("suites_below_112_bits", "F", "2009c", _suites(lambda suite: suite.bits < 112)),
    Rule("rc4_offered", "B", "2009i", _suites(_rc4)),
    Rule("rc4_negotiated", "C", "2009j", _negotiated(("TLSv1.2", "TLSv1.1"), _rc4)),
    Rule("rc4_only", "F", "2009k", _rc4_only),
    Rule("block_cipher_of_64_bits_negotiated", "C", "2009n", _negotiated(("TLSv1.2", "TLSv1.1"), _block64)),
    Rule("no_aead", "B", "2009p", _no_aead),
    Rule(
        "secure_renegotiation_missing",
        None,
        "2009e",
        lambda v: "renegotiation_info was not echoed" if v.secure_renegotiation is False else None,
    ),
    Rule("compression", "C", "2009j", lambda view: "the server compresses (CRIME)" if view.compression else None),
    Rule("poodle", "C", "2009g", _poodle),
    Rule("md5_or_md2_signature", "F", "2009e", _signed_with("md5", "md2", "md4")),
    Rule("hsts_disabled", None, "2009r", _hsts_disabled),
    Rule("hsts_invalid", None, "2009r", _hsts_invalid),
)


# --- what is not known


def _only_tls13(view: View) -> bool:
    return not view.offered("SSLv2", *_UP_TO_TLS12) and not _unknown(view, "protocols.")


def _unknown(view: View, beginning: str) -> list[str]:
    return [fact for fact in view.not_tested if fact.startswith(beginning)]


def _never_echoed(extension: str) -> Callable[[View], bool]:
    return lambda view: not any(extension in echoed for echoed in view.extensions.values())


def _younger_than_ccs_injection(view: View) -> bool:
    """Whether every protocol up to TLS 1.2 agreed to an extended master secret (RFC 7627).

    CVE-2014-0224 is a fault of OpenSSL alone, repaired in June 2014 in 0.9.8za, 1.0.0m and 1.0.1h; OpenSSL agrees to an
    extended master secret from 1.1.0 (2016) on. SSL 3.0 has no extensions to tell by.
    """
    return view.echoed("extended_master_secret") and not view.offered("SSLv3")


def _younger_than_ticketbleed(view: View) -> bool:
    """Whether the server is no BIG-IP with Ticketbleed: one that takes no tickets, or that speaks TLS 1.3.

    CVE-2016-9244 is a fault of F5's TLS stack in BIG-IP 11.6 and 12.0 to 12.1.2; 13.0 (2017) is repaired, and TLS 1.3,
    which was published in 2018, came later still.
    """
    return _never_echoed("session_ticket")(view) or bool(view.offered("TLSv1.3"))


# Vulnerabilities that would make the grade F and that no question was asked about: they are missing facts unless the
# facts exclude them.
_UNPROBED: tuple[tuple[str, Callable[[View], bool]], ...] = (
    ("vulnerabilities.heartbleed", _never_echoed("heartbeat")),
    ("vulnerabilities.ccs_injection", _younger_than_ccs_injection),
    ("vulnerabilities.ticketbleed", _younger_than_ticketbleed),
    ("vulnerabilities.robot", lambda v: not any(suite.key_exchange == "RSA" for suite in v.suites_up_to_tls12)),
    ("vulnerabilities.padding_oracles", lambda v: not any(suite.cbc for suite in v.suites_up_to_tls12)),
    ("vulnerabilities.insecure_renegotiation", lambda v: v.secure_renegotiation is not False),
)


def missing_facts(view: View) -> list[str]:
    """Return the facts that are not known and could lower the grade."""
    parts = ("protocols.", "cipher_suites.", "groups.", "dh_parameters.", "extensions.", "certificates", "http")
    missing = [fact for fact in view.not_tested if fact.startswith(parts)]
    missing += [fact for fact in _unknown(view, "preference.") if _order_matters(view)]
    if not _only_tls13(view):
        missing += [fact for fact, excluded in _UNPROBED if not excluded(view)]
    return list(dict.fromkeys(missing))


def _order_matters(view: View) -> bool:
    """Whether the rules about what is negotiated come out differently for the two orders."""
    _protocol, suites = negotiated(view)
    return len({(suite.forward_secrecy, suite.aead, _rc4(suite), _block64(suite)) for suite in suites}) > 1


# --- the grade


def grade(view: View) -> Grade:
    """Grade an endpoint; ``grade`` is ``None`` when the facts do not even suffice for the scores."""
    parts = (protocol_score(view), key_exchange_score(view), cipher_strength_score(view))
    total = total_score(*parts)
    findings = [(rule, rule.check(view)) for rule in RULES]
    caps = [
        {"rule": rule.name, "limit": rule.limit, "evidence": evidence}
        for rule, evidence in findings
        if evidence is not None and rule.limit is not None
    ]
    warnings = [
        {"rule": rule.name, "evidence": evidence}
        for rule, evidence in findings
        if evidence is not None and rule.limit is None
    ]
    ignored = None if total is None else _letter(total, caps, bool(warnings), view)
    caps += _trust_caps(view)
    missing = missing_facts(view)
    if total is None and not missing:
        missing = ["protocols"]
    scores = dict(zip(("protocol", "key_exchange", "cipher_strength", "total"), (*parts, total)))
    return Grade(_with_trust(ignored, view), ignored, scores, caps, warnings, missing)


def total_score(protocol: float | None, key_exchange: float | None, cipher_strength: float | None) -> float | None:
    """Return the weighted sum; a category of 0 makes it 0."""
    if protocol is None or key_exchange is None or cipher_strength is None:
        return None
    if 0 in (protocol, key_exchange, cipher_strength):
        return 0.0
    return round(0.3 * protocol + 0.3 * key_exchange + 0.4 * cipher_strength, 2)


def _letter(total: float, caps: list[dict[str, str]], warned: bool, view: View) -> str:
    letter = max([letter_of(total), *(cap["limit"] for cap in caps)], key=LETTERS.index)
    if letter != "A":
        return letter
    if warned:
        return "A-"
    hsts = view.hsts or {}
    max_age = hsts.get("max_age_seconds")
    return "A+" if isinstance(max_age, int) and max_age >= LONG_HSTS_SECONDS else "A"


def _trust_caps(view: View) -> list[dict[str, str]]:
    caps = []
    for certificate in view.certificates:
        if not certificate.trusted:
            caps.append({"rule": "not_trusted", "limit": "T", "evidence": certificate.trust_reason})
        if not certificate.name_matches:
            caps.append({"rule": "name_mismatch", "limit": "M", "evidence": "the certificate is for other names"})
    return [cap for place, cap in enumerate(caps) if cap not in caps[:place]]


def _with_trust(letter: str | None, view: View) -> str | None:
    """T beats M beats any letter."""
    if letter is None:
        return None
    if not all(certificate.trusted for certificate in view.certificates):
        return "T"
    return letter if all(certificate.name_matches for certificate in view.certificates) else "M"


def at_least(result_grade: object, is_upper_bound: object, minimum: str) -> bool:
    """Whether a grade is known to be at least ``minimum``; never for T, M, no grade, or an upper bound."""
    if minimum not in LETTERS:
        raise ValueError(f"{minimum!r} is no grade: use one of {', '.join(LETTERS)}")
    if result_grade not in LETTERS or is_upper_bound is not False:
        return False
    return LETTERS.index(str(result_grade)) <= LETTERS.index(minimum)
