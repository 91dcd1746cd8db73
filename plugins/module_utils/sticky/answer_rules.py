# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rules that look at answers: which server owns a session from now on.

Rules that store are evaluated before those of ``http-response``, so a variable that ``http-response`` sets is empty in
them, and HAProxy says nothing. The answer's id is therefore read by an ACL of the first rule that stores. An answer may
carry the cookie more than once (one that ends the old session, one that starts the new): the last one counts, as in
browsers. An ACL stops at the first value that fits, hence ``sid_read``, which never fits, and so walks over all of them
and leaves the last in a variable.

Most answers set no cookie and come from the owner, so the tests of each rule begin with the one that ends it for them.
"""

from __future__ import annotations

from ansible_collections.ringmaster.webops.plugins.module_utils.sticky.tracked import TrackedCookie, condition

# Cheaper than an expression over all headers of the answer.
_SETS_COOKIES = "{ res.fhdr(set-cookie) -m found }"


def acls(cookie: TrackedCookie) -> list[str]:
    """Return the ACLs that read an answer's id and tell what is known of it.

    ``TAG_set_is_due`` and ``TAG_sent_is_due`` fit where the server that answered is to have the session that the answer
    gives, and the one that the request came with.
    """
    tag, given = cookie.tag, f"txn.{cookie.tag}_set"
    lines = [f"acl {tag}_in_answer {cookie.given.guard}"] if cookie.given.guard else []
    lines += [
        f"acl {tag}_read {cookie.given.converted(f',set-var({given})')} -m str ;",
        f"acl {tag}_is_set var({given}) -m found",
        *cookie.ignored(f"{tag}_is_ignored", given),
    ]
    due = {f"{tag}_set_is_due": _set_is_due(cookie), f"{tag}_sent_is_due": _sent_is_due(cookie)}
    return [*lines, *[f"acl {acl} {expression}" for acl, alternatives in due.items() for expression in alternatives]]


def store_given(cookie: TrackedCookie) -> list[str]:
    """Return the rule that stores the id that the answer gives."""
    tag = cookie.tag
    tests = (
        f"{_SETS_COOKIES} {tag}_in_answer" if cookie.given.guard else "",
        f"!{tag}_read",
        f"{tag}_is_set",
        f"!{tag}_is_ignored" if cookie.session.ignored_ids else "",
        f"{tag}_set_is_due" if _set_is_due(cookie) else "",
    )
    return [f"stick store-response var(txn.{tag}_set){cookie.key}{condition(cookie.takes_part, *tests)}"]


def store_sent(cookie: TrackedCookie) -> list[str]:
    """Return the rule that stores the request's id, where the answer gives none."""
    if not cookie.remembers_request:
        return []
    tag = cookie.tag
    is_due = f"{tag}_sent_is_due" if _sent_is_due(cookie) else ""
    return [f"stick store-response var(txn.{tag}){condition(cookie.takes_part, is_due, f'!{tag}_is_set')}"]


def _set_is_due(cookie: TrackedCookie) -> list[str]:
    """Return when an id that the answer gives is stored, as alternatives; none for always.

    An unknown id belongs to the server that gives it. A known one stays with its owner, save that with ``first_wins``
    the request's session moves to the server that answered in its owner's place (applications that repeat Set-Cookie on
    every answer), and that with ``rebind`` the last server to answer has it.
    """
    if cookie.session.failover == "rebind":
        return []
    unknown = f"var(txn.{cookie.tag}_set){cookie.key},in_table({cookie.table}),not"
    return [unknown, *_has_moved(cookie)]


def _sent_is_due(cookie: TrackedCookie) -> list[str]:
    """Return when the id of the request is stored, as alternatives; none for always.

    With ``request_learn`` an unknown one. With ``first_wins`` a known one if another server than its owner answered;
    with ``rebind`` each known one.
    """
    known, learns = f"var(txn.{cookie.tag}),in_table({cookie.table})", cookie.session.request_learn
    if cookie.session.failover == "rebind":
        return [] if learns else [known]
    return [*_has_moved(cookie), *([f"{known},not"] if learns else [])]


def _has_moved(cookie: TrackedCookie) -> list[str]:
    """Return the test of whether another server than the request's owner answered; 0 is an owner that nobody is."""
    owner = f"txn.{cookie.tag}_owner"
    return [f"srv_id,sub({owner}),mul({owner}),bool"] if cookie.session.failover == "first_wins" else []
