# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts of a fleet as the modules return them, to be made worse one key at a time."""

from __future__ import annotations

import copy
from datetime import datetime, timedelta, timezone
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.verdict import NAMES

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=timezone.utc)


def suite(name: str, number: str, exchange: str, authentication: str) -> dict[str, Any]:
    return {
        "name": name,
        "id": number,
        "key_exchange": exchange,
        "authentication": authentication,
        "encryption": "AES_128_GCM",
        "bits": 128,
        "mac": "AEAD",
        "forward_secrecy": True,
    }


SUITES = {
    "TLSv1.2": [
        suite("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "0xC02B", "ECDHE", "ECDSA"),
        suite("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "0xCCA9", "ECDHE", "ECDSA"),
    ],
    "TLSv1.3": [
        suite("TLS_AES_128_GCM_SHA256", "0x1301", "any", "any"),
        suite("TLS_AES_256_GCM_SHA384", "0x1302", "any", "any"),
        suite("TLS_CHACHA20_POLY1305_SHA256", "0x1303", "any", "any"),
    ],
}


def at(days: float) -> str:
    """Return the moment so many days after :data:`NOW`, as a result writes it."""
    return (NOW + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def certificate(days_left: float = 89.5, name: str = "web1.ringmaster.test", lifetime: float = 90) -> dict[str, Any]:
    """Return one entry of ``certificates`` of a result."""
    leaf = {
        "subject": f"CN={name}",
        "issuer": "CN=Lab CA,O=ringmaster.webops",
        "common_name": name,
        "names": [name, "www.ringmaster.test"],
        "serial_number": "7b",
        "not_before": at(days_left - lifetime),
        "not_after": at(days_left),
        "validity_days": int(lifetime),
        "days_left": int(days_left),
        "key_type": "ECDSA",
        "key_bits": 256,
        "curve": "secp256r1",
        "rsa_equivalent_bits": 3072,
        "rsa_public_exponent": None,
        "signature_algorithm": "ecdsa-with-sha256",
        "self_issued": False,
        "sha256_fingerprint": "5a" * 32,
        "spki_sha256": "5b" * 32,
        "ocsp_responders": [],
        "ca_issuers": [],
        "crl_distribution_points": [],
        "must_staple": False,
    }
    return {
        "key_type": "ECDSA",
        "server_name_sent": True,
        "protocols": ["TLSv1.2", "TLSv1.3"],
        "leaf": leaf,
        "chain": [{**leaf, "subject": "CN=Lab CA,O=ringmaster.webops"}],
        "trust": {"trusted": True, "reason": None, "detail": None, "name_matches": True, "chain_incomplete": False},
        "chain_order": "correct",
        "extra_certificates": [],
        "contains_anchor": False,
        "stapled_ocsp": None,
        "must_staple_satisfied": None,
        "scts": [],
    }


def vulnerabilities(**changes: tuple[str, str]) -> dict[str, Any]:
    """Return ``vulnerabilities`` of a result, all harmless but those given as status and evidence."""
    found = {**dict.fromkeys(NAMES, ("not_vulnerable", "it was refused")), **changes}
    return {name: {"status": status, "evidence": evidence} for name, (status, evidence) in found.items()}


def client(name: str, connects: bool | None, reason: str | None = None) -> dict[str, Any]:
    """Return one entry of ``clients`` of a result."""
    return {
        "name": name,
        "reference": False,
        "connects": connects,
        "protocol": "TLSv1.3" if connects else None,
        "cipher_suite": "TLS_AES_128_GCM_SHA256" if connects else None,
        "possible_cipher_suites": [],
        "group": "x25519" if connects else None,
        "reason": reason,
    }


def policy(
    name: str, compliant: bool | None, *items: tuple[str, str, str], undecided: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return a policy as a result holds it; ``items`` are name, status and reason."""
    return {
        "name": name,
        "version": "1.0",
        "source": "https://policy.test/",
        "compliant": compliant,
        "undecided": list(undecided),
        "items": [
            {"item": item, "expected": 1, "actual": 2, "status": status, "reason": reason, "source": None}
            for item, status, reason in items
        ],
    }


HTTP = {
    "speaks_http": True,
    "status": 200,
    "strict_transport_security": {
        "present": True,
        "valid": True,
        "max_age_seconds": 300,
        "include_subdomains": False,
        "preload": False,
        "value": "max-age=300",
    },
    "location": None,
    "content_security_policy": "default-src 'self'",
    "x_frame_options": None,
    "x_content_type_options": None,
    "referrer_policy": None,
    "permissions_policy": None,
    "cross_origin_opener_policy": None,
    "cross_origin_embedder_policy": None,
    "cross_origin_resource_policy": None,
    "server": "nginx/1.22.1",
    "x_powered_by": None,
    "alt_svc": None,
    "content_encoding": None,
    "compressed": False,
    "version_disclosure": ["server"],
    "cookies_without": {"secure": [], "httponly": ["basket"], "samesite": ["basket"]},
}
PLAIN_HTTP = {
    "reachable": True,
    "speaks_http": True,
    "status": 301,
    "redirects_to_https": True,
    "location": "https://www.ringmaster.test/",
    "reason": "",
}
MOZILLA = {
    "version": "6.0",
    "profiles": {
        "modern": policy("Mozilla modern", False, ("protocols", "fail", "not allowed: TLSv1.2")),
        "intermediate": policy("Mozilla intermediate", True, ("dh_bits", "skipped", "no such suite")),
    },
    "best": "intermediate",
    "best_possible": "intermediate",
}
FACTS: dict[str, Any] = {
    "address": "10.77.0.11",
    "addresses": ["10.77.0.11"],
    "address_differences": [],
    "reachable": True,
    "error": None,
    "cipher_suites": SUITES,
    "preference": {"TLSv1.2": "server", "TLSv1.3": "client"},
    "chacha20_priority": False,
    "groups_preference": {"TLSv1.3": "server"},
    "signature_schemes": {},
    "dh_parameters": [],
    "key_reuse": {"DHE": None, "ECDHE": False},
    "alpn": {"TLSv1.2": ["h2"]},
    "extensions": {"TLSv1.2": ["renegotiation_info"]},
    "compression": False,
    "renegotiation": {"secure": True},
    "downgrade_sentinel": "present",
    "fallback_scsv": "not_applicable",
    "server_name_required": False,
    "client_certificate": "not_requested",
    "sessions": {
        "TLSv1.2": {
            "session_id": True,
            "session_ticket": False,
            "ticket_lifetime_seconds": None,
            "max_early_data_bytes": None,
        },
        "TLSv1.3": {
            "session_id": None,
            "session_ticket": True,
            "ticket_lifetime_seconds": 7200,
            "max_early_data_bytes": 0,
        },
    },
    "http": HTTP,
    "plain_http": PLAIN_HTTP,
    "vulnerability_tests": "active",
    "vulnerabilities": vulnerabilities(),
    "clients": [client("Chrome 156", True), client("Java 6u45", False, "no common protocol")],
    "grade_is_upper_bound": False,
    "grade_missing_facts": [],
    "scores": {"protocol": 100, "key_exchange": 90, "cipher_strength": 90, "total": 93},
    "caps": [],
    "warnings": [{"rule": "hsts_short", "since": "2009r", "evidence": "max-age 300 s is less than 180 days"}],
    "mozilla": MOZILLA,
    "policies": [],
    "not_tested": [{"fact": "revocation", "reason": "no CRL or OCSP server is asked"}],
    "connections": 17,
    "duration_ms": 142,
}


def group(name: str, number: str, post_quantum: bool = False) -> dict[str, Any]:
    """Return one entry of ``groups`` of a result."""
    return {
        "name": name,
        "id": number,
        "post_quantum": post_quantum,
        "rsa_equivalent_bits": 3072,
        "protocols": ["TLSv1.3"],
    }


def endpoint(host: str = "web1.ringmaster.test", grade: str = "A", **changes: object) -> dict[str, Any]:
    """Return one entry of ``results`` of ``tls_endpoint_info`` with ``changes``."""
    offered = {"TLSv1.2", "TLSv1.3"}
    names = ("SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3")
    return {
        **copy.deepcopy(FACTS),
        "target": target(host),
        "protocols": [{"name": name, "status": "offered" if name in offered else "not_offered"} for name in names],
        "groups": [group("X25519MLKEM768", "0x11EC", post_quantum=True), group("x25519", "0x001D")],
        "certificates": [certificate(name=host)],
        "grade": grade,
        "grade_trust_ignored": grade,
        **changes,
    }


def target(host: str) -> dict[str, Any]:
    """Return ``target`` of a result."""
    return {
        "name": f"{host}:443",
        "host": host,
        "port": 443,
        "server_name": host,
        "starttls": None,
        "http_port": 80,
    }


def unreachable(host: str = "web3.ringmaster.test", message: str = "Connection refused") -> dict[str, Any]:
    return {
        "target": target(host),
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


def libraries(**changes: object) -> dict[str, Any]:
    """Return a result of ``tls_library_info`` with ``changes``: a host with nothing to complain of."""
    return {
        "changed": False,
        "libraries": [
            {
                "path": "/usr/lib/libssl.so.3",
                "family": "OpenSSL",
                "version": "OpenSSL 3.0.19",
                "heartbeat": False,
                "heartbeat_evidence": "OpenSSL 3.0.19 answers no heartbeats over TLS",
            }
        ],
        "packages": [{"name": "libssl3", "version": "3.0.19-1~deb12u2"}],
        "processes": [
            {"pid": 7, "program": "nginx", "libraries": [{"path": "/usr/lib/libssl.so.3", "deleted": False}]}
        ],
        "processes_total": 1,
        "restart_needed": [],
        "heartbleed": heartbleed(),
        "not_tested": [],
        **changes,
    }


def heartbleed(**changes: object) -> dict[str, Any]:
    """Return ``heartbleed`` of a result of ``tls_library_info`` with ``changes``."""
    return {
        "vulnerable_now": False,
        "vulnerable_packages": [],
        "vulnerable_periods": [],
        "log_coverage": {"from": "2025-01-01 00:00:00", "to": "2026-11-21 06:00:00", "files": ["dpkg.log"]},
        "advice": None,
        **changes,
    }


RESTART = [{"pid": 7, "program": "nginx", "libraries": ["/usr/lib/libssl.so.1.1"]}]
PERIOD = {
    "package": "libssl1.0.0",
    "version": "1.0.1e-2+deb7u4",
    "installed_at": None,
    "ended_at": "2014-04-08 06:25:01",
}


def host(name: str = "web1", **changes: object) -> dict[str, Any]:
    """Return one entry of ``facts`` with ``changes``: a sound web server with one endpoint."""
    return {
        "host": name,
        "groups": ["webservers"],
        "error": None,
        "packages": packages(),
        "tls_endpoints": [endpoint(f"{name}.ringmaster.test")],
        "tls_libraries": libraries(),
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
    bound = endpoint("web5.ringmaster.test", grade_is_upper_bound=True, grade_missing_facts=["vulnerabilities.robot"])
    bleeding = endpoint(
        "web10.ringmaster.test",
        "F",
        vulnerabilities=vulnerabilities(
            heartbleed=("vulnerable", "it answered more than was sent"),
            poodle_tls=("likely", "answered like a right record"),
            breach=("exposed", "the answer to GET / is compressed"),
            robot=("not_tested", "vulnerability_tests is active: deep would test it"),
        ),
    )
    past = heartbleed(vulnerable_periods=[PERIOD], advice="Make new keys")
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
        host("web10", tls_endpoints=[bleeding]),
        host("web11", tls_libraries=libraries(restart_needed=RESTART, heartbleed=past)),
        host("db1", groups=["databases"], tls_endpoints=[]),
        host("old1", packages={"summary": {}}, tls_endpoints=[{"target": {"host": "old1"}, "grade": "A"}]),
        {"host": "gone1", "groups": ["webservers"], "error": "ssh: connect to host gone1 port 22: No route to host"},
    ]
