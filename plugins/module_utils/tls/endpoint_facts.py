# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what one endpoint has shown to its facts, in the shape that the module tls_endpoint_info documents."""

from __future__ import annotations

import base64

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import enumerate as enumeration
from ansible_collections.ringmaster.webops.plugins.module_utils.tls import flights, registry
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.evidence import Evidence, ShownCertificate

_NOT_TESTED = "not_tested"


def facts_of(evidence: Evidence) -> dict[str, object]:
    """Return all that was measured; what was not is noted in ``not_tested``."""
    shown = evidence.flights
    if not all(entry.staple_asked for entry in evidence.certificates.values()):
        evidence.note("stapled_ocsp", "no stapled response was asked for in the only handshake with this certificate")
    for name in flights.disagreeing(shown):
        evidence.note(f"extensions.{name}", "the answers differ: more than one kind of server is behind this address")
    return {
        "protocols": _protocols(evidence),
        "cipher_suites": {
            registry.VERSION_NAMES[version]: [registry.cipher_suite(number).as_dict() for number in found.accepted]
            for version, found in evidence.lists()
            if found.accepted
        },
        "preference": _preferences(evidence),
        "chacha20_priority": evidence.chacha20_priority,
        "groups": _groups(evidence),
        "groups_preference": _groups_preference(evidence),
        "signature_schemes": _signature_schemes(evidence),
        "dh_parameters": flights.dh_parameters(shown),
        "key_reuse": flights.key_reuse(shown),
        "alpn": evidence.alpn,
        "extensions": flights.extensions(shown),
        "compression": flights.compression(shown),
        "renegotiation": {"secure": flights.secure_renegotiation(shown)},
        "downgrade_sentinel": _downgrade_sentinel(evidence),
        "fallback_scsv": evidence.fallback_scsv,
        "server_name_required": evidence.server_name_required,
        "client_certificate": flights.client_certificate(shown, evidence.visit.client_certificate_requested),
        "certificates": [_certificate(entry) for entry in evidence.certificates.values()],
        "sessions": evidence.sessions,
        "http": evidence.visit.http,
        "plain_http": evidence.plain_http,
        "vulnerability_tests": evidence.vulnerability_tests,
        "probes": {name: finding.as_dict() for name, finding in evidence.probes.items()},
        "not_tested": evidence.not_tested,
    }


def _certificate(entry: ShownCertificate) -> dict[str, object]:
    return {
        "key_type": entry.key_type,
        "server_name_sent": entry.server_name_sent,
        "protocols": entry.protocols,
        "chain_complete": entry.chain_complete,
        "chain_der": [_base64(der) for der in entry.chain],
        "stapled_ocsp_der": None if entry.stapled_ocsp is None else _base64(entry.stapled_ocsp),
        "staple_asked": entry.staple_asked,
        "issuers_der": [_base64(der) for der in entry.issuers],
        "sct_list": None if entry.sct_list is None else _base64(entry.sct_list),
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _protocols(evidence: Evidence) -> list[dict[str, str]]:
    entries = [{"name": "SSLv2", "status": evidence.sslv2}]
    for version, found in reversed(evidence.lists()):
        status = "offered" if found.accepted else _NOT_TESTED if found.gap else "not_offered"
        entries.append({"name": registry.VERSION_NAMES[version], "status": status})
    return entries


def _preferences(evidence: Evidence) -> dict[str, str]:
    preferences = {}
    for version, found in evidence.lists():
        if found.accepted:
            name = registry.VERSION_NAMES[version]
            preferences[name] = found.preference or _NOT_TESTED
            if found.preference is None:
                evidence.note(f"preference.{name}", found.preference_gap or found.gap)
    return preferences


def _groups_by_version(evidence: Evidence) -> dict[int, list[int]]:
    seen = {registry.TLS13: list(evidence.found13.groups.accepted)}
    for version in (registry.TLS12, registry.TLS11, registry.TLS10):
        asked = evidence.groups12.accepted if version == evidence.groups12_version else []
        seen[version] = [*(group for _backwards, group in evidence.group_picks.get(version, [])), *asked]
    return seen


def _groups(evidence: Evidence) -> list[dict[str, object]]:
    seen = _groups_by_version(evidence)
    return [
        {
            **registry.named_group(number).as_dict(),
            "protocols": [registry.VERSION_NAMES[version] for version, groups in seen.items() if number in groups],
        }
        for number in dict.fromkeys(group for groups in seen.values() for group in groups)
    ]


def _groups_preference(evidence: Evidence) -> dict[str, str]:
    """Return whose order of groups decides, for each protocol in which a group was picked."""
    preferences = {}
    for version, groups in _groups_by_version(evidence).items():
        if not groups:
            continue
        name = registry.VERSION_NAMES[version]
        if version == registry.TLS13:
            part = evidence.found13.groups
            decided, reason = part.preference, part.preference_gap or part.gap
        else:
            decided, reason = _decided_by_picks(evidence.group_picks.get(version, []), set(groups))
        preferences[name] = decided or _NOT_TESTED
        if decided is None:
            evidence.note(f"groups_preference.{name}", reason)
    return preferences


def _decided_by_picks(picks: list[tuple[bool, int]], groups: set[int]) -> tuple[str | None, str]:
    forwards = {group for backwards, group in picks if not backwards}
    backwards = {group for was_reversed, group in picks if was_reversed}
    if len(forwards) == len(backwards) == 1:
        if forwards != backwards:
            return enumeration.CLIENT, ""
        if len(groups) > 1:
            return enumeration.SERVER, ""
        return None, "no second group was seen"
    return None, "too few answers" if not forwards or not backwards else "the answers follow no order"


def _signature_schemes(evidence: Evidence) -> dict[str, list[dict[str, object]]]:
    """Return the schemes that were asked for one by one, else those that answers happened to show."""
    found = {**flights.signature_schemes(evidence.flights), **evidence.signature_schemes}
    return {
        name: [
            {"name": registry.SIGNATURE_SCHEMES.get(number, f"unknown_0x{number:04X}"), "id": f"0x{number:04X}"}
            for number in numbers
        ]
        for name, numbers in found.items()
    }


def _downgrade_sentinel(evidence: Evidence) -> str:
    tls13 = evidence.found13.suites
    if tls13.gap and not tls13.accepted:
        return _NOT_TESTED
    return flights.downgrade_sentinel(evidence.flights, bool(tls13.accepted))
