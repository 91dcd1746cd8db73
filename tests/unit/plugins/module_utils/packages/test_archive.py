# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The exact version of a package out of a signed archive, a cache or a directory; and everything that may be wrong."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError, MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages import shelves
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive import Archive, Options, Unavailable
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive_release import (
    read_index,
    read_release,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive_sources import Source
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb import VerifiedPackage
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

from .....peers.apt_archive import AptArchive, Signer
from .....peers.dpkg_system import System

FILES = {"/usr/bin/thing": b"#!/bin/sh\n" * 200, "/etc/thing.conf": b"setting = 1\n"}


@pytest.fixture(scope="module")
def signers() -> Iterator[tuple[Signer, Signer]]:
    """A key that is trusted, and one that is not."""
    missing = [name for name in ("gpg", "apt-get", "dpkg-deb") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)}, with which a signed archive is made and read, is not installed")
    with tempfile.TemporaryDirectory(prefix="k") as one, tempfile.TemporaryDirectory(prefix="k") as other:
        made = Signer(Path(one)), Signer(Path(other))
        yield made
        for signer in made:
            signer.close()


class Site:
    """A root with one package installed, the archive that has it, and the directory for private state."""

    def __init__(self, base: Path, signer: Signer) -> None:
        self.system = System.new(base)
        self.state = base / "state"
        self.state.mkdir()
        (base / "archive").mkdir()
        self.archive = AptArchive(base / "archive", signer)
        self.package = self.system.build("thing", FILES, conffiles=("/etc/thing.conf",))
        self.system.dpkg("--install", self.package)
        self.archive.add(self.package)
        self.archive.publish()
        self.archive.use_in(self.system.root)

    @property
    def pool(self) -> Path:
        return self.archive.base / "pool" / self.package.name

    @property
    def cache(self) -> Path:
        """The place of the package in the root's package cache."""
        directory = self.system.path("/var/cache/apt/archives")
        directory.mkdir(parents=True, exist_ok=True)
        return directory / self.package.name

    def shelf(self) -> Path:
        """Return a directory of packages, as from another host, with the package in it."""
        directory = self.system.base / "peer"
        directory.mkdir()
        shutil.copy(self.package, directory)
        return directory

    def ask(self, version: str = "1.0", **options: object) -> tuple[VerifiedPackage | Unavailable, list[str], bytes]:
        """Return what became of the package, the complaints, and the content of one of its files."""
        tree = Tree(str(self.system.root))
        with Archive(tree, str(self.state), Options()._replace(**options)) as archive:
            found = archive.package("thing", version, "all")
            content = b""
            if isinstance(found, VerifiedPackage):
                with tempfile.TemporaryFile() as stream:
                    found.copy(b"/usr/bin/thing", stream.fileno())
                    stream.seek(0)
                    content = stream.read()
            complaints = list(archive.complaints)
        tree.close()
        assert list(self.state.iterdir()) == []
        return found, complaints, content


@pytest.fixture
def site(signers: tuple[Signer, Signer]) -> Iterator[Site]:
    with tempfile.TemporaryDirectory() as base:
        Path(base).chmod(0o755)
        yield Site(Path(base), signers[0])


def flip(path: Path, at: int = -700) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))


def test_a_package_comes_from_the_signed_archive(site: Site) -> None:
    found, complaints, content = site.ask()

    assert isinstance(found, VerifiedPackage)
    assert (found.name, found.version, found.architecture, found.trust) == ("thing", "1.0", "all", "signed")
    assert site.archive.signer.fingerprint() in found.source
    assert "/usr/share/keyrings/test.gpg" in found.source
    assert found.conffiles == (b"/etc/thing.conf",)
    assert content == FILES["/usr/bin/thing"]
    assert complaints == []


def _armoured(site: Site) -> None:
    site.archive.use_in(site.system.root, "signed-by=/usr/share/keyrings/test.asc")
    site.system.path("/usr/share/keyrings/test.asc").write_bytes(site.archive.signer.public(armour=True))


def _trusted_everywhere(site: Site) -> None:
    site.archive.use_in(site.system.root, "arch=amd64")
    directory = site.system.path("/etc/apt/trusted.gpg.d")
    directory.mkdir()
    (directory / "test.asc").write_bytes(site.archive.signer.public(armour=True))


def _by_fingerprint(site: Site) -> None:
    _trusted_everywhere(site)
    site.archive.use_in(site.system.root, f"signed-by={site.archive.signer.fingerprint()}")


