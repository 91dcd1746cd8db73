# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an application's session looks like: the model, and the mapping that operators write.

Pure functions: nothing is asked and nothing is opened here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError

FAILOVERS = ("first_wins", "rebind", "return")
"""What becomes of a session whose server does not answer.

``first_wins``: the first server that answers owns a session; it moves only when another one had to answer.
``rebind``: the server that answered last owns it. ``return``: the first owns it for good, as in HAProxy 1.5; while that
one is away each request goes anywhere.
"""

MODES = ("path-parameters", "query-string", "none")
"""Where an id may stand besides the cookie: ``/page;NAME=id``, ``/page?NAME=id``, nowhere."""

DEFAULT_IGNORED_IDS = ("", "deleted")
"""What applications put into the cookie to end a session; PHP's own word is ``deleted``."""

KEYS = (
    "cookie", "timeout", "len", "request_learn", "prefix", "mode", "failover", "hash_keys", "ignore_ids", "ignore",
    "sessions",
)  # fmt: skip

# HAProxy's timers are 31 bits of milliseconds; a longer `expire` is fatal.
MAXIMUM_TIMEOUT_MS = 2**31 - 1
MAXIMUM_LENGTH = 4096
MS_PER_UNIT = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}

# RFC 6265, section 4.1.1: a cookie's name is a token of RFC 9110, section 5.6.2.
_COOKIE_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_TIMEOUT = re.compile(r"([0-9]{1,20})(ms|s|m|h|d)")
_MAXIMUM_IGNORED_ID_LENGTH = 256
# A line of HAProxy 1.5 ends at 2048 characters, that of any version at 64 words, and a rule adds four to its condition.
_MAXIMUM_CONDITION_LENGTH = 1024
_MAXIMUM_CONDITION_WORDS = 60
_MAXIMUM_SESSIONS = 10**9


@dataclass(frozen=True)
class AppSession:
    """What the application's session looks like, and what is wanted of the load balancer.

    ``cookies``: names, the most important first. ``length``: how many characters of an id count, None for all of them.
    ``timeout_ms``: how long an unused session is remembered, 0 for as long as there is room. ``request_learn``: whether
    an unknown id in a request is learnt too. ``prefix``: whether the name only has to begin with the cookie's.
    ``mode``: one of MODES. ``failover``: one of FAILOVERS. ``hash_keys``: whether the table holds digests in place of
    the ids. ``ignored_ids``: values of the cookie that are no sessions. ``ignored_conditions``: conditions, in
    HAProxy's words, under which a request takes no part. ``sessions``: how many may live at once, None if nobody said.
    """

    cookies: tuple[str, ...]
    timeout_ms: int
    length: int | None
    request_learn: bool
    prefix: bool
    mode: str
    failover: str
    hash_keys: bool
    ignored_ids: tuple[str, ...]
    ignored_conditions: tuple[str, ...]
    sessions: int | None


def from_mapping(given: Mapping[str, Any], *, failover: str | None = None, classic: bool = False) -> AppSession:
    """Read the mapping form; KEYS are the keys, ``cookie`` and ``timeout`` must be there.

    ``failover`` overrides the key of that name. What is left out is as for a new site (``first_wins``, no id in URLs);
    with ``classic`` it is as HAProxy 1.5 had it (``return``, ``path-parameters``). ``return`` is exact, so with it ids
    are neither hashed nor ignored unless that is asked for; with the others they are. ``len`` may be left out only with
    ``hash_keys``: a table of plain ids reserves that much room for each.

    Raises InvalidInputError for whatever HAProxy would refuse, or take for something else than was meant.
    """
    _refuse_unknown_and_missing_keys(given)
    chosen = _choice(
        failover or _given(given, "failover", "return" if classic else "first_wins"), "failover", FAILOVERS
    )
    is_exact = chosen == "return"
    return _refuse_plain_ids_without_length(
        AppSession(
            cookies=_cookies(given["cookie"]),
            timeout_ms=_timeout_ms(given["timeout"]),
            length=id_length(given["len"]) if given.get("len") is not None else None,
            request_learn=_boolean(_given(given, "request_learn", False), "request_learn"),
            prefix=_boolean(_given(given, "prefix", False), "prefix"),
            mode=_choice(_given(given, "mode", "path-parameters" if classic else "none"), "mode", MODES),
            failover=chosen,
            hash_keys=_boolean(_given(given, "hash_keys", not is_exact), "hash_keys"),
            ignored_ids=_ignored_ids(_given(given, "ignore_ids", not is_exact)),
            ignored_conditions=_conditions(_given(given, "ignore", ())),
            sessions=_sessions(given["sessions"]) if given.get("sessions") is not None else None,
        )
    )


def as_mapping(session: AppSession) -> dict[str, Any]:
    """Return the mapping of a session with every key said, so that no default counts."""
    given: dict[str, Any] = {
        "cookie": session.cookies[0] if len(session.cookies) == 1 else list(session.cookies),
        "timeout": render_timeout(session.timeout_ms),
        "request_learn": session.request_learn,
        "prefix": session.prefix,
        "mode": session.mode,
        "failover": session.failover,
        "hash_keys": session.hash_keys,
        "ignore_ids": list(session.ignored_ids),
        "ignore": list(session.ignored_conditions),
    }
    optional = {"len": session.length, "sessions": session.sessions}
    return {**given, **{key: value for key, value in optional.items() if value is not None}}


def render_timeout(milliseconds: int) -> str:
    """Return the time in the largest unit that expresses it exactly."""
    if not milliseconds:
        return "0"
    unit = next(unit for unit in ("d", "h", "m", "s", "ms") if milliseconds % MS_PER_UNIT[unit] == 0)
    return f"{milliseconds // MS_PER_UNIT[unit]}{unit}"


