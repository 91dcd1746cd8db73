# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The database's manifest with the packages of a signed archive as the reference: each in real roots, made by dpkg."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import archive_manifest, deb, dpkg
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive import Archive, Options
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    CONFFILE,
    DIRECTORY,
    FILE,
    SYMLINK,
    Entry,
    Manifest,
    Recorded,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

from .....peers.apt_archive import AptArchive, Signer
from .....peers.dpkg_system import System
from .....peers.hand_made_deb import CONTROL, control_tar, member, tar
from .....peers.hand_made_deb import deb as hand_made

ALPHA = {
    "/usr/bin/alpha": b"alpha\n" * 1000,
    "/usr/share/alpha/a": b"a\n",
    "/usr/share/alpha/b": b"b\n",
    "/etc/alpha.conf": b"setting = 1\n",
}

#: dpkg makes digests itself for a package without, which then are not part of the package.
DIGESTS = "".join(
    f"{hashlib.md5(data).hexdigest()}  {path[1:]}\n" for path, data in ALPHA.items() if path != "/etc/alpha.conf"
)
DETAILS: dict[str, object] = {
    "conffiles": ("/etc/alpha.conf",),
    "links": (("/usr/share/alpha/link", "a"),),
    "directories": ("/var/lib/alpha",),
    "control": {"md5sums": DIGESTS},
}


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()


class Site:
    """A root with packages that an archive has."""

    def __init__(self, base: Path, signer: Signer) -> None:
        self.system = System.new(base)
        self.state = base / "state"
        self.state.mkdir()
        self.left_over: list[Path] = []
        (base / "archive").mkdir()
        self.archive = AptArchive(base / "archive", signer)
        self.archive.use_in(self.system.root)
        etc = self.system.path("/etc")
        (etc / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
        (etc / "group").write_text("root:x:0:\n")
        self.install("alpha", ALPHA, **DETAILS)
        self.install("beta", {"/usr/share/beta/data": b"data\n"})

    def install(self, name: str, files: dict[str, bytes], available: bool = True, **details: object) -> None:
        build: Callable[..., Path] = self.system.build
        package = build(name, files, **details)
        self.system.dpkg("--install", package)
        if available:
            self.archive.add(package)

    def install_handmade(self, *members: bytes, name: str = "handmade", script: str = "") -> None:
        """Install a package of some members; its script is in the archive alone, so that it is never run."""
        package = self.system.base / f"{name}_1.0_all.deb"
        control = CONTROL.replace(b"handmade", name.encode())
        package.write_bytes(hand_made(tar(*members), control_tar(control)))
        self.system.dpkg("--install", package)
        if script:
            package.write_bytes(hand_made(tar(*members), control_tar(control, postinst=f"{script}\n".encode())))
        self.archive.add(package)

    def manifest(self, wanted: str | None = None, conffiles: bool = True, jobs: int = 2) -> Manifest:
        self.archive.publish()
        tree = Tree(str(self.system.root))
        database = dpkg.read_manifest(tree, re.compile(wanted) if wanted else None, conffiles)
        with Archive(tree, str(self.state)) as archive:
            found = archive_manifest.read_manifest(tree, database, archive, jobs)
            self.left_over = list(self.state.rglob("*.deb"))
            assert archive.complaints == []
        tree.close()
        return found


@pytest.fixture
def site(archive_signer: Signer) -> Iterator[Site]:
    with tempfile.TemporaryDirectory() as base:
        Path(base).chmod(0o755)
        yield Site(Path(base), archive_signer)


def entry(manifest: Manifest, path: bytes) -> Entry:
    (found,) = [entry for entry in manifest.entries if entry.path == path]
    return found


def problems(manifest: Manifest) -> list[str]:
    return [f"{problem.file}: {problem.problem}" for problem in manifest.problems]


def test_everything_that_a_package_says_is_recorded(site: Site) -> None:
    built = int(site.system.path("/usr/bin/alpha").stat().st_mtime)
    manifest = site.manifest()

    owned = Recorded(mode=0o644, owner="root", group="root")
    program = entry(manifest, b"/usr/bin/alpha")
    assert (program.kind, program.digest, program.packages) == (FILE, sha256(ALPHA["/usr/bin/alpha"]), ["alpha"])
    assert program.recorded == owned._replace(size=6000, modified=built)
    conffile = entry(manifest, b"/etc/alpha.conf")
    assert (conffile.kind, conffile.digest) == (CONFFILE, sha256(ALPHA["/etc/alpha.conf"]))
    link = entry(manifest, b"/usr/share/alpha/link")
    assert (link.kind, link.digest) == (SYMLINK, None)
    assert link.recorded is not None
    assert link.recorded._replace(modified=None) == owned._replace(mode=None, target=b"a")
    directory = entry(manifest, b"/usr/share/alpha")
    assert (directory.kind, directory.recorded) == (DIRECTORY, owned._replace(mode=0o755))
    assert (problems(manifest), manifest.gaps) == ([], [])
    assert manifest.not_recorded == archive_manifest.NOT_RECORDED
    assert site.left_over == []


def test_a_directory_below_var_belongs_to_the_program(site: Site) -> None:
    assert entry(site.manifest(), b"/var/lib/alpha").recorded == Recorded(denied=0o002)


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ("root:x:0:\nstaff:x:50:\n", "staff"),
        ("root:x:0:\n", 50),
        ("root:x:0:\n# none\n\n+::\n", 50),
        ("", "staff"),
        ("root:x:0:\nadm:x:4", "staff"),
        ("root:x:0:\n\0\0\0\n", "staff"),
        ("adm:x:4:\n", "staff"),
        (None, "staff"),
    ],
)
def test_pitfall_44_owner_that_the_root_does_not_know_is_a_number_unless_it_may_have_lost_the_name(
    site: Site, groups: str | None, expected: str | int
) -> None:
    site.install_handmade(member(b"./gamma", b"gamma\n", group=b"staff", gid=b"0000062\0"))
    site.system.path("/etc/group").unlink()
    if groups is not None:
        site.system.path("/etc/group").write_text(groups)
    recorded = entry(site.manifest(), b"/gamma").recorded

    assert recorded is not None
    assert (recorded.owner, recorded.group) == ("root", expected)


