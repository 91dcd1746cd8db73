# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a result of ``tls_endpoint_info`` says about each item of a policy; nothing here judges.

What a result does not say is a gap with its reason, never an empty answer.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Callable

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import usual_names
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.served_certificate import shown_by_name

_DAY_SECONDS = 86400
# Nothing here depends on these: only leaves are looked at.
_ABOUT_CHAINS = ("certificates.chain", "certificates.issuers")
_OLD_PROTOCOLS = ("SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2")  # TLS 1.3 negotiates neither compression nor EMS


@dataclass(frozen=True)
class Seen:
    """The values seen for one item.

    ``gap`` says why there may be more than was seen, ``unknown`` holds the names whose state is not known, with the
    reason; ``not_applicable`` says why the item has no meaning here; ``shown`` is what stands in a verdict.
    """

    values: Sequence[object] = ()
    gap: str = ""
    not_applicable: str = ""
    unknown: Mapping[str, str] = field(default_factory=dict)
    display: object = None

    @property
    def shown(self) -> object:
        """Return the values as they stand in a verdict: null where nothing was seen."""
        return self.display if self.display is not None else (list(self.values) if self.values else None)


def measure(item: str, result: Mapping[str, Any]) -> Seen:
    """Return what a result says about an item of a policy."""
    if not result.get("reachable"):
        error = result.get("error") or {}
        return Seen(gap=f"the endpoint was not measured: {error.get('message') or 'no reason is given'}")
    return _MEASURES[item](result)


def gap(result: Mapping[str, Any], *facts: str) -> str:
    """Return why facts of these names (or below them: ``groups`` includes ``groups.TLSv1.2``) were not tested."""
    reasons = [
        f"{note.get('fact')}: {note.get('reason')}"
        for note in result.get("not_tested") or ()
        if any(note.get("fact") == fact or str(note.get("fact")).startswith(f"{fact}.") for fact in facts)
    ]
    return "; ".join(reasons)


def _statuses(result: Mapping[str, Any]) -> dict[str, str]:
    return {entry["name"]: entry["status"] for entry in result.get("protocols") or ()}


def _missing(result: Mapping[str, Any], key: str) -> str:
    return "" if result.get(key) is not None else f"the result has no {key}"


def _protocols(result: Mapping[str, Any]) -> Seen:
    statuses = _statuses(result)
    if not statuses:
        return Seen(gap="the result has no protocols")
    unknown = {
        name: gap(result, f"protocols.{name}") or "it was not tested"
        for name, status in statuses.items()
        if status not in ("offered", "not_offered")
    }
    return Seen([name for name, status in statuses.items() if status == "offered"], unknown=unknown)


def _untested_protocols(result: Mapping[str, Any]) -> str:
    """Return why the suites of some protocol may be missing; SSLv2's are never listed."""
    names = [name for name, status in _statuses(result).items() if status == "not_tested" and name != "SSLv2"]
    return "; ".join(gap(result, f"protocols.{name}") or f"{name} was not tested" for name in names)


def _cipher_suites(result: Mapping[str, Any]) -> Seen:
    names: list[str] = []
    for entries in (result.get("cipher_suites") or {}).values():
        names += [entry["name"] for entry in entries if entry["name"] not in names]
    gaps = [gap(result, "cipher_suites"), _untested_protocols(result), _missing(result, "cipher_suites")]
    return Seen(names, gap="; ".join(filter(None, gaps)))


def _groups(result: Mapping[str, Any]) -> Seen:
    names = [entry["name"] for entry in result.get("groups") or ()]
    return Seen(names, gap="; ".join(filter(None, (gap(result, "groups"), _missing(result, "groups")))))


def _signature_schemes(result: Mapping[str, Any]) -> Seen:
    schemes = result.get("signature_schemes")
    if schemes is None:
        return Seen(gap="the result has no signature_schemes")
    names: list[str] = []
    for entries in schemes.values():
        names += [entry["name"] for entry in entries if entry["name"] not in names]
    return Seen(names, gap=gap(result, "signature_schemes"))


