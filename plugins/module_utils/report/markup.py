# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HTML elements that escape what they hold: text becomes markup only through :func:`tag`."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Union

from ansible_collections.ringmaster.webops.plugins.module_utils.report.reading import shortened, visible

# A single text from a host never takes more of the page than this, in characters.
TEXT_LIMIT = 2000


class Html(str):
    """Markup that is complete and safe; any other text is escaped on its way in."""

    __slots__ = ()


Content = Union[str, int, None]


def tag(name: str, *children: Content, **attributes: str | None) -> Html:
    """Return the element ``name`` around ``children``: text is escaped, ``None`` left out, :class:`Html` kept.

    An attribute's trailing underscore goes and an inner one becomes a hyphen (``class_``, ``aria_label``); one that is
    ``None`` is left out.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escaped(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{written}>{join(children)}</{name}>")


def join(children: Iterable[Content], separator: str = "") -> Html:
    """Return ``children`` one after the other, text escaped, with the escaped ``separator`` between them."""
    parts = [str(child) if isinstance(child, Html) else escaped(str(child)) for child in children if child is not None]
    return Html(escaped(separator).join(parts))


def escaped(value: str) -> str:
    """Return ``value`` as HTML text that is safe between tags and in quotes: printable, bounded, escaped."""
    return html.escape(shortened(visible(value), TEXT_LIMIT), quote=True)


def table(caption: str, headings: Sequence[str], rows: Iterable[Sequence[Content]], class_: str | None = None) -> Html:
    """Return a table with a caption; each row starts with its heading; numbers stand to the right."""
    rows = list(rows)
    numeric = [any(isinstance(row[position], int) for row in rows) for position in range(len(headings))]
    head = [tag("th", one, scope="col", class_="number" if right else None) for one, right in zip(headings, numeric)]
    body = [tag("tr", tag("th", row[0], scope="row"), *map(_cell, row[1:], numeric[1:])) for row in rows]
    whole = tag(
        "table", tag("caption", caption), tag("thead", tag("tr", *head)), tag("tbody", join(body, "\n")), class_=class_
    )
    return tag("div", whole, class_="scroll")


def _cell(content: Content, right: bool) -> Html:
    return tag("td", f"{content:,}" if isinstance(content, int) else content, class_="number" if right else None)


def pairs(entries: Iterable[tuple[str, Content]], class_: str | None = None) -> Html:
    """Return named values as a description list; those without a value are left out, an empty list too."""
    rows = [join([tag("dt", name), tag("dd", value)]) for name, value in entries if value is not None]
    return tag("dl", *rows, class_=class_) if rows else Html()


def listing(entries: Iterable[Content]) -> Html:
    """Return ``entries`` as a list."""
    return tag("ul", *(tag("li", entry) for entry in entries))
