# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading facts of any shape, and showing them without harm."""

from __future__ import annotations

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.report.reading import (
    columns,
    integer,
    items,
    mapping,
    moment,
    path_text,
    text,
    texts,
    visible,
)

ODD = [None, True, 0, 1.5, float("nan"), "", "x", b"x", [], [1], {}, {"a": 1}, {1: 2}, object()]


@pytest.mark.parametrize("value", ODD)
def test_no_shape_of_a_value_raises(value: object) -> None:
    for read in (mapping, items, text, texts, integer, moment):
        read(value)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain text, caf\u00e9, \u4f60\u597d", "plain text, caf\u00e9, \u4f60\u597d"),
        ("two\nlines\tand\rmore", "two lines and more"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("evil\u202egnp.exe", "evil\\u202egnp.exe"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("lone\udcff", "lone\\udcff"),
        ("tag\U000e0041", "tag\\U000e0041"),
    ],
)
def test_what_is_not_printable_text_is_written_out(value: str, shown: str) -> None:
    assert visible(value) == shown


@pytest.mark.parametrize(
    ("value", "iso"),
    [
        ("2026-11-22T03:00:00Z", "2026-11-22T03:00:00+00:00"),
        ("2026-11-22T04:00:00+01:00", "2026-11-22T03:00:00+00:00"),
        ("2026-11-22T03:00:00", "2026-11-22T03:00:00+00:00"),
        ("tomorrow", None),
        ("0001-01-01T00:00:00+23:00", None),
        (1763780400, None),
    ],
)
def test_moment_is_utc_or_unknown(value: object, iso: str | None) -> None:
    parsed = moment(value)

    assert (parsed.isoformat() if parsed else None) == iso


@pytest.mark.parametrize(
    ("entry", "shown"),
    [
        ({"path": "/usr/bin/rsync"}, "/usr/bin/rsync"),
        ({"path": "/caf?", "path_b64": "L2NhZuk="}, "/caf\\xe9"),
        ({"path": "/kept", "path_b64": "no base64!"}, "/kept"),
        ({}, "(no path)"),
    ],
)
def test_path_of_bytes_is_exact(entry: dict[str, str], shown: str) -> None:
    assert path_text(entry) == shown


@pytest.mark.parametrize(("value", "width"), [("web1", 4), ("\u4f60\u597d", 4), ("cafe\u0301", 4)])
def test_columns_of_a_terminal(value: str, width: int) -> None:
    assert columns(value) == width
