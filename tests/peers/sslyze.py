# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run sslyze, which ``scripts/setup.sh peers`` puts into an environment of its own, and read what it found."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).resolve().parents[2] / ".venv-peers/bin/sslyze"

# Its scan commands: for lists, for what this collection measures without a handshake of its own, and all of them. The
# comparison with a profile is switched off: it is a verdict.
LISTS = ("--sslv2", "--sslv3", "--tlsv1", "--tlsv1_1", "--tlsv1_2", "--tlsv1_3", "--elliptic_curves")
ENUMERATION = (*LISTS, "--certinfo", "--compression", "--fallback", "--ems", "--http_headers")
EVERYTHING = (*ENUMERATION, "--reneg", "--openssl_ccs", "--robot", "--heartbleed", "--resum", "--early_data")

_PROTOCOLS = {
    "SSLv2": "ssl_2_0_cipher_suites",
    "SSLv3": "ssl_3_0_cipher_suites",
    "TLSv1.0": "tls_1_0_cipher_suites",
    "TLSv1.1": "tls_1_1_cipher_suites",
    "TLSv1.2": "tls_1_2_cipher_suites",
    "TLSv1.3": "tls_1_3_cipher_suites",
}


@dataclass
class Found:
    """What sslyze says of one endpoint, by its own names; ``asked`` is what it tried, found or not.

    ``failures`` are the scan commands that ended without a result, with the reason.
    """

    protocols: set[str] = field(default_factory=set)
    suites: dict[str, set[str]] = field(default_factory=dict)
    suites_asked: dict[str, set[str]] = field(default_factory=dict)
    groups: set[str] = field(default_factory=set)
    groups_asked: set[str] = field(default_factory=set)
    failures: dict[str, str] = field(default_factory=dict)


def command(targets: Sequence[str], commands: Sequence[str], output: str = "/dev/null") -> list[str]:
    """Return the command line that scans ``host:port`` targets."""
    return [str(PROGRAM), "--quiet", "--mozilla_config=disable", f"--json_out={output}", *commands, *targets]


def scan(targets: Sequence[str], commands: Sequence[str], timeout_seconds: float) -> list[Found]:
    """Scan targets, and return what was found in their order."""
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory) / "result.json"
        subprocess.run(
            command(targets, commands, str(output)),
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=timeout_seconds,
        )
        results = json.loads(output.read_text(encoding="utf-8"))["server_scan_results"]
    places = {f"{each['server_location']['hostname']}:{each['server_location']['port']}": each for each in results}
    return [_found(places[target]) for target in targets]


def _found(result: dict[str, Any]) -> Found:
    found = Found()
    if result["scan_status"] != "COMPLETED":
        found.failures["connectivity"] = str(result["connectivity_error_trace"])[-300:]
        return found
    attempts = result["scan_result"]
    for name, attempt in attempts.items():
        if attempt is not None and attempt["status"] == "ERROR":
            found.failures[name] = f"{attempt['error_reason']}: {str(attempt['error_trace'])[-300:]}"
    for protocol, key in _PROTOCOLS.items():
        suites = attempts[key]["result"]
        if suites is None:
            continue
        if suites["is_tls_version_supported"]:
            found.protocols.add(protocol)
        found.suites[protocol] = _names(suites["accepted_cipher_suites"])
        found.suites_asked[protocol] = found.suites[protocol] | _names(suites["rejected_cipher_suites"])
    curves = attempts["elliptic_curves"]["result"]
    if curves is not None and curves["supported_curves"] is not None:
        found.groups = {curve["name"] for curve in curves["supported_curves"]}
        found.groups_asked = found.groups | {curve["name"] for curve in curves["rejected_curves"] or ()}
    return found


def _names(entries: Sequence[dict[str, Any]]) -> set[str]:
    return {entry["cipher_suite"]["name"] for entry in entries}