def _certificates(result: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], str]:
    """Return the certificates that a client with the server's name gets, and what keeps that from being all of them."""
    entries = list(result.get("certificates") or ())
    named = shown_by_name(entries)
    facts = [
        note["fact"] for note in result.get("not_tested") or () if str(note.get("fact")).startswith("certificates")
    ]
    gaps = [gap(result, fact) for fact in facts if fact not in _ABOUT_CHAINS]
    if any("error" in entry.get("leaf", {}) for entry in named):
        gaps.append("a certificate cannot be parsed")
    if not named and not gaps:
        gaps.append("no certificate was seen")
    return [entry for entry in named if "error" not in entry.get("leaf", {})], "; ".join(gaps)


def _of_leaves(result: Mapping[str, Any], value: Callable[[Mapping[str, Any]], object], subject: str) -> Seen:
    """Collect one value of every leaf; a leaf whose value is ``None`` is a gap."""
    entries, missing = _certificates(result)
    values = [value(entry["leaf"]) for entry in entries]
    if None in values:
        missing = "; ".join(filter(None, (missing, f"the {subject} of a certificate is not known")))
    return Seen([each for each in values if each is not None], gap=missing)


def _key_types(result: Mapping[str, Any]) -> Seen:
    return _of_leaves(result, lambda leaf: leaf.get("key_type"), "type of the key")


def _curves(result: Mapping[str, Any]) -> Seen:
    def curve(leaf: Mapping[str, Any]) -> object:
        return usual_names.group_name(leaf["curve"]) if leaf.get("curve") else None

    return _of_kind(result, "ECDSA", curve, "curve")


def _rsa_key_bits(result: Mapping[str, Any]) -> Seen:
    return _of_kind(result, "RSA", lambda leaf: leaf.get("key_bits"), "size of the key")


def _of_kind(result: Mapping[str, Any], kind: str, value: Callable[[Mapping[str, Any]], object], subject: str) -> Seen:
    entries, missing = _certificates(result)
    chosen = [entry for entry in entries if entry["leaf"].get("key_type") == kind]
    if not chosen:
        return Seen(gap=missing) if missing else Seen(not_applicable=f"no certificate has an {kind} key")
    seen = _of_leaves({**result, "certificates": chosen}, value, subject)
    return Seen(seen.values, gap=seen.gap or missing)


def _signatures(result: Mapping[str, Any]) -> Seen:
    return _of_leaves(result, lambda leaf: leaf.get("signature_algorithm"), "signature algorithm")


def _lifetime_days(result: Mapping[str, Any]) -> Seen:
    return _of_leaves(result, _days, "validity")


