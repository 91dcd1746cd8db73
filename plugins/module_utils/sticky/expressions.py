# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a session's id stands in requests and responses, as words of HAProxy's configuration.

Sources: HAProxy's configuration manual, sections 2.2 (quoting), 7.1.3 (regular expressions), 7.3.1 (regsub), 7.3.6
(req.cook, req.fhdr, res.hdrs). ``regsub`` gives its input where nothing fits, so each comes with a guard: an ACL that
looks at the very same text.

Headers are whatever a visitor sends, so none of these may walk over the same characters again and again: names and
values exclude the blanks around them, and give nothing back. (With lazy quantifiers in their place, 7,000 blanks in a
cookie took HAProxy 2.6 30 ms; with these, less than 1 ms.)
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NEEDS_NO_QUOTES = re.compile(r"[A-Za-z0-9_.-]+")
_BLANKS = "[ \\t]"
_REST_OF_NAME = "[^=;, \\t\\r\\n]*"
# A value without the blanks around it; it ends at `;` or `,`, as in HAProxy 1.5.
_VALUE = "(?:[^;, \\t\\r\\n]|[ \\t]++(?=[^;, \\t\\r\\n]))*+"


@dataclass(frozen=True)
class Source:
    """One place that holds an id: ``fetch`` gives it, wherever ``guard`` (the tests of an ACL, None for all) holds."""

    fetch: str
    guard: str | None = None

    def converted(self, converters: str) -> str:
        """Return the fetch as one word, with ``,converter,converter`` behind it."""
        return word(self.fetch + converters)


def word(text: str) -> str:
    """Return an expression as one word; within single quotes HAProxy takes every character as it stands."""
    return _between_quotes(text) if re.search(r"[\s\"'#\\$]", text) else text


def quoted(text: str) -> str:
    """Return any text as one word, with quotes unless it is plain."""
    return text if _NEEDS_NO_QUOTES.fullmatch(text) else _between_quotes(text)


def _between_quotes(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def cookie(method: str, name: str) -> Source:
    """Return the cookie of exactly this name; ``method`` is ``req.cook`` or ``res.cook``."""
    return Source(f"{method}({name})" if _NEEDS_NO_QUOTES.fullmatch(name) else f'{method}("{name}")')


def prefixed_request_cookie(name: str, variable: str) -> Source:
    """Return rest of the name, ``=`` and value of the last cookie whose name begins so.

    ``variable`` holds the Cookie header: an ACL on the header itself would look at each one, but a fetch at the last.
    """
    begin = _literal(name)
    pair = f"{begin}({_REST_OF_NAME}){_BLANKS}*={_BLANKS}*({_VALUE}){_BLANKS}*+(?:[;,].*)?$"
    return Source(
        f'var({variable}),regsub("^(?:.*[;,])?{_BLANKS}*{pair}","\\1=\\2")',
        f"var({variable}) -m reg {quoted(f'(^|[;,]){_BLANKS}*{begin}{_REST_OF_NAME}{_BLANKS}*=')}",
    )


def prefixed_response_cookie(name: str) -> Source:
    """Return the same of the last Set-Cookie header whose cookie's name begins so.

    HAProxy writes names of headers in lower case here; the cookie's name keeps its case.
    """
    begin = _literal(name)
    pair = f"{begin}({_REST_OF_NAME}){_BLANKS}*={_BLANKS}*({_VALUE}){_BLANKS}*+(?:[;,\\r].*)?$"
    return Source(
        f'res.hdrs,regsub("(?s)^(?:.*\\n)?set-cookie:{_BLANKS}*{pair}","\\1=\\2")',
        f"res.hdrs -m reg {quoted(f'(^|{chr(92)}n)set-cookie:{_BLANKS}*{begin}{_REST_OF_NAME}{_BLANKS}*=')}",
    )


def url_parameter(name: str, mode: str, *, prefix: bool) -> Source:
    """Return the last parameter of this name in the path or the query that is not empty; its case does not matter.

    With ``prefix``: whatever stands behind the name.
    """
    begin = _literal(name) + ("" if prefix else "=")
    if mode == "path-parameters":
        fetch, before, value, guard = "path", "^.*;", "[^;]", f";{begin}"
    else:
        fetch, before, value, guard = "query", "^(?:.*&)?", "[^&]", f"(^|&){begin}"
    return Source(
        f'{fetch},regsub("{before}{begin}({value}+).*$","\\1",i)',
        f"{fetch} -m reg -i {quoted(guard + value)}",
    )


def _literal(name: str) -> str:
    """Return a regular expression that fits exactly the name.

    A class of one character needs no backslash, which HAProxy would want doubled in some places.
    """
    return "".join(
        letter if re.fullmatch(r"[A-Za-z0-9_%&'~`!#-]", letter) else "\\^" if letter == "^" else f"[{letter}]"
        for letter in name
    )
