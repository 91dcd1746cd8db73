# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What rpm's database says -> what is verified."""

from __future__ import annotations

import fnmatch
import hashlib
import os
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.check import Options, check
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    ANYTHING,
    CHARACTER_DEVICE,
    CONFFILE,
    DIRECTORY,
    FILE,
    SYMLINK,
    UNKNOWN,
    Recorded,
)

from .....peers.rpm_system import RpmSystem, Tags, encode_header, entries, gaps, package_header, sha256, template


@pytest.fixture
def system(tmp_path: Path) -> RpmSystem:
    return template().copy(tmp_path)


@pytest.fixture
def empty(tmp_path: Path) -> RpmSystem:
    return RpmSystem.new(tmp_path)


# --- what is recorded


def test_everything_that_a_package_records_of_a_file(system: RpmSystem) -> None:
    entry = system.entry("/usr/bin/alpha")
    status = system.path("/usr/bin/alpha").stat()

    assert (entry.kind, entry.packages, entry.digest) == (FILE, ["alpha"], sha256(b"#!/bin/sh\n" * 300))
    assert entry.recorded == Recorded(
        mode=0o4755,
        owner="root",
        group="mail",
        size=3000,
        modified=int(status.st_mtime),
        capabilities="",
    )


def test_a_directory_has_mode_and_owner_and_no_more(system: RpmSystem) -> None:
    entry = system.entry("/usr/share/alpha")

    assert (entry.kind, entry.digest) == (DIRECTORY, None)
    assert entry.recorded == Recorded(mode=0o755, owner="root", group="root")


def test_a_link_has_a_target_and_no_mode(system: RpmSystem) -> None:
    entry = system.entry("/usr/bin/alink")

    assert (entry.kind, entry.digest) == (SYMLINK, None)
    assert entry.recorded == Recorded(owner="root", group="root", target=b"alpha")


def test_a_device_has_its_number(empty: RpmSystem) -> None:
    empty.install(empty.build("odd", {}, ["%dev(c,1,3) %attr(666,root,root) /null"]))

    entry = empty.entry("/null")

    assert entry.kind == CHARACTER_DEVICE
    assert entry.recorded == Recorded(mode=0o666, owner="root", group="root", device=os.makedev(1, 3))


def test_the_root_directory_itself_can_belong_to_a_package(empty: RpmSystem) -> None:
    empty.install(empty.build("filesystem", {}, ["%dir /"]))

    assert [(entry.path, entry.listed, entry.kind) for entry in empty.read().entries] == [(b"", b"/", DIRECTORY)]
    assert empty.findings() == {}


def test_a_package_without_files_is_installed(empty: RpmSystem) -> None:
    empty.install(empty.build("bare", {}))

    manifest = empty.read()

    assert (manifest.installed, manifest.entries, manifest.problems, manifest.gaps) == (["bare"], [], [], [])


def test_a_public_key_is_a_package_without_files(system: RpmSystem) -> None:
    """rpm keeps the keys that it trusts in its database, in headers that have no digest."""
    key: Tags = {1000: (6, (b"gpg-pubkey",)), 1001: (6, (b"b2c39de4",)), 1002: (6, (b"67e1aad5",))}
    system.add(encode_header(key, {}, ()), "gpg-pubkey")

    manifest = system.read()

    assert manifest.installed[-1] == "gpg-pubkey"
    assert (manifest.problems, manifest.gaps) == ([], [])


@pytest.mark.parametrize(
    ("number", "algorithm"), [(1, "md5"), (2, "sha1"), (8, "sha256"), (9, "sha384"), (10, "sha512"), (11, "sha224")]
)
def test_digests_of_every_algorithm(empty: RpmSystem, number: int, algorithm: str) -> None:
    empty.install(empty.build("one", {"/a": b"content"}, defines={"_binary_filedigest_algorithm": str(number)}))

    assert empty.entry("/a").digest == hashlib.new(algorithm, b"content").hexdigest().encode()
    assert empty.findings() == {}
    empty.path("/a").write_bytes(b"CONTENT")
    assert empty.findings() == {"/a": "content_changed"}


