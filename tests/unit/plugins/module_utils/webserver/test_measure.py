# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A release is tried without a trace: really in a shadow where this machine permits one, else by the server's test."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import trustme

from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import measure, stage
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.lock import Lock
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.nginx import PROGRAM, Nginx
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.release import (
    Facts,
    Release,
    ReleaseFile,
    compose,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.server import Listener
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.shadow import ShadowUnavailableError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.stage import Layout, StagingError

from . import simulated
from .simulated import SimulatedHost, tree

host, lock = simulated.host, simulated.lock

UNSHARE = ["unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "true"]
may_shadow = pytest.mark.skipif(
    os.geteuid() != 0
    or not Path(PROGRAM).exists()
    or subprocess.run(UNSHARE, check=False, capture_output=True).returncode != 0,
    reason="needs nginx, and the right to make namespaces",
)
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
HTTPS, RAW = 44391, 44392


def nginx_release(line: str = "") -> Release:
    """Return a release of nginx with a site, and a raw line."""
    leaf = trustme.CA().issue_cert("a.test")
    text = f"""
        pid /run/nginx.pid;
        error_log /var/log/nginx/error.log;
        events {{}}
        http {{
          server {{
            listen 192.0.2.7:{HTTPS} ssl;
            server_name a.test;
            ssl_certificate /etc/nginx/ringmaster/current/fullchain.pem;
            ssl_certificate_key /etc/nginx/ringmaster/current/privkey.pem;
            ssl_protocols TLSv1.2 TLSv1.3;
          }}
          {line}
        }}"""
    endpoint = {"server_name": "a.test", "port": HTTPS, "address": "192.0.2.7", "name": None, "certificates": []}
    return compose(
        [
            ReleaseFile("nginx.conf", text.encode()),
            ReleaseFile("fullchain.pem", b"".join(part.bytes() for part in leaf.cert_chain_pems)),
            ReleaseFile("privkey.pem", leaf.private_key_pem.bytes(), sensitive=True),
        ],
        Facts(("a.test",), (Listener("192.0.2.7", HTTPS),), (endpoint,)),
    )


@may_shadow
def test_nginx_is_really_measured_and_nothing_stays(lock: Lock) -> None:
    release = nginx_release(f"server {{ listen {RAW}; }}")
    before = tree(Path("/etc/nginx"))
    tried = measure.try_release(Layout(Nginx()), release, release.facts, lock)
    assert (tried["shadow"], tried["refused"]) == ({"status": "measured", "reason": None}, None)
    (scan,) = tried["shadow_scans"]
    assert {each["name"]: each["status"] for each in scan["protocols"]}["TLSv1.3"] == "offered"
    assert scan["target"]["name"] == f"a.test:{HTTPS}"
    assert set(tried["opened"]) == {Listener("192.0.2.7", HTTPS), Listener("0.0.0.0", RAW)}
    assert tree(Path("/etc/nginx")) == before


@may_shadow
@pytest.mark.parametrize(
    ("line", "stage", "reason"),
    [
        ("frobnicate on;", "tested", "unknown directive"),
        ("server { listen unix:/nonexistent/socket; }", "tested", "/nonexistent/socket"),
    ],
)
def test_what_nginx_says_against_a_release(lock: Lock, line: str, stage: str, reason: str) -> None:
    release = nginx_release(line)
    refused = measure.try_release(Layout(Nginx()), release, release.facts, lock)["refused"]
    assert refused["stage"] == stage
    assert reason in refused["reason"]


@may_shadow
def test_a_listener_that_the_release_does_not_open(lock: Lock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "_ANSWER_TIMEOUT_SECONDS", 0.0)
    release = nginx_release()
    refused = measure.try_release(Layout(Nginx()), release, Facts((), (Listener("::", 4),)), lock)["refused"]
    assert refused == {"stage": "shadowed", "reason": "it was started, but does not answer on :: port 4"}


@only_root
@pytest.mark.parametrize(("text", "refused"), [("good", None), ("bad", "its own test ended with an error")])
def test_without_a_shadow_the_servers_own_test_decides(
    host: SimulatedHost,
    lock: Lock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    refused: str | None,
) -> None:
    def unavailable(*_arguments: object, **_options: object) -> None:
        raise ShadowUnavailableError("Shadow", "not permitted", "-")

    monkeypatch.setattr(measure, "run_in_shadow", unavailable)
    (tmp_path / "run").mkdir()
    monkeypatch.setattr(measure, "_TRIAL_DIRECTORY", str(tmp_path / "run"))
    release = compose([ReleaseFile("nginx.conf", text.encode()), ReleaseFile("k", b"k", sensitive=True)], Facts())
    tried = measure.try_release(host.layout(), release, release.facts, lock)
    assert tried["shadow"] == {"status": "unavailable", "reason": "not permitted"}
    assert tried["refused"] == (None if refused is None else {"stage": "tested", "reason": refused})
    assert tree(tmp_path / "run") == {}


@only_root
def test_a_user_that_the_host_does_not_have_is_told_without_a_shadow_too(
    host: SimulatedHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "_TRIAL_DIRECTORY", str(tmp_path))
    release = compose([ReleaseFile("nginx.conf", b"good", owner="nobody-has-it")], Facts())
    with pytest.raises(StagingError, match="the host has no user 'nobody-has-it'"):
        measure.test_outside(host.layout(), release)


@only_root
def test_a_shadow_that_cannot_be_written_to_is_none(
    host: SimulatedHost, lock: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*_arguments: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(measure, "run_in_shadow", lambda work, **_options: work())
    monkeypatch.setattr(measure, "_TRIAL_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(stage, "_write_tree", read_only)
    release = compose([ReleaseFile("nginx.conf", b"good")], Facts())
    shadow = measure.try_release(host.layout(), release, release.facts, lock)["shadow"]
    assert shadow["status"] == "unavailable"
    assert "Read-only file system" in shadow["reason"]


@only_root
def test_texts_refer_to_where_they_are_tested(
    host: SimulatedHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "_TRIAL_DIRECTORY", str(tmp_path))
    left = tmp_path / "ringmaster-nginx-trial-killed"
    left.mkdir()
    seen: list[str] = []

    def test_argv(entry_path: str) -> list[str]:
        seen.append(Path(entry_path).read_text())
        seen.append(entry_path)
        return ["true"]

    layout = host.layout()
    monkeypatch.setattr(layout.server, "test_argv", test_argv)
    text = b"include /etc/nginx/ringmaster/current/a.conf;"
    assert measure.test_outside(layout, compose([ReleaseFile("nginx.conf", text)], Facts())) is None
    assert seen[0] == f"include {Path(seen[1]).parent}/a.conf;"
    assert not left.exists()


def test_names_are_resolved_as_the_host_does() -> None:
    found, unknown = measure.resolve_names({"localhost", "nosuch.invalid", "192.0.2.1", "-x", "a b"})
    assert set(found) == {"localhost"}
    assert set(found["localhost"]) <= {"127.0.0.1", "::1"}
    assert unknown == ["-x", "a b", "nosuch.invalid"]


def test_no_more_time_than_there_is_is_spent_on_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "_RESOLVE_SECONDS", 0.0)
    assert measure.resolve_names({"localhost"}) == ({}, ["localhost"])
