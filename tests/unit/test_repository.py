# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules that hold for the whole repository."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
LICENCE_LINE = "SPDX-License-Identifier: GPL-3.0-or-later"
# These cannot carry a header: the licence itself, what a tool writes, and the link that makes a clone a collection.
WITHOUT_HEADER = re.compile(
    r"COPYING|LICENSES/.*|CHANGELOG\.md|changelogs/changelog\.yaml|changelogs/fragments/.*|collections/.*|.*/aliases"
)


def tracked_files() -> list[str]:
    """List the repository's files, or those of the copy that ansible-test works on."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return [name for name in listing.split("\0") if name and (ROOT / name).is_file()]


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8", errors="replace")


def test_every_file_states_its_licence() -> None:
    candidates = [name for name in tracked_files() if not WITHOUT_HEADER.fullmatch(name)]

    assert candidates
    assert [name for name in candidates if LICENCE_LINE not in text(name)[:600]] == []


def test_no_mirror_or_registry_host_is_named() -> None:
    hosts = re.compile("|".join([r"\bdeb" + r"\.debian\.org", r"security" + r"\.debian\.org", r"\bpypi" + r"\.org"]))

    assert [name for name in tracked_files() if hosts.search(text(name))] == []


def test_action_group_holds_every_module() -> None:
    runtime = yaml.safe_load((ROOT / "meta/runtime.yml").read_text(encoding="utf-8"))
    modules = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py"))

    assert runtime["action_groups"] == {"webops": modules}


def test_collection_link_points_at_this_tree() -> None:
    link = ROOT / "collections/ansible_collections/ringmaster/webops"

    assert link.readlink() == Path("../../..")
