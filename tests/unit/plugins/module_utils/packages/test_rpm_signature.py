# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Signatures of packages: who signed one that rpmsign signed, and what does not count as a signature."""

from __future__ import annotations

import base64
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import archive_release, rpm_file, rpm_signature
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive_sources import dearmour
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_file import Contents
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_payload import RpmError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_signature import Keyrings
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

from .....peers.hand_made_rpm import File, Parts, binary, payload_of, rpm, split, tags
from .....peers.rpm_signer import RpmSigner, require_signing
from .....peers.rpm_system import RpmSystem, Tags, sample

FILES = (File(b"/usr/a", b"first\n"), File(b"/usr/b", b"second\n"))
RSA, DSA, OPENPGP = 268, 267, 278


class Signed(NamedTuple):
    """A root whose rpm trusts the key of ``signer``, a signed package, and the keyring that was made of the root."""

    system: RpmSystem
    signer: RpmSigner
    stranger: RpmSigner
    package: Path
    keyring: Keyrings


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signed]:
    require_signing()
    base = tmp_path_factory.mktemp("rpm")
    system, signer, stranger = RpmSystem.new(base), RpmSigner(), RpmSigner()
    package = system.build("small", {"/usr/a": b"first\n", "/usr/b": b"second\n"})
    signer.sign(package)
    import_key(system, signer)
    yield Signed(system, signer, stranger, package, keyring_of(system.root, base))
    for one in (signer, stranger):
        one.close()
    shutil.rmtree(base)


def import_key(system: RpmSystem, signer: RpmSigner) -> None:
    key = system.base / "key.asc"
    key.write_bytes(signer.public)
    done = system.rpm("--import", key)
    assert done.returncode == 0, done.stderr


def keyring_of(root: Path, directory: Path) -> Keyrings:
    tree = Tree(str(root))
    try:
        return rpm_signature.write_keyrings(tree, directory)
    finally:
        tree.close()


def signer_of(contents: Contents, keyring: Keyrings, directory: Path) -> str:
    return rpm_signature.signed_by(contents, keyring.paths, directory)


def hand_made(base: Path, **signatures: bytes | None) -> Contents:
    """Return a package with signatures: ``rsa``, ``dsa``, ``openpgp``."""
    found: Tags = {}
    for name, signature in signatures.items():
        if signature is not None:
            value = (8, (base64.b64encode(signature),)) if name == "openpgp" else binary(signature)
            found[{"rsa": RSA, "dsa": DSA, "openpgp": OPENPGP}[name]] = value
    return read(base, rpm(tags(*FILES), payload_of(*FILES), signatures=found))


def read(base: Path, package: Parts) -> Contents:
    path = base / "hand-made.rpm"
    path.write_bytes(package.joined())
    return rpm_file.read(str(path))


REGION = rpm(tags(*FILES), payload_of(*FILES)).header


def test_a_package_that_rpmsign_signed_is_signed_by_a_key_of_the_root(signed: Signed, tmp_path: Path) -> None:
    contents = rpm_file.read(str(signed.package))

    assert signed.keyring.complaints == []
    assert signer_of(contents, signed.keyring, tmp_path) == signed.signer.fingerprint
    assert list(tmp_path.iterdir()) == []


def test_an_elliptic_key_signs_too(signed: Signed, tmp_path: Path) -> None:
    signer = RpmSigner("ed25519")
    system = RpmSystem.new(tmp_path)
    package = tmp_path / "small.rpm"
    shutil.copy(signed.package, package)
    try:
        signer.sign(package)
        import_key(system, signer)
        assert signer_of(rpm_file.read(str(package)), keyring_of(system.root, tmp_path), tmp_path) == signer.fingerprint
    finally:
        signer.close()


@pytest.mark.parametrize("name", ("rsa", "dsa", "openpgp"))
def test_a_signature_counts_under_each_tag(signed: Signed, tmp_path: Path, name: str) -> None:
    contents = hand_made(tmp_path, **{name: signed.signer.signature(REGION)})

    assert signer_of(contents, signed.keyring, tmp_path) == signed.signer.fingerprint


def test_a_signature_of_a_further_key_does_no_harm(signed: Signed, tmp_path: Path) -> None:
    contents = hand_made(tmp_path, rsa=signed.stranger.signature(REGION), openpgp=signed.signer.signature(REGION))

    assert signer_of(contents, signed.keyring, tmp_path) == signed.signer.fingerprint


def refusal(contents: Contents, keyring: Keyrings, directory: Path) -> str:
    with pytest.raises(RpmError) as raised:
        signer_of(contents, keyring, directory)
    return str(raised.value)


def test_a_package_without_signature_is_not_signed(signed: Signed, tmp_path: Path) -> None:
    assert "not signed" in refusal(hand_made(tmp_path), signed.keyring, tmp_path)


