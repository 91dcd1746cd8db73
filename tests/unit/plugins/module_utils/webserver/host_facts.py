# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host says of a release before the switch, with measurements of real servers on this machine."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import scan

from .....peers import servers as peers


@dataclass(frozen=True)
class Lab:
    """What was measured of two servers, and the authority of their certificates."""

    good: dict[str, Any]
    weak: dict[str, Any]
    ca_path: str
    chain: list[str]


def measured(port: int) -> dict[str, Any]:
    (facts,) = scan.scan_targets([{"host": "127.0.0.1", "port": port, "server_name": "localhost"}], scan.Options())
    assert facts["reachable"], facts
    return facts


@contextlib.contextmanager
def measured_servers(directory: Path) -> Iterator[Lab]:
    """Measure a server with Mozilla's intermediate profile, and one that also speaks TLS 1.0."""
    with peers.Servers(directory) as real:
        ca_path = directory / "ca.pem"
        ca_path.write_bytes(real.ca.cert_pem.bytes())
        chain = [
            "".join(part.partition("-----END")[0].split())
            for part in Path(real.rsa.chain).read_text().split("-----BEGIN CERTIFICATE-----")[1:]
        ]
        good = real.openssl("-min_protocol", "TLSv1.2", "-cipher", peers.INTERMEDIATE_CIPHERS)
        weak = real.openssl("-min_protocol", "TLSv1", "-cipher", f"{peers.INTERMEDIATE_CIPHERS}:AES128-SHA:@SECLEVEL=0")
        yield Lab(measured(good), measured(weak), str(ca_path), chain)


def prepared(lab: Lab, **changes: object) -> dict[str, Any]:
    """Return what the module says of a good release on a host that serves a weak one."""
    return {
        "changed": False,
        "unchanged": False,
        "release": "0123456789abcdef",
        "live_release": "fedcba9876543210",
        "installed": True,
        "taken_over": True,
        "foreign": [],
        "previous_names": ["localhost"],
        "previous_listeners": [],
        "refused": None,
        "shadow": {"status": "measured", "reason": None},
        "live_scans": [copy.deepcopy(lab.weak)],
        "shadow_scans": [copy.deepcopy(lab.good)],
        "certificates": {"tls/fullchain.pem": lab.chain},
        "diff": [{"before_header": "x", "before": "", "after_header": "x", "after": "server {}\n"}],
        "conflicts": [],
        "confirmed_before": False,
        "restart_required": [],
        "warnings": [],
        **changes,
    }
