# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Scans of servers whose versions do not follow upon each other."""

from __future__ import annotations

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import scan

from .....peers import servers as peers
from .conftest import Servers

TLS10, TLS11, TLS12 = "TLSv1.0", "TLSv1.1", "TLSv1.2"


def offered(port: int) -> list[str]:
    (facts,) = scan.scan_targets([f"127.0.0.1:{port}"], scan.Options(vulnerability_tests="none"))
    assert not [entry["fact"] for entry in facts["not_tested"] if entry["fact"].startswith("protocols.")]
    return [entry["name"] for entry in facts["protocols"] if entry["status"] == "offered"]


@pytest.mark.parametrize("names", [(TLS10, TLS12), (TLS11, TLS12), (TLS10, TLS11), (TLS10,)])
def test_gnutls_which_refuses_what_is_switched_off_in_between(real: peers.Servers, names: tuple[str, ...]) -> None:
    versions = ":".join(f"+VERS-{name.replace('v', '')}" for name in names)
    assert offered(real.gnutls(f"NORMAL:-VERS-ALL:{versions}")) == list(names)


def test_openssl_which_steps_down_over_it(servers: Servers) -> None:
    port = servers.openssl("-cipher", "ALL:@SECLEVEL=0", "-no_tls1_1", "-no_tls1_3")
    assert offered(port) == [TLS10, TLS12]