def test_a_diverted_path_is_expected_where_it_went(site: Site) -> None:
    diverted = site.system.path("/usr/bin/alpha.real")
    site.system.path("/usr/bin/alpha").rename(diverted)
    (site.system.info.parent / "diversions").write_bytes(b"/usr/bin/alpha\n/usr/bin/alpha.real\nbeta\n")
    found = entry(site.manifest(), b"/usr/bin/alpha.real")

    assert (found.listed, found.diverted_by) == (b"/usr/bin/alpha", "beta")
    assert found.digest == sha256(ALPHA["/usr/bin/alpha"])


def test_an_override_of_the_administrator_wins(site: Site) -> None:
    (site.system.info.parent / "statoverride").write_bytes(b"root root 4755 /usr/bin/alpha\n")
    recorded = entry(site.manifest(), b"/usr/bin/alpha").recorded

    assert recorded is not None
    assert (recorded.mode, recorded.size) == (0o4755, 6000)


def test_what_another_package_has_taken_over_is_as_that_one_says(site: Site) -> None:
    site.install("gamma", {"/usr/share/alpha/a": b"of gamma\n"}, fields="Replaces: alpha\n")
    manifest = site.manifest()
    found = entry(manifest, b"/usr/share/alpha/a")

    assert (found.packages, found.digest, found.other_digests) == (["gamma"], sha256(b"of gamma\n"), ())
    assert problems(manifest) == []


def test_aliases_of_merged_directories_are_one_path(site: Site) -> None:
    site.system.path("/bin").symlink_to("usr/bin")
    site.install("gamma", {"/bin/gamma": b"gamma\n"})
    found = entry(site.manifest(), b"/usr/bin/gamma")

    assert (found.listed, found.digest) == (b"/bin/gamma", sha256(b"gamma\n"))


