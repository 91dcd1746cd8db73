# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which certificates a site serves, where they lie and which of their files become part of a release.

A certificate by name was put on the host by the role certificate: it is copied into the release, so that a release is
whole. A pair of paths is renewed by somebody else (certbot, lego): it is referred to where it lies, and only its digest
is part of the release, so that a renewed certificate is a change.

Pure functions: what is on the host was read before, by ``webserver_info``.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NAME_PATTERN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
"""A name that can be a file's: of letters, digits, dots, dashes and underscores, and no dot or dash first."""
_PAIR = {"fullchain", "private_key"}
_PATH = re.compile(r"/[^\x00-\x1f\x7f\"\\$]*")


@dataclass(frozen=True)
class Reference:
    """A certificate as a site names it. ``path`` is what ``webserver_info`` is asked about.

    ``name`` is empty for a pair of paths; ``fullchain`` and ``private_key`` are empty for a name, under which there may
    be several certificates (``fullchain.pem``, ``fullchain.rsa.pem``).
    """

    path: str
    name: str = ""
    fullchain: str = ""
    private_key: str = ""


def absolute_path(where: str, key: str, value: object) -> str:
    """Return a path that can stand in a configuration; raises InvalidInputError for one that cannot."""
    if not isinstance(value, str) or not _PATH.fullmatch(value):
        raise InvalidInputError(
            f"{where}: {key} {value!r}",
            "this is not an absolute path without quotes, backslashes, dollar signs and line breaks",
            "Correct it",
        )
    return value


def references(where: str, given: object, directory: str) -> list[Reference]:
    """Return the certificates that a site asks for: a name, a pair of paths, or a list of those.

    ``directory`` is where certificates by name lie, one directory each. Raises InvalidInputError for anything else.
    """
    several = given if isinstance(given, list) else [given]
    if not several:
        raise InvalidInputError(f"{where}: certificate []", "https needs a certificate", "Name one")
    return [_reference(where, one, directory) for one in several]


def _reference(where: str, given: object, directory: str) -> Reference:
    if isinstance(given, str) and NAME_PATTERN.fullmatch(given):
        return Reference(path=posixpath.join(directory, given), name=given)
    if isinstance(given, dict) and set(given) == _PAIR:
        fullchain, key = (absolute_path(where, name, given[name]) for name in ("fullchain", "private_key"))
        return Reference(path=fullchain, fullchain=fullchain, private_key=key)
    raise InvalidInputError(
        f"{where}: certificate is {given!r}",
        "it must be the name of a certificate of the role certificate, or a dictionary with fullchain and private_key",
        "Correct the entry",
    )


@dataclass(frozen=True)
class Served:
    """What a site does with its certificates.

    ``certificates``: for the templates, each with ``fullchain`` and ``private_key`` (paths as the server reads them),
    ``release_path`` (of the fullchain file in the release, or empty), ``sha256`` and ``key_type`` (empty while not
    known). ``files``: for ``webserver_config``. ``facts``: what ``webserver_info`` says of them. ``missing``: paths of
    those that are not on the host.
    """

    certificates: list[dict[str, str]]
    files: list[dict[str, Any]]
    facts: list[Mapping[str, Any]]
    missing: list[str]


def served(
    where: str, wanted: Sequence[Reference], known: Mapping[str, Sequence[Mapping[str, Any]]], release_directory: str
) -> Served:
    """Decide what a site does with its certificates.

    ``known`` are the certificates of ``webserver_info`` (path -> certificates found there), empty before it ran.
    ``release_directory`` is the directory by which the configuration refers to its own files. Raises InvalidInputError
    for two certificates with the same type of key, of which a server would serve one only.
    """
    result = Served([], [], [], [])
    for reference in wanted:
        found = [one for one in known.get(reference.path, ()) if one["exists"]]
        if known and not found:
            result.missing.append(reference.path)
        for facts in found or [_usual(reference)]:
            certificate, files = _place(reference, facts, release_directory)
            result.certificates.append(certificate)
            result.files.extend(files)
        result.facts.extend(found)
    key_types = [facts["key_type"] for facts in result.facts]
    for key_type in key_types:
        if key_types.count(key_type) > 1:
            raise InvalidInputError(
                f"{where}: certificate", f"two have {key_type} keys, and only one would be served", "Leave one out"
            )
    return result


def _usual(reference: Reference) -> dict[str, Any]:
    """Stand in for what is not known yet: the files as the role certificate calls them."""
    return {
        "fullchain": reference.fullchain or posixpath.join(reference.path, "fullchain.pem"),
        "private_key": reference.private_key or posixpath.join(reference.path, "privkey.pem"),
    }


def _place(
    reference: Reference, facts: Mapping[str, Any], release_directory: str
) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Return a certificate for the templates, and its files for the release."""
    described = {"sha256": facts.get("sha256") or "", "key_type": facts.get("key_type") or ""}
    if not reference.name:
        paths = {"fullchain": reference.fullchain, "private_key": reference.private_key, "release_path": ""}
        return {**paths, **described}, []
    inside = {
        key: f"certificates/{reference.name}/{posixpath.basename(facts[key])}" for key in ("fullchain", "private_key")
    }
    certificate = {key: posixpath.join(release_directory, path) for key, path in inside.items()}
    files = [
        {"path": inside["fullchain"], "remote_src": facts["fullchain"], "mode": "0644"},
        {"path": inside["private_key"], "remote_src": facts["private_key"], "mode": "0600", "sensitive": True},
    ]
    return {**certificate, "release_path": inside["fullchain"], **described}, files