@pytest.mark.parametrize(("number", "digits"), [(12, 64), (14, 128), (3, 40)])
def test_a_digest_of_an_unknown_algorithm_is_a_gap_and_never_taken_for_another(
    system: RpmSystem, number: int, digits: int
) -> None:
    """SHA3-256 has as many digits as SHA-256."""
    system.add(package_header(b"new", {b"file": b"a" * digits}, algorithm=(4, (number,))), "new", "file")

    manifest = system.read()

    assert gaps(manifest) == [("unknown_digest_algorithm", ("new",), 0, "/file")]
    entry = entries(manifest)[b"/file"]
    assert (entry.kind, entry.digest, entry.recorded and entry.recorded.size) == (FILE, None, 7)


def test_a_package_whose_files_contradict_each_other_is_not_believed(system: RpmSystem) -> None:
    """Its digest is right, so it was made like that."""
    system.add(package_header(b"odd", {b"file": b"no digest"}), "odd", "file")

    manifest = system.read()

    assert [problem.problem for problem in manifest.problems] == [
        "the header of package odd (record 4) is damaged: it has a file digest that is not one of its algorithm"
    ]
    assert gaps(manifest) == [("damaged_header", ("odd",), 1, "odd")]
    assert manifest.installed == ["alpha", "beta", "gamma", "odd"]


def test_a_header_without_a_digest_is_a_gap(system: RpmSystem) -> None:
    system.replace_blob("gamma", _without_digests(system.blob("gamma")))

    manifest = system.read()

    assert ("no_header_digest", ("gamma",), 0, "gamma") in gaps(manifest)
    assert b"/usr/share/gamma/1" in entries(manifest)


def _without_digests(blob: bytes) -> bytes:
    """Give the digests numbers of other tags, as damage in the index would."""
    for tag in (269, 273):
        blob = blob.replace(tag.to_bytes(4, "big") + b"\0\0\0\6", (tag + 500).to_bytes(4, "big") + b"\0\0\0\6")
    return blob


# --- which packages


@pytest.mark.parametrize("wanted", ["alpha", "alpha.noarch", "al*", "alpha-3:1.0-1.noarch"])
def test_packages_are_chosen_by_name_by_architecture_or_in_full(system: RpmSystem, wanted: str) -> None:
    manifest = system.read(fnmatch.translate(wanted))

    assert {package for entry in manifest.entries for package in entry.packages} == {"alpha"}
    assert gaps(manifest) == [("not_selected", ("beta",), 60, "beta"), ("not_selected", ("gamma",), 5, "gamma")]


def test_several_versions_of_one_package_are_told_apart(system: RpmSystem) -> None:
    """Kernels are installed beside each other."""
    first = system.build("kernel", {"/boot/vmlinuz-1": b"1"}, version="1")
    second = system.build("kernel", {"/boot/vmlinuz-2": b"2"}, version="2")
    for package in (first, second):
        assert system.rpm("-i", "--nodeps", package).returncode == 0

    manifest = system.read()

    assert manifest.installed[-2:] == ["kernel-1-1.noarch", "kernel-2-1.noarch"]
    assert (manifest.problems, manifest.gaps) == ([], [])


# --- conffiles, ghosts and what the packager does not want verified


def test_pitfall_10_a_changed_conffile_is_a_class_of_its_own(system: RpmSystem) -> None:
    system.path("/etc/alpha.conf").write_bytes(b"setting = 2\n")

    assert system.entry("/etc/alpha.conf").kind == CONFFILE
    assert system.findings() == {"/etc/alpha.conf": "config_changed"}


def test_conffiles_can_be_left_out(system: RpmSystem) -> None:
    manifest = system.read(conffiles=False)

    assert b"/etc/alpha.conf" not in entries(manifest)
    assert gaps(manifest) == [("conffiles_ignored", ("alpha",), 1, "/etc/alpha.conf")]


def test_pitfall_41_a_new_conffile_beside_the_old_one_is_no_finding(empty: RpmSystem) -> None:
    listed = ["%config(noreplace) /etc/a.conf"]
    empty.install(empty.build("a", {"/etc/a.conf": b"1\n"}, listed))
    empty.path("/etc/a.conf").write_bytes(b"mine\n")
    empty.install(empty.build("a", {"/etc/a.conf": b"2\n"}, listed, version="2.0"))

    assert empty.path("/etc/a.conf.rpmnew").read_bytes() == b"2\n"
    assert empty.findings() == {"/etc/a.conf": "config_changed"}


