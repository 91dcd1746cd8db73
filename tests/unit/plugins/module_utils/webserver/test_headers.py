# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.headers import (
    merged_headers,
    nginx_header_lines,
    request_headers,
    transport_security,
    trust_obstacles,
)


def certificate(**changes: object) -> dict[str, Any]:
    return {"fullchain": "/c.pem", "trusted": True, "reason": None, "names": ["www.example.org"], **changes}


def test_later_layer_wins_whatever_the_case_of_the_name() -> None:
    merged = merged_headers("x", {"X-Frame-Options": "SAMEORIGIN", "X-A": "1"}, {"x-frame-options": "DENY"})

    assert merged == [{"name": "x-frame-options", "value": "DENY"}, {"name": "X-A", "value": "1"}]


@pytest.mark.parametrize("empty", ["", None])
def test_empty_value_removes_a_header(empty: str | None) -> None:
    assert merged_headers("x", {"X-A": "1"}, {"X-A": empty}) == []


def test_number_is_a_value() -> None:
    assert merged_headers("x", {"X-XSS-Protection": 0}) == [{"name": "X-XSS-Protection", "value": "0"}]


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"X A": "1"}, "nginx_sites, entry a: header 'X A': this is not the name of a header"),
        ({"": "1"}, "this is not the name of a header"),
        ({"#X-A": "1"}, "this is not the name of a header"),
        ({"X'A": "1"}, "this is not the name of a header"),
        ({"X-A": "1\r\nX-B: 2"}, "nginx_sites, entry a: header X-A: its value has a line break in it"),
        ({"strict-transport-security": "max-age=1"}, "Set the stage with hsts_stage instead"),
    ],
)
def test_what_cannot_be_a_header(headers: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        merged_headers("nginx_sites, entry a", headers)


def test_header_of_a_request_may_be_empty() -> None:
    assert request_headers("x", {"Host": "a", "Cookie": ""}) == [
        {"name": "Host", "value": "a"},
        {"name": "Cookie", "value": ""},
    ]


def test_lines_of_nginx_are_for_every_answer() -> None:
    lines = nginx_header_lines([{"name": "X-A", "value": "a"}], "$ringmaster_hsts_1")

    assert lines == 'add_header Strict-Transport-Security $ringmaster_hsts_1 always;\nadd_header X-A "a" always;\n'


def test_lines_of_nginx_without_transport_security() -> None:
    assert nginx_header_lines([], "") == ""


def test_quotes_and_backslashes_are_part_of_the_value() -> None:
    lines = nginx_header_lines([{"name": "X-A", "value": 'a"; root /; "\\'}], "")

    assert lines == 'add_header X-A "a\\"; root /; \\"\\\\" always;\n'


@pytest.mark.parametrize(
    ("stage", "obstacles", "expected"),
    [
        ("observe", [], ("max-age=300", None)),
        ("observe", ["a", "b"], ("", "a; b")),
        ("disabled", ["a"], ("max-age=0", None)),
    ],
)
def test_transport_security(stage: str, obstacles: list[str], expected: tuple[str, str | None]) -> None:
    assert transport_security(stage, include_subdomains=False, preload=False, obstacles=obstacles) == expected


def test_what_a_preload_list_would_refuse_is_refused_also_while_it_is_held_back() -> None:
    with pytest.raises(InvalidInputError, match="Go to the stage full first"):
        transport_security("week", include_subdomains=True, preload=True, obstacles=["a"])


@pytest.mark.parametrize(
    ("server_name", "names"),
    [
        ("www.example.org", ["www.example.org"]),
        ("WWW.example.org", ["www.Example.org"]),
        ("www.example.org", ["*.example.org"]),
        ("*.example.org", ["*.EXAMPLE.org"]),
        ("192.0.2.1", ["192.0.2.1"]),
        ("www.*", []),
    ],
)
def test_trusted_certificate_for_the_name_is_no_obstacle(server_name: str, names: list[str]) -> None:
    assert trust_obstacles([certificate(names=names)], [server_name]) == []


@pytest.mark.parametrize(
    ("given", "obstacle"),
    [
        (certificate(trusted=False, reason="it is self-signed"), "/c.pem is not trusted (it is self-signed)"),
        (certificate(trusted=False), "/c.pem is not trusted (the reason is not known)"),
        (certificate(names=["other.example.org"]), "/c.pem is not for www.example.org, *.example.org"),
    ],
)
def test_obstacle_is_named(given: dict[str, Any], obstacle: str) -> None:
    assert trust_obstacles(
        [certificate(names=["www.example.org", "*.example.org"]), given], ["www.example.org", "*.example.org"]
    ) == [obstacle]