def test_a_key_that_the_root_does_not_trust_does_not_count(signed: Signed, tmp_path: Path) -> None:
    contents = hand_made(tmp_path, rsa=signed.stranger.signature(REGION))

    told = refusal(contents, signed.keyring, tmp_path)

    assert "does not trust" in told
    assert signed.stranger.fingerprint[-16:] in told


def test_the_signature_of_another_header_does_not_count(signed: Signed, tmp_path: Path) -> None:
    """The digests of the header are right: whoever changed it has made them anew."""
    real = split(signed.package.read_bytes())
    other = rpm(tags(*FILES), payload_of(*FILES), digests=())

    found = read(tmp_path, other._replace(signatures=_without_digests(real), padding=_padding(_without_digests(real))))

    assert "not of this header" in refusal(found, signed.keyring, tmp_path)


def _without_digests(parts: Parts) -> bytes:
    """Return a signature header whose digests stand under numbers that mean nothing."""
    found = parts.signatures
    for tag in (269, 273):
        found = found.replace(tag.to_bytes(4, "big") + b"\0\0\0\6", (tag + 5000).to_bytes(4, "big") + b"\0\0\0\6")
    return found


def _padding(signatures: bytes) -> bytes:
    return bytes(-len(signatures) % 8)


def test_a_bad_signature_spoils_a_good_one(signed: Signed, tmp_path: Path) -> None:
    good, bad = signed.signer.signature(REGION), signed.signer.signature(b"another header")

    assert "not of this header" in refusal(hand_made(tmp_path, rsa=good, dsa=bad), signed.keyring, tmp_path)


@pytest.mark.parametrize("digest", ("SHA1", "RIPEMD160"))
def test_a_signature_over_a_weak_digest_does_not_count(signed: Signed, tmp_path: Path, digest: str) -> None:
    options = ("--digest-algo", digest, "--allow-weak-digest-algos", "--allow-weak-key-signatures")
    contents = hand_made(tmp_path, rsa=signed.signer.signature(REGION, *options))

    assert "MD5, SHA-1" in refusal(contents, signed.keyring, tmp_path)


def test_a_revoked_key_does_not_count(tmp_path: Path) -> None:
    require_signing()
    signer = RpmSigner()
    contents = hand_made(tmp_path, rsa=signer.signature(REGION))
    (tmp_path / "root/var/lib/rpm/pubkeys").mkdir(parents=True)
    (tmp_path / "root/var/lib/rpm/pubkeys/revoked.key").write_bytes(signer.revoke())
    signer.close()

    assert "revoked" in refusal(contents, keyring_of(tmp_path / "root", tmp_path), tmp_path)