@pytest.mark.parametrize("there", ["absent", "file", "link", "directory"])
def test_pitfall_41_a_ghost_may_be_absent_and_of_any_content(empty: RpmSystem, there: str) -> None:
    """Alternatives are links in place of ghosts that are packaged as files."""
    empty.install(empty.build("g", {"/run.log": b"x", "/other": b"o"}, ["%ghost /run.log", "/other"]))
    path = empty.path("/run.log")
    if there == "file":
        path.write_bytes(b"anything")
        path.chmod(0o644)
    elif there == "link":
        path.symlink_to("other")
    elif there == "directory":
        path.mkdir(mode=0o644)

    entry = empty.entry("/run.log")

    assert (entry.kind, entry.digest) == (ANYTHING, None)
    assert entry.recorded == Recorded(mode=0o644, owner="root", group="root", required=False)
    assert empty.findings() == {}
    result = check(Options(root=str(empty.root)))
    assert (result["coverage"]["gaps"], result["coverage"]["files"]["not_verified"]) == ([], 0)


def test_two_packages_may_own_a_ghost_and_disagree_about_it(system: RpmSystem) -> None:
    for name, mode in (("one", 0o100644), ("two", 0o100600)):
        header = package_header(name.encode(), {b"ghost": b""}, modes=(3, (mode,)), flags=(4, (64,)))
        system.add(header, name, "ghost")

    manifest = system.read()

    entry = entries(manifest)[b"/ghost"]
    assert (entry.packages, entry.recorded) == (["one", "two"], Recorded(owner="root", group="root", required=False))
    assert gaps(manifest) == [("owners_disagree", ("two",), 0, "/ghost")]


def test_a_file_that_may_be_missing_is_verified_when_it_is_there(empty: RpmSystem) -> None:
    empty.install(empty.build("m", {"/etc/m.conf": b"m\n"}, ["%config(missingok) /etc/m.conf"]))

    assert empty.recorded("/etc/m.conf").required is False
    empty.path("/etc/m.conf").write_bytes(b"n\n")
    assert empty.findings() == {"/etc/m.conf": "config_changed"}
    empty.path("/etc/m.conf").unlink()
    assert empty.findings() == {}


def test_pitfall_42_what_the_packager_excludes_is_not_compared_and_said_so(empty: RpmSystem) -> None:
    listed = ["%verify(not md5 size mtime) /var/lib/state", "%verify(not mode user) /var/lib/spool"]
    empty.install(empty.build("v", {"/var/lib/state": b"1\n", "/var/lib/spool": b"2\n"}, listed))
    manifest = empty.read()

    assert gaps(manifest) == [("not_to_be_verified", ("v",), 0, "/var/lib/state")]
    state, spool = (entries(manifest)[path] for path in (b"/var/lib/state", b"/var/lib/spool"))
    assert (state.kind, state.digest) == (FILE, None)
    assert state.recorded == Recorded(mode=0o644, owner="root", group="root", capabilities="")
    assert spool.digest == sha256(b"2\n")
    assert spool.recorded is not None
    assert (spool.recorded.mode, spool.recorded.owner, spool.recorded.group) == (None, None, "root")
    empty.path("/var/lib/state").write_bytes(b"changed\n")
    empty.path("/var/lib/spool").chmod(0o600)
    assert empty.findings() == {}


# --- files that belong to several packages, and states


def test_pitfall_43_the_time_of_a_shared_file_is_not_compared(empty: RpmSystem) -> None:
    for name, seconds in (("one", 1_000_000_000), ("two", 1_100_000_000), ("three", 1_200_000_000)):
        install = f"touch -d @{seconds} %{{buildroot}}/shared"
        empty.install(empty.build(name, {"/shared": b"same\n"}, install=install))

    entry = empty.entry("/shared")

    assert (entry.packages, entry.digest, entry.other_digests) == (["one", "two", "three"], sha256(b"same\n"), ())
    assert entry.recorded == Recorded(mode=0o644, owner="root", group="root", size=5, capabilities="")
    assert empty.read().gaps == []


def test_a_directory_that_packages_record_differently_is_a_gap(system: RpmSystem) -> None:
    for name, mode in (("one", 0o040755), ("two", 0o040700)):
        system.add(package_header(name.encode(), {b"shared": b""}, modes=(3, (mode,))), name, "shared")

    manifest = system.read()

    assert gaps(manifest) == [("owners_disagree", ("two",), 0, "/shared")]
    assert entries(manifest)[b"/shared"].recorded == Recorded(owner="root", group="root")


