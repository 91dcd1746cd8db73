# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What certificates a host is to have: the role's variables, checked, and made into one request a key and certificate.

Pure: nothing is opened here.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError

KEY_TYPES = ("ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-3072", "rsa-4096")
DEFAULT_KEY_TYPE = "ecdsa-p256"
# It becomes a directory's name; one that begins with a dot could be one of the role's own.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Request:
    """One key and its certificate, as it is asked for.

    ``sources`` holds those that are configured for it, the preferred one first. ``suffix`` stands before ``.pem`` in
    the names of its files: empty for a certificate's first key type, ``.rsa`` or ``.ecdsa`` for a further one.
    """

    certificate: str
    key_type: str
    names: tuple[str, ...]
    sources: tuple[str, ...]
    given: tuple[str, str] | None = None
    suffix: str = ""

    @property
    def label(self) -> str:
        """Return what people are told it is: the certificate's name, and its algorithm where there are two."""
        return f"{self.certificate} ({self.suffix[1:].upper()})" if self.suffix else self.certificate


@dataclass(frozen=True)
class Wanted:
    """A certificate by its name: who owns its files on the host, and the requests, one a key type."""

    name: str
    owner: str = "root"
    group: str = "root"
    requests: tuple[Request, ...] = field(default=())


def algorithm(key_type: str) -> str:
    """Return ``rsa`` or ``ecdsa`` of a key type such as ``rsa-3072``."""
    return key_type.split("-", maxsplit=1)[0]


def wanted(certificates: Sequence[Mapping[str, Any]], sources: Sequence[str], *, acme: bool) -> list[Wanted]:
    """Return what is asked for. ``acme`` says whether an ACME server is configured.

    Raises InvalidInputError for an entry that cannot be fulfilled, whatever is on the disk.
    """
    seen: set[str] = set()
    result = []
    for entry in certificates:
        name = str(entry.get("name", ""))
        _check_name(name, seen)
        seen.add(name)
        owner, group = str(entry.get("owner") or "root"), str(entry.get("group") or "root")
        result.append(Wanted(name, owner, group, tuple(_requests(name, entry, sources, acme=acme))))
    return result


def _check_name(name: str, seen: set[str]) -> None:
    if _NAME.fullmatch(name) is None:
        raise _refused(
            name,
            "its name is that of a directory, and this cannot be one",
            "Name it with letters, digits, dots, dashes and underscores",
        )
    if name in seen:
        raise _refused(name, "two certificates have this name", "Give each a name of its own")


def _requests(name: str, entry: Mapping[str, Any], sources: Sequence[str], *, acme: bool) -> list[Request]:
    names = tuple(_canonical(str(one)) for one in entry.get("names") or ())
    if not names:
        raise _refused(name, "it is for no name", "Give at least one DNS name or IP address in names")
    key_types = [str(one) for one in entry.get("key_types") or [DEFAULT_KEY_TYPE]]
    _check_key_types(name, key_types)
    given = _given(name, entry, key_types)
    own_sources = entry.get("sources")
    configured = [one for one in own_sources or sources if _is_configured(one, names, given, acme=acme)]
    missing = [str(one) for one in own_sources or () if one not in configured]
    if missing:
        raise _refused(name, f"its source {missing[0]} cannot be used for it", _REMEDIES[missing[0]])
    if not configured:
        raise _refused(name, "none of its sources is configured", "Add own_ca to certificate_sources, or configure one")
    return [
        Request(
            name, key_type, names, tuple(map(str, configured)), given[index], f".{algorithm(key_type)}" if index else ""
        )
        for index, key_type in enumerate(key_types)
    ]


def _canonical(name: str) -> str:
    """Write a name as certificates do: in lower case, an IPv6 address in its shortest form."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name.lower()


_REMEDIES = {
    "given": "Say in given where its files are",
    "acme": "Set certificate_acme_directory_url; the challenge http-01 cannot prove names with a wildcard",
}


def _check_key_types(name: str, key_types: Sequence[str]) -> None:
    unknown = [key_type for key_type in key_types if key_type not in KEY_TYPES]
    if unknown:
        raise _refused(name, f"key type {unknown[0]} is not known", f"Use {', '.join(KEY_TYPES)}")
    if len({algorithm(key_type) for key_type in key_types}) < len(key_types):
        raise _refused(
            name,
            "two of its key_types have the same algorithm, of which a server uses one",
            "Give at most one of RSA and one of ECDSA",
        )


def _given(name: str, entry: Mapping[str, Any], key_types: Sequence[str]) -> list[tuple[str, str] | None]:
    """Return the pair of paths given for each key type, in their order."""
    pairs = [(str(pair["fullchain"]), str(pair["private_key"])) for pair in entry.get("given") or ()]
    if pairs and len(pairs) != len(key_types):
        raise _refused(
            name,
            f"{len(pairs)} pairs of files are given for {len(key_types)} key types",
            "Give one pair for each of key_types, in the same order",
        )
    return list(pairs) or [None] * len(key_types)


def _is_configured(source: str, names: Sequence[str], given: Sequence[object], *, acme: bool) -> bool:
    if source == "given":
        return given[0] is not None
    if source == "acme":  # RFC 8555 8.3: http-01 is for a name that a host can be asked by
        return acme and not any(name.startswith("*") for name in names)
    return True


def _refused(name: str, reason: str, remedy: str) -> InvalidInputError:
    return InvalidInputError(f"certificate_certificates, entry {name!r}", reason, remedy)
