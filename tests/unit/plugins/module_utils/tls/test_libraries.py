# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host's TLS libraries, its processes, and what dpkg's logs say of Heartbleed."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import (
    heartbleed_history,
    libraries,
    library_verdict,
)

_OLD = b"\x7fELF....\0tls1_process_heartbeat\0"
_VERSION = b"\x7fELF....\0OpenSSL %s 1 Jan 2014\0"


def _tree(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("libssl.so.3", "OpenSSL"),
        ("libssl.so.1.0.0", "OpenSSL"),
        ("libcrypto.so.1.1", "OpenSSL"),
        ("libcrypto-2bb06f2e.so.3", "OpenSSL"),
        ("libssl3.so", "NSS"),
        ("libnss3.so", "NSS"),
        ("libgnutls.so.30.34.3", "GnuTLS"),
        ("libmbedtls.so.14", "Mbed TLS"),
        ("libwolfssl.so.35", "wolfSSL"),
        ("libgnutls-dane.so.0", None),
        ("libnss_files.so.2", None),
        ("libcryptsetup.so.12", None),
        ("libssl.a", None),
        ("libssh.so.4", None),
    ],
)
def test_the_file_name_tells_the_family(name: str, family: str | None) -> None:
    assert libraries.family(f"/usr/lib/{name}") == family


@pytest.mark.parametrize(
    ("ssl", "version", "heartbeat"),
    [
        (_OLD, b"1.0.1f", True),
        (_OLD, b"1.0.1k", True),
        (b"nothing", b"1.0.1t", False),
        (b"nothing", b"3.0.19", False),
    ],
)
def test_heartbeat_code_is_seen_in_the_file(tmp_path: Path, ssl: bytes, version: bytes, heartbeat: bool) -> None:
    _tree(tmp_path, {"usr/lib/x/libssl.so.1": ssl, "usr/lib/x/libcrypto.so.1": _VERSION % version})
    found = {entry["path"]: entry for entry in libraries.observe(tmp_path).libraries}
    assert found["/usr/lib/x/libssl.so.1"]["heartbeat"] is heartbeat
    assert found["/usr/lib/x/libssl.so.1"]["version"] == f"OpenSSL {version.decode()}"


def test_a_library_without_a_version_beside_it_is_not_judged(tmp_path: Path) -> None:
    (library,) = libraries.observe(_tree(tmp_path, {"usr/lib/libssl.so.1": b"nothing"})).libraries
    assert library["heartbeat"] is None
    assert library["heartbeat_evidence"] == "the file does not tell"


def test_links_and_empty_files_do_no_harm(tmp_path: Path) -> None:
    _tree(tmp_path, {"usr/lib/libssl.so.3": b"", "usr/lib/libcrypto.so.3": _VERSION % b"3.0.1"})
    (tmp_path / "usr/lib/libssl.so").symlink_to("libssl.so.3")
    assert [entry["path"] for entry in libraries.observe(tmp_path).libraries] == [
        "/usr/lib/libcrypto.so.3",
        "/usr/lib/libssl.so.3",
    ]


def test_maps_name_libraries_that_are_gone() -> None:
    maps = (
        "7f0000000000-7f0000001000 r-xp 00000000 fe:00 123                        /usr/lib/x/libssl.so.3 (deleted)\n"
        "7f0000002000-7f0000003000 r-xp 00000000 fe:00 124 /usr/lib/with space/libcrypto.so.3\n"
        "7f0000004000-7f0000005000 rw-p 00000000 00:00 0\n"
        "7f0000006000-7f0000007000 rw-p 00000000 00:00 0 [heap]\n"
        "7f0000008000-7f0000009000 r-xp 00000000 fe:00 125 /usr/lib/libc.so.6\n"
    )
    assert libraries.mapped_libraries(maps) == [
        {"path": "/usr/lib/x/libssl.so.3", "deleted": True},
        {"path": "/usr/lib/with space/libcrypto.so.3", "deleted": False},
    ]


def test_a_real_process_on_a_removed_library_needs_a_restart(tmp_path: Path) -> None:
    import _ssl

    mapped = libraries.mapped_libraries(Path("/proc/self/maps").read_text("utf-8"))
    source = next(str(entry["path"]) for entry in mapped if "/libcrypto" in str(entry["path"])), _ssl.__name__
    copy = tmp_path / "libcrypto.so.3"
    shutil.copy(source[0], copy)
    program = "import ctypes, sys; ctypes.CDLL(sys.argv[1]); print('ready', flush=True); sys.stdin.read()"
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(copy)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == "ready\n"
        before = library_verdict.restarts(libraries.observe())
        copy.unlink()
        after = library_verdict.restarts(libraries.observe())
    finally:
        child.communicate(timeout=10)
    assert child.pid not in [entry["pid"] for entry in before]
    assert [entry["libraries"] for entry in after if entry["pid"] == child.pid] == [[str(copy)]]


