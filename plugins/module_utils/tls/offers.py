# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a server offers, as verdicts see it: which protocols, and which cipher suites of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.tls.registry import CipherSuite, cipher_suite

UP_TO_TLS12 = ("TLSv1.2", "TLSv1.1", "TLSv1.0", "SSLv3")

_MOST_NAMES = 5


@dataclass(frozen=True)
class Offers:
    """The lists of one endpoint.

    ``protocols`` is name -> status, ``suites`` protocol -> suites in the order found (those of SSL 2.0 are not listed),
    ``not_tested`` the names of the facts that could not be measured.
    """

    protocols: dict[str, str]
    suites: dict[str, tuple[CipherSuite, ...]]
    not_tested: tuple[str, ...] = ()

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> Offers:
        """Return the lists of a result of ``tls_endpoint_info``."""
        return cls(
            {entry["name"]: entry["status"] for entry in result["protocols"]},
            {
                name: tuple(cipher_suite(int(entry["id"], 16)) for entry in entries)
                for name, entries in result["cipher_suites"].items()
            },
            tuple(entry["fact"] for entry in result["not_tested"]),
        )

    def offered(self, *names: str) -> list[str]:
        """Return those of the protocols that the server offers."""
        return [name for name in names if self.protocols.get(name) == "offered"]

    def refuses(self, *names: str) -> bool:
        """Whether each of the protocols was asked for and refused."""
        return all(self.protocols.get(name) == "not_offered" for name in names)

    def suites_of(self, *names: str) -> list[CipherSuite]:
        """Return the accepted suites of the protocols."""
        return [suite for name in names for suite in self.suites.get(name, ())]

    @property
    def all_suites(self) -> list[CipherSuite]:
        """All suites of all protocols."""
        return self.suites_of(*self.suites)


def uses_rc4(suite: CipherSuite) -> bool:
    """Whether a suite encrypts with RC4 (prohibited by RFC 7465)."""
    return suite.encryption.startswith("RC4")


def has_blocks_of_64_bits(suite: CipherSuite) -> bool:
    """Whether a suite encrypts blocks of 64 bits, which repeat after some gigabytes of one connection."""
    return suite.encryption.startswith(("3DES", "DES", "IDEA", "RC2", "28147", "MAGMA"))


def names_of(suites: Iterable[CipherSuite]) -> str:
    """Return the names of suites for a reader, the first few of them; empty where there are none."""
    found = sorted({suite.name for suite in suites})
    more = f" and {len(found) - _MOST_NAMES} more" if len(found) > _MOST_NAMES else ""
    return ", ".join(found[:_MOST_NAMES]) + more