def _embedded_key(site: Site) -> None:
    directory = site.system.path("/etc/apt/sources.list.d")
    (directory / "test.list").unlink()
    key = site.archive.signer.public(armour=True).decode().replace("\n\n", "\n.\n").rstrip("\n").replace("\n", "\n ")
    source = f"Types: deb deb-src\nURIs: {site.archive.uri}\nSuites: test\nComponents: main\nSigned-By:\n {key}\n"
    (directory / "test.sources").write_text(f"# a comment\n{source}")


def _detached(site: Site) -> None:
    (site.archive.release / "InRelease").unlink()
    site.archive.publish(detached=True)


def _damaged_host_lists(site: Site) -> None:
    lists = site.system.path("/var/lib/apt/lists")
    lists.mkdir(parents=True)
    (lists / "x_dists_test_InRelease").write_bytes(bytes(4096))


GOOD = (_armoured, _trusted_everywhere, _by_fingerprint, _embedded_key, _detached, _damaged_host_lists)


@pytest.mark.parametrize("arrange", GOOD, ids=lambda arrange: arrange.__name__)
def test_each_form_of_key_and_signature_is_understood(site: Site, arrange: Callable[[Site], None]) -> None:
    arrange(site)
    found, complaints, content = site.ask()

    assert isinstance(found, VerifiedPackage), complaints
    assert (found.trust, content) == ("signed", FILES["/usr/bin/thing"])


def _another_key(site: Site, other: Signer) -> None:
    site.archive.signer = other
    site.archive.publish()


def _another_key_but_trusted(site: Site, other: Signer) -> None:
    site.archive.use_in(site.system.root, "trusted=yes signed-by=/usr/share/keyrings/test.gpg")
    _another_key(site, other)


def _unsigned_but_trusted(site: Site, _other: Signer) -> None:
    site.archive.use_in(site.system.root, "trusted=yes allow-insecure=yes")
    (site.archive.release / "InRelease").rename(site.archive.release / "Release")


def _not_in_the_keyring_of_the_source(site: Site, other: Signer) -> None:
    _trusted_everywhere(site)
    site.system.path("/usr/share/keyrings/test.gpg").write_bytes(other.public())
    sources = site.system.path("/etc/apt/sources.list.d/test.list")
    sources.write_text(f"deb [signed-by=/usr/share/keyrings/test.gpg] {site.archive.uri} test main\n")


def _expired(site: Site, _other: Signer) -> None:
    site.archive.publish(valid_days=-1)


def _release_changed(site: Site, _other: Signer) -> None:
    path = site.archive.release / "InRelease"
    path.write_bytes(path.read_bytes().replace(b"Origin: Test", b"Origin: Best"))


def _index_changed(site: Site, _other: Signer) -> None:
    for path in site.archive.index.parent.iterdir():
        path.write_bytes(path.read_bytes() + b"\n")


def _package_changed(site: Site, _other: Signer) -> None:
    flip(site.pool)


def _package_gone(site: Site, _other: Signer) -> None:
    site.pool.unlink()


def _no_keyring(site: Site, _other: Signer) -> None:
    site.system.path("/usr/share/keyrings/test.gpg").unlink()


def _damaged_keyring(site: Site, _other: Signer) -> None:
    path = site.system.path("/usr/share/keyrings/test.gpg")
    path.write_bytes(bytes(len(path.read_bytes())))


def _keyring_out_of_the_root(site: Site, _other: Signer) -> None:
    path = site.system.path("/usr/share/keyrings/test.gpg")
    path.rename(site.system.base / "outside.gpg")
    path.symlink_to(site.system.base / "outside.gpg")


def _no_sources(site: Site, _other: Signer) -> None:
    site.system.path("/etc/apt/sources.list.d/test.list").unlink()


def _unverifiable_index(site: Site, _other: Signer) -> None:
    site.archive.publish(uncompressed=False)


#: What is wrong with the archive, and what must be said about it.
FAULTS: tuple[tuple[Callable[[Site, Signer], None], str], ...] = (
    (_another_key, "not available|NO_PUBKEY|not signed|couldn't be verified"),
    (_another_key_but_trusted, "not available|NO_PUBKEY|not signed|couldn't be verified"),
    (_unsigned_but_trusted, "not signed"),
    (_not_in_the_keyring_of_the_source, "not available|NO_PUBKEY|not signed|couldn't be verified"),
    (_expired, "expired"),
    (_release_changed, "signature|BADSIG"),
    (_index_changed, "hash sum mismatch|unexpected size"),
    (_package_changed, "hash sum mismatch|unexpected size"),
    (_package_gone, "not found|No such file"),
    (_no_keyring, "keyring"),
    (_damaged_keyring, "no OpenPGP keyring"),
    (_keyring_out_of_the_root, "keyring"),
    (_no_sources, "no package source"),
    (_unverifiable_index, "no index that apt can use"),
)


