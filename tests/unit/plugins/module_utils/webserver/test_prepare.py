# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is found out before the switch, and that finding it out changes nothing."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import activate, measure
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import wanted as wanted_module
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.lock import Lock
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.ports import Demand
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.prepare import prepare
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.release import Facts
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.server import Listener, Site
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.stage import Layout
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.wanted import Wanted

from . import simulated
from .simulated import STOCK, SimulatedHost, SimulatedServer, tree

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
host, lock = simulated.host, simulated.lock

ENDPOINT = {"server_name": "a.test", "port": 443, "certificates": ["a.pem"]}
LISTENER = Listener("0.0.0.0", 443)
TRIED: dict[str, Any] = {
    "shadow": {"status": "measured", "reason": None},
    "shadow_scans": ["scan"],
    "refused": None,
    "opened": [],
    "warnings": ["tried"],
}


@pytest.fixture(autouse=True)
def _tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wanted_module, "held_sockets", lambda _unit: [])
    monkeypatch.setattr(wanted_module, "demand", lambda _listeners, _held: Demand())
    monkeypatch.setattr(measure, "try_release", lambda *_arguments: dict(TRIED))


@pytest.fixture
def layout(host: SimulatedHost) -> Layout:
    """Return the places of a host that serves what its package brought."""
    return host.layout()


def wanted(tmp_path: Path, text: str = "good\n", **more: Any) -> Wanted:  # noqa: ANN401
    """Return a release whose main file has a text."""
    (tmp_path / "source").write_text(text)
    files = ({"path": "nginx.conf", "remote_src": str(tmp_path / "source")},)
    return Wanted(files, None, Facts(("a.test",), (LISTENER,), (ENDPOINT,)), **more)


