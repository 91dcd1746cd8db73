# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The packages as the reference of a verification that reads it again, because the system changed meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import archive_manifest, dpkg
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive import Archive, Options
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive_reference import ArchiveReference
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import Entry, Manifest
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

from . import test_archive_manifest
from .test_archive_manifest import Site

site = test_archive_manifest.site


class Reading:
    """The reference of a site, which remembers what it was told."""

    def __init__(self, of: Site) -> None:
        self.told: list[tuple[int, int]] = []
        self._site = of
        self._reference = ArchiveReference(Options(), str(of.state), 1, self.tell)

    def tell(self, done: int, total: int) -> None:
        self.told.append((done, total))

    def again(self) -> Manifest:
        self.told.clear()
        self._site.archive.publish()
        tree = Tree(str(self._site.system.root))
        try:
            return self._reference.compose(tree, dpkg.read_manifest(tree))
        finally:
            tree.close()


def shown(manifest: Manifest) -> list[Any]:
    def fields(entry: Entry) -> tuple[object, ...]:
        return tuple(getattr(entry, name) for name in Entry.__slots__)

    return [[fields(entry) for entry in manifest.entries], sorted(manifest.gaps), sorted(manifest.problems)]


def test_what_is_fetched_is_told(site: Site) -> None:
    reading = Reading(site)

    reading.again()

    assert reading.told == [(0, 2), (1, 2), (2, 2)]


def test_only_versions_that_are_new_are_fetched_again(site: Site) -> None:
    reading = Reading(site)
    reading.again()
    site.install("beta", {"/usr/share/beta/data": b"newer\n"}, version="2.0")
    site.install("gamma", {"/usr/share/gamma": b"gamma\n"})

    found = reading.again()

    assert reading.told[-1] == (2, 2)
    assert shown(found) == shown(Reading(site).again())


def test_no_archive_is_asked_where_nothing_changed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    reading = Reading(site)
    before = shown(reading.again())

    def ask(_archive: Archive) -> None:
        raise AssertionError("an archive was asked")

    monkeypatch.setattr(Archive, "ask", ask)

    assert shown(reading.again()) == before
    assert reading.told == []


def test_what_happens_to_the_database_meanwhile_is_seen(site: Site) -> None:
    reading = Reading(site)
    assert reading.again().problems == []
    digests = site.system.info / "alpha.md5sums"
    digests.write_bytes(digests.read_bytes().replace(b"  ", b"0  ", 1)[1:])

    (problem,) = reading.again().problems
    assert problem.problem == "it is not what version 1.0 of its package has"


def test_what_could_not_be_had_and_why_is_kept_with_the_complaints(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.install("delta", {"/usr/share/delta": b"delta\n"}, available=False)
    ask: Callable[[Archive], None] = Archive.ask

    def complain(archive: Archive) -> None:
        ask(archive)
        archive.complaints = ["the archive is not well"]

    monkeypatch.setattr(Archive, "ask", complain)
    reading = Reading(site)
    before = reading.again()

    assert shown(reading.again()) == shown(before)
    assert [gap.reason for gap in before.gaps] == ["no_archive_reference", "archive"]


def test_what_a_process_failed_in_is_tried_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    reading = Reading(site)
    with monkeypatch.context() as dying:
        dying.setattr(archive_manifest, "_read_batch", lambda _archive, _packages: os._exit(1))
        first = reading.again()

    second = reading.again()

    assert {gap.reason for gap in first.gaps} == {"no_archive_reference"}
    assert reading.told[-1] == (2, 2)
    assert second.gaps == []
