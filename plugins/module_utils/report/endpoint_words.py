# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts of an endpoint in words: its HTTP answers, its sessions, its groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.report.reading import integer, mapping, mappings, text

_SECURITY_HEADERS = (
    "content_security_policy",
    "x_frame_options",
    "x_content_type_options",
    "referrer_policy",
    "permissions_policy",
    "cross_origin_opener_policy",
    "cross_origin_embedder_policy",
    "cross_origin_resource_policy",
)
_OTHER_HEADERS = ("server", "x_powered_by", "alt_svc", "content_encoding")


def http(facts: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the ``http`` of a result as named values; the policy on transport security first, whether sent or not."""
    if not facts:
        return ()
    if facts.get("speaks_http") is False:
        return (("HTTP", "not spoken here"),)
    absent = [_header_name(name) for name in _SECURITY_HEADERS if name in facts and text(facts[name]) is None]
    named = [
        ("Strict-Transport-Security", transport_security(facts.get("strict_transport_security"))),
        ("Status", text(facts.get("status"))),
        ("Redirects to", text(facts.get("location"))),
        *((_header_name(name), text(facts.get(name))) for name in (*_SECURITY_HEADERS, *_OTHER_HEADERS)),
        ("Headers not sent", ", ".join(absent)),
        ("Headers that tell a version", _listed(facts.get("version_disclosure"))),
        *((f"Cookies without {key}", _listed(value)) for key, value in mapping(facts.get("cookies_without")).items()),
    ]
    return tuple((name, value) for name, value in named if value)


def transport_security(policy: object) -> str:
    """Return a policy on transport security (RFC 6797) in words."""
    entry = mapping(policy)
    if not entry:
        return text(policy) or "not measured"
    if entry.get("present") is not True:
        return "not sent"
    words = [f"max-age {text(entry.get('max_age_seconds')) or 'unknown'} s"]
    words += ["includeSubDomains"] if entry.get("include_subdomains") is True else []
    words += ["preload"] if entry.get("preload") is True else []
    words += ["not valid"] if entry.get("valid") is False else []
    return ", ".join(words)


def plain_http(facts: Mapping[str, Any]) -> str | None:
    """Return what the site answers without TLS; ``None`` where it is not known where it does."""
    if not facts:
        return None
    if facts.get("reachable") is False:
        return "nothing listens there"
    if facts.get("speaks_http") is False:
        return "something that is no HTTP answers"
    if facts.get("redirects_to_https") is True:
        return f"redirects to {text(facts.get('location')) or 'https'}"
    if facts.get("redirects_to_https") is False:
        elsewhere = f", and redirects to {text(facts['location'])}" if text(facts.get("location")) else ""
        return f"does not redirect to https: it answers {text(facts.get('status')) or 'without a status'}{elsewhere}"
    return f"not known: {text(facts.get('reason')) or 'no reason given'}"


def sessions(value: object) -> tuple[str, ...]:
    """Return for each protocol of ``sessions`` what resumes a session."""
    return tuple(f"{protocol}: {_resumption(protocol, mapping(facts))}" for protocol, facts in mapping(value).items())


def _resumption(protocol: str, facts: Mapping[str, Any]) -> str:
    lifetime, early = integer(facts.get("ticket_lifetime_seconds")), integer(facts.get("max_early_data_bytes"))
    valid = "" if lifetime is None else f" (valid for {lifetime:,} s)"
    # TLS 1.3 resumes by ticket alone.
    words = [] if protocol == "TLSv1.3" else [_yes_no_unknown(facts.get("session_id"), "session ID")]
    words.append(_yes_no_unknown(facts.get("session_ticket"), "ticket") + valid)
    if early is not None:
        words.append(f"0-RTT data up to {early:,} bytes" if early else "no 0-RTT data")
    return ", ".join(words)


def _yes_no_unknown(value: object, name: str) -> str:
    return f"by {name}" if value is True else f"not by {name}" if value is False else f"by {name}: not known"


def post_quantum(result: Mapping[str, Any]) -> str:
    """Return whether there is a post-quantum group, and, if there is none, why that matters."""
    hybrids = [group.get("name") for group in mappings(result.get("groups")) if group.get("post_quantum") is True]
    if hybrids:
        return f"yes: {', '.join(text(name) or 'unknown' for name in hybrids)}"
    for note in mappings(result.get("not_tested")):
        fact = text(note.get("fact")) or ""
        if fact.startswith("groups") or fact == "protocols.TLSv1.3":
            return f"not known: {text(note.get('reason')) or 'no reason given'}"
    statuses = {entry.get("name"): entry.get("status") for entry in mappings(result.get("protocols"))}
    if statuses.get("TLSv1.3") == "offered" and mappings(result.get("groups")):
        return "none: what is recorded today may be read by a quantum computer later"
    if statuses.get("TLSv1.3") == "not_offered":
        return "none: TLS 1.3, which has such groups, is not offered"
    return "not known"


def _header_name(key: str) -> str:
    return "-".join(word.capitalize() for word in key.split("_"))


def _listed(value: object) -> str | None:
    names = [text(name) for name in value] if isinstance(value, (list, tuple)) else []
    return ", ".join(name for name in names if name) or None
