# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep each visitor with their session: what the application's cookie looks like -> stick rules for HAProxy.

HAProxy 1.5 had ``appsession`` for this; since 1.6 it is stick tables and rules (HAProxy configuration manual, sections
4.2 "stick ...", 7.3.1 "in_table", "table_server_id", 11 "Stick tables").

Pure functions: nothing is asked and nothing is opened here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError

FAILOVERS = ("first_wins",)
"""``first_wins``: the first server that answers owns a session; it moves only when another one had to answer."""

DEFAULT_IGNORED_IDS = ("", "deleted")
"""What applications put into the cookie to end a session; PHP's own word is ``deleted``."""

KEYS = ("cookie", "len", "timeout", "hash_keys", "ignore_ids")

# `localpeer`, `http-after-response` and quotes within the arguments of converters came with 2.2.
_MINIMUM_VERSION = (2, 2)
# RFC 6265, section 4.1.1: a cookie's name is a token of RFC 9110, section 5.6.2.
_COOKIE_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_NEEDS_NO_QUOTES = re.compile(r"[A-Za-z0-9_.-]+")
# HAProxy's manual, section 4: names of proxies.
_PROXY_NAME = re.compile(r"[A-Za-z0-9_.:-]+")
_TIMEOUT = re.compile(r"([0-9]{1,20})(ms|s|m|h|d)")
_MS_PER_UNIT = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
# HAProxy's timers are 31 bits of milliseconds; a longer `expire` is fatal.
_MAXIMUM_TIMEOUT_MS = 2**31 - 1
_MAXIMUM_LENGTH = 4096
_MAXIMUM_IGNORED_ID_LENGTH = 256
# An entry takes about 250 bytes and only once it is used; when the table is full, the entry nearest to its end goes.
_TABLE_SIZE = "100k"


@dataclass(frozen=True)
class AppSession:
    """What the application's session looks like.

    ``length``: how many characters of an id count, None for all of them. ``timeout_ms``: how long an unused session is
    remembered, 0 for as long as there is room. ``hash_keys``: whether the table holds digests in place of the ids.
    ``ignored_ids``: values of the cookie that are no sessions.
    """

    cookie: str
    length: int | None
    timeout_ms: int
    hash_keys: bool
    ignored_ids: tuple[str, ...]


def parse_session(given: object) -> AppSession:
    """Read the mapping form: ``cookie`` and ``timeout``, and if wanted ``len``, ``hash_keys`` and ``ignore_ids``.

    ``len`` may be left out only with ``hash_keys``: a table of plain ids reserves that much room for each.
    Raises InvalidInputError for whatever HAProxy would refuse, or take for something else than was meant.
    """
    if not isinstance(given, Mapping):
        raise InvalidInputError(
            f"app_session {given!r}", "this is not a mapping", "Write it as {cookie: PHPSESSID, timeout: 3h}"
        )
    _refuse_unknown_and_missing_keys(given)
    hash_keys = _boolean(given.get("hash_keys", True), "hash_keys")
    length = _length(given["len"]) if given.get("len") is not None else None
    if length is None and not hash_keys:
        raise InvalidInputError(
            "app_session.hash_keys false",
            "a table of plain session ids must know how long they are",
            "Give len, such as 64, or leave hash_keys on",
        )
    return AppSession(
        cookie=_cookie_name(given["cookie"]),
        length=length,
        timeout_ms=_timeout_ms(given["timeout"]),
        hash_keys=hash_keys,
        ignored_ids=_ignored_ids(given.get("ignore_ids", True)),
    )


def backend_lines(
    session: AppSession,
    *,
    haproxy_version: str,
    backend: str,
    failover: str = "first_wins",
    peers: str | None = None,
) -> list[str]:
    """Return the lines that keep sessions, in order, without indentation, to stand in ``backend`` before its servers.

    The backend's own stick table carries the backend's name. ``peers`` names the section that hands the table on to the
    next process at a reload; without it a reload forgets every session. Ids are learnt from Set-Cookie alone, so that
    visitors cannot fill the table with ids of their own making.

    Raises InvalidInputError for an HAProxy below 2.2, an unknown failover and names that are none.
    """
    _refuse_version_below_minimum(haproxy_version)
    _refuse_unless(failover in FAILOVERS, f"failover {failover!r}", "it is not known", f"Use {', '.join(FAILOVERS)}")
    _proxy_name(backend, "backend")
    return _table_line(session, _proxy_name(peers, "peers") if peers else None) + _first_wins(session, backend)