def test_what_is_no_signature_is_not_shown_to_gpgv(
    signed: Signed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = signed.signer.signature(REGION)
    monkeypatch.setattr(archive_release, "verify", None)
    for data in (
        signed.signer.signed_message(REGION),
        signed.signer.signature(REGION, "--textmode"),
        good + good,
        good[:-1],
        good + b"\0",
        good[:3] + b"\7" + good[4:],
        b"\x88",
        b"\xc2\xff",
        b"\xc2\xc0\x00",
        b"\x8b" + good[1:],
        b"-----BEGIN PGP SIGNATURE-----\n\n",
        bytes(100),
        b"\x8a\0\2\0\0" + bytes(2 * 65536),
    ):
        assert "none over a file" in refusal(hand_made(tmp_path, rsa=data), signed.keyring, tmp_path), data[:20]


def test_a_signature_with_a_length_in_the_new_format_is_one(signed: Signed, tmp_path: Path) -> None:
    good = signed.signer.signature(REGION)
    body = good[3:]
    assert good[0] == 0x89
    for length in (
        bytes([0xC0 + (len(body) - 192 >> 8), len(body) - 192 & 0xFF]),
        b"\xff" + len(body).to_bytes(4, "big"),
    ):
        contents = hand_made(tmp_path, rsa=b"\xc2" + length + body)
        assert signer_of(contents, signed.keyring, tmp_path) == signed.signer.fingerprint


def test_without_gpgv_nothing_is_signed(signed: Signed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = hand_made(tmp_path, rsa=signed.signer.signature(REGION))
    monkeypatch.setattr("ansible_collections.ringmaster.webops.plugins.module_utils.packages.commands.PATH", "/none")
    monkeypatch.setenv("PATH", "/none")

    assert "cannot be verified" in refusal(contents, signed.keyring, tmp_path)


@pytest.mark.parametrize("seed", range(4))
def test_a_flipped_byte_is_refused_or_changes_nothing(signed: Signed, tmp_path: Path, seed: int) -> None:
    """Over the whole of a signed package: what is accepted has the very members that were signed."""
    data = signed.package.read_bytes()
    sound = rpm_file.read(str(signed.package))
    generator = random.Random(seed)
    damaged_package = tmp_path / "damaged.rpm"

    refused = 0
    for _attempt in range(100):
        at = generator.randrange(len(data))
        damaged_package.write_bytes(data[:at] + bytes([data[at] ^ generator.randrange(1, 256)]) + data[at + 1 :])
        try:
            found = rpm_file.read(str(damaged_package))
            signer = signer_of(found, signed.keyring, tmp_path)
        except RpmError:
            refused += 1
            continue
        assert signer == signed.signer.fingerprint
        assert found.header.region() == sound.header.region(), at
        assert found[:1] + found[2:6] == sound[:1] + sound[2:6], at
    assert refused


# Keys


def test_a_root_without_keys_is_told(tmp_path: Path) -> None:
    root = sample("ndb", tmp_path)

    found = keyring_of(root, tmp_path)

    assert found == Keyrings([], ["the rpm of this system trusts no key"])


def test_without_keys_nothing_is_signed(signed: Signed, tmp_path: Path) -> None:
    assert "trusts no key" in refusal(rpm_file.read(str(signed.package)), Keyrings([], []), tmp_path)


def test_a_root_without_database_has_no_keys(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()

    found = keyring_of(tmp_path / "root", tmp_path)

    assert found.paths == []
    assert "has no rpm database" in found.complaints[0]


@pytest.mark.parametrize("place", ("usr/lib/sysimage/rpm", "var/lib/rpm"))
@pytest.mark.parametrize("kind", ("bdb", "ndb"))
def test_keys_of_rpm_6_lie_in_files(signed: Signed, tmp_path: Path, place: str, kind: str) -> None:
    root = sample(kind, tmp_path)
    (root / place / "pubkeys").mkdir(parents=True)
    (root / place / "pubkeys/one.key").write_bytes(signed.signer.public)
    (root / place / "pubkeys/other.key").write_bytes(b"no key")
    (root / place / "pubkeys/link.key").symlink_to("/etc/passwd")
    (root / place / "pubkeys/.lock").write_bytes(b"")

    found = keyring_of(root, tmp_path)

    assert signer_of(rpm_file.read(str(signed.package)), found, tmp_path) == signed.signer.fingerprint
    assert sorted(complaint.rpartition("/")[2] for complaint in found.complaints) == [
        "link.key cannot be read: No such file or directory (ENOENT)",
        "other.key is no OpenPGP key: it is damaged",
    ]


def test_all_keys_of_a_root_count_and_one_that_is_there_twice_is_written_once(signed: Signed, tmp_path: Path) -> None:
    system = signed.system.copy(tmp_path)
    (system.root / "var/lib/rpm/pubkeys").mkdir()
    (system.root / "var/lib/rpm/pubkeys/one.key").write_bytes(signed.signer.public)
    (system.root / "var/lib/rpm/pubkeys/two.key").write_bytes(signed.stranger.public)

    found = keyring_of(system.root, tmp_path)

    contents = hand_made(tmp_path, rsa=signed.stranger.signature(REGION))
    assert signer_of(contents, found, tmp_path) == signed.stranger.fingerprint
    assert signer_of(rpm_file.read(str(signed.package)), found, tmp_path) == signed.signer.fingerprint
    assert len(found.paths) == 2


DAMAGED_KEYS = {
    "zeroed in the middle": lambda key: key[:100] + bytes(100) + key[200:],
    "truncated": lambda key: key[: len(key) // 2],
    "followed by something": lambda key: key + b"\x99\xff\xff" + b"x" * 50,
}


@pytest.mark.parametrize("name", ["0.key", "z.key"], ids=["before the good one", "after it"])
@pytest.mark.parametrize("damage", DAMAGED_KEYS)
def test_a_damaged_key_spoils_no_other(signed: Signed, tmp_path: Path, damage: str, name: str) -> None:
    root = sample("ndb", tmp_path)
    directory = root / "var/lib/rpm/pubkeys"
    directory.mkdir()
    (directory / "good.key").write_bytes(signed.signer.public)
    armoured = dearmour(signed.stranger.public)
    assert armoured is not None
    (directory / name).write_bytes(DAMAGED_KEYS[damage](armoured))

    found = keyring_of(root, tmp_path)

    assert signer_of(rpm_file.read(str(signed.package)), found, tmp_path) == signed.signer.fingerprint


def test_a_damaged_key_in_the_database_is_left_out(signed: Signed, tmp_path: Path) -> None:
    system = signed.system.copy(tmp_path)
    blob = bytearray(system.blob("gpg-pubkey"))
    blob[blob.find(b"mQEN") + 200] ^= 1
    system.replace_blob("gpg-pubkey", bytes(blob))

    found = keyring_of(system.root, tmp_path)

    assert found.paths == []
    assert found.complaints[0].endswith("of the rpm database is damaged")