def test_what_a_package_changes_by_itself_is_not_judged(site: Site) -> None:
    directory = site.system.path("/usr/lib/tmpfiles.d")
    directory.mkdir(parents=True)
    (directory / "alpha.conf").write_text("# comment\nz /usr/bin/alpha 2755 root staff -\n")
    recorded = entry(site.manifest(), b"/usr/bin/alpha").recorded

    assert recorded is not None
    assert recorded._replace(modified=None) == Recorded(size=6000, denied=0o4002)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("chmod 4755 /usr/bin/made", Recorded(owner="root", group="root", denied=0o2002)),
        ("chmod 750 /usr/bin/made", Recorded(owner="root", group="root", denied=0o6002)),
        ("chown mail /usr/bin/made", Recorded(mode=0o755)),
        ("chgrp mail /bin/made", Recorded(mode=0o755)),
        ("chmod 2755 /usr/bin/$1", Recorded(owner="root", group="root", denied=0o4002)),
        ("chmod 2755 /usr/$1", Recorded(owner="root", group="root", denied=0o4002)),
        ("chmod 755 /usr/bin", Recorded(mode=0o755, owner="root", group="root")),
        ("chmod 755 /usr/bin/ma$1", Recorded(owner="root", group="root", denied=0o6002)),
        ("chmod 755 /usr/bin/ma/$1", Recorded(mode=0o755, owner="root", group="root")),
        ("true", Recorded(mode=0o755, owner="root", group="root")),
    ],
)
def test_what_a_script_sets_is_not_judged_but_for_rights_that_nobody_asked_for(
    site: Site, script: str, expected: Recorded
) -> None:
    site.system.path("/bin").symlink_to("usr/bin")
    site.install_handmade(member(b"./usr/bin/made", b"made\n", mode=b"0000755\0"), script=script)
    recorded = entry(site.manifest(), b"/usr/bin/made").recorded

    assert recorded is not None
    assert recorded._replace(modified=None, size=None) == expected


def test_a_variable_in_a_script_of_one_package_is_not_another_packages(site: Site) -> None:
    site.install_handmade(member(b"./usr/bin/made", b"made\n"), script="chmod 755 /usr/bin/$1")
    manifest = site.manifest()

    modes = {name: entry(manifest, name).recorded for name in (b"/usr/bin/alpha", b"/usr/bin/made")}
    assert {name: recorded and recorded.mode for name, recorded in modes.items()} == {
        b"/usr/bin/alpha": 0o644,
        b"/usr/bin/made": None,
    }


def test_a_script_that_gives_a_file_away_takes_its_set_user_id_bit(site: Site) -> None:
    site.install_handmade(member(b"./gamma", b"gamma\n", mode=b"0004755\0"), script="chown mail /gamma")
    recorded = entry(site.manifest(), b"/gamma").recorded

    assert recorded is not None
    assert (recorded.mode, recorded.denied, recorded.owner) == (None, 0o2002, None)


def test_a_link_of_one_package_where_another_has_a_directory_is_a_gap(site: Site) -> None:
    site.install_handmade(member(b"./shared/", kind=b"5"), member(b"./shared/one", b"own\n"), name="one")
    site.install_handmade(member(b"./shared", kind=b"2", link=b"/srv"), member(b"./two", b"own\n"), name="two")
    manifest = site.manifest()

    assert entry(manifest, b"/shared").kind == DIRECTORY
    assert [(gap.reason, gap.packages, gap.example) for gap in manifest.gaps] == [
        ("owners_disagree", ("one", "two"), "/shared")
    ]


@pytest.mark.parametrize("names", list(itertools.permutations(("one", "three", "two"))))
def test_what_packages_of_one_path_disagree_about_is_a_gap(site: Site, names: tuple[str, ...]) -> None:
    for name in names:
        mode = b"0040700\0" if name == "two" else b"0040755\0"
        own = member(f"./shared/{name}".encode(), b"own\n")
        site.install_handmade(member(b"./shared/", kind=b"5", mode=mode), own, name=name)
    manifest = site.manifest()

    assert entry(manifest, b"/shared").recorded == Recorded(owner="root", group="root")
    (gap,) = manifest.gaps
    assert (gap.reason, set(gap.packages), gap.files, gap.example) == ("owners_disagree", set(names), 0, "/shared")


