# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a server has taken a configuration in use, whatever becomes of the clock meanwhile."""

from __future__ import annotations

import time

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import serving

from . import simulated
from .simulated import SimulatedHost

host = simulated.host


@pytest.mark.parametrize("step_seconds", [-3600.0, 0.0, 3600.0])
@pytest.mark.parametrize(("text", "taken"), [("new", True), ("keeps", False)])
def test_a_clock_that_is_set_hides_nothing_and_pretends_nothing(
    host: SimulatedHost, monkeypatch: pytest.MonkeyPatch, text: str, taken: bool, step_seconds: float
) -> None:
    server, now = host.layout().server, time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    (host.root / "etc/nginx/nginx.conf").write_text(text)
    attempt = serving.begin(server)
    monkeypatch.setattr(time, "time", lambda: now + step_seconds)
    host.since += step_seconds
    assert (serving.outcome(server, attempt, []) is None) is taken
