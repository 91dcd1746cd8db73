# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rules that look at answers: which server owns a session from now on.

Rules that store are evaluated before those of ``http-response``, so a variable that ``http-response`` sets is empty in
them, and HAProxy says nothing. The answer's id is therefore read by an ACL of the first rule that stores. An answer may
carry the cookie more than once (one that ends the old session, one that starts the new): the last one counts, as in
browsers. An ACL stops at the first value that fits, hence ``sid_read``, which never fits, and so walks over all of them
and leaves the last in a variable.
"""

from __future__ import annotations

from ansible_collections.ringmaster.webops.plugins.module_utils.sticky.tracked import TrackedCookie, condition


def acls(cookie: TrackedCookie) -> list[str]:
    """Return the ACLs that read an answer's id and tell what is known of it."""
    session, tag, variable = cookie.session, cookie.tag, f"txn.{cookie.tag}_set"
    lines = [f"acl {tag}_in_answer {cookie.given.guard}"] if cookie.given.guard else []
    lines += [
        f"acl {tag}_read {cookie.given.converted(f',set-var({variable})')} -m str ;",
        f"acl {tag}_is_set var({variable}) -m found",
        *cookie.ignored(f"{tag}_is_ignored", variable),
    ]
    if session.failover != "rebind":
        lines.append(f"acl {tag}_is_known var({variable}){cookie.key},in_table({cookie.table})")
    if session.failover == "first_wins":
        lines += [
            f"acl {tag}_had_owner var(txn.{tag}_owner) -m found",
            f"acl {tag}_owner_answered srv_id,sub(txn.{tag}_owner) eq 0",
        ]
    return lines


def store_given(cookie: TrackedCookie) -> list[str]:
    """Return the rules that store the id that the answer gives.

    An unknown id belongs to the server that gives it. A known one stays with its owner, save that with ``first_wins``
    the request's session moves to the server that answered in its owner's place (applications that repeat Set-Cookie on
    every answer), and that with ``rebind`` the last server to answer has it.
    """
    tag = cookie.tag
    found = f"{tag}_in_answer" if cookie.given.guard else ""
    read = (found, f"!{tag}_read", f"{tag}_is_set", _not_ignored(cookie))
    if cookie.session.failover == "rebind":
        return [_store(cookie, given=True, tests=read)]
    lines = [_store(cookie, given=True, tests=(*read, f"!{tag}_is_known"))]
    if cookie.session.failover == "first_wins":
        moved = (f"{tag}_is_set", _not_ignored(cookie), f"{tag}_is_known", f"{tag}_had_owner", f"!{tag}_owner_answered")
        lines.append(_store(cookie, given=True, tests=moved))
    return lines


def store_sent(cookie: TrackedCookie) -> list[str]:
    """Return the rules that store the request's id, where the answer gives none.

    With ``request_learn`` an unknown one. With ``first_wins`` a known one if another server than its owner answered;
    with ``rebind`` each known one.
    """
    session, tag, not_set = cookie.session, cookie.tag, f"!{cookie.tag}_is_set"
    if session.failover == "rebind":
        known = "" if session.request_learn else f"{tag}_was_known"
        return [_store(cookie, given=False, tests=(not_set, known))]
    lines = [_store(cookie, given=False, tests=(not_set, f"!{tag}_was_known"))] if session.request_learn else []
    if session.failover == "first_wins":
        moved = (not_set, f"{tag}_had_owner", f"!{tag}_owner_answered")
        lines.append(_store(cookie, given=False, tests=moved))
    return lines


def _store(cookie: TrackedCookie, *, given: bool, tests: tuple[str, ...]) -> str:
    """Return the rule that stores the answer's id, or the request's; it does nothing where there is none."""
    key = f"var(txn.{cookie.tag}_set){cookie.key}" if given else f"var(txn.{cookie.tag})"
    return f"stick store-response {key}{condition(cookie.takes_part, *tests)}"


def _not_ignored(cookie: TrackedCookie) -> str:
    """Return the test of whether the answer's id is a session; empty where every id is one."""
    return f"!{cookie.tag}_is_ignored" if cookie.session.ignored_ids else ""