def test_a_file_that_another_package_replaced_is_that_packages(empty: RpmSystem) -> None:
    first, second = (empty.build(name, {"/shared": name.encode()}) for name in ("one", "two"))
    empty.install(first)
    empty.install("--replacefiles", second)

    manifest = empty.read()

    entry = entries(manifest)[b"/shared"]
    assert (sorted(entry.packages), entry.digest, entry.other_digests) == (["one", "two"], sha256(b"two"), ())
    assert empty.findings() == {}
    empty.path("/shared").write_bytes(b"one")
    assert empty.findings() == {"/shared": "content_changed"}


def test_a_file_that_a_package_unknown_replaced_must_only_exist(system: RpmSystem) -> None:
    system.add(package_header(b"old", {b"file": b"a" * 64}, states=(1, (1,))), "old", "file")

    entry = system.entry("/file")

    assert (entry.kind, entry.digest, entry.recorded) == (UNKNOWN, None, None)
    assert system.findings() == {"/file": "missing"}


def test_packages_that_disagree_about_a_file_are_a_conflict(system: RpmSystem) -> None:
    """Neither is in the state that says so: the record of a state was lost."""
    system.add(package_header(b"one", {b"file": b"a" * 64}), "one", "file")
    system.add(package_header(b"two", {b"file": b"b" * 64}), "two", "file")

    entry = system.entry("/file")

    assert (entry.packages, entry.digest, entry.other_digests) == (["one", "two"], b"a" * 64, (b"b" * 64,))


def test_pitfall_13_what_was_not_installed_may_be_absent_and_is_verified_when_present(empty: RpmSystem) -> None:
    package = empty.build("d", {"/usr/share/doc/d": b"doc\n", "/bin/d": b"d\n"}, ["%doc /usr/share/doc/d", "/bin/d"])
    empty.install("--nodocs", package)

    assert not empty.path("/usr/share/doc/d").exists()
    assert empty.recorded("/usr/share/doc/d").required is False
    assert (empty.findings(), empty.read().gaps) == ({}, [])
    empty.path("/usr/share/doc").mkdir(parents=True)
    empty.path("/usr/share/doc/d").write_bytes(b"DOC\n")
    assert empty.findings()["/usr/share/doc/d"] == "content_changed"


@pytest.mark.parametrize("order", [1, -1])
def test_what_one_package_did_not_install_is_another_packages(system: RpmSystem, order: int) -> None:
    claims = [("one", b"a" * 64, 2), ("two", b"b" * 64, 0)]
    for name, digest, state in claims[::order]:
        system.add(package_header(name.encode(), {b"file": digest}, states=(1, (state,))), name, "file")

    entry = system.entry("/file")

    assert (entry.packages, entry.digest, entry.recorded and entry.recorded.required) == (["two"], b"b" * 64, True)


def test_a_net_shared_file_is_not_this_systems(system: RpmSystem) -> None:
    system.add(package_header(b"net", {b"file": b"a" * 64}, states=(1, (3,))), "net", "file")

    manifest = system.read()

    assert b"/file" not in entries(manifest)
    assert gaps(manifest) == [("net_shared", ("net",), 1, "/file")]


@pytest.mark.parametrize("other", [False, True])
def test_a_file_of_another_color_is_compared_as_far_as_rpm_does(system: RpmSystem, other: bool) -> None:
    """On a multilib system the file of one architecture is there, the other package keeps a claim on it."""
    if other:
        system.add(package_header(b"primary", {b"file": b"b" * 64}), "primary", "file")
    system.add(package_header(b"secondary", {b"file": b"a" * 64}, states=(1, (4,))), "secondary", "file")

    manifest = system.read()

    entry = entries(manifest)[b"/file"]
    assert entry.recorded is not None
    assert (entry.digest, entry.other_digests, entry.recorded.mode) == (b"b" * 64 if other else None, (), 0o644)
    assert gaps(manifest) == ([] if other else [("wrong_color", ("secondary",), 0, "/file")])


def test_a_relocated_package_is_looked_for_where_it_is(empty: RpmSystem) -> None:
    package = empty.build("moved", {"/opt/moved/a": b"a"}, preamble="Prefix: /opt")
    empty.install("--relocate", "/opt=/srv", package)

    assert list(entries(empty.read())) == [b"/srv/moved/a"]
    assert (empty.read().problems, empty.findings()) == ([], {})