def _table_line(session: AppSession, peers: str | None) -> list[str]:
    """Return the stick table's line; SHA-256 gives 32 bytes."""
    kind = "binary len 32" if session.hash_keys else f"string len {session.length}"
    expire = f" expire {_render_timeout(session.timeout_ms)}" if session.timeout_ms else ""
    return [f"stick-table type {kind} size {_TABLE_SIZE}{expire}" + (f" peers {peers}" if peers else "")]


def _first_wins(session: AppSession, backend: str) -> list[str]:
    """Return the rules: an unknown id belongs to the server that sets it, a known one moves if another answered.

    A response may carry the cookie more than once (one that ends the old session, one that starts the new): the last
    one counts, as in browsers. An ACL stops at the first value that fits, hence ``sid_read``, which never fits and so
    walks over all of them and leaves the last in a variable. It is evaluated in the stick rules because variables that
    http-response sets come too late for them.
    """
    key = _key_suffix(session)
    ignored = "".join(f" !{name}" for name in _ignored_names(session))
    return [
        f"http-request set-var(txn.sid) {_fetch('req.cook', session.cookie, key)}",
        f"http-request set-var(txn.sid_owner) var(txn.sid),table_server_id({backend})"
        f" if {{ var(txn.sid),in_table({backend}) }}",
        f"acl sid_read {_fetch('res.cook', session.cookie, ',set-var(txn.sid_set)')} -m str ;",
        "acl sid_is_set var(txn.sid_set) -m found",
        *_ignored_acls(session),
        f"acl sid_is_known var(txn.sid_set){key},in_table({backend})",
        "acl sid_had_owner var(txn.sid_owner) -m found",
        "acl sid_owner_answered srv_id,sub(txn.sid_owner) eq 0",
        "stick match var(txn.sid)",
        f"stick store-response var(txn.sid_set){key} if !sid_read sid_is_set{ignored} !sid_is_known",
        f"stick store-response var(txn.sid_set){key} if sid_is_set{ignored} sid_is_known sid_had_owner"
        " !sid_owner_answered",
        "stick store-response var(txn.sid) if !sid_is_set sid_had_owner !sid_owner_answered",
    ]


def _key_suffix(session: AppSession) -> str:
    """Return the converters that make a table's key of an id."""
    cut = f",bytes(0,{session.length})" if session.length else ""
    return cut + (",sha2(256)" if session.hash_keys else "")


def _fetch(method: str, cookie: str, converters: str) -> str:
    """Return the expression that reads the cookie, quoted where its name needs it.

    Within single quotes HAProxy takes every character as it stands (manual, section 2.2), and within the argument
    double quotes hold the name together.
    """
    if _NEEDS_NO_QUOTES.fullmatch(cookie):
        return f"{method}({cookie}){converters}"
    escaped = cookie.replace("'", "'\\''")
    return f"'{method}(\"{escaped}\"){converters}'"


def _ignored_names(session: AppSession) -> list[str]:
    """Return the names of the ACLs that tell ids that are none."""
    names = ["sid_is_empty"] if "" in session.ignored_ids else []
    return names + (["sid_is_ignored"] if any(session.ignored_ids) else [])


def _ignored_acls(session: AppSession) -> list[str]:
    """Return those ACLs."""
    lines = ["acl sid_is_empty var(txn.sid_set) -m len 0"] if "" in session.ignored_ids else []
    words = " ".join(_quote(word) for word in session.ignored_ids if word)
    return lines + ([f"acl sid_is_ignored var(txn.sid_set) -m str -- {words}"] if words else [])


def _quote(word: str) -> str:
    """Return ``word`` as one word of HAProxy's configuration."""
    return word if _NEEDS_NO_QUOTES.fullmatch(word) else "'" + word.replace("'", "'\\''") + "'"


def _render_timeout(milliseconds: int) -> str:
    """Return the time in the largest unit that expresses it exactly."""
    unit = next(unit for unit in ("d", "h", "m", "s", "ms") if milliseconds % _MS_PER_UNIT[unit] == 0)
    return f"{milliseconds // _MS_PER_UNIT[unit]}{unit}"


def _refuse_unless(condition: bool, value: str, reason: str, remedy: str) -> None:
    """Raise InvalidInputError unless ``condition`` holds."""
    if not condition:
        raise InvalidInputError(value, reason, remedy)


def _refuse_unknown_and_missing_keys(given: Mapping[str, Any]) -> None:
    """Refuse a mapping with a key that means nothing, or without one that must be there."""
    for key in given:
        _refuse_unless(key in KEYS, f"app_session key {key!r}", "it is not known", f"Use {', '.join(KEYS)}")
    for key in ("cookie", "timeout"):
        _refuse_unless(
            given.get(key) is not None, f"app_session.{key}", "it is missing", "Write {cookie: PHPSESSID, timeout: 3h}"
        )