def deploy(layout: Layout, lock: Lock, given: Wanted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch and confirm."""
    with monkeypatch.context() as patched:
        patched.setattr("time.time", lambda: 500.0)
        patched.setattr(activate.serving, "accepts", lambda *_arguments: True)
        assert activate.switch(layout, given, 120, lock)["refused"] is None
        activate.confirm(layout, 5, lock)


def test_a_host_that_has_nothing_of_ours(layout: Layout, lock: Lock, tmp_path: Path) -> None:
    found = prepare(layout, wanted(tmp_path), lock, check_mode=False)
    release = found["release"]
    diff = found.pop("diff")
    assert found == {
        "changed": False,
        "unchanged": False,
        "release": release,
        "live_release": None,
        "installed": True,
        "taken_over": False,
        "foreign": [],
        "previous_names": [],
        "previous_listeners": [],
        "confirmed_before": False,
        "names": ["a.test"],
        "listeners": [{"address": "0.0.0.0", "port": 443}],
        "endpoints": [ENDPOINT],
        "refused": None,
        "shadow": {"status": "measured", "reason": None},
        "shadow_scans": ["scan"],
        "live_scans": [ENDPOINT],
        "certificates": {"a.pem": []},
        "conflicts": [],
        "restart_required": [],
        "warnings": ["tried"],
    }
    assert [each["after_header"].split(" ")[0] for each in diff] == [
        "/etc/nginx/nginx.conf",
        "/etc/nginx/ringmaster/current/nginx.conf",
        "/etc/nginx/ringmaster/current/release.json",
    ]
    assert diff[0]["before"] == STOCK.decode()


def test_an_entry_file_that_is_not_for_everybody_is_shown_as_its_digest(
    layout: Layout, lock: Lock, tmp_path: Path
) -> None:
    layout.entry.chmod(0o640)
    shown = prepare(layout, wanted(tmp_path), lock, check_mode=False)["diff"][0]["before"]
    assert shown == f"sha256:{hashlib.sha256(STOCK).hexdigest()}\n"


@pytest.mark.parametrize("check_mode", [True, False])
def test_nothing_is_changed(host: SimulatedHost, layout: Layout, lock: Lock, tmp_path: Path, check_mode: bool) -> None:
    before = tree(host.root)
    prepare(layout, wanted(tmp_path), lock, check_mode)
    assert (tree(host.root), host.told) == (before, [])


def test_a_release_that_is_live_is_unchanged(
    layout: Layout, lock: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(layout, lock, wanted(tmp_path), monkeypatch)
    found = prepare(layout, wanted(tmp_path), lock, check_mode=False)
    assert (found["unchanged"], found["live_release"], found["taken_over"]) == (True, found["release"], True)
    assert (found["diff"], found["live_scans"], found["shadow"]["status"]) == ([], [], "skipped")


@pytest.mark.parametrize("damage", ["old processes", "dead", "file", "entry", "other text"])
def test_a_release_that_is_not_live_as_it_should_be_is_changed(
    host: SimulatedHost,
    layout: Layout,
    lock: Lock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    damage: str,
) -> None:
    deploy(layout, lock, wanted(tmp_path), monkeypatch)
    text = "good\n"
    if damage == "old processes":
        host.since = 498.0
    elif damage == "dead":
        host.active = False
    elif damage == "file":
        (layout.current / "nginx.conf").write_text("by hand")
    elif damage == "entry":
        layout.entry.write_bytes(STOCK)
    else:
        text = "good too\n"
    assert not prepare(layout, wanted(tmp_path, text), lock, check_mode=False)["unchanged"]


def test_what_served_before_us_is_foreign_and_what_we_serve_is_not(
    host: SimulatedHost, layout: Layout, lock: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.sites = [Site("/etc/nginx/sites-enabled/x", ("x.test",), (Listener("::", 80),))]
    foreign = [
        {"file": "/etc/nginx/sites-enabled/x", "names": ["x.test"], "listeners": [{"address": "::", "port": 80}]}
    ]
    assert prepare(layout, wanted(tmp_path), lock, check_mode=False)["foreign"] == foreign
    deploy(layout, lock, wanted(tmp_path), monkeypatch)
    host.sites.append(Site("/etc/nginx/ringmaster/current/nginx.conf", ("a.test",), ()))
    found = prepare(layout, wanted(tmp_path, "good 2"), lock, check_mode=False)
    assert found["foreign"] == foreign
    assert (found["previous_names"], found["previous_listeners"]) == (["a.test"], [{"address": "0.0.0.0", "port": 443}])


def test_what_the_original_release_serves_is_foreign(
    host: SimulatedHost, layout: Layout, lock: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(layout, lock, wanted(tmp_path), monkeypatch)
    deploy(layout, lock, Wanted(release="original"), monkeypatch)
    host.sites = [Site("/etc/nginx/ringmaster/releases/original/nginx.conf", ("x.test",), ())]
    found = prepare(layout, wanted(tmp_path), lock, check_mode=False)
    assert [each["names"] for each in found["foreign"]] == [["x.test"]]
    assert found["previous_names"] == []


def unreadable(_server: SimulatedServer) -> list[Site]:
    """Fail as an adapter does that cannot make sense of the live configuration."""
    raise MeasurementError("/etc/nginx/nginx.conf", "it cannot be read", "Look at it")


def test_a_live_configuration_that_cannot_be_read_matters_only_where_it_is_not_ours(
    layout: Layout, lock: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(SimulatedServer, "sites", unreadable)
        with pytest.raises(MeasurementError):
            prepare(layout, wanted(tmp_path), lock, check_mode=False)
    deploy(layout, lock, wanted(tmp_path), monkeypatch)
    monkeypatch.setattr(SimulatedServer, "sites", unreadable)
    found = prepare(layout, wanted(tmp_path), lock, check_mode=False)
    assert (found["foreign"], len(found["warnings"])) == ([], 1)


def test_a_missing_source_is_refused_before_anything_is_tried(layout: Layout, lock: Lock) -> None:
    given = Wanted(({"path": "a", "remote_src": "/nonexistent"},), None, Facts())
    found = prepare(layout, given, lock, check_mode=False)
    assert found["refused"]["stage"] == "staged"
    assert "/nonexistent" in found["refused"]["reason"]
    assert (found["release"], found["shadow"]["status"]) == ("", "skipped")


@pytest.mark.parametrize(
    ("found_sockets", "reason", "conflicts"),
    [
        (
            Demand(conflicts=((LISTENER, "other (7)"),)),
            None,
            [{"address": "0.0.0.0", "port": 443, "process": "other (7)"}],
        ),
        (Demand(absent=(LISTENER,)), "no interface of this host has that address", []),
        (Demand(moves=((LISTENER, Listener("127.0.0.1", 443)),)), "a reload cannot move that socket", []),
    ],
    ids=["taken", "no such address", "must move"],
)
def test_sockets_that_cannot_be_had(
    layout: Layout,
    lock: Lock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    found_sockets: Demand,
    reason: str | None,
    conflicts: list[dict[str, Any]],
) -> None:
    monkeypatch.setattr(wanted_module, "demand", lambda _listeners, _held: found_sockets)
    found = prepare(layout, wanted(tmp_path), lock, check_mode=False)
    assert found["conflicts"] == conflicts
    assert found["refused"] is None if reason is None else reason in found["refused"]["reason"]


def test_a_socket_that_only_raw_lines_open_is_checked_too(
    layout: Layout, lock: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = Listener("0.0.0.0", 8443)

    def in_the_way(listeners: tuple[Listener, ...], _held: object) -> Demand:
        return Demand(conflicts=((raw, "other (7)"),)) if raw in listeners else Demand()

    monkeypatch.setattr(wanted_module, "demand", in_the_way)
    monkeypatch.setattr(measure, "try_release", lambda *_arguments: {**TRIED, "opened": [LISTENER, raw]})
    found = prepare(layout, wanted(tmp_path), lock, check_mode=False)
    assert found["conflicts"] == [{"address": "0.0.0.0", "port": 8443, "process": "other (7)"}]


def test_a_refusal_of_the_server_is_passed_on_and_nothing_is_scanned(
    layout: Layout, lock: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = {"stage": "tested", "reason": "[emerg]"}
    monkeypatch.setattr(measure, "try_release", lambda *_arguments: {**TRIED, "refused": refused, "shadow_scans": []})
    found = prepare(layout, wanted(tmp_path), lock, check_mode=False)
    assert (found["refused"], found["live_scans"]) == (refused, [])


def test_a_host_without_the_server_gets_what_needs_none(
    host: SimulatedHost, layout: Layout, lock: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SimulatedServer, "capabilities", lambda _self: None)
    layout.entry.unlink()
    found = prepare(layout, wanted(tmp_path), lock, check_mode=True)
    assert (found["installed"], found["refused"]) == (False, None)
    assert found["shadow"] == {"status": "skipped", "reason": "nginx is not installed"}
    assert len(found["diff"]) == 3
    assert tree(host.root) == dict.fromkeys(("etc", "etc/nginx", "etc/tmpfiles.d"), (0o755, ""))


def test_an_interrupted_run_is_repaired_first(
    host: SimulatedHost, layout: Layout, lock: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activate.serving, "accepts", lambda *_arguments: True)
    activate.switch(layout, wanted(tmp_path), 120, lock)
    found = prepare(layout, wanted(tmp_path), lock, check_mode=False)
    assert (found["live_release"], host.served) == ("original", STOCK.decode())
    assert "interrupted" in found["warnings"][0]


def test_going_back_shows_what_that_release_is_for(
    layout: Layout, lock: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(layout, lock, wanted(tmp_path), monkeypatch)
    first = prepare(layout, wanted(tmp_path), lock, check_mode=False)["release"]
    deploy(layout, lock, wanted(tmp_path, "good 2"), monkeypatch)
    found = prepare(layout, Wanted(release=first), lock, check_mode=False)
    assert (found["release"], found["confirmed_before"], found["names"]) == (first, True, ["a.test"])
    assert found["endpoints"] == [ENDPOINT]
