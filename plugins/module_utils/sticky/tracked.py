# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One cookie of a session, as the rules of its backend speak of it."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.ringmaster.webops.plugins.module_utils.sticky import expressions
from ansible_collections.ringmaster.webops.plugins.module_utils.sticky.expressions import Source
from ansible_collections.ringmaster.webops.plugins.module_utils.sticky.session import AppSession


@dataclass(frozen=True)
class TrackedCookie:
    """A cookie whose ids are in ``table``; the names of its variables and ACLs begin with ``tag``."""

    session: AppSession
    table: str
    name: str
    tag: str

    @property
    def key(self) -> str:
        """The converters that make a table's key of an id; a table of strings cuts by itself."""
        if not self.session.hash_keys:
            return ""
        cut = f",bytes(0,{self.session.length})" if self.session.length else ""
        return f"{cut},sha2(256)"

    @property
    def sent(self) -> Source:
        """Where the id stands in a request."""
        if self.session.prefix:
            return expressions.prefixed_request_cookie(self.name, f"txn.{self.tag}_header")
        return expressions.cookie("req.cook", self.name)

    @property
    def in_url(self) -> Source | None:
        """Where the id stands in a request's URL, if anywhere."""
        if self.session.mode == "none":
            return None
        return expressions.url_parameter(self.name, self.session.mode, prefix=self.session.prefix)

    @property
    def given(self) -> Source:
        """Where the id stands in an answer."""
        if self.session.prefix:
            return expressions.prefixed_response_cookie(self.name)
        return expressions.cookie("res.cook", self.name)

    @property
    def takes_part(self) -> str:
        """The test of whether the request takes part in sessions; empty where all do."""
        return "!sid_off" if self.session.ignored_conditions else ""

    @property
    def remembers_request(self) -> bool:
        """Whether the request's id is needed when the answer is there."""
        return self.session.request_learn or self.session.failover != "return"

    def ignored(self, acl: str, variable: str) -> list[str]:
        """Return the ACL that fits where the id in a variable is no session; no lines where every id is one."""
        value = f"var({variable})"
        if self.session.prefix:
            value = expressions.word(f'{value},regsub("^[^=]*=","")')
        return [
            f"acl {acl} {value} " + (f"-m str -- {expressions.quoted(text)}" if text else "-m len 0")
            for text in self.session.ignored_ids
        ]


def condition(*tests: str) -> str:
    """Return what has a rule apply only where all tests fit; those that are empty do not count."""
    given = [test for test in tests if test]
    return f" if {' '.join(given)}" if given else ""