def _cookie_name(name: object) -> str:
    """Return the cookie's name if it is one."""
    if not isinstance(name, str) or not _COOKIE_NAME.fullmatch(name):
        raise InvalidInputError(
            f"app_session.cookie {name!r}",
            "a cookie's name is made of letters, digits and !#$%&'*+-.^_`|~ (RFC 6265)",
            "Give the name as it stands in the application's Set-Cookie header, such as PHPSESSID",
        )
    return name


def _length(length: object) -> int:
    """Return the number of characters that count; a string of digits, as templates make it, is one too."""
    number = int(length) if isinstance(length, str) and re.fullmatch(r"[0-9]{1,9}", length) else length
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= _MAXIMUM_LENGTH:
        raise InvalidInputError(
            f"app_session.len {length!r}",
            f"the number of characters of a session id that count is 1 to {_MAXIMUM_LENGTH}",
            "Give a number that the application's ids do not exceed, such as 64",
        )
    return number


def _timeout_ms(timeout: object) -> int:
    """Return the milliseconds of ``3h`` and the like; 0 (with or without a unit) is never."""
    if timeout in (0, "0") and not isinstance(timeout, bool):
        return 0
    found = _TIMEOUT.fullmatch(timeout) if isinstance(timeout, str) else None
    if found is None:
        raise InvalidInputError(
            f"app_session.timeout {timeout!r}",
            "this is not a whole number with a unit (without one, HAProxy would take it for milliseconds)",
            "Give one of the units ms, s, m, h and d, such as 3h, or 0 for no limit",
        )
    milliseconds = int(found.group(1)) * _MS_PER_UNIT[found.group(2)]
    if milliseconds > _MAXIMUM_TIMEOUT_MS:
        raise InvalidInputError(
            f"app_session.timeout {timeout!r}",
            "HAProxy's timers end at 2147483647 ms (24 days, 20 hours, 31 minutes)",
            "Give at most 24d, or 0 for no limit",
        )
    return milliseconds


def _boolean(value: object, key: str) -> bool:
    """Return a value that must be true or false."""
    if not isinstance(value, bool):
        raise InvalidInputError(f"app_session.{key} {value!r}", "this is neither true nor false", "Use true or false")
    return value


def _ignored_ids(given: object) -> tuple[str, ...]:
    """Return the ids that are no sessions: true for the usual ones, false for none, or a list of them."""
    if isinstance(given, bool):
        return DEFAULT_IGNORED_IDS if given else ()
    if not isinstance(given, Sequence) or isinstance(given, (str, bytes)):
        raise InvalidInputError(
            f"app_session.ignore_ids {given!r}",
            "this is neither true nor false nor a list",
            "Use true for the empty id and 'deleted', false for none, or list the ids",
        )
    for word in given:
        good = isinstance(word, str) and len(word) <= _MAXIMUM_IGNORED_ID_LENGTH
        if not good or not re.fullmatch(r"[\x21-\x7e]*", word) or re.search(r'[",;\\]', word):
            raise InvalidInputError(
                f"app_session.ignore_ids {word!r}",
                "no cookie can have this value (RFC 6265)",
                "Give it as it stands in the application's Set-Cookie header, such as 'deleted'",
            )
    return tuple(dict.fromkeys(given))


def _proxy_name(name: object, what: str) -> str:
    """Return the name of a section of HAProxy's configuration if it is one."""
    if not isinstance(name, str) or not _PROXY_NAME.fullmatch(name):
        raise InvalidInputError(
            f"{what} {name!r}",
            "a name in HAProxy is made of letters, digits and -_.:",
            "Rename it",
        )
    return name


def _refuse_version_below_minimum(version: object) -> None:
    """Refuse what is no version, and one that lacks what the rules are made of."""
    found = re.match(r"([0-9]{1,4})\.([0-9]{1,4})(?![0-9])", version) if isinstance(version, str) else None
    if found is None:
        raise InvalidInputError(
            f"haproxy_version {version!r}", "this is not a version", "Give it as `haproxy -v` prints it, such as 3.0.11"
        )
    if (int(found.group(1)), int(found.group(2))) < _MINIMUM_VERSION:
        raise InvalidInputError(
            f"haproxy_version {version!r}",
            "the rules that keep sessions need 2.2 or newer",
            "Upgrade HAProxy; Debian 11 and newer have it",
        )
