# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parsers of Portage's database and configuration, which may lie on a damaged disk: none of them may raise."""

from __future__ import annotations

import bz2
import functools
import tempfile
from pathlib import Path

from peers.portage_system import PortageSystem

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import portage, portage_config
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.portage_files import (
    MAX_ENVIRONMENT_BYTES,
    check_environment,
    install_mask,
    parse_assignments,
    parse_contents,
    parse_needed,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.verdict import left_out
from fuzz.engine import Target

_CONTENTS = (
    b"dir /bin\nobj /bin/bash 62ed51c8b23866777552643ec57614b0 1120707577\nsym /bin/sh -> bash 1120707577\n",
    b"obj /a b a9993e364706816aba3e25717850c26c9cd0d89d 1\nfif /run/initctl\ndev /dev/null\nsym /c -> d -> e 2\n",
)
_CONFIGURATION = (
    b'# comment\nA="b ${C} $D"\nCONFIG_PROTECT=\'/etc\'\nsource /etc/more\nexport INSTALL_MASK="*.la -/usr/x"\n',
    b'CONFIG_PROTECT_MASK="/etc/env.d \\\n /etc/x"\nFEATURES="nodoc"\nX="$(id)"\n',
)
_ENVIRONMENTS = (bz2.compress(b"declare -x A=1\n" * 50), bz2.compress(b"") + bz2.compress(b"x"))
#: The files of a package that a reader takes, in the order in which the first byte of the data chooses.
_FILES = ("CONTENTS", "CATEGORY", "PF", "SLOT", "COUNTER", "SIZE", "NEEDED.ELF.2", "environment.bz2")


def _contents(data: bytes) -> None:
    contents, complaints = parse_contents(data)
    assert len(contents) <= data.count(b"\n")
    for content in contents:
        assert content.path.startswith(b"/") and b"\0" not in content.path and b"/../" not in content.path
        assert content.digest is None or len(content.digest) in (32, 40)
    assert contents or complaints or not data


def _needed(data: bytes) -> None:
    assert all(path.startswith(b"/") and b"\0" not in path for path in parse_needed(data))


def _environment(data: bytes) -> None:
    assert isinstance(check_environment(data), str) and len(data) < MAX_ENVIRONMENT_BYTES


def _assignments(data: bytes) -> None:
    found = parse_assignments(data, lambda _name: "/etc")
    assert all("`" not in (value or "") or b"\\`" in data or b"'" in data for _name, value in found.values)


def _mask(data: bytes) -> None:
    left_out(b"/usr/share/doc/a.la", install_mask(data.decode("utf-8", "surrogateescape").split()))


@functools.lru_cache
def _directory() -> tempfile.TemporaryDirectory[str]:
    """Return a directory with the root of one package in it; both go when the process ends."""
    directory = tempfile.TemporaryDirectory()
    PortageSystem(Path(directory.name)).install("app-misc/a-1", {"/usr/bin/a": b"a"})
    return directory


def _system() -> PortageSystem:
    return PortageSystem(Path(_directory().name))


def _package(data: bytes) -> None:
    """Read a whole package, one file of which is the data."""
    system = _system()
    number = data[0] % len(_FILES) if data else 0
    file = system.database / "app-misc/a-1" / _FILES[number]
    before = file.read_bytes() if file.exists() else None
    file.write_bytes(data[1:])
    tree = Tree(str(system.root))
    try:
        manifest = portage.read_manifest(tree)
    finally:
        tree.close()
        file.unlink() if before is None else file.write_bytes(before)
    assert manifest.installed == ["app-misc/a-1"]


def _make_conf(data: bytes) -> None:
    system = _system()
    system.path("/etc/portage").mkdir(parents=True, exist_ok=True)
    system.path("/etc/portage/make.conf").write_bytes(data)
    tree = Tree(str(system.root))
    try:
        portage_config.read(tree).protects(b"/etc/a")
    finally:
        tree.close()


#: Each takes microseconds.
TARGETS = (
    Target("CONTENTS", _CONTENTS, _contents),
    Target("NEEDED.ELF.2", (b"X86_64;/bin/a;;;libc.so.6;x86_64\n",), _needed),
    Target("environment.bz2", _ENVIRONMENTS, _environment),
    Target("make.conf", _CONFIGURATION, _assignments),
    Target("INSTALL_MASK", (b"/usr/share/doc *.la -/usr/share/locale/de [a-z]*",), _mask),
)
#: Each reads a package or a configuration from files.
SLOW_TARGETS = (
    Target(
        "package of Portage",
        tuple(bytes([number]) + seed for number in range(8) for seed in (*_CONTENTS, *_ENVIRONMENTS, b"1\n")),
        _package,
    ),
    Target("configuration of Portage", _CONFIGURATION, _make_conf),
)