def _days(leaf: Mapping[str, Any]) -> int | None:
    """Return the days of validity, begun ones counted; both ends belong to it (RFC 5280 4.1.2.5)."""
    try:
        first, last = (
            datetime.datetime.strptime(str(leaf[key]), "%Y-%m-%dT%H:%M:%SZ") for key in ("not_before", "not_after")
        )
    except (KeyError, ValueError):
        return None
    return -(-(int((last - first).total_seconds()) + 1) // _DAY_SECONDS)


def _dh_bits(result: Mapping[str, Any]) -> Seen:
    values = [entry["bits"] for entry in result.get("dh_parameters") or ()]
    reason = gap(result, "dh_parameters") or _missing(result, "dh_parameters")
    if not values and not reason:
        # Before TLS 1.3 a DHE suite shows its parameters; without such a suite there are none.
        suites = _cipher_suites(result)
        if any(name.startswith(("TLS_DHE_", "TLS_DH_anon_")) for name in map(str, suites.values)):
            reason = "DHE suites are accepted, but their parameters were not seen"
        elif suites.gap:
            reason = suites.gap
        else:
            return Seen(not_applicable="no suite with finite field Diffie-Hellman is accepted")
    return Seen(values, gap=reason)


def _hsts(result: Mapping[str, Any]) -> Seen:
    if (result.get("target") or {}).get("starttls"):
        return Seen(not_applicable="HSTS concerns HTTP alone")
    http = result.get("http")
    if http is None:
        return Seen(gap=gap(result, "http") or "the result has no http")
    if not http.get("speaks_http"):
        return Seen(not_applicable="the endpoint does not speak HTTP")
    hsts = http.get("strict_transport_security")
    if hsts is None:
        return Seen(gap="the header was not read")
    if not hsts.get("present") or not hsts.get("valid"):
        # A header that a browser cannot read is no policy at all (RFC 6797 8.1).
        return Seen([0], display=hsts.get("value") or "no valid header")
    return Seen([hsts.get("max_age_seconds") or 0])


def _server_preference(result: Mapping[str, Any]) -> Seen:
    preference = result.get("preference")
    if preference is None:
        return Seen(gap="the result has no preference")
    unknown = [name for name, chosen in preference.items() if chosen == "not_tested"]
    reason = gap(result, "preference") or ", ".join(f"{name} was not tested" for name in unknown)
    values = [chosen == "server" for name, chosen in preference.items() if name not in unknown]
    if not values and not reason:
        return Seen(not_applicable="no protocol has a choice of suites")
    return Seen(values, gap=reason if unknown else "", display=dict(preference))


def _ocsp_staple(result: Mapping[str, Any]) -> Seen:
    """See whether every leaf that could be stapled is: one without a responder cannot (RFC 6960 A.1)."""
    entries, reason = _certificates(result)
    values: list[object] = []
    for entry in entries:
        leaf = entry["leaf"]
        if "ocsp_responders" in leaf and not leaf["ocsp_responders"] and not leaf.get("must_staple"):
            continue
        if "ocsp_responders" not in leaf or "stapled_ocsp" not in entry:
            reason = reason or "stapling was not measured"
        else:
            values.append(entry["stapled_ocsp"] is not None)
    reason = reason or gap(result, "stapled_ocsp", "ocsp_staple")
    if not values and not reason:
        return Seen(not_applicable="no certificate names an OCSP responder")
    return Seen(values, gap=reason)


def _of_old_protocols(result: Mapping[str, Any], fact: str, value: object) -> Seen:
    """See something that exists up to TLS 1.2; ``None`` is a gap only where such a protocol is or may be offered."""
    if value is not None:
        return Seen([value], gap=gap(result, fact))
    states = [_statuses(result).get(name, "not_tested") for name in _OLD_PROTOCOLS]
    if "offered" in states or "not_tested" in states:
        return Seen(gap=gap(result, fact) or f"the result has no {fact}")
    return Seen(not_applicable="TLS 1.3 alone is offered, which has no such thing")


def _secure_renegotiation(result: Mapping[str, Any]) -> Seen:
    return _of_old_protocols(result, "renegotiation", (result.get("renegotiation") or {}).get("secure"))


def _compression(result: Mapping[str, Any]) -> Seen:
    return _of_old_protocols(result, "compression", result.get("compression"))


def _extended_master_secret(result: Mapping[str, Any]) -> Seen:
    extensions = result.get("extensions") or {}
    offered = [name for name in _OLD_PROTOCOLS[1:] if _statuses(result).get(name) == "offered"]
    if not offered:
        return _of_old_protocols(result, "extensions", None)
    seen = ["extended_master_secret" in extensions[name] for name in offered if name in extensions]
    lacking = [f"the extensions of {name} were not seen" for name in offered if name not in extensions]
    return Seen(seen, gap=gap(result, "extensions") or "; ".join(lacking))


def _early_data(result: Mapping[str, Any]) -> Seen:
    status = _statuses(result).get("TLSv1.3")
    if status == "not_offered":
        return Seen(not_applicable="early data exists in TLS 1.3 alone")
    most = ((result.get("sessions") or {}).get("TLSv1.3") or {}).get("max_early_data_bytes")
    if most is None:
        return Seen(gap=gap(result, "sessions") or "whether early data is accepted was not measured")
    return Seen([most > 0])


_MEASURES: dict[str, Callable[[Mapping[str, Any]], Seen]] = {
    "protocols": _protocols,
    "cipher_suites": _cipher_suites,
    "groups": _groups,
    "signature_schemes": _signature_schemes,
    "certificate_key_types": _key_types,
    "certificate_curves": _curves,
    "certificate_signatures": _signatures,
    "rsa_key_bits": _rsa_key_bits,
    "dh_bits": _dh_bits,
    "hsts_max_age_seconds": _hsts,
    "certificate_lifetime_days": _lifetime_days,
    "server_preference": _server_preference,
    "ocsp_staple": _ocsp_staple,
    "secure_renegotiation": _secure_renegotiation,
    "compression": _compression,
    "extended_master_secret": _extended_master_secret,
    "early_data": _early_data,
}
