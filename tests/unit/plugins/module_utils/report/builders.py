# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts of a fleet as the modules return them, to be made worse one key at a time."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=timezone.utc)

SUITES = {
    "TLSv1.2": [
        {"name": "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "id": 0xC02B},
        {"name": "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "id": 0xCCA9},
    ],
    "TLSv1.3": [
        {"name": "TLS_AES_128_GCM_SHA256", "id": 0x1301},
        {"name": "TLS_AES_256_GCM_SHA384", "id": 0x1302},
        {"name": "TLS_CHACHA20_POLY1305_SHA256", "id": 0x1303},
    ],
}


def at(days: float) -> str:
    """Return the moment so many days after :data:`NOW`, as a result writes it."""
    return (NOW + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def certificate(days_left: float = 89.5, name: str = "web1.ringmaster.test", lifetime: float = 90) -> dict[str, Any]:
    return {
        "key_type": "ecdsa",
        "server_name_sent": True,
        "leaf": {
            "subject": f"CN={name}",
            "issuer": "CN=Lab CA,O=ringmaster.webops",
            "names": [name, "www.ringmaster.test"],
            "not_before": at(days_left - lifetime),
            "not_after": at(days_left),
            "days_left": int(days_left),
            "key_type": "ecdsa",
            "key_bits": 256,
            "signature_algorithm": "ecdsa-with-SHA256",
            "sha256_fingerprint": "5a" * 32,
        },
        "chain": [{"subject": "CN=Lab CA,O=ringmaster.webops"}],
        "trust": {"trusted": True, "reason": None, "name_matches": True},
    }


def endpoint(host: str = "web1.ringmaster.test", grade: str = "A", **changes: object) -> dict[str, Any]:
    """Return one entry of ``results`` of ``tls_endpoint_info`` with ``changes``."""
    offered = {"TLSv1.2", "TLSv1.3"}
    names = ("SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3")
    return {
        "target": {"name": f"{host}:443", "host": host, "port": 443, "server_name": host},
        "reachable": True,
        "error": None,
        "addresses": ["10.77.0.11"],
        "protocols": [{"name": name, "status": "offered" if name in offered else "not_offered"} for name in names],
        "cipher_suites": SUITES,
        "preference": {"TLSv1.2": "server", "TLSv1.3": "client"},
        "groups": [
            {"name": "X25519MLKEM768", "id": 0x11EC, "post_quantum": True},
            {"name": "x25519", "id": 29, "post_quantum": False},
        ],
        "certificates": [certificate(name=host)],
        "http": {
            "status": 200,
            "strict_transport_security": {
                "present": True,
                "max_age_seconds": 300,
                "include_subdomains": False,
                "preload": False,
                "valid": True,
            },
        },
        "grade": grade,
        "grade_trust_ignored": grade,
        "grade_is_upper_bound": False,
        "grade_missing_facts": [],
        "scores": {"protocol": 100, "key_exchange": 90, "cipher_strength": 90, "total": 93},
        "caps": [],
        "warnings": [{"rule": "hsts_short", "evidence": "max-age 300 s is less than 180 days"}],
        "not_tested": [{"fact": "stapled_ocsp", "reason": "the certificate names no responder"}],
        "connections": 17,
        "duration_ms": 142,
        **changes,
    }


def unreachable(host: str = "web3.ringmaster.test", message: str = "Connection refused") -> dict[str, Any]:
    return {
        "target": {"name": f"{host}:443", "host": host, "port": 443, "server_name": host},
        "reachable": False,
        "error": {"kind": "connection_refused", "message": message, "remedy": "Is the server running?"},
    }


def packages(verdict: str = "consistent", **changes: object) -> dict[str, Any]:
    """Return a result of ``package_consistency_info`` with ``changes``."""
    return {
        "changed": False,
        "schema_version": 1,
        "coverage": {
            "packages": {"installed": 212, "verified": 212, "not_verified": 0},
            "files": {"listed": 9312, "verified": 9312, "not_verified": 0},
            "bytes_read": 412_345_678,
            "gaps": [],
        },
        "database_problems": [],
        "findings": [],
        "summary": {"verdict": verdict, "findings_total": 0, "by_class": {}},
        "duration_ms": 1840,
        "report_path": None,
        **changes,
    }


def damaged_packages() -> dict[str, Any]:
    return packages(
        findings=[
            {
                "path": "/usr/bin/rsync",
                "packages": ["rsync"],
                "class": "content_changed",
                "expected": {"type": "file", "digest": "md5:" + "0f" * 16},
                "actual": {"type": "file", "digest": "md5:" + "e7" * 16},
            },
            {
                "path": "/usr/share/doc/caf?/README",
                "path_b64": "L3Vzci9zaGFyZS9kb2MvY2Fm6S9SRUFETUU=",
                "packages": ["cafe"],
                "class": "missing",
                "expected": {"type": "file"},
                "actual": {},
            },
        ],
        summary={"verdict": "inconsistent", "findings_total": 812, "by_class": {"content_changed": 811, "missing": 1}},
        report_path="/var/lib/ringmaster/consistency.jsonl",
    )


def host(name: str = "web1", **changes: object) -> dict[str, Any]:
    """Return one entry of ``facts`` with ``changes``: a sound web server with one endpoint."""
    return {
        "host": name,
        "groups": ["webservers"],
        "error": None,
        "packages": packages(),
        "tls_endpoints": [endpoint(f"{name}.ringmaster.test")],
        **changes,
    }


def odd_fleet() -> list[dict[str, Any]]:
    """Return a fleet in which nearly every host is odd in another way."""
    untrusted = certificate()
    untrusted["trust"] = {"trusted": False, "reason": "self-signed certificate", "name_matches": True}
    gaps = [
        {
            "reason": "permission_denied",
            "detail": "only root may read it",
            "packages": 3,
            "files": 17,
            "examples": ["/usr/sbin/unix_chkpwd"],
        }
    ]
    partly = packages("incomplete")
    partly["coverage"] = {
        "packages": {"installed": 212, "verified": 209, "not_verified": 3},
        "files": {"listed": 9312, "verified": 9295, "not_verified": 17},
        "bytes_read": 400_000_000,
        "gaps": gaps,
    }
    problem = {
        "file": "info/nginx.md5sums",
        "problem": "line 4 does not parse",
        "remedy": "Reinstall the package nginx.",
    }
    capped = endpoint(
        "web4.ringmaster.test", "B", caps=[{"rule": "tls10", "limit": "B", "evidence": "TLSv1.0 offered"}]
    )
    bound = endpoint("web5.ringmaster.test", grade_is_upper_bound=True, grade_missing_facts=["dh_parameters"])
    return [
        host("lb1", groups=["loadbalancers"], tls_endpoints=[endpoint("www.ringmaster.test", "A+"), endpoint("lb1")]),
        host("web1"),
        host("web2", packages=partly),
        host("web3", tls_endpoints=[unreachable()]),
        host("web4", tls_endpoints=[capped]),
        host("web5", tls_endpoints=[bound]),
        host("web6", packages=damaged_packages()),
        host("web7", packages=packages("database_unsound", database_problems=[problem])),
        host("web8", tls_endpoints=[endpoint(grade="T", grade_trust_ignored="A", certificates=[untrusted])]),
        host("web9", tls_endpoints=[endpoint("web9", certificates=[certificate(4.2, "web9")])]),
        host("db1", groups=["databases"], tls_endpoints=[]),
        host("old1", packages={"summary": {}}, tls_endpoints=[{"target": {"host": "old1"}, "grade": "A"}]),
        {"host": "gone1", "groups": ["webservers"], "error": "ssh: connect to host gone1 port 22: No route to host"},
    ]