def refuse_unless(condition: bool, value: str, reason: str, remedy: str) -> None:
    """Raise InvalidInputError unless ``condition`` holds."""
    if not condition:
        raise InvalidInputError(value, reason, remedy)


def cookie_name(name: object) -> str:
    """Return the cookie's name if it is one."""
    if not isinstance(name, str) or not _COOKIE_NAME.fullmatch(name):
        raise InvalidInputError(
            f"app_session.cookie {name!r}",
            "a cookie's name is made of at most 128 letters, digits and !#$%&'*+-.^_`|~ (RFC 6265)",
            "Give the name as it stands in the application's Set-Cookie header, such as PHPSESSID",
        )
    return name


def id_length(given: object) -> int:
    """Return the number of characters that count; a string of digits, as templates make it, is one too."""
    number = _whole_number(given)
    if number is None or not 1 <= number <= MAXIMUM_LENGTH:
        raise InvalidInputError(
            f"app_session.len {given!r}",
            f"the number of characters of a session id that count is 1 to {MAXIMUM_LENGTH}",
            "Give a number that the application's ids do not exceed, such as 64",
        )
    return number


def refuse_too_long_a_timeout(milliseconds: int, given: object) -> None:
    """Raise InvalidInputError for a time that HAProxy's timers cannot hold."""
    refuse_unless(
        milliseconds <= MAXIMUM_TIMEOUT_MS,
        f"app_session.timeout {given!r}",
        "HAProxy's timers end at 2147483647 ms (24 days, 20 hours, 31 minutes)",
        "Give at most 24d, or 0 for no limit",
    )


def _given(given: Mapping[str, Any], key: str, default: object) -> object:
    """Return what was said; null is the same as nothing."""
    value = given.get(key)
    return default if value is None else value


def _refuse_unknown_and_missing_keys(given: Mapping[str, Any]) -> None:
    """Refuse a mapping with a key that means nothing, or without one that must be there."""
    for key in given:
        refuse_unless(key in KEYS, f"app_session key {key!r}", "it is not known", f"Use {', '.join(KEYS)}")
    for key in ("cookie", "timeout"):
        refuse_unless(
            given.get(key) is not None, f"app_session.{key}", "it is missing", "Write {cookie: PHPSESSID, timeout: 3h}"
        )


def _refuse_plain_ids_without_length(session: AppSession) -> AppSession:
    """Return the session if its table's entries have a size."""
    refuse_unless(
        session.hash_keys or session.length is not None,
        "app_session.len",
        "it is missing, and a table of plain ids (hash_keys false, as with failover return) must know their length",
        "Give len, such as 64, or hash_keys: true",
    )
    return session


def _cookies(given: object) -> tuple[str, ...]:
    """Return the names: one, or a list of different ones."""
    names = given if isinstance(given, Sequence) and not isinstance(given, (str, bytes)) else [given]
    found = tuple(cookie_name(name) for name in names)
    refuse_unless(bool(found), "app_session.cookie []", "it names no cookie", "Give at least one name")
    refuse_unless(
        len(set(found)) == len(found), f"app_session.cookie {given!r}", "a name is in it twice", "Name each once"
    )
    return found


def _choice(given: object, key: str, choices: tuple[str, ...]) -> str:
    """Return a word that must be one of ``choices``."""
    refuse_unless(given in choices, f"app_session.{key} {given!r}", "it is not known", f"Use {', '.join(choices)}")
    return str(given)


def _whole_number(given: object) -> int | None:
    """Return a number, or digits as a number, or None."""
    if isinstance(given, str) and re.fullmatch(r"[0-9]{1,10}", given):
        return int(given)
    return given if isinstance(given, int) and not isinstance(given, bool) else None


def _sessions(given: object) -> int:
    """Return how many sessions may live at once."""
    number = _whole_number(given)
    if number is None or not 1 <= number <= _MAXIMUM_SESSIONS:
        raise InvalidInputError(
            f"app_session.sessions {given!r}",
            f"the number of sessions that live at once is 1 to {_MAXIMUM_SESSIONS}",
            "Give what is expected at the busiest hour, such as 50000",
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
    milliseconds = int(found.group(1)) * MS_PER_UNIT[found.group(2)]
    refuse_too_long_a_timeout(milliseconds, timeout)
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


def _conditions(given: object) -> tuple[str, ...]:
    """Return conditions in HAProxy's words, each one line without ``if``."""
    if not isinstance(given, Sequence) or isinstance(given, (str, bytes)):
        raise InvalidInputError(
            f"app_session.ignore {given!r}", "this is not a list", "List conditions, such as '{ path_beg /static/ }'"
        )
    for condition in given:
        good = isinstance(condition, str) and bool(condition.strip()) and len(condition) <= _MAXIMUM_CONDITION_LENGTH
        words = condition.split() if good else []
        if not good or not condition.isprintable() or words[0] in ("if", "unless"):
            raise InvalidInputError(
                f"app_session.ignore {condition!r}",
                f"this is not one line of at most {_MAXIMUM_CONDITION_LENGTH} characters with a condition",
                "Write it as in HAProxy's manual (section 7.2) without `if`, such as '{ path_beg /static/ }'",
            )
        refuse_unless(
            len(words) <= _MAXIMUM_CONDITION_WORDS,
            f"app_session.ignore {condition!r}",
            f"it has {len(words)} words, more than the {_MAXIMUM_CONDITION_WORDS} that a line of HAProxy has room for",
            "Split it, the conditions of the list are alternatives, or define an ACL",
        )
    return tuple(condition.strip() for condition in given)
