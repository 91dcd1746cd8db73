# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report for a program: rows a host, the fleet in numbers, and the facts they rest on, as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.report.libraries import Libraries
from ansible_collections.ringmaster.webops.plugins.module_utils.report.model import Host, Report
from ansible_collections.ringmaster.webops.plugins.module_utils.report.packages import Packages
from ansible_collections.ringmaster.webops.plugins.module_utils.report.reading import iso
from ansible_collections.ringmaster.webops.plugins.module_utils.report.vulnerabilities import count_found

# Rises when a key changes its meaning or goes; a new key does not raise it.
SCHEMA_VERSION = 1


def rows(report: Report) -> list[dict[str, Any]]:
    """Return one :func:`row` a host, worst first."""
    return [row(host) for host in report.hosts]


def document(report: Report) -> dict[str, Any]:
    """Return the report without the facts: what is shown, for a program."""
    return {
        "schema_version": SCHEMA_VERSION,
        "generated_at": iso(report.generated_at),
        "verdict": report.verdict,
        "summary": _summary(report),
        "hosts": rows(report),
    }


def to_json(report: Report, facts: Iterable[Mapping[str, Any]]) -> str:
    """Return the whole report as JSON text (RFC 8259, ASCII): :func:`document` and the ``facts`` as they were given."""
    whole = {**document(report), "facts": [_plain(entry) for entry in facts]}
    return json.dumps(whole, indent=2, allow_nan=False) + "\n"


def row(host: Host) -> dict[str, Any]:
    """Return a host as a dictionary: verdict and reasons, TLS, certificate, packages with their coverage, libraries."""
    return {
        "host": host.name,
        "groups": list(host.groups),
        "verdict": host.verdict,
        "reasons": [asdict(reason) for reason in host.reasons],
        "error": host.error,
        "tls": _tls(host),
        "certificate": _certificate(host),
        "packages": None if host.packages is None else _packages(host.packages),
        "libraries": None if host.libraries is None else _libraries(host.libraries),
    }


def _tls(host: Host) -> dict[str, Any] | None:
    if not host.endpoints:
        return None
    worst = host.worst
    return {
        "endpoints": len(host.endpoints),
        "unreachable": host.unreachable,
        "grade": None if worst is None else worst.grade,
        "grade_is_upper_bound": worst is not None and worst.grade_is_upper_bound,
        "grade_endpoint": None if worst is None else worst.label,
        "vulnerabilities": count_found(host.vulnerabilities),
    }


def _certificate(host: Host) -> dict[str, Any] | None:
    if host.expiry is None:
        return None
    endpoint, certificate = host.expiry
    return {
        "endpoint": endpoint.label,
        "subject": certificate.subject,
        "not_after": None if certificate.not_after is None else iso(certificate.not_after),
        "days_left": host.days_left,
    }


def _packages(packages: Packages) -> dict[str, Any]:
    return {
        "verdict": packages.verdict,
        "findings_total": packages.findings_total,
        "by_class": packages.by_class,
        "coverage": {
            "packages": _count(packages.packages.total, packages.packages.verified, "installed"),
            "files": _count(packages.files.total, packages.files.verified, "listed"),
            "bytes_read": packages.bytes_read,
            "gaps": len(packages.gaps),
        },
        "database_problems": len(packages.database_problems),
    }


def _libraries(libraries: Libraries) -> dict[str, Any]:
    return {
        "restarts_due": len(libraries.restart_needed),
        "heartbleed_now": libraries.vulnerable_now,
        "heartbleed_once": bool(libraries.vulnerable_periods),
        "gaps": len(libraries.gaps),
    }


def _count(total: int | None, verified: int | None, name: str) -> dict[str, int | None]:
    return {name: total, "verified": verified}


def _summary(report: Report) -> dict[str, Any]:
    first = report.expiry
    return {
        "hosts": len(report.hosts),
        "hosts_by_verdict": report.hosts_by_verdict,
        "endpoints": len(report.endpoints),
        "endpoints_unreachable": sum(not endpoint.reachable for endpoint in report.endpoints),
        "endpoints_by_grade": report.endpoints_by_grade,
        "vulnerabilities": report.vulnerabilities,
        "certificate_expires_first": None if first is None else {"host": first.name, **(_certificate(first) or {})},
        "findings_total": report.findings_total,
        "coverage": asdict(report.coverage),
    }


def _plain(value: object) -> object:
    """Return ``value`` as JSON can hold it, without what Ansible adds to a result."""
    if isinstance(value, Mapping):
        kept = {str(key): item for key, item in value.items() if not _bookkeeping(str(key))}
        return {key: _plain(item) for key, item in kept.items()}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, (str, bool, int, float)) else str(value)


def _bookkeeping(key: str) -> bool:
    return key == "invocation" or key.startswith("_ansible_")