@pytest.mark.parametrize(("fault", "said"), FAULTS, ids=[fault.__name__ for fault, _said in FAULTS])
def test_an_archive_that_is_not_sound_gives_nothing(
    site: Site, signers: tuple[Signer, Signer], fault: Callable[[Site, Signer], None], said: str
) -> None:
    fault(site, signers[1])
    found, complaints, _content = site.ask()

    assert isinstance(found, Unavailable)
    assert re.search(said, "\n".join([*complaints, found.reason]), re.IGNORECASE), (complaints, found)


def test_what_apt_has_fetched_is_checked_once_more(signers: tuple[Signer, Signer], tmp_path: Path) -> None:
    trusted, other = signers
    keyring = tmp_path / "key.gpg"
    keyring.write_bytes(trusted.public())
    source = Source(("http://a/",), (str(keyring),), (), "a test")
    index = tmp_path / "lists_Packages"
    index.write_bytes(b"Package: a\n")
    text = f"Suite: a\nSHA256:\n {hashlib.sha256(b'signed').hexdigest()} 6 Packages\n".encode()

    (tmp_path / "lists_InRelease").write_bytes(other.clear_sign(text))
    with pytest.raises(MeasurementError, match="not signed with a key"):
        read_release(str(tmp_path / "lists_"), source, tmp_path)
    (tmp_path / "lists_InRelease").write_bytes(trusted.clear_sign(text))
    release = read_release(str(tmp_path / "lists_"), source, tmp_path)
    assert trusted.fingerprint() in release.signer
    with pytest.raises(MeasurementError, match="not signed with a key"):
        read_release(str(tmp_path / "lists_"), source._replace(keys=(other.fingerprint(),)), tmp_path)
    with pytest.raises(MeasurementError, match="another index"):
        read_index(index, release, "Packages", None, "http://a/")
    with pytest.raises(MeasurementError, match="only in compressed form"):
        read_index(index, release, "other/Packages", None, "http://a/")


def test_a_version_that_has_left_the_archive_is_not_replaced_by_another(site: Site) -> None:
    found, complaints, _content = site.ask(version="0.9")

    assert found == Unavailable("no archive that can be verified has this version")
    assert complaints == []


def test_a_further_source_has_what_the_others_have_not(site: Site) -> None:
    _no_sources(site, site.archive.signer)
    line = f"deb [signed-by=/usr/share/keyrings/test.gpg check-valid-until=no] {site.archive.uri} test main"
    site.archive.publish(valid_days=-1)
    found, _complaints, _content = site.ask(sources=(line,))

    assert isinstance(found, VerifiedPackage)
    assert "archive_sources" in found.source


def test_a_cached_package_that_a_signed_index_knows_is_signed(site: Site) -> None:
    shutil.copy(site.package, site.cache)
    site.pool.unlink()
    found, _complaints, content = site.ask()

    assert isinstance(found, VerifiedPackage)
    assert (found.trust, content) == ("signed", FILES["/usr/bin/thing"])
    assert "the package cache" in found.source


def test_a_damaged_cached_package_is_replaced_by_the_one_of_the_archive(site: Site) -> None:
    shutil.copy(site.package, site.cache)
    flip(site.cache)
    found, _complaints, content = site.ask()

    assert isinstance(found, VerifiedPackage)
    assert content == FILES["/usr/bin/thing"]
    assert "a package archive" in found.source


def test_a_package_of_a_peer_that_no_index_knows_counts_as_much_as_the_database(site: Site) -> None:
    _no_sources(site, site.archive.signer)
    shelf = str(site.shelf())
    refused, _complaints, _content = site.ask(directories=(shelf,))
    found, _complaints, content = site.ask(directories=(shelf,), minimum_trust="digest")

    assert isinstance(refused, Unavailable)
    assert "in no signed index" in refused.reason
    assert isinstance(found, VerifiedPackage)
    assert (found.trust, content) == ("digest", FILES["/usr/bin/thing"])


def _flipped(_site: Site, package: Path) -> None:
    data = package.read_bytes().replace(b"#!/bin/sh\n#!/bin/sh", b"#!/bin/sh\n#!/bin/SH", 1)
    package.write_bytes(data)


def _another_content(site: Site, package: Path) -> None:
    other = site.system.build("thing", {**FILES, "/usr/bin/more": b"more"}, conffiles=("/etc/thing.conf",))
    shutil.move(other, package)


def _another_conffile(site: Site, package: Path) -> None:
    files = {**FILES, "/etc/thing.conf": b"setting = 2\n"}
    shutil.move(site.system.build("thing", files, conffiles=("/etc/thing.conf",)), package)


