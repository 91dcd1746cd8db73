# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.certificates.deployment import deployment

FILES = {"fullchain.pem": b"chain", "privkey.pem": b"key"}


def certificate(**more: object) -> dict[str, Any]:
    files = [
        {
            "name": name,
            "source": f"/control/{name}",
            "sha256": hashlib.sha256(content).hexdigest(),
            "private": name == "privkey.pem",
        }
        for name, content in FILES.items()
    ]
    return {
        "name": "www",
        "owner": "root",
        "group": "root",
        "complete": True,
        "version": "1" * 16,
        "files": files,
        **more,
    }


def found(directory: Path) -> list[dict[str, Any]]:
    """Look at a directory as the module find does, with everything in it owned by root."""
    result = []
    for folder, directories, files in os.walk(directory, followlinks=True):
        for path in (Path(folder) / name for name in directories + files):
            status = path.lstat()
            entry = {
                "path": str(path),
                "isdir": path.is_dir() and not path.is_symlink(),
                "isreg": path.is_file() and not path.is_symlink(),
                "islnk": path.is_symlink(),
                "mode": f"{status.st_mode & 0o7777:04o}",
                "pw_name": "root",
                "gr_name": "root",
                "inode": status.st_ino,
                "dev": status.st_dev,
            }
            if entry["isreg"]:
                entry["checksum"] = hashlib.sha256(path.read_bytes()).hexdigest()
            result.append(entry)
    return result


def steps(directory: Path, one: dict[str, Any]) -> dict[str, list[str]]:
    done = deployment([one], found(directory), str(directory))
    return {
        kind: [step["path"].removeprefix(f"{directory}/") for step in those] for kind, those in done.items() if those
    }


def deploy(directory: Path, one: dict[str, Any]) -> None:
    """Do what is said, as the role does."""
    done = deployment([one], found(directory), str(directory))
    for step in done["directories"]:
        Path(step["path"]).mkdir(exist_ok=True)
        Path(step["path"]).chmod(int(step["mode"], 8))
    for step in done["files"]:
        Path(step["path"]).write_bytes(FILES[Path(step["path"]).name])
        Path(step["path"]).chmod(int(step["mode"], 8))
    for step in done["links"]:
        Path(step["path"]).unlink(missing_ok=True)
        Path(step["path"]).symlink_to(step["target"])


NEW = ".versions/www/2222222222222222"


def test_a_bare_host_gets_everything_and_then_nothing(tmp_path: Path) -> None:
    directory = tmp_path / "ringmaster"
    first = deployment([certificate()], [], str(directory))
    assert [Path(step["path"]).name for step in first["directories"]] == ["ringmaster", ".versions", "www", "1" * 16]
    assert [step["mode"] for step in first["directories"]] == ["0755", "0755", "0755", "0750"]

    deploy(directory, certificate())
    assert (directory / "www/privkey.pem").read_bytes() == b"key"
    assert steps(directory, certificate()) == {}


def test_another_version_is_complete_before_the_link_leads_to_it(tmp_path: Path) -> None:
    deploy(tmp_path, certificate())
    done = deployment([certificate(version="2" * 16)], found(tmp_path), str(tmp_path))

    assert [step["path"] for step in done["files"]] == [f"{tmp_path}/{NEW}/{name}" for name in FILES]
    assert done["links"] == [{"path": f"{tmp_path}/www", "target": NEW}]
    assert done["obsolete"] == [{"path": f"{tmp_path}/.versions/www/1111111111111111"}]


def half_copied(directory: Path) -> None:
    (directory / NEW).mkdir(mode=0o750)
    (directory / NEW / "fullchain.pem").write_bytes(b"chain")


def copied_and_not_linked(directory: Path) -> None:
    (directory / "www").rename(directory / "aside")
    deploy(directory, certificate(version="2" * 16))
    (directory / "www").unlink()
    (directory / "aside").rename(directory / "www")


def linked_and_not_tidied(directory: Path) -> None:
    deploy(directory, certificate(version="2" * 16))


@pytest.mark.parametrize(
    ("killed", "expected"),
    [
        (half_copied, {"files": [f"{NEW}/privkey.pem"], "links": ["www"]}),
        (copied_and_not_linked, {"links": ["www"]}),
        (linked_and_not_tidied, {}),
    ],
)
def test_what_a_killed_run_left_is_completed(
    tmp_path: Path, killed: Callable[[Path], None], expected: dict[str, list[str]]
) -> None:
    deploy(tmp_path, certificate())
    killed(tmp_path)
    done = steps(tmp_path, certificate(version="2" * 16))
    done.pop("directories", None)

    assert done.pop("obsolete") == [".versions/www/1111111111111111"]
    if "files" in done:
        done["files"] = [path for path in done["files"] if path.endswith("privkey.pem")]
    assert done == expected


@pytest.mark.parametrize(
    ("path", "mode", "kind"),
    [
        (".versions/www/1111111111111111/privkey.pem", 0o644, "files"),
        (".versions/www/1111111111111111", 0o755, "directories"),
    ],
)
def test_what_somebody_opened_is_closed_again(tmp_path: Path, path: str, mode: int, kind: str) -> None:
    deploy(tmp_path, certificate())
    (tmp_path / path).chmod(mode)

    assert path in steps(tmp_path, certificate())[kind]


def test_a_changed_file_is_mended(tmp_path: Path) -> None:
    deploy(tmp_path, certificate())
    (tmp_path / "www/fullchain.pem").write_bytes(b"another")

    assert steps(tmp_path, certificate()) == {"files": [".versions/www/1111111111111111/fullchain.pem"]}


def test_a_group_may_read_the_key() -> None:
    done = deployment([certificate(group="www-data")], [], "/etc/ssl/ringmaster")

    assert [(step["mode"], step["group"]) for step in done["files"]] == [("0644", "www-data"), ("0640", "www-data")]


def test_directory_of_an_earlier_release_makes_way(tmp_path: Path) -> None:
    (tmp_path / "www").mkdir()
    done = steps(tmp_path, certificate())

    assert (done["in_the_way"], done["links"]) == (["www"], ["www"])


def test_an_incomplete_certificate_is_left_as_it_is(tmp_path: Path) -> None:
    deploy(tmp_path, certificate())

    assert steps(tmp_path, certificate(version="2" * 16, complete=False)) == {}
