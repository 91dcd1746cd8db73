# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rules that look at requests: read the session's id, and send the request to the server that owns it."""

from __future__ import annotations

from ansible_collections.ringmaster.webops.plugins.module_utils.sticky.expressions import Source
from ansible_collections.ringmaster.webops.plugins.module_utils.sticky.tracked import TrackedCookie, condition

# As in HAProxy 1.5, which looked at URLs in these alone.
_METHODS_WITH_ID_IN_URL = "{ method GET HEAD POST }"


def acls(cookie: TrackedCookie) -> list[str]:
    """Return the ACLs that tell where in a request an id is, and whether it is known."""
    session, tag, in_url = cookie.session, cookie.tag, cookie.in_url
    lines = [f"acl {tag}_in_header {cookie.sent.guard}"] if cookie.sent.guard else []
    if in_url:
        lines.append(f"acl {tag}_in_url {in_url.guard}")
    if in_url and cookie.remembers_request and not session.request_learn:
        lines.append(f"acl {tag}_in_url_is_known {in_url.converted(f'{cookie.key},in_table({cookie.table})')}")
    if session.request_learn:
        lines += cookie.ignored(f"{tag}_sent_is_ignored", f"txn.{tag}_sent")
    return lines


def reads(cookie: TrackedCookie) -> list[str]:
    """Return the rules that keep what is needed later: ``txn.TAG`` is the key of the request's id, in the end."""
    lines = [f"http-request set-var(txn.{cookie.tag}_header) req.fhdr(cookie)"] if cookie.session.prefix else []
    if cookie.session.request_learn:
        lines += _learnable_id(cookie)
    elif cookie.remembers_request:
        lines.append(_set(cookie.tag, cookie.sent, cookie.key, condition(_is_sent(cookie))))
    return lines


def unread(cookie: TrackedCookie) -> list[tuple[Source, str]]:
    """Return the places of an id, with their tests, that :func:`reads` leaves out; the first that is known counts.

    There are none where requests start sessions. Where the request is remembered it is the URL, whose id beats the
    cookie's if it is known.
    """
    if cookie.session.request_learn:
        return []
    places = [(cookie.in_url, _is_in_url(cookie))] if cookie.in_url else []
    return places if cookie.remembers_request else [*places, (cookie.sent, _is_sent(cookie))]


def lookups(cookie: TrackedCookie) -> list[str]:
    """Return the rules that ask the table before the request is matched.

    Where the session follows its servers, ``txn.TAG_owner`` is the number of the one that owns it, 0 if nobody does.
    """
    tag, lines = cookie.tag, []
    if cookie.remembers_request:
        known = f"{tag}_in_url_is_known"
        lines = [_set(tag, source, cookie.key, condition(tests, known)) for source, tests in unread(cookie)]
    if cookie.session.failover == "first_wins":
        lines.append(_set(f"{tag}_owner", Source(f"var(txn.{tag})"), f",table_server_id({cookie.table})", ""))
    return lines


def matches(cookie: TrackedCookie) -> list[str]:
    """Return the rules that send the request to its session's server."""
    if cookie.remembers_request:
        return [f"stick match var(txn.{cookie.tag}){condition(cookie.takes_part)}"]
    return [
        f"stick match {source.converted(cookie.key)}{condition(cookie.takes_part, tests)}"
        for source, tests in unread(cookie)
    ]


def _learnable_id(cookie: TrackedCookie) -> list[str]:
    """Return the rules for sessions that requests start as well: the cookie's id, else that of the URL.

    A fetch that fails leaves the variable alone.
    """
    sieved = bool(cookie.session.ignored_ids)
    name, key = (f"{cookie.tag}_sent", "") if sieved else (cookie.tag, cookie.key)
    lines = [_set(name, cookie.in_url, key, condition(_is_in_url(cookie)))] if cookie.in_url else []
    lines.append(_set(name, cookie.sent, key, condition(_is_sent(cookie))))
    if sieved:
        not_ignored = condition(f"!{cookie.tag}_sent_is_ignored")
        lines.append(_set(cookie.tag, Source(f"var(txn.{name})"), cookie.key, not_ignored))
    return lines


def _set(name: str, source: Source, converters: str, where: str) -> str:
    """Return the rule that keeps something in a variable of the transaction."""
    return f"http-request set-var(txn.{name}) {source.converted(converters)}{where}"


def _is_sent(cookie: TrackedCookie) -> str:
    """Return the test of whether the request has the cookie; empty where reading it fails without one."""
    return f"{cookie.tag}_in_header" if cookie.sent.guard else ""


def _is_in_url(cookie: TrackedCookie) -> str:
    """Return the tests of whether the URL has an id that counts."""
    return f"{cookie.tag}_in_url {_METHODS_WITH_ID_IN_URL}"