def _another_control_file(site: Site, package: Path) -> None:
    control = {"triggers": "activate ldconfig\n"}
    shutil.move(site.system.build("thing", FILES, conffiles=("/etc/thing.conf",), control=control), package)


def _another_package(site: Site, package: Path) -> None:
    shutil.move(site.system.build("other", FILES, conffiles=("/etc/thing.conf",)), package)


def _rubbish(_site: Site, package: Path) -> None:
    package.write_bytes(os.urandom(4096))


def _fifo(_site: Site, package: Path) -> None:
    package.unlink()
    os.mkfifo(package)


def _link(_site: Site, package: Path) -> None:
    package.unlink()
    package.symlink_to("/etc/passwd")


def _damaged_database(site: Site, _package: Path) -> None:
    (site.system.info / "thing.md5sums").write_bytes(b"0" * 32 + b"  usr/bin/thing\n")


#: What is wrong with an unsigned package, and what must be said about it.
UNLIKE: tuple[tuple[Callable[[Site, Path], None], str], ...] = (
    (_flipped, "digests of its files are not those"),
    (_another_content, "digests of its files are not those"),
    (_another_conffile, "digests of its files are not those"),
    (_another_control_file, "control files are not those"),
    (_another_package, "another package than its name says"),
    (_rubbish, "no ar archive"),
    (_fifo, "no archive that can be verified"),
    (_link, "no archive that can be verified"),
    (_damaged_database, "digests of its files are not those"),
)


@pytest.mark.parametrize(("change", "said"), UNLIKE, ids=[change.__name__ for change, _said in UNLIKE])
def test_an_unsigned_package_that_the_database_does_not_confirm_is_not_given_out(
    site: Site, change: Callable[[Site, Path], None], said: str
) -> None:
    _no_sources(site, site.archive.signer)
    shelf = site.shelf()
    change(site, shelf / site.package.name)
    found, _complaints, _content = site.ask(directories=(str(shelf),), minimum_trust="digest")

    assert isinstance(found, Unavailable)
    assert said in found.reason


def test_a_package_of_a_file_system_that_is_full_is_unavailable(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelves, "_SPARE_BYTES", 2**70)
    found, _complaints, _content = site.ask()

    assert isinstance(found, Unavailable)
    free = rf"there is no room for it: \d+ bytes must be free in {re.escape(str(site.state))}, and \d+ are"
    assert re.search(free, found.reason)


@pytest.mark.parametrize(
    "identity", (("../thing", "1.0", "all"), ("thing", "1.0 x", "all"), ("-o", "1.0", "all"), ("thing", "1/0", "all"))
)
def test_a_name_that_could_be_something_else_is_refused(site: Site, identity: tuple[str, str, str]) -> None:
    tree = Tree(str(site.system.root))
    with Archive(tree, str(site.state)) as archive:
        assert archive.package(*identity) == Unavailable("it has no valid name or version")
    tree.close()


def test_nothing_of_the_hosts_own_apt_is_touched_and_no_hook_of_the_root_is_run(site: Site) -> None:
    mark = site.system.base / "hook"
    directory = site.system.path("/etc/apt/apt.conf.d")
    directory.mkdir()
    (directory / "hooks").write_text(
        f'APT::Update::Pre-Invoke {{"touch {mark}";}};\nAPT::Update::Post-Invoke {{"touch {mark}";}};\n'
        f'Acquire::http::Proxy-Auto-Detect "touch {mark}";\nDir::Bin::Methods "{site.system.base}";\n'
    )
    watched = [Path("/var/lib/apt/lists"), Path("/var/cache/apt")]
    before = [path.stat().st_mtime_ns for path in watched if path.exists()]
    found, complaints, _content = site.ask()

    assert isinstance(found, VerifiedPackage), complaints
    assert not mark.exists()
    assert before == [path.stat().st_mtime_ns for path in watched if path.exists()]


def test_passwords_are_in_no_complaint(site: Site) -> None:
    sources = site.system.path("/etc/apt/sources.list.d/test.list")
    uri = "http://operator:sesame@127.0.0.1:9/debian"
    sources.write_text(f"deb [signed-by=/usr/share/keyrings/test.gpg] {uri} test main\n")
    found, complaints, _content = site.ask()

    assert isinstance(found, Unavailable)
    assert complaints
    assert "sesame" not in "\n".join([*complaints, found.reason])


def test_a_directory_that_is_none_is_refused(site: Site) -> None:
    tree = Tree(str(site.system.root))
    with pytest.raises(InvalidInputError, match="package directory"):
        Archive(tree, str(site.state), Options(directories=("/nonexistent",)))
    tree.close()
