# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a probe knows of the endpoint that it probes: the facts of the enumeration, and a way to connect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import registry
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.handshake12 import Resumable
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.session import Session


@dataclass(frozen=True)
class ProbeContext:
    """The facts that probes start from.

    ``suites`` is version number -> accepted suites in the order found, for each version that is offered; ``extensions``
    version number -> numbers of the extensions that were echoed in any answer, where a version that is not among them
    was not looked at; ``always_extended_master_secret`` whether every answer up to TLS 1.2 agreed to one (RFC 7627);
    ``speaks_http`` whether ``GET /`` was answered with HTTP; ``ticket_session`` a session up to TLS 1.2 with its
    ticket, where one was had already.
    """

    session: Session
    server_name: str | None
    suites: Mapping[int, tuple[int, ...]]
    extensions: Mapping[int, frozenset[int]] = field(default_factory=dict)
    always_extended_master_secret: bool = False
    speaks_http: bool = False
    starttls: str | None = None
    ticket_session: Resumable | None = None

    @property
    def versions_up_to_tls12(self) -> list[int]:
        """The versions with records as they were before TLS 1.3, the highest first; SSL 3.0 included."""
        return sorted((version for version in self.suites if registry.SSL3 <= version <= registry.TLS12), reverse=True)

    def suites_where(self, version: int, **properties: object) -> tuple[int, ...]:
        """Return the accepted suites of a version whose properties (of :class:`registry.CipherSuite`) are as given."""
        return tuple(
            number
            for number in self.suites.get(version, ())
            if all(getattr(registry.cipher_suite(number), name) == value for name, value in properties.items())
        )