def test_processes_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    (tmp_path / "proc/77").mkdir(parents=True)
    (tmp_path / "proc/77/maps").mkdir()  # reading it fails, as it does without privileges
    assert [entry["fact"] for entry in libraries.observe(tmp_path).not_tested] == ["processes"]


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ("1.0.1e-2+deb7u4", True),
        ("1.0.1e-2+deb7u5", False),
        ("1.0.1e-2+deb7u21", False),
        ("1.0.1e-2", True),
        ("1.0.1-4ubuntu5.11", True),
        ("1.0.1-4ubuntu5.12", False),
        ("1.0.1c-3ubuntu2.6", True),
        ("1.0.1e-3ubuntu1.2", False),
        ("1.0.1f-1ubuntu2", False),
        ("1.0.1f-1", True),
        ("1.0.1g-1", False),
        ("1.0.2~beta1-1", True),
        ("1.0.2d-1", False),
        ("1.0.0-1", False),
        ("0.9.8o-4squeeze14", False),
        ("3.0.19-1~deb12u2", False),
        ("<none>", False),
    ],
)
def test_which_packages_have_heartbleed(version: str, affected: bool) -> None:
    assert heartbleed_history.is_affected(version) is affected


def _log(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def test_the_logs_tell_when_an_affected_version_was_here(tmp_path: Path) -> None:
    _tree(
        tmp_path,
        {
            "var/log/dpkg.log.2.gz": gzip.compress(
                _log(
                    "2013-06-01 10:00:00 startup archives unpack",
                    "2013-06-01 10:00:01 install libssl1.0.0:amd64 <none> 1.0.1e-2+deb7u3",
                    "2013-06-01 10:00:01 status installed libssl1.0.0:amd64 1.0.1e-2+deb7u3",
                )
            ),
            "var/log/dpkg.log.1": _log(
                "2014-04-08 07:00:00 upgrade libssl1.0.0:amd64 1.0.1e-2+deb7u3 1.0.1e-2+deb7u6",
                "2014-04-08 07:00:01 upgrade nginx:amd64 1.2 1.3",
            ),
            "var/log/dpkg.log": _log("2015-01-01 00:00:00 remove libssl1.0.0:amd64 1.0.1e-2+deb7u6 <none>"),
        },
    )
    history = heartbleed_history.read_history(tmp_path)
    assert history.periods == [
        {
            "package": "libssl1.0.0:amd64",
            "version": "1.0.1e-2+deb7u3",
            "installed_at": "2013-06-01 10:00:01",
            "ended_at": "2014-04-08 07:00:00",
        }
    ]
    assert (history.covered_from, history.covered_to) == ("2013-06-01 10:00:00", "2015-01-01 00:00:00")
    verdict = library_verdict.heartbleed(libraries.Observed(), history, [("libssl3", "3.0.19-1")])
    assert verdict["vulnerable_now"] is False
    assert "before 2014-04-08 07:00:00" in str(verdict["advice"])


def test_a_version_from_before_the_logs_counts(tmp_path: Path) -> None:
    line = "2014-04-08 07:00:00 upgrade libssl1.0.0:amd64 1.0.1e-2 1.0.1e-2+deb7u6"
    (period,) = heartbleed_history.read_history(_tree(tmp_path, {"var/log/dpkg.log": _log(line)})).periods
    assert (period["installed_at"], period["ended_at"]) == (None, "2014-04-08 07:00:00")


def test_a_damaged_log_is_told_and_the_others_are_read(tmp_path: Path) -> None:
    line = "2014-01-01 07:00:00 install libssl1.0.0:amd64 <none> 1.0.1e-2"
    _tree(tmp_path, {"var/log/dpkg.log": _log(line), "var/log/dpkg.log.2.gz": b"no gzip"})
    history = heartbleed_history.read_history(tmp_path)
    assert [entry["fact"] for entry in history.not_tested] == ["log dpkg.log.2.gz"]
    assert [period["ended_at"] for period in history.periods] == [None]
    verdict = library_verdict.heartbleed(libraries.Observed(), history, [("libssl1.0.0", "1.0.1e-2")])
    assert (verdict["vulnerable_now"], verdict["vulnerable_packages"]) == (True, ["libssl1.0.0 1.0.1e-2"])
    assert "before it is upgraded" in str(verdict["advice"])


def test_without_logs_nothing_is_said_about_the_past(tmp_path: Path) -> None:
    verdict = library_verdict.heartbleed(libraries.Observed(), heartbleed_history.read_history(tmp_path), [])
    assert "nothing is known" in str(verdict["advice"])


def test_installed_packages_come_from_the_status_file(tmp_path: Path) -> None:
    status = (
        "Package: libssl3\nStatus: install ok installed\nVersion: 3.0.19-1\nDescription: x\n continued: y\n\n"
        "Package: libssl1.1\nStatus: deinstall ok config-files\nVersion: 1.1.1n\n\n"
        "Package: libc6\nStatus: install ok installed\nVersion: 2.36\n"
    )
    _tree(tmp_path, {"var/lib/dpkg/status": status.encode()})
    assert list(heartbleed_history.installed_versions(tmp_path)) == [("libssl3", "3.0.19-1")]


def test_this_process_is_among_those_with_a_tls_library() -> None:
    assert os.getpid() in [process["pid"] for process in libraries.observe().processes]
