# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is read of an answer of apt, and believed of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive import Archive
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive_apt import Identity
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive_database import PackageDatabase
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.commands import Output
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_upgrades import _Finder
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

from .....peers.dpkg_system import System

INSTALLED = (
    ("tool", "1.0", "amd64", ""),
    ("libtool", "1:1.0-1", "amd64", "same"),
    ("libtool", "1:1.0-1", "i386", "same"),
    ("tool-data", "1.0", "all", ""),
)


class Answering:
    """A source of packages whose apt gives one answer."""

    def __init__(self, tree: Tree, answer: Output | Exception) -> None:
        self.database = PackageDatabase(tree)
        self.answer = answer
        self.asked: list[Sequence[str]] = []

    def simulate_upgrade(self, packages: Sequence[str]) -> Output:
        self.asked.append(packages)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def tree(empty_system: System) -> Iterator[Tree]:
    paragraphs = []
    for name, version, architecture, multi_arch in INSTALLED:
        fields = f"Package: {name}\nStatus: install ok installed\nArchitecture: {architecture}\nVersion: {version}\n"
        paragraphs.append(fields + (f"Multi-Arch: {multi_arch}\n" if multi_arch else "") + "\n")
    empty_system.status.write_text("".join(paragraphs))
    tree = Tree(str(empty_system.root))
    yield tree
    tree.close()


def ask(tree: Tree, answer: str | Output | Exception, label: str = "tool") -> tuple[object, Answering]:
    """Return the changes and the identities of the new versions, or the reason why there are none."""
    source = Answering(tree, Output(0, answer.encode(), "") if isinstance(answer, str) else answer)
    found = _Finder(cast(Archive, source), frozenset(("held",))).upgrade([label])
    if isinstance(found, str):
        return found, source
    return [(*each.change, each.identity) for each in found], source


UNDERSTOOD = {
    "alone": (
        "Inst tool [1.0] (1.1 Debian:12.7/stable [amd64])\nConf tool (1.1 Debian:12.7/stable [amd64])\n",
        [("tool", "1.0", "1.1", Identity("tool", "1.1", "amd64"))],
    ),
    "several origins": (
        "Inst tool [1.0] (1.1 Debian:12.7/stable, Debian-Security:12/stable-security [amd64]) []\n",
        [("tool", "1.0", "1.1", Identity("tool", "1.1", "amd64"))],
    ),
    "origin without a name": (
        "Inst tool [1.0] (1.1 localhost [amd64])\n",
        [("tool", "1.0", "1.1", Identity("tool", "1.1", "amd64"))],
    ),
    "for all architectures now": (
        "Inst tool [1.0] (1.1 test [all])\n",
        [("tool", "1.0", "1.1", Identity("tool", "1.1", "all"))],
    ),
    "several, of two architectures": (
        "Inst libtool:i386 [1:1.0-1] (1:1.0-2+deb12u1 test [i386]) [libtool:amd64 on libtool:i386]\n"
        "Inst libtool [1:1.0-1] (1:1.0-2+deb12u1 test [amd64]) [tool-data:amd64 ]\n"
        "Conf libtool (1:1.0-2+deb12u1 test [amd64])\n"
        "Inst tool-data [1.0] (1.0+really1.1 test [all])\n"
        "Inst tool [1.0] (1.1 test [amd64])\n",
        None,
    ),
}
REFUSED = {
    "": "apt knows no newer version of tool",
    "Conf tool (1.0 test [amd64])\n": "apt knows no newer version of tool",
    "Inst tool-data [1.0] (1.1 test [all])\n": "apt knows no newer version of tool",
    "Inst tool [0.9] (1.1 test [amd64])\n": "apt believes that version 0.9 of tool is installed, and it is 1.0",
    "Inst tool [1.0] (1.0 test [amd64])\n": "apt would go back from version 1.0 of tool to 1.0",
    "Inst tool [1.0] (1.0~rc1 test [amd64])\n": "apt would go back from version 1.0 of tool to 1.0~rc1",
    "Inst tool [1.0]\n": "apt would go back from version 1.0 of tool to None",
    "Inst tool (1.1 test [amd64])\n": "apt would install tool, which is not there",
    "Inst more (1.1 test [amd64])\n": "apt would install more, which is not there",
    "Inst more [1.0] (1.1 test [amd64])\n": "apt would install more, which is not there",
    "Inst tool:armhf [1.0] (1.1 test [armhf])\n": "apt would install tool, which is not there",
    "Remv tool-data [1.0]\n": "apt would remove tool-data",
    "Purg tool-data [1.0]\n": "apt would remove tool-data",
    "Inst tool [1.0] (1.1 test [amd64])\nRemv tool-data [1.0] [tool:amd64 ]\n": "apt would remove tool-data",
    "Inst tool [1.0] (1.1 test [amd64])\nInst --root=/ [1.0] (1.1 test [all])\n": "is not understood: 'Inst --root",
    "Inst tool [1.0] (1.1 test [amd64])\nInst libtool [1:": "is not understood: 'Inst libtool [1:'",
    "E: something else\n": "is not understood: 'E: something else'",
}


@pytest.mark.parametrize(("answer", "changes"), UNDERSTOOD.values(), ids=UNDERSTOOD.keys())
def test_upgrades_are_understood(tree: Tree, answer: str, changes: list[object] | None) -> None:
    found, _source = ask(tree, answer)
    if changes is not None:
        assert found == changes
    else:
        assert isinstance(found, list)
        assert [each[0] for each in found] == ["libtool:i386", "libtool:amd64", "tool-data", "tool"]


@pytest.mark.parametrize(("answer", "reason"), REFUSED.items())
def test_everything_else_is_refused(tree: Tree, answer: str, reason: str) -> None:
    found, _source = ask(tree, answer)
    assert isinstance(found, str)
    assert reason in found


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Output(100, b"", "E: Unable to correct problems\n"), "apt finds no way to do it (Unable to correct problems)"),
        (Output(100, b"", ""), "apt finds no way to do it (status 100)"),
        (MeasurementError("apt-get", "it did not end in time", ""), "apt-get: it did not end in time"),
        (FileNotFoundError(2, "No such file or directory"), "apt cannot be asked: No such file or directory"),
    ],
)
def test_no_answer_is_a_reason(tree: Tree, answer: Output | Exception, reason: str) -> None:
    assert ask(tree, answer)[0] == reason


@pytest.mark.parametrize(
    ("label", "word"),
    [("tool", "tool:amd64"), ("libtool:i386", "libtool:i386"), ("tool-data", "tool-data")],
)
def test_apt_is_asked_for_the_installed_architecture(tree: Tree, label: str, word: str) -> None:
    _found, source = ask(tree, "", label)
    assert source.asked == [[word]]
