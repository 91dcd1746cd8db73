# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a reference records besides type and content: each property is compared, and each difference has its class."""

from __future__ import annotations

import errno
import hashlib
import os
import struct
from pathlib import Path
from typing import NoReturn

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.accounts import (
    ROOT_ALONE,
    Accounts,
    read_accounts,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    ANYTHING,
    CHARACTER_DEVICE,
    CONFFILE,
    DIRECTORY,
    FIFO,
    FILE,
    SYMLINK,
    UNKNOWN,
    Entry,
    Finding,
    Manifest,
    Recorded,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.reading import Digested, Reader
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.verdict import Judgement, judge
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.verify import verify

ME = Accounts({"root": 0, "me": os.geteuid(), "web": 4711}, {"root": 0, "me": os.getegid(), "web": 4712})


def entry(path: str, kind: str, recorded: Recorded, content: bytes | None = None) -> Entry:
    made = Entry(path.encode(), path.encode(), kind, "p")
    made.digest = hashlib.sha256(content).hexdigest().encode() if content is not None else None
    made.recorded = recorded
    return made


def judged(root: Path, *entries: Entry, accounts: Accounts = ME) -> Judgement:
    tree = Tree(str(root))
    outcomes = list(verify(tree, list(entries), 1, accounts))
    assert [outcome.failure for outcome in outcomes if outcome.failure] == []
    manifest = Manifest(entries=list(entries))
    found = judge(manifest, [seen for outcome in outcomes for seen in outcome.observations], accounts)
    tree.close()
    return found


def findings(root: Path, *entries: Entry) -> list[Finding]:
    return judged(root, *entries).findings


def classes(root: Path, *entries: Entry) -> list[str]:
    return [found.category for found in findings(root, *entries)]


def make(root: Path, content: bytes = b"content", mode: int = 0o644) -> Path:
    path = root / "a"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_what_is_as_recorded_is_no_finding(tmp_path: Path) -> None:
    path = make(tmp_path, mode=0o4755)
    recorded = Recorded(
        mode=0o4755, owner="me", group="me", size=7, modified=int(path.stat().st_mtime), capabilities=""
    )
    assert judged(tmp_path, entry("/a", FILE, recorded, b"content")) == Judgement([], [], [])


def test_a_lost_setuid_bit_is_found(tmp_path: Path) -> None:
    make(tmp_path, mode=0o755)
    (found,) = findings(tmp_path, entry("/a", FILE, Recorded(mode=0o4755), b"content"))
    assert (found.category, found.expected, found.actual) == ("mode_changed", {"mode": "4755"}, {"mode": "0755"})


def test_content_and_mode_of_one_path_are_two_findings(tmp_path: Path) -> None:
    make(tmp_path, mode=0o600)
    assert classes(tmp_path, entry("/a", FILE, Recorded(mode=0o644), b"other")) == ["content_changed", "mode_changed"]


@pytest.mark.parametrize(("owner", "group"), [("web", None), (None, "web"), (4711, 4712)])
def test_another_owner_or_group_is_found(tmp_path: Path, owner: str | int | None, group: str | int | None) -> None:
    make(tmp_path)
    (found,) = findings(tmp_path, entry("/a", FILE, Recorded(owner=owner, group=group), b"content"))
    assert found.category == "owner_changed"
    assert (
        set(found.expected)
        == set(found.actual)
        == {key for key, value in (("owner", owner), ("group", group)) if value is not None}
    )


def test_pitfall_44_name_that_the_root_does_not_know_is_a_gap_and_no_finding(tmp_path: Path) -> None:
    make(tmp_path)
    found = judged(tmp_path, entry("/a", FILE, Recorded(owner="daemon", group="me"), b"content"))
    assert found.findings == []
    assert [(gap.reason, gap.files, "user daemon" in gap.detail) for gap in found.gaps] == [("unknown_user", 1, True)]


def test_pitfall_44_names_are_those_of_the_root_and_a_damaged_passwd_leaves_root_alone(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_bytes(b"web:x:12:13::/:/bin/sh\nweb:x:14:15:::\nbad:x:y:1:\n\0\0\nroot:x:7:7:::\n")
    (tmp_path / "etc/group").symlink_to("/etc/passwd")
    tree = Tree(str(tmp_path))
    assert read_accounts(tree) == Accounts({"root": 0, "web": 12}, {"root": 0, "web": 12})
    (tmp_path / "etc/passwd").write_bytes(b"root:x:0:0:::\nweb:x:12:13:::\n+@staff::::::\n")
    assert read_accounts(tree) == Accounts({"root": 0, "web": 12}, {"root": 0, "web": 12}, True, True)
    (tmp_path / "etc/passwd").unlink()
    assert read_accounts(tree) == ROOT_ALONE
    tree.close()


#: What fails, on what, and what is said of it; mode and owner are other ones in any case.
FAILURES = {
    "content": (errno.EACCES, "file", [], ["permission_denied"]),
    "content is busy": (0, "file", [], ["busy"]),
    "capabilities": (errno.EACCES, "file", [], ["permission_denied"]),
    "capabilities on a bad disk": (errno.EIO, "file", ["unreadable"], []),
    "target": (errno.EIO, "symlink", ["unreadable"], []),
}


@pytest.mark.parametrize("failing", FAILURES)
def test_pitfall_31_what_was_measured_counts_though_something_else_could_not_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    error, kind, unreadable, gaps = FAILURES[failing]
    content = b"content" if kind == "file" else None
    if kind == "file":
        make(tmp_path, mode=0o600)
    else:
        (tmp_path / "a").symlink_to("b")
    recorded = Recorded(mode=0o644, owner="web", target=None if content else b"b", capabilities="" if content else None)

    def fail(*_arguments: object, **_details: object) -> NoReturn:
        raise OSError(error, os.strerror(error))

    if failing == "content":
        monkeypatch.setattr(Reader, "read", lambda *_rest: (Digested(None, 0, error), None))
    elif failing == "content is busy":
        monkeypatch.setattr(Reader, "read", lambda *_rest: (Digested(None, 0, None, True), None))
    else:
        monkeypatch.setattr(os, "getxattr" if content else "readlink", fail)
    found = judged(tmp_path, entry("/a", FILE if content else SYMLINK, recorded, content))
    modes = ["mode_changed"] if content else []
    assert sorted(each.category for each in found.findings) == sorted(["owner_changed", *modes, *unreadable])
    assert [gap.reason for gap in found.gaps] == gaps


@pytest.mark.parametrize("kind", [DIRECTORY, FILE])
def test_pitfall_31_link_to_what_this_user_may_not_see_is_not_of_another_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    (tmp_path / "a").symlink_to("b")

    def deny(*_arguments: object) -> NoReturn:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    for name in ("open", "directory_status"):
        monkeypatch.setattr(Tree, name, deny)
    found = judged(tmp_path, entry("/a", kind, Recorded(mode=0o755), b"x" if kind == FILE else None))
    assert (found.findings, [gap.reason for gap in found.gaps]) == ([], ["permission_denied"])


def test_pitfall_41_a_ghost_that_looks_damaged_is_told_of_and_compared_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"text\n" * 1000 + bytes(8192))
    (tmp_path / "a.txt").chmod(0o600)
    found = judged(tmp_path, entry("/a.txt", ANYTHING, Recorded(mode=0o644, required=False)))
    assert [each.category for each in found.findings] == ["looks_damaged", "mode_changed"]
    assert found.findings[0].expected["type"] == "any"
    assert found.gaps == []


def test_rights_that_nobody_asked_for_are_found_though_the_mode_is_not_known(tmp_path: Path) -> None:
    path = make(tmp_path, mode=0o2750)
    recorded = Recorded(denied=0o4002)
    assert findings(tmp_path, entry("/a", FILE, recorded, b"content")) == []
    path.chmod(0o6752)
    (found,) = findings(tmp_path, entry("/a", FILE, recorded, b"content"))
    assert (found.category, found.expected, found.actual) == (
        "mode_changed",
        {"mode_without": "4002"},
        {"mode": "6752"},
    )
    assert findings(tmp_path, entry("/a", FILE, recorded._replace(mode=0o6752), b"content")) == []


def test_another_size_is_a_changed_content_and_is_not_read_to_its_end(tmp_path: Path) -> None:
    os.truncate(make(tmp_path), 1 << 35)
    (found,) = findings(tmp_path, entry("/a", FILE, Recorded(size=7), b"content"))
    assert (found.category, found.expected["size"], found.actual["size"]) == ("content_changed", 7, 1 << 35)


def test_a_file_without_digest_is_a_gap_unless_its_size_tells(tmp_path: Path) -> None:
    make(tmp_path)
    assert [gap.reason for gap in judged(tmp_path, entry("/a", FILE, Recorded(size=7))).gaps] == ["no_digest"]
    assert classes(tmp_path, entry("/a", FILE, Recorded(size=8))) == ["content_changed"]
    assert classes(tmp_path, entry("/a", CONFFILE, Recorded(size=8))) == ["config_changed"]


def test_a_link_that_leads_elsewhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("old")
    assert findings(tmp_path, entry("/a", SYMLINK, Recorded(mode=0o755, target=b"old"))) == []
    (found,) = findings(tmp_path, entry("/a", SYMLINK, Recorded(target=b"new")))
    assert (found.category, found.expected, found.actual) == ("target_changed", {"target": "new"}, {"target": "old"})


@pytest.mark.parametrize("kind", [FILE, SYMLINK, FIFO, CHARACTER_DEVICE])
def test_another_type_is_one_finding_and_nothing_else_is_compared(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a").mkdir()
    content = b"content" if kind == FILE else None
    recorded = Recorded(mode=0o1777, owner="web", target=b"x", device=1, capabilities="cap_chown=p")
    (found,) = findings(tmp_path, entry("/a", kind, recorded, content))
    assert (found.category, found.expected["type"], found.actual["type"]) == ("type_changed", kind, "directory")


def test_pitfall_27_link_to_a_directory_has_the_mode_of_that_directory(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "a").symlink_to("/real")
    assert findings(tmp_path, entry("/a", DIRECTORY, Recorded(mode=0o700))) == []
    assert classes(tmp_path, entry("/a", DIRECTORY, Recorded(mode=0o755))) == ["mode_changed"]


@pytest.mark.parametrize("kind", [FILE, DIRECTORY, SYMLINK, UNKNOWN])
def test_what_is_not_required_may_be_absent(tmp_path: Path, kind: str) -> None:
    recorded = Recorded(owner="unheard of", required=False)
    assert judged(tmp_path, entry("/a", kind, recorded)) == Judgement([], [], [])
    assert classes(tmp_path, entry("/a", kind, Recorded())) == ["missing"]


def test_a_fifo_is_compared_and_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a", 0o600)
    assert classes(tmp_path, entry("/a", FIFO, Recorded(mode=0o622))) == ["mode_changed"]


def test_a_device_has_a_number() -> None:
    number = Path("/dev/zero").stat().st_rdev
    recorded = Recorded(device=number)
    assert findings(Path("/dev"), entry("/zero", CHARACTER_DEVICE, recorded)) == []
    (found,) = findings(Path("/dev"), entry("/full", CHARACTER_DEVICE, recorded))
    assert (found.category, found.expected, found.actual) == ("device_changed", {"device": "1:5"}, {"device": "1:7"})


def test_capabilities_are_compared_by_meaning(tmp_path: Path) -> None:
    path = make(tmp_path)
    assert classes(tmp_path, entry("/a", FILE, Recorded(capabilities="cap_net_raw=ep"), b"content")) == [
        "capabilities_changed"
    ]
    if os.geteuid():
        pytest.skip("only root may set capabilities")
    os.setxattr(path, "security.capability", struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0))
    for text, expected in (("= cap_net_raw+ep", []), ("", ["capabilities_changed"])):
        assert classes(tmp_path, entry("/a", FILE, Recorded(capabilities=text), b"content")) == expected


def test_the_modification_time_is_evidence_and_no_finding(tmp_path: Path) -> None:
    os.utime(make(tmp_path), (86400, 86400))
    assert findings(tmp_path, entry("/a", FILE, Recorded(modified=0), b"content")) == []
    (found,) = findings(tmp_path, entry("/a", FILE, Recorded(modified=86400), b"other"))
    assert found.expected["modified"] == found.actual["modified"] == "1970-01-02T00:00:00Z"
