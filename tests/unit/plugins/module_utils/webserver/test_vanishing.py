# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What may vanish, and what may not."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import vanishing
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.findings import Findings
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.server import Listener

HTTPS = Listener("0.0.0.0", 443)
KEPT = ("/etc/nginx/sites-enabled/",)
SITES: list[dict[str, Any]] = [
    {
        "file": "/etc/nginx/sites-enabled/shop",
        "names": ["shop.example.com", "_"],
        "listeners": [{"address": "0.0.0.0", "port": 443}],
    },
    {"file": "/etc/nginx/sites-enabled/wiki", "names": ["wiki.example.com"], "listeners": []},
]


@pytest.mark.parametrize(
    ("names", "wanted", "served"),
    [
        (["www.example.com"], "www.example.com", True),
        (["WWW.example.com"], "www.Example.com", True),
        (["*.example.com"], "www.example.com", True),
        (["*.example.com"], "a.b.example.com", True),
        (["*.example.com"], "example.com", False),
        ([".example.com"], "example.com", True),
        ([".example.com"], "www.example.com", True),
        ([".example.com"], "badexample.com", False),
        (["www.example.com"], "example.com", False),
        (["~^www"], "~^www", True),
        ([], "www.example.com", False),
    ],
)
def test_a_name_is_served_by_itself_and_by_wildcards(names: list[str], wanted: str, served: bool) -> None:
    assert vanishing.serves(names, wanted) is served


def test_what_stands_for_no_name_cannot_vanish() -> None:
    assert vanishing.vanishing_names(["_", "", "A.example", "a.example"], []) == ["A.example"]


@pytest.mark.parametrize(
    ("after", "gone"),
    [
        ([Listener("192.0.2.7", 443)], []),
        ([Listener("0.0.0.0", 443)], []),
        ([Listener("::", 443)], ["192.0.2.7:443"]),
        ([Listener("0.0.0.0", 8443)], ["192.0.2.7:443"]),
        ([Listener("*", 443)], ["192.0.2.7:443"]),
        ([], ["192.0.2.7:443"]),
    ],
)
def test_a_listener_is_kept_by_itself_and_by_all_addresses_of_its_family(
    after: list[Listener], gone: list[str]
) -> None:
    assert vanishing.vanishing_listeners([Listener("192.0.2.7", 443)], after) == gone


def test_an_ipv6_listener_is_named_with_brackets() -> None:
    assert vanishing.vanishing_listeners([Listener("::", 80)], [Listener("0.0.0.0", 80)]) == ["[::]:80"]


@pytest.mark.parametrize(
    ("take_over", "names", "removed", "refused"),
    [
        ("refuse", ["shop.example.com", "wiki.example.com"], [], "shop.example.com, wiki.example.com: served now by"),
        ("keep", [], [], None),
        ("replace", ["shop.example.com", "wiki.example.com"], [], None),
        ("replace", ["shop.example.com"], [], "wiki.example.com: served now by"),
        ("replace", ["shop.example.com"], ["wiki.example.com"], None),
        ("replace", ["Shop.example.com"], ["WIKI.example.com"], None),
        ("replace", [], ["wiki.example.com"], "shop.example.com: served now by"),
    ],
)
def test_sites_of_others_are_taken_over_as_asked(
    take_over: str, names: list[str], removed: list[str], refused: str | None
) -> None:
    found = vanishing.judge_foreign(SITES, take_over, names, [HTTPS], removed, KEPT)
    assert [text.startswith(refused or "-") for text in found.refusals] == ([True] if refused else [])


def test_a_refusal_names_file_and_remedy() -> None:
    (text,) = vanishing.judge_foreign(SITES[1:], "refuse", [], [], [], KEPT).refusals
    assert "/etc/nginx/sites-enabled/wiki" in text
    assert text.endswith("Set take_over to keep, which leaves it as it is, or to replace")


@pytest.mark.parametrize("take_over", ["refuse", "keep"])
def test_what_cannot_be_kept_is_refused_and_not_recommended_to_be(take_over: str) -> None:
    (text,) = vanishing.judge_foreign(SITES[1:], take_over, [], [], [], ()).refusals
    assert text.endswith(". Set take_over to replace")


def test_a_listener_of_others_vanishes_only_when_it_is_named() -> None:
    names = ["shop.example.com", "wiki.example.com"]
    (text,) = vanishing.judge_foreign(SITES, "replace", names, [], [], KEPT).refusals
    assert text.startswith("0.0.0.0:443: served now by")
    assert vanishing.judge_foreign(SITES, "replace", names, [], ["0.0.0.0:443"], KEPT).refusals == ()


@pytest.mark.parametrize(("removed", "refused"), [([], True), (["shop.example.com", "0.0.0.0:443"], False)])
def test_a_site_from_elsewhere_is_not_kept(removed: list[str], refused: bool) -> None:
    sites = [{**SITES[0], "file": "/etc/nginx/nginx.conf"}, SITES[1]]
    found = vanishing.judge_foreign(sites, "keep", [], [], removed, KEPT)
    assert bool(found.refusals) is refused
    assert not refused or found.refusals[0].startswith(
        "shop.example.com, 0.0.0.0:443: served now by /etc/nginx/nginx.conf"
    )
    assert vanishing.foreign_removed(sites, "keep", [], KEPT) == ["shop.example.com"]


def test_a_site_that_is_kept_and_ours_too_is_a_warning() -> None:
    found = vanishing.judge_foreign(SITES, "keep", ["Wiki.example.com"], [], [], KEPT)
    assert found.refusals == ()
    assert [text.startswith("wiki.example.com: also defined in") for text in found.warnings] == [True]


@pytest.mark.parametrize(("take_over", "removed"), [("replace", ["shop.example.com"]), ("keep", []), ("refuse", [])])
def test_names_of_others_are_removed_by_replacing_alone(take_over: str, removed: list[str]) -> None:
    assert vanishing.foreign_removed(SITES, take_over, ["wiki.example.com"], KEPT) == removed


@pytest.mark.parametrize(
    ("names", "removed", "refused"),
    [
        (["a.example", "b.example"], [], False),
        (["a.example"], [], False),
        (["c.example"], [], True),
        ([], [], True),
        ([], ["a.example"], True),
        ([], ["A.example", "b.example"], False),
        (["*.example"], [], False),
    ],
)
def test_our_own_names_may_go_but_not_all_of_them(names: list[str], removed: list[str], refused: bool) -> None:
    assert bool(vanishing.judge_own(["a.example", "b.example", "_"], names, removed).refusals) is refused


def test_a_host_that_serves_nothing_loses_nothing() -> None:
    assert vanishing.judge_own([], [], []) == vanishing.judge_own(["_"], [], []) == Findings()
