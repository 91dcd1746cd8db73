# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""nginx's configuration text, as nginx reads it, and as nobody should write it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import nginx_syntax
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.nginx_syntax import (
    Statement,
    blocks,
    parse,
    read,
)


def plain(statements: list[Statement]) -> list[Any]:
    """Return statements as lists: words, and the content of a block as the last of them."""
    return [
        [each.name, *each.arguments, *([] if each.content is None else [plain(each.content)])] for each in statements
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("user www-data;", [["user", "www-data"]]),
        ("a 1;b 2;", [["a", "1"], ["b", "2"]]),
        ("events{}", [["events", []]]),
        ("http { server { listen 80; } }", [["http", [["server", [["listen", "80"]]]]]]),
        ("a b; # c; d {\ne f;", [["a", "b"], ["e", "f"]]),
        ("a b#c;", [["a", "b#c"]]),
        ("a 'b; c' \"d { e\";", [["a", "b; c", "d { e"]]),
        (r"""a "b\"c" 'd\'e' f\\g \d;""", [["a", 'b"c', "d'e", "f\\g", r"\d"]]),
        (r"a b\;c;", [["a", r"b\;c"]]),
        ("a x${b}y ${c};", [["a", "x${b}y", "${c}"]]),
        ('location ~ "^/[a-z]{2}$" { return 200; }', [["location", "~", "^/[a-z]{2}$", [["return", "200"]]]]),
        (
            "log_format json escape=json\n  '{'\n  '\"a\":\"$b\"}';",
            [["log_format", "json", "escape=json", "{", '"a":"$b"}']],
        ),
        ("a '';", [["a", ""]]),
    ],
)
def test_text(text: str, expected: list[Any]) -> None:
    assert plain(parse(text)) == expected


@pytest.mark.parametrize(
    "lua",
    [
        "",
        "local t = { a = { 1 } }",
        "ngx.say('}')",
        r'ngx.say("\"}")',
        "-- it's }\nreturn",
        "--[[ } ]] return",
        "--[==[ ]] } ]==] x = [[ } ]]",
    ],
)
def test_lua_is_passed_over(lua: str) -> None:
    text = f"location / {{ content_by_lua_block {{ {lua} }} }} after 1;"
    assert plain(parse(text)) == [["location", "/", [["content_by_lua_block", []]]], ["after", "1"]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("} a b;", [["a", "b"]]),
        ("http { server { listen 80;", [["http", [["server", [["listen", "80"]]]]]]),
        ("a b", []),
        ("a 'b; c d;", [["a", "'b"], ["c", "d"]]),
        (";;{};", []),
        ("a \\", []),
        ("a_by_lua_block { { ", [["a_by_lua_block", []]]),
    ],
)
def test_broken_text_is_taken_for_what_it_says(text: str, expected: list[Any]) -> None:
    assert plain(parse(text)) == expected


def test_lines_are_those_where_a_statement_begins() -> None:
    text = "a\n  b;\n\nc {\n# d\ne 'f\ng' h; i j;\nx_by_lua_block {\n}\n}\nk l;"
    a, c, k = parse(text)
    assert (a.line, c.line, k.line) == (1, 4, 11)
    assert [(each.name, each.line) for each in c.content or ()] == [("e", 6), ("i", 7), ("x_by_lua_block", 8)]


def test_nesting_has_an_end() -> None:
    depth, inside = 0, parse("a { " * 100_000)
    while inside and inside[0].content:
        depth, inside = depth + 1, inside[0].content
    assert 50 < depth < 100


def test_blocks_are_found_by_their_way() -> None:
    text = "http { server { a 1; } upstream u { server b; } } stream { server { c 2; } } server { d 3; }"
    assert [plain(each.content or []) for each in blocks(parse(text), "http", "server")] == [[["a", "1"]]]


# --- files


def test_includes_are_replaced_by_what_they_lead_to(tmp_path: Path) -> None:
    for name in ("b.conf", "a.conf", ".hidden.conf", "other.txt", "deep/c.conf"):
        (tmp_path / "conf.d" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "conf.d" / name).write_text(f"from {name};")
    (tmp_path / "conf.d" / "b.conf").write_text("from b.conf; include conf.d/deep/*.conf;")
    entry = tmp_path / "nginx.conf"
    entry.write_text(
        f"http {{\n include conf.d/*.conf;\n include {tmp_path}/conf.d/other.txt; include absent.conf;\n}}"
    )
    (http,) = read(str(entry))
    assert [(each.arguments[0], Path(each.file).name, each.line) for each in http.content or ()] == [
        ("a.conf", "a.conf", 1),
        ("b.conf", "b.conf", 1),
        ("deep/c.conf", "c.conf", 1),
        ("other.txt", "other.txt", 1),
    ]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("*", ["a", "b"]), (".*", [".c"]), ("[ab]", ["a", "b"]), ("?", ["a", "b"]), ("**", ["a", "b"]), ("[!a]", ["b"])],
)
def test_patterns_are_those_of_glob(tmp_path: Path, pattern: str, expected: list[str]) -> None:
    for name in ("b", "a", ".c"):
        (tmp_path / "d").mkdir(exist_ok=True)
        (tmp_path / "d" / name).write_text(f"from {name};")
    (tmp_path / "nginx.conf").write_text(f"include d/{pattern};")
    assert [each.arguments[0] for each in read(str(tmp_path / "nginx.conf"))] == expected


def test_a_file_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    assert read(str(tmp_path / "nginx.conf")) == []


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "nginx.conf").write_text(f"include {tmp_path}/pipe; include {tmp_path}; a b;")
    assert plain(read(str(tmp_path / "nginx.conf"))) == [["a", "b"]]


@pytest.mark.parametrize("text", ["include nginx.conf;", "include nginx.conf; include nginx.conf;", "include *;"])
def test_a_file_that_includes_itself_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "nginx.conf").write_text(text)
    with pytest.raises(MeasurementError, match=r"nginx\.conf: with it there are more than"):
        read(str(tmp_path / "nginx.conf"))


def test_a_huge_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nginx_syntax, "_MAX_FILE_BYTES", 10)
    (tmp_path / "nginx.conf").write_text("a " * 6)
    with pytest.raises(MeasurementError, match="larger than 10 bytes"):
        read(str(tmp_path / "nginx.conf"))
