# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The TLS libraries of this host: which files there are, which of them running processes have mapped.

Sources: proc_pid_maps(5); the version is the text that OpenSSL carries in its library (``OPENSSL_VERSION_TEXT``). A
program that was linked statically has no library that could be seen, and a copy inside another file system (a
container's) is seen by its processes alone.
"""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

# The file names of OpenSSL and its forks, GnuTLS, NSS, Mbed TLS and wolfSSL.
_NAME = re.compile(r"^lib(?:(ssl|crypto|gnutls|mbedtls|wolfssl)(?:-?[.\d][-.0-9a-z_]*)?|(nss3|ssl3))\.so[-.0-9a-z_]*$")
_FAMILIES = {"ssl": "OpenSSL", "crypto": "OpenSSL", "gnutls": "GnuTLS", "nss3": "NSS", "ssl3": "NSS"}
_FAMILIES.update({"mbedtls": "Mbed TLS", "wolfssl": "wolfSSL"})
_DIRECTORIES = ("lib", "lib64", "usr/lib", "usr/lib64", "usr/local/lib", "usr/local/lib64", "opt")
_VERSION = re.compile(rb"(?:OpenSSL|LibreSSL) \d+\.\d+\.\d+[a-z]{0,2}(?:-[a-z0-9]+)?(?= )")
# What an export table says of a library that answers heartbeats over TLS; the fix of 2014 kept the function.
_HEARTBEAT = b"\0tls1_process_heartbeat\0"
_DELETED = " (deleted)"
_MAX_LIBRARY_BYTES = 64 * 1024 * 1024
_MAX_MAPS_BYTES = 4 * 1024 * 1024
_MAX_FILES = 1000


@dataclass
class Observed:
    """What was seen: libraries, the processes that use them, and what could not be read."""

    libraries: list[dict[str, object]] = field(default_factory=list)
    processes: list[dict[str, object]] = field(default_factory=list)
    not_tested: list[dict[str, str]] = field(default_factory=list)


def observe(root: Path = Path("/")) -> Observed:
    """Read the library directories and ``/proc`` below ``root``.

    ``libraries`` have ``path``, ``family``, ``version`` and ``heartbeat`` (whether the code is compiled in; both
    ``None`` where the file does not tell) and ``heartbeat_evidence``. ``processes`` have ``pid``, ``program``,
    ``libraries`` (``path``, ``deleted``); those without a TLS library are left out.
    """
    found = Observed()
    found.processes = list(_processes(root, found.not_tested))
    mapped = [str(each["path"]) for process in found.processes for each in _uses(process) if not each["deleted"]]
    paths = dict.fromkeys((*_files(root, found.not_tested), *mapped))
    described = {path: _describe(root, path) for path in sorted(paths)}
    found.libraries = [entry for entry in described.values() if entry is not None]
    for path, entry in described.items():
        if entry is not None and "/libssl." in path:
            _judge_by_its_crypto(entry, described.get(path.replace("/libssl.", "/libcrypto.")))
    return found


def _judge_by_its_crypto(library: dict[str, object], crypto: dict[str, object] | None) -> None:
    """Give libssl the version of the libcrypto beside it, which carries the text, and see what follows from it."""
    version = crypto["version"] if crypto else None
    if not isinstance(version, str):
        return
    library["version"] = version
    if library["heartbeat"] is None:
        if version.startswith(("OpenSSL 1.0.1", "OpenSSL 1.0.2")):
            evidence = "it lacks the function tls1_process_heartbeat"
        else:
            evidence = f"{version} answers no heartbeats over TLS"
        library.update(heartbeat=False, heartbeat_evidence=evidence)


def _uses(process: dict[str, object]) -> list[dict[str, object]]:
    uses = process["libraries"]
    return uses if isinstance(uses, list) else []


def family(path: str) -> str | None:
    """Return the family of a TLS library by its file name, ``None`` for any other file."""
    found = _NAME.match(path.rpartition("/")[2])
    if found is None:
        return None
    return _FAMILIES["ssl3" if found.group(0).startswith("libssl3.so") else found.group(1) or found.group(2)]


# --- files


def _files(root: Path, not_tested: list[dict[str, str]]) -> Iterator[str]:
    """Give the paths of TLS libraries in the usual directories and one level below, links resolved away."""
    count = 0
    for directory in _DIRECTORIES:
        for folder in (root / directory, *_subdirectories(root / directory)):
            for name in _names(folder):
                if family(name) is None or (folder / name).is_symlink():
                    continue
                count += 1
                if count > _MAX_FILES:
                    not_tested.append({"fact": "libraries", "reason": f"there are more than {_MAX_FILES} files"})
                    return
                yield "/" + str(folder.resolve().relative_to(root.resolve()) / name)


def _subdirectories(folder: Path) -> list[Path]:
    return [folder / name for name in _names(folder) if (folder / name).is_dir() and not (folder / name).is_symlink()]


def _names(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir()) if not folder.is_symlink() else []
    except OSError:
        return []


def _describe(root: Path, path: str) -> dict[str, object] | None:
    place = root / path.lstrip("/")
    entry: dict[str, object] = {
        "path": path,
        "family": family(path),
        "version": None,
        "heartbeat": None,
        "heartbeat_evidence": "the file does not tell",
    }
    try:
        with place.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if not 0 < size <= _MAX_LIBRARY_BYTES:
                return entry
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
                _read_content(content, entry)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        entry["heartbeat_evidence"] = f"it cannot be read ({error})"
    return entry


def _read_content(content: mmap.mmap, entry: dict[str, object]) -> None:
    """Note the version, and what it and the symbols say about heartbeats (RFC 6520)."""
    if entry["family"] != "OpenSSL":
        entry.update(heartbeat=False, heartbeat_evidence="only OpenSSL had the fault")
    elif "/libcrypto" in str(entry["path"]):
        found = _VERSION.search(content)
        entry["version"] = found.group().decode("ascii") if found else None
        entry.update(heartbeat=False, heartbeat_evidence="the protocol is in libssl")
    elif content.find(_HEARTBEAT) >= 0:
        entry.update(heartbeat=True, heartbeat_evidence="it has the function tls1_process_heartbeat")


# --- processes


def _processes(root: Path, not_tested: list[dict[str, str]]) -> Iterator[dict[str, object]]:
    unreadable = 0
    for name in sorted(_names(root / "proc"), key=lambda text: (len(text), text)):
        if not name.isdigit():
            continue
        try:
            maps = _read(root / "proc" / name / "maps")
        except FileNotFoundError:
            continue  # it ended meanwhile
        except OSError:
            unreadable += 1
            continue
        libraries = mapped_libraries(maps)
        if libraries:
            yield {"pid": int(name), "program": _program(root / "proc" / name), "libraries": libraries}
    if unreadable:
        count = "one process" if unreadable == 1 else f"{unreadable} processes"
        remedy = "the system keeps them from root too" if os.geteuid() == 0 else "become root to see them"
        reason = f"the memory maps of {count} cannot be read by this user; {remedy}"
        not_tested.append({"fact": "processes", "reason": reason})


def mapped_libraries(maps: str) -> list[dict[str, object]]:
    """Return the TLS libraries in the text of ``/proc/PID/maps``, each once, with ``path`` and ``deleted``."""
    found: dict[str, bool] = {}
    for line in maps.splitlines():
        path = line.split(maxsplit=5)[5] if line.count(" ") >= 5 and "/" in line else ""
        deleted = path.endswith(_DELETED)
        path = path[: -len(_DELETED)] if deleted else path
        if path.startswith("/") and family(path) is not None:
            found[path] = deleted
    return [{"path": path, "deleted": deleted} for path, deleted in found.items()]


def _program(process: Path) -> str:
    try:
        return _read(process / "comm").strip()
    except OSError:
        return ""


def _read(path: Path) -> str:
    with path.open("rb") as stream:
        return stream.read(_MAX_MAPS_BYTES).decode("utf-8", errors="replace")