def _line_lost(info: Path) -> None:
    path = info / "alpha.list"
    path.write_bytes(path.read_bytes().replace(b"/usr/share/alpha/b\n", b""))


def _link_lost(info: Path) -> None:
    path = info / "alpha.list"
    path.write_bytes(path.read_bytes().replace(b"/usr/share/alpha/link\n", b""))


def _list_lost(info: Path) -> None:
    (info / "alpha.list").unlink()


def _digest_changed(info: Path) -> None:
    path = info / "alpha.md5sums"
    path.write_bytes(b"0" * 32 + path.read_bytes()[32:])


def _digests_of_another_version(info: Path) -> None:
    path = info / "alpha.md5sums"
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])


def _digests_lost(info: Path) -> None:
    (info / "alpha.md5sums").unlink()


def _conffiles_changed(info: Path) -> None:
    (info / "alpha.conffiles").write_bytes(b"/etc/alpha.cong\n")


#: Damage to the database that the packages show, and what must be said about it.
DAMAGES: tuple[tuple[Callable[[Path], None], str], ...] = (
    (_line_lost, "alpha.list: 1 of the paths with a digest are neither in it nor in another package's list"),
    (_link_lost, "alpha.list: it lacks 1 paths of the package alpha, /usr/share/alpha/link first"),
    (_list_lost, "alpha.list: it does not exist"),
    (_digest_changed, "alpha.md5sums: it is not what version 1.0 of its package has"),
    (_digests_of_another_version, "alpha.md5sums: it is not what version 1.0 of its package has"),
    (_digests_lost, "alpha.md5sums: it does not exist, or cannot be read"),
    (_conffiles_changed, "alpha.conffiles: it is not what version 1.0 of its package has"),
)


@pytest.mark.parametrize(("damage", "said"), DAMAGES, ids=[damage.__name__ for damage, _said in DAMAGES])
def test_a_damaged_database_is_shown_by_the_packages_and_does_not_hide_a_file(
    site: Site, damage: Callable[[Path], None], said: str
) -> None:
    damage(site.system.info)
    manifest = site.manifest()

    assert any(said in problem for problem in problems(manifest)), problems(manifest)
    for path in ("/usr/bin/alpha", "/usr/share/alpha/a", "/usr/share/alpha/b"):
        assert entry(manifest, path.encode()).digest == sha256(ALPHA[path])
    assert entry(manifest, b"/usr/share/alpha/link").kind == SYMLINK
    assert manifest.gaps == []


@pytest.fixture
def unlisted(site: Site) -> Site:
    """A package without digests, for which dpkg makes a list of what it unpacks."""
    site.system.path("/etc/dpkg/dpkg.cfg.d").mkdir(parents=True)
    site.system.path("/etc/dpkg/dpkg.cfg.d/excludes").write_text("path-exclude=/f3\n")
    path = site.system.base / "handmade_1.0_all.deb"
    members = [member(f"./f{number}".encode(), b"%d\n" % number) for number in range(4)]
    path.write_bytes(hand_made(tar(*members), control_tar(CONTROL)))
    site.system.dpkg("--path-exclude=/f3", "--install", path)
    site.archive.add(path)
    assert (site.system.info / "handmade.md5sums").read_bytes().count(b"\n") == 3
    return site


def test_the_list_of_digests_that_dpkg_makes_is_sound(unlisted: Site) -> None:
    assert problems(unlisted.manifest()) == []


