# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pitfalls of a verification as a whole, by their numbers in the reference."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.check import describe
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import FILE, Entry, Manifest
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.verdict import judge
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.verify import verify

if TYPE_CHECKING:
    from tests.peers.dpkg_system import System

Nobody = Callable[[], AbstractContextManager[None]]
VERIFY = """
import json, sys
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.check import Options, check
print(json.dumps(check(Options(root=sys.argv[1]))["findings"]))
"""


def classes(result: dict[str, Any]) -> list[tuple[str, str]]:
    return [(finding["class"], finding["path"]) for finding in result["findings"]]


def test_pitfall_24_name_with_a_newline_is_verified_where_a_database_can_say_it(tmp_path: Path) -> None:
    (tmp_path / "two\nlines").write_bytes(b"changed")
    entry = Entry(b"/two\nlines", b"/two\nlines", FILE, "p")
    entry.digest = hashlib.sha256(b"content").hexdigest().encode()
    tree = Tree(str(tmp_path))
    seen = [found for outcome in verify(tree, [entry], 1) for found in outcome.observations]
    tree.close()
    (found,) = judge(Manifest(entries=[entry]), seen).findings
    assert json.loads(json.dumps(describe(found)))["path"] == "/two\nlines"


def everything_below(root: Path) -> dict[Path, tuple[int, ...]]:
    states = {path: path.lstat() for path in [root, *root.rglob("*")]}
    return {path: (state.st_ino, state.st_mtime_ns, state.st_ctime_ns) for path, state in states.items()}


def test_pitfall_35_verification_writes_nothing_and_so_needs_no_writable_root(system: System, nobody: Nobody) -> None:
    before = everything_below(system.root)
    with nobody():
        assert system.check()["summary"]["verdict"] == "consistent"
    system.check()
    assert everything_below(system.root) == before


def test_pitfall_39_override_of_mode_and_owner_is_what_is_expected(system: System) -> None:
    command = ["dpkg-statoverride", f"--root={system.root}", "--update", "--add", "root", "root", "4711"]
    assert os.spawnvp(os.P_WAIT, command[0], [*command, "/usr/bin/alpha"]) == 0
    assert system.check()["summary"]["verdict"] == "consistent"
    system.path("/usr/bin/alpha").chmod(0o755)
    result = system.check()
    assert classes(result) == [("mode_changed", "/usr/bin/alpha")]
    assert (result["findings"][0]["expected"], result["findings"][0]["actual"]) == ({"mode": "4711"}, {"mode": "0755"})


def test_pitfall_10_changed_conffile_is_only_suspected(system: System) -> None:
    system.path("/etc/alpha.conf").write_bytes(b"setting = 1\n" + bytes(5000))
    result = system.check()
    assert (classes(result), result["summary"]["verdict"]) == ([("config_changed", "/etc/alpha.conf")], "incomplete")
    assert [gap["reason"] for gap in result["coverage"]["gaps"]] == ["looks_damaged"]
    assert "blocks hold NUL bytes alone" in result["findings"][0]["actual"]["suspicions"][0]
    system.path("/etc/alpha.conf").write_bytes(b"setting = 2\n")
    result = system.check()
    assert result["summary"]["verdict"] == "consistent"
    assert "suspicions" not in result["findings"][0]["actual"]


def test_pitfall_20_file_without_digest_that_looks_damaged_is_told_of(system: System) -> None:
    (system.info / "alpha.md5sums").unlink()
    system.path("/usr/share/alpha/a.txt").write_bytes(bytes(4096))
    result = system.check()
    assert classes(result) == [("looks_damaged", "/usr/share/alpha/a.txt")]
    assert result["findings"][0]["actual"]["suspicions"] == ["all of it is NUL bytes (4096)"]
    assert {gap["reason"]: gap["files"] for gap in result["coverage"]["gaps"]} == {"no_digest": 4}


def test_pitfall_53_clock_that_jumps_and_times_in_the_future_change_nothing(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.utime(system.path("/usr/bin/alpha"), (1 << 33, 1 << 33))
    clock = iter(range(10_000_000, 0, -1000))
    monkeypatch.setattr(time, "time", lambda: float(next(clock)))
    result = system.check()
    assert (result["summary"]["verdict"], result["duration_ms"] >= 0) == ("consistent", True)


@pytest.mark.parametrize("settings", [{"LC_ALL": "C"}, {"LC_ALL": "C.UTF-8", "TZ": "Pacific/Kiritimati"}])
def test_pitfall_58_locale_and_time_zone_change_nothing(system: System, settings: dict[str, str]) -> None:
    system.install("odd", {"/usr/share/odd/näme": b"1", "/usr/share/odd/latin\udce9": b"2"})
    for path in system.path("/usr/share/odd").iterdir():
        path.write_bytes(b"changed")
    expected = json.loads(json.dumps(system.check()["findings"]))
    assert len(expected) == 2
    top = str(Path(__file__).resolve().parents[5] / "collections")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": top, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", VERIFY, system.root], capture_output=True, check=True, env={**environment, **settings}
    )
    assert json.loads(done.stdout) == expected


def test_pitfall_60_system_inside_another_is_verified_by_its_own_root(system: System) -> None:
    inner = system.path("/var/lib/machines/inner")
    system.copy(system.base / "copy")
    inner.parent.mkdir(parents=True)
    (system.base / "copy/root").rename(inner)
    (inner / "usr/bin/alpha").unlink()
    assert system.check()["summary"]["verdict"] == "consistent"
    assert classes(system.check(root=str(inner))) == [("missing", "/usr/bin/alpha")]
