# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A release is named by everything that makes it, and shows nothing of its secrets."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError, MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import release as module
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.release import (
    Facts,
    Release,
    ReleaseFile,
    compose,
    differences,
    is_intact,
    is_release_name,
    read_release,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.server import Listener

FILE = ReleaseFile("site.conf", b"one\n")
FACTS = Facts(("b.test", "a.test"), (Listener("::", 443), Listener("0.0.0.0", 443)), ({"server_name": "a.test"},))


@pytest.mark.parametrize("name", ["original", "0123456789abcdef"])
def test_names_of_releases(name: str) -> None:
    assert is_release_name(name)


@pytest.mark.parametrize("name", ["", "..", "previous", "0123456789ABCDEF", "0123456789abcde", "0123456789abcdef\n"])
def test_what_is_no_name_of_a_release(name: str) -> None:
    assert not is_release_name(name)


def test_the_same_files_in_any_order_are_the_same_release() -> None:
    other = ReleaseFile("a/b.conf", b"two\n")
    assert compose([FILE, other], FACTS).name == compose([other, FILE], FACTS).name


@pytest.mark.parametrize(
    "change",
    [
        {"path": "other.conf"},
        {"content": b"two\n"},
        {"owner": "nobody"},
        {"group": "daemon"},
        {"mode": 0o640},
        {"sensitive": True},
    ],
    ids=lambda change: str(next(iter(change))),
)
def test_everything_that_makes_a_file_makes_the_name(change: dict[str, object]) -> None:
    changed = dataclasses.replace(FILE, **change)  # type: ignore[arg-type]
    assert compose([changed], FACTS).name != compose([FILE], FACTS).name


def test_what_a_release_is_for_makes_its_name() -> None:
    assert compose([FILE], Facts(("c.test",))).name != compose([FILE], FACTS).name


def test_a_user_by_number_is_the_user_by_name() -> None:
    assert compose([dataclasses.replace(FILE, owner="0", group="0")], FACTS) == compose([FILE], FACTS)


def test_a_sensitive_file_is_for_root_alone() -> None:
    (file, _facts) = sorted(
        compose([ReleaseFile("a.pem", b"k", "nobody", "daemon", 0o644, True)], FACTS).files, key=lambda each: each.path
    )
    assert (file.owner, file.group, file.mode) == ("root", "root", 0o600)


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../up", "a/../b", "./a", "a//b", "a/", "", "a\nb", "a\0b", "x" * 241], ids=repr
)
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(InvalidInputError, match=r"path"):
        compose([ReleaseFile(path, b"")], FACTS)


@pytest.mark.parametrize(
    ("paths", "reason"),
    [
        (["a", "a"], "it is there twice"),
        (["a", "a/b"], "'a' is a file, not a directory"),
        (["release.json"], "a release has one of its own"),
    ],
)
def test_paths_that_cannot_be_together(paths: list[str], reason: str) -> None:
    with pytest.raises(InvalidInputError, match=reason):
        compose([ReleaseFile(path, b"") for path in paths], FACTS)


def test_a_release_has_a_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TOTAL_BYTES", 1000)
    with pytest.raises(InvalidInputError, match="at most"):
        compose([ReleaseFile("a", b"x" * 1001)], FACTS)


def written(directory: Path, release: Release) -> Path:
    """Write what has no secrets, as the modes are."""
    where = directory / release.name
    for file in release.files:
        (where / file.path).parent.mkdir(parents=True, exist_ok=True)
        (where / file.path).write_bytes(file.content)
        (where / file.path).chmod(file.mode)
    return where


@pytest.fixture
def mine() -> ReleaseFile:
    """Return a file of whoever runs the test."""
    return ReleaseFile("conf.d/site.conf", b"one\n", str(os.geteuid()), str(os.getegid()))


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    release = compose([FILE, ReleaseFile("conf.d/site.conf", b"two\n", mode=0o600)], FACTS)
    found = read_release(written(tmp_path, release))
    assert found.facts.names == ("a.test", "b.test")
    assert found.facts.listeners == (Listener("0.0.0.0", 443), Listener("::", 443))
    assert [(file.path, file.content, file.mode) for file in found.files] == [
        (file.path, file.content, file.mode) for file in release.files
    ]


def test_a_release_is_intact_until_something_is_changed(tmp_path: Path, mine: ReleaseFile) -> None:
    facts = Facts()
    release = compose([mine], facts)
    if mine.owner != "0":
        pytest.skip("only root writes the file that says what a release is for")
    where = written(tmp_path, release)
    assert is_intact(read_release(where))
    (where / "conf.d/site.conf").chmod(0o666)
    assert not is_intact(read_release(where))


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"names": [], "listeners": [{}], "endpoints": []}', b"\xff"])
def test_facts_that_make_no_sense(tmp_path: Path, content: bytes) -> None:
    where = written(tmp_path, compose([FILE], FACTS))
    (where / "release.json").write_bytes(content)
    with pytest.raises(MeasurementError, match="does not say what the release is for"):
        read_release(where)


def test_a_link_that_leads_out_of_a_release_is_not_followed(tmp_path: Path) -> None:
    where = written(tmp_path, compose([FILE], FACTS))
    (tmp_path / "secret").write_text("secret")
    (where / "link").symlink_to("../secret")
    found = read_release(where).file("link")
    assert found is not None
    assert found.content == b"../secret"


def test_a_fifo_in_a_release_is_told_and_not_waited_for(tmp_path: Path) -> None:
    where = written(tmp_path, compose([FILE], FACTS))
    os.mkfifo(where / "fifo")
    with pytest.raises(MeasurementError, match="it cannot be read"):
        read_release(where)


def difference(before: ReleaseFile | None, after: ReleaseFile) -> dict[str, str]:
    """Return the difference of a release with one file to one with another."""
    old = compose([before], FACTS) if before else None
    return next(
        each for each in differences(old, compose([after], FACTS), "/current") if "site.conf" in each["after_header"]
    )


def test_a_difference_shows_text_owner_and_mode() -> None:
    assert difference(FILE, dataclasses.replace(FILE, content=b"two\n", mode=0o644, owner="nobody")) == {
        "before_header": "/current/site.conf (root:root 0644)",
        "before": "one\n",
        "after_header": "/current/site.conf (nobody:root 0644)",
        "after": "two\n",
    }


@pytest.mark.parametrize(
    "secret",
    [
        dataclasses.replace(FILE, content=b"canary", sensitive=True),
        dataclasses.replace(FILE, content=b"canary", mode=0o640),
        dataclasses.replace(FILE, content=b"canary\xff"),
    ],
    ids=["sensitive", "not for everybody", "no text"],
)
@pytest.mark.parametrize("before", [None, FILE], ids=["new", "changed"])
def test_a_difference_shows_no_secret(secret: ReleaseFile, before: ReleaseFile | None) -> None:
    shown = difference(before, secret)
    assert shown["after"] == f"sha256:{secret.sha256}\n"
    assert "canary" not in str(shown)


def test_what_was_a_secret_is_not_shown_when_it_is_none_any_more() -> None:
    before = dataclasses.replace(FILE, content=b"canary", sensitive=True)
    assert "canary" not in str(difference(before, FILE))
