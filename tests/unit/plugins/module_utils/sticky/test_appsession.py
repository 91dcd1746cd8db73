# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which HAProxy gets what, and what each of the two forms means for it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.sticky.appsession import backend_lines, parse_session
from ansible_collections.ringmaster.webops.plugins.module_utils.sticky.session import as_mapping

LINE = "appsession PHPSESSID len 64 timeout 3h request-learn prefix"
SESSION = {"cookie": "PHPSESSID", "timeout": "3h", "len": 64}


def lines(given: object, version: str, failover: str | None = None) -> list[str]:
    return backend_lines(given, haproxy_version=version, backend="app", failover=failover, peers="lbs")


@pytest.mark.parametrize("version", ["1.4.27", "1.5.0", "1.5-dev26", "1.5.19"])
def test_below_1_6_it_is_the_line(version: str) -> None:
    assert lines(LINE, version) == lines(LINE.partition(" ")[2], version, "return") == [LINE]


def test_below_1_6_what_a_mapping_leaves_out_is_as_it_was() -> None:
    assert lines({**SESSION, "request_learn": True, "prefix": True}, "1.5.8") == [LINE]


@pytest.mark.parametrize(
    ("given", "failover", "named"),
    [
        (LINE, "first_wins", "failover first_wins"),
        ({**SESSION, "failover": "rebind"}, None, "failover rebind"),
        ({**SESSION, "mode": "none"}, None, "mode none"),
    ],
)
def test_below_1_6_what_was_asked_for_in_vain_is_refused(given: object, failover: str | None, named: str) -> None:
    with pytest.raises(InvalidInputError, match=named):
        lines(given, "1.5.8", failover)


@pytest.mark.parametrize(
    "version", ["2.2.9-2+deb11u6", "2.6", "2.6.12-1+deb12u4", "3.0.11", "3.0-dev", "2.10.0", "10.0"]
)
def test_from_2_2_on_it_is_rules(version: str) -> None:
    assert lines(LINE, version)[0] == "stick-table type string len 64 size 100k expire 3h peers lbs"


@pytest.mark.parametrize(
    ("version", "given", "named"),
    [
        ("1.6.0", LINE, "quotes within arguments.*names of servers.*localpeer"),
        ("2.0.29", {**SESSION, "mode": "none"}, "digests, for hash_keys .*; localpeer"),
        ("2.1.12", {**SESSION, "failover": "return", "mode": "none"}, "it lacks localpeer"),
    ],
)
def test_what_lies_between_lacks_something(version: str, given: object, named: str) -> None:
    with pytest.raises(InvalidInputError, match=named):
        lines(given, version)


@pytest.mark.parametrize("version", ["three", "", "3", None, 3.0, "HAProxy version 2.6.12-1+deb12u4 2026/10/17"])
def test_what_is_no_version_is_refused(version: str) -> None:
    with pytest.raises(InvalidInputError, match=r"not a version.* the number .* in quotes"):
        lines(LINE, version)


@pytest.mark.parametrize(
    "arguments", [{"failover": "nowhere"}, {"backend": "a b"}, {"backend": "a\nb"}, {"backend": ""}, {"peers": "a b"}]
)
def test_other_arguments_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        backend_lines(SESSION, **{"haproxy_version": "3.0.11", "backend": "app", **arguments})


def test_a_line_and_its_mapping_are_the_same() -> None:
    assert lines(as_mapping(parse_session(LINE)), "3.0.11") == lines(LINE, "3.0.11")


@pytest.mark.parametrize("failover", ["first_wins", "rebind"])
def test_a_line_with_another_failover_is_as_careful_as_a_mapping(failover: str) -> None:
    assert lines(LINE, "3.0.11", failover) == lines(
        {**SESSION, "request_learn": True, "prefix": True, "mode": "path-parameters"}, "3.0.11", failover
    )