@pytest.mark.parametrize(
    ("damaged", "said"),
    [
        (None, "it does not exist, or cannot be read, and dpkg makes it for version 1.0"),
        (lambda lines: lines[:2], "it is not what dpkg makes for version 1.0 of its package, /f2 first"),
        (lambda lines: [b"0" * 32 + lines[0][32:], *lines[1:]], "it is not what dpkg makes .* /f0 first"),
        (lambda lines: [*lines, b"0" * 32 + b"  bin/x\n"], "it is not what dpkg makes .* /bin/x first"),
    ],
    ids=["lost", "line lost", "changed", "line added"],
)
def test_a_damaged_list_of_digests_that_dpkg_made_is_shown(
    unlisted: Site, damaged: Callable[[list[bytes]], list[bytes]] | None, said: str
) -> None:
    path = unlisted.system.info / "handmade.md5sums"
    if damaged is None:
        path.unlink()
    else:
        path.write_bytes(b"".join(damaged(path.read_bytes().splitlines(keepends=True))))

    assert any(re.search(f"handmade.md5sums: {said}", problem) for problem in problems(unlisted.manifest()))


def test_a_package_that_cannot_be_had_is_a_gap_and_keeps_what_the_database_says(site: Site) -> None:
    site.install("gamma", {"/usr/share/gamma/file": b"gamma\n"}, available=False)
    manifest = site.manifest()

    (gap,) = manifest.gaps
    assert (gap.reason, gap.packages, gap.files) == ("no_archive_reference", ("gamma",), 2)
    assert "no archive that can be verified has this version" in gap.detail
    found = entry(manifest, b"/usr/share/gamma/file")
    assert (found.digest, found.recorded) == (hashlib.md5(b"gamma\n").hexdigest().encode(), None)


def test_a_half_installed_package_is_a_gap(site: Site) -> None:
    status = site.system.status.read_bytes()
    site.system.status.write_bytes(status.replace(b"install ok installed", b"install ok half-installed", 1))
    manifest = site.manifest()

    (gap,) = manifest.gaps
    assert (gap.reason, gap.packages) == ("no_archive_reference", ("alpha",))
    assert "half installed" in gap.detail


def test_packages_that_were_not_asked_for_are_left_alone(site: Site) -> None:
    manifest = site.manifest(wanted="beta$")

    assert [gap.reason for gap in manifest.gaps] == ["not_selected"]
    assert problems(manifest) == []
    assert {path for found in manifest.entries for path in [found.path] if b"alpha" in path} == set()


def test_conffiles_are_left_out_when_they_are_to_be_ignored(site: Site) -> None:
    manifest = site.manifest(conffiles=False)

    assert [found.path for found in manifest.entries if found.kind == CONFFILE] == []
    assert b"/etc/alpha.conf" not in [found.path for found in manifest.entries]
    assert problems(manifest) == []


def test_a_reader_that_dies_takes_its_packages_with_it_and_no_more(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    read = deb.read

    def read_or_die(path: str, md5: bool = False) -> deb.Contents:
        contents = read(path, md5)
        if contents.name == "alpha":
            os._exit(9)
        return contents

    monkeypatch.setattr(deb, "read", read_or_die)
    monkeypatch.setattr(archive_manifest, "BATCH_PACKAGES", 1)
    manifest = site.manifest()

    (gap,) = manifest.gaps
    assert (gap.packages, gap.detail) == (("alpha",), "the process that did it ended with status 9")
    assert entry(manifest, b"/usr/share/beta/data").recorded is not None


def test_unsigned_packages_are_a_reference_when_that_is_enough(site: Site) -> None:
    shutil.rmtree(site.system.path("/etc/apt"))
    shelf = site.system.base / "peer"
    shutil.copytree(site.archive.base / "pool", shelf)
    tree = Tree(str(site.system.root))
    database = dpkg.read_manifest(tree)
    gaps = {}
    for trust in ("signed", "digest"):
        with Archive(tree, str(site.state), Options(directories=(str(shelf),), minimum_trust=trust)) as archive:
            found = archive_manifest.read_manifest(tree, database, archive, 1)
            gaps[trust] = [gap.packages for gap in found.gaps]
    tree.close()

    assert gaps == {"signed": [("alpha",), ("beta",)], "digest": []}
