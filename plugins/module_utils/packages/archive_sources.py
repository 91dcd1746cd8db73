# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The package sources and keyrings of a root: read from its own ``/etc/apt``, written for an apt with private state.

Formats: sources.list(5), OpenPGP's ASCII armour (RFC 9580 section 6). What would make apt accept an unsigned archive is
left out, as are media that must be put into a drive. Everything is read through the root's tree, so that no link leads
out of it.
"""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import Path
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

MAX_FILE_BYTES = 4 * 1024 * 1024
_KEYRING_FILE = re.compile(rb"[A-Za-z0-9_.-]+\.(?:gpg|asc)")
_SOURCE_FILE = re.compile(rb"[A-Za-z0-9_.-]+\.(?:list|sources)")
_ONE_LINE = re.compile(r"deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)((?:\s+\S+)*)")
_FIELD = re.compile(r"([!-9;-~]+):\s*(.*)")
_TRANSPORTS = ("http", "https", "file", "copy", "mirror", "tor+http", "tor+https", "mirror+http", "mirror+https")
#: The options of a one-line source and the fields of a paragraph that are kept, besides its key.
_OPTIONS = {
    "arch": "architectures",
    "check-valid-until": "check-valid-until",
    "check-date": "check-date",
    "by-hash": "by-hash",
    "signed-by": "signed-by",
}
_KEPT = ("architectures", "check-valid-until", "check-date", "by-hash")
_ARMOUR = re.compile(
    rb"-----BEGIN PGP PUBLIC KEY BLOCK-----[ \t]*\r?\n(?:[!-~]+: [^\n]*\n)*\s*?\n([A-Za-z0-9+/=\s]+?)"
    rb"(?:\n=[A-Za-z0-9+/]{4})?\s*-----END PGP PUBLIC KEY BLOCK-----"
)


class Source(NamedTuple):
    """One paragraph of sources: what its Release is signed with, and where it is.

    ``bases`` are the addresses of its Release files (without the file's name). ``keyrings`` are private copies of the
    keyrings that may sign it, ``keys`` the fingerprints to which the source restricts them (empty: any). ``origin``
    says where the source and its keyrings come from.
    """

    bases: tuple[str, ...]
    keyrings: tuple[str, ...]
    keys: tuple[str, ...]
    origin: str


class Setup(NamedTuple):
    """What was made of a root's sources, and what could not be used of them."""

    sources: list[Source]
    complaints: list[str]


def write(tree: Tree, lines: tuple[str, ...], directory: Path) -> Setup:
    """Write the sources of a root and further ``lines`` of sources.list into a directory, with their keyrings.

    Below ``directory`` there are then ``sources.list.d`` and ``trusted.gpg.d``.
    """
    (directory / "sources.list.d").mkdir()
    (directory / "trusted.gpg.d").mkdir()
    return _Writer(tree, directory).write(lines)


class _Writer:
    def __init__(self, tree: Tree, directory: Path) -> None:
        self.tree = tree
        self.directory = directory
        self.setup = Setup([], [])
        self.written: dict[str, str] = {}
        self.trusted = self._trusted_keyrings()

    def write(self, lines: tuple[str, ...]) -> Setup:
        paragraphs = list(self._of_root())
        for line in lines:
            found = parse_list(line.encode())
            paragraphs += [(fields, "archive_sources") for fields in found]
            if not found:
                self.setup.complaints.append("a line of archive_sources is no package source")
        text = "".join(self._paragraph(fields, origin) for fields, origin in paragraphs)
        (self.directory / "sources.list.d/root.sources").write_text(text, encoding="utf-8", errors="surrogateescape")
        return self.setup

    def _of_root(self) -> list[tuple[dict[str, str], str]]:
        """Return the sources that the root itself has, each with the name of its file."""
        found: list[tuple[dict[str, str], str]] = []
        paths = [b"/etc/apt/sources.list"]
        paths += [b"/etc/apt/sources.list.d/" + name for name in self._names(b"/etc/apt/sources.list.d", _SOURCE_FILE)]
        for path in paths:
            data = self._content(path)
            parse = parse_sources if path.endswith(b".sources") else parse_list
            found += [(fields, path.decode("ascii")) for fields in parse(data or b"")]
        return found

    def _paragraph(self, fields: dict[str, str], origin: str) -> str:
        """Return one source in the form that is written; nothing where it cannot be used."""
        locations = fields["uris"].split()
        bad = [uri for uri in locations if uri.partition(":")[0] not in _TRANSPORTS]
        if bad:
            self.setup.complaints.append(f"{origin} has a source of a kind that is not used ({bad[0].split(':')[0]}:)")
            return ""
        signed_by = self._signed_by(fields.get("signed-by", ""), origin)
        if signed_by is None:
            return ""
        keyrings, keys = signed_by
        bases = tuple(_base(uri, suite) for uri in locations for suite in fields["suites"].split())
        names = ", ".join(self.written[path] for path in keyrings)
        self.setup.sources.append(Source(bases, keyrings, keys, f"{origin}, keyrings {names}"))
        lines = [f"Types: deb\nURIs: {fields['uris']}\nSuites: {fields['suites']}\n"]
        if fields.get("components"):
            lines.append(f"Components: {fields['components']}\n")
        lines += [f"{name}: {fields[name]}\n" for name in _KEPT if fields.get(name)]
        if fields.get("signed-by"):
            lines.append(f"Signed-By: {' '.join(keys or keyrings)}\n")
        return "".join(lines) + "\n"

    # Keys

    def _trusted_keyrings(self) -> tuple[str, ...]:
        """Copy the keyrings that may sign any source which names none."""
        directory = b"/etc/apt/trusted.gpg.d"
        paths = [directory + b"/" + name for name in self._names(directory, _KEYRING_FILE)]
        copies = [self._keyring(path, "trusted.gpg.d") for path in [*paths, b"/etc/apt/trusted.gpg"]]
        return tuple(copy for copy in copies if copy)

    def _signed_by(self, value: str, origin: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
        """Return the keyrings and fingerprints that a source's Signed-By means; `None` when it cannot be had."""
        if not value:
            return self.trusted, ()
        if "-----BEGIN" in value:
            name = self._store(value.encode("utf-8", "surrogateescape"), f"the key in {origin}", ".")
            return ((name,), ()) if name else None
        words = value.replace(",", " ").split()
        if all(re.fullmatch(r"[0-9A-Fa-f]{40}!?", word) for word in words):
            return self.trusted, tuple(word.upper() for word in words)
        copies = [self._keyring(word.encode("utf-8", "surrogateescape"), ".") for word in words]
        found = tuple(copy for copy in copies if copy)
        if not found:
            self.setup.complaints.append(f"{origin} has a source whose keyring cannot be used")
        return (found, ()) if found else None

    def _keyring(self, path: bytes, into: str) -> str:
        """Copy a keyring of the root; nothing when there is none."""
        label = path.decode("utf-8", "backslashreplace")
        data = self._content(path) if path.startswith(b"/") else None
        if data is None:
            if path != b"/etc/apt/trusted.gpg":
                self.setup.complaints.append(f"keyring {label} cannot be read")
            return ""
        return self._store(data, label, into)

    def _store(self, data: bytes, label: str, into: str) -> str:
        """Write a keyring in binary form, which every verifier reads. Returns its path, or nothing for what is none."""
        keys = dearmour(data)
        if keys is None:
            self.setup.complaints.append(f"{label} is no OpenPGP keyring: it is damaged")
            return ""
        path = self.directory / into / f"key{len(self.written)}.gpg"
        path.write_bytes(keys)
        self.written[str(path)] = label
        return str(path)

    def _names(self, directory: bytes, pattern: re.Pattern[bytes]) -> list[bytes]:
        try:
            return [name for name in self.tree.names(directory) if pattern.fullmatch(name)]
        except OSError:
            return []

    def _content(self, path: bytes) -> bytes | None:
        try:
            return self.tree.read(path, MAX_FILE_BYTES)
        except OSError:
            return None


def parse_list(data: bytes) -> list[dict[str, str]]:
    """Parse sources of one line each; what is no source of binary packages is passed over."""
    found = []
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        match = _ONE_LINE.fullmatch(re.sub(r"(^|\s)#.*", "", line).strip())
        if match is None or "\0" in line or "\r" in line:
            continue
        options, uri, suite, components = match.groups("")
        fields = {"uris": uri, "suites": suite, "components": components.strip()}
        for option in options.split():
            name, _sign, value = option.partition("=")
            if name.lower() in _OPTIONS:
                fields[_OPTIONS[name.lower()]] = value.replace(",", " ")
        found.append(fields)
    return found


def parse_sources(data: bytes) -> list[dict[str, str]]:
    """Parse sources in paragraphs; those that are disabled, incomplete or without binary packages are passed over."""
    found = []
    lines = [line.rstrip() for line in data.decode("utf-8", "surrogateescape").split("\n")]
    for paragraph in "\n".join(line for line in lines if not line.startswith("#")).split("\n\n"):
        fields: dict[str, str] = {}
        name = ""
        for line in paragraph.split("\n"):
            match = _FIELD.fullmatch(line)
            if line[:1] in (" ", "\t") and name:
                added = line.strip()
                fields[name] += "\n" + ("" if added == "." else added)
            elif match is not None:
                name = match.group(1).lower()
                fields[name] = match.group(2)
        for name in ("uris", "suites", "components", *_KEPT):
            fields[name] = " ".join(fields.get(name, "").split())
        off = fields.get("enabled", "yes").lower() in ("no", "false", "off", "0", "without", "disable")
        binary = "deb" in fields.get("types", "").split() and "\0" not in paragraph
        if binary and fields["uris"] and fields["suites"] and not off:
            found.append(fields)
    return found


def dearmour(data: bytes) -> bytes | None:
    """Return an OpenPGP keyring in binary form; `None` for what is none."""
    blocks = _ARMOUR.findall(data)
    try:
        keys = b"".join(base64.b64decode(b"".join(block.split()), validate=True) for block in blocks) or data
    except binascii.Error:
        return None
    # A keyring begins with a public key packet (tag 6), in the old or the new format of packet headers.
    return keys if keys[:1] in (b"\x98", b"\x99", b"\x9a", b"\xc6") else None


def _base(uri: str, suite: str) -> str:
    """Return the directory in which the Release of a suite is."""
    directory = uri.rstrip("/") + "/"
    return directory + suite if suite.endswith("/") else f"{directory}dists/{suite}/"
