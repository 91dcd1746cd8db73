# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""apt's package sources (sources.list(5)): read both formats, and map the machine's to another Debian release. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

DEBIAN_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
RELEASES = ("buster", "bullseye", "bookworm", "trixie", "forky", "duke")
ALIASES = ("oldoldstable", "oldstable", "stable", "testing", "unstable", "sid")
COMPONENTS = ("main", "contrib", "non-free", "non-free-firmware")
_SUITE = re.compile(rf"({'|'.join(RELEASES + ALIASES)})(/updates|-updates|-security)?")


@dataclass(frozen=True)
class Source:
    """One `deb` source. `signed_by`: keyring path, key block (several lines), or '' for apt's trusted keys."""

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str = ""


def parse_one_line(text: str) -> list[Source]:
    """Return the enabled `deb` sources of a sources.list file; other lines are passed over."""
    found = []
    for line in text.splitlines():
        match = re.fullmatch(r"\s*deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)((?:\s+[^\s#]+)*)\s*(?:#.*)?", line)
        if not match:
            continue
        options = dict(word.partition("=")[::2] for word in (match[1] or "").split())
        found.append(Source((match[2],), (match[3],), tuple(match[4].split()), options.get("signed-by", "")))
    return found


def _stanzas(text: str) -> Iterable[dict[str, str]]:
    for block in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n")):
        fields: dict[str, str] = {}
        name = ""
        for line in block.splitlines():
            if line.startswith("#"):
                continue
            if line[:1] in " \t" and name:
                fields[name] += "\n" + line.strip()
            elif ":" in line:
                name, _colon, value = line.partition(":")
                name = name.strip().lower()
                fields[name] = value.strip()
        if fields:
            yield fields


def parse_deb822(text: str) -> list[Source]:
    """Return the enabled `deb` sources of a .sources file."""
    found = []
    for fields in _stanzas(text):
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in ("no", "false", "0"):
            continue
        found.append(
            Source(
                tuple(fields.get("uris", "").split()),
                tuple(fields.get("suites", "").split()),
                tuple(fields.get("components", "").split()),
                fields.get("signed-by", "").strip(),
            )
        )
    return found


def expand_mirror_lists(sources: Iterable[Source], read: Callable[[str], str]) -> list[Source]:
    """Replace `mirror+file:PATH` (apt-transport-mirror(1)) by the mirrors in that file. `read` gives its text."""
    result = []
    for source in sources:
        uris: list[str] = []
        for uri in source.uris:
            if uri.startswith("mirror+file:"):
                path = "/" + uri.removeprefix("mirror+file:").lstrip("/")
                uris += [
                    line.split()[0] for line in read(path).splitlines() if line.strip() and line.lstrip()[0] != "#"
                ]
            else:
                uris.append(uri)
        result.append(replace(source, uris=tuple(uris)))
    return result


def _mapped(source: Source, suite: str) -> Source | None:
    """Return the source with its Debian suites exchanged for another release's; None when it has none."""
    uris = tuple(uri for uri in source.uris if re.match(r"https?://", uri))
    components = tuple(word for word in source.components if word in COMPONENTS)
    if suite == "bullseye":
        components = tuple(word for word in components if word != "non-free-firmware")
    suites = []
    for word in source.suites:
        match = _SUITE.fullmatch(word)
        if match:
            kind = "-security" if match[2] == "/updates" else match[2] or ""
            suites.append(suite + kind)
    if not uris or not suites or "main" not in components:
        return None
    return Source(uris, tuple(dict.fromkeys(suites)), components, usable_key(source.signed_by))


def usable_key(signed_by: str) -> str:
    """Debian's own keyring by the one path it has in every release; another keyring or key block as it is.

    A bare fingerprint selects among trusted keys, which other releases do not have: Debian's keyring then.
    """
    if "BEGIN PGP" in signed_by:
        return signed_by
    paths = [word for word in signed_by.split() if word.startswith("/")]
    foreign = [path for path in paths if not path.startswith("/usr/share/keyrings/debian-archive-")]
    return " ".join(foreign) or DEBIAN_KEYRING


def map_sources(sources: Sequence[Source], suite: str) -> list[Source]:
    """Return the sources for another release: those that name it already, or else the machine's own, renamed."""
    named = [source for source in sources if suite in source.suites]
    others = [source for source in sources if any(word.startswith(suite + "-") for word in source.suites)]
    chosen = [source for source in sources if source in named or source in others] if named else sources
    mapped = [_mapped(source, suite) for source in chosen]
    return list(dict.fromkeys(source for source in mapped if source))


def served_only(sources: Iterable[Source], serves: Callable[[str, str], bool]) -> list[Source]:
    """Return the sources reduced to the suites that each first mirror serves."""
    result = []
    for source in sources:
        suites = tuple(suite for suite in source.suites if serves(source.uris[0], suite))
        if suites:
            result.append(replace(source, suites=suites))
    return result


def render(sources: Iterable[Source]) -> str:
    """Return the sources as a .sources file (deb822-style)."""
    stanzas = []
    for source in sources:
        lines = [
            "Types: deb",
            f"URIs: {' '.join(source.uris)}",
            f"Suites: {' '.join(source.suites)}",
            f"Components: {' '.join(source.components)}",
        ]
        if "\n" in source.signed_by:
            lines += ["Signed-By:", *(f" {line or '.'}" for line in source.signed_by.splitlines() if line)]
        else:
            lines.append(f"Signed-By: {source.signed_by or DEBIAN_KEYRING}")
        stanzas.append("\n".join(lines) + "\n")
    return "\n".join(stanzas)
