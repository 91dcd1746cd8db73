# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page: well-formed, self-contained, safe, and readable by more than eyes."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.report.html import to_html
from ansible_collections.ringmaster.webops.plugins.module_utils.report.model import build_report
from ansible_collections.ringmaster.webops.tests.unit.plugins.module_utils.report.builders import (
    NOW,
    RESTART,
    damaged_packages,
    endpoint,
    heartbleed,
    host,
    libraries,
    odd_fleet,
)

VOID = {"meta", "link", "br", "hr", "img", "input", "base"}
HOSTILE = "<script>alert(1)</script>\"' onload=x <img src=http://evil.test/x>\x1b[2J\u202e&amp;"


class Page(HTMLParser):
    """A parse of a page that fails on what a browser would silently mend."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(markup)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"{tag} has an attribute twice"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text.append(data)

    def every(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag == name]


def page(facts: list[dict[str, Any]]) -> Page:
    return Page(to_html(build_report(facts, NOW)))


def hostile(value: object) -> object:
    """Return facts in which every text is an attack."""
    if isinstance(value, dict):
        return {key: hostile(item) for key, item in value.items()}
    if isinstance(value, list):
        return [hostile(item) for item in value]
    return HOSTILE if isinstance(value, str) else value


def hostile_fleet() -> list[dict[str, Any]]:
    return [entry for entry in (hostile(fact) for fact in odd_fleet()) if isinstance(entry, dict)]


FLEETS = {"odd": odd_fleet(), "hostile": hostile_fleet(), "none": [], "one": [host()]}


@pytest.mark.parametrize("facts", FLEETS.values(), ids=FLEETS)
def test_page_loads_nothing_and_runs_nothing(facts: list[dict[str, Any]]) -> None:
    parsed = page(facts)
    attributes = {name for _tag, attrs in parsed.elements for name in attrs}

    assert {tag for tag, _attrs in parsed.elements} & {
        "script",
        "link",
        "img",
        "iframe",
        "object",
        "base",
        "form",
    } == set()
    assert [name for name in attributes if name in ("src", "srcset", "style", "action") or name.startswith("on")] == []
    assert [link["href"] for link in parsed.every("a") if not (link["href"] or "").startswith("#host-")] == []
    assert re.findall(r"url\(|@import", to_html(build_report(facts, NOW))) == []


@pytest.mark.parametrize("facts", FLEETS.values(), ids=FLEETS)
def test_page_can_be_read_aloud(facts: list[dict[str, Any]]) -> None:
    parsed = page(facts)
    identifiers = [attrs["id"] for _tag, attrs in parsed.elements if "id" in attrs]

    assert parsed.every("html") == [{"lang": "en"}]
    assert len(parsed.every("caption")) == len(parsed.every("table")) >= 1
    assert {heading.get("scope") for heading in parsed.every("th")} <= {"col", "row"}
    assert len(identifiers) == len(set(identifiers))
    assert {f"#{identifier}" for identifier in identifiers} >= {link["href"] for link in parsed.every("a")}


def test_hostile_text_is_shown_as_text() -> None:
    markup = to_html(build_report(hostile_fleet(), NOW))

    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in markup
    assert "<script" not in markup
    assert "\x1b" not in markup
    assert "\u202e" not in markup


def test_policy_allows_the_style_sheet_and_nothing_else() -> None:
    policy = next(attrs["content"] for attrs in page([]).every("meta") if "http-equiv" in attrs)

    assert re.fullmatch(
        r"default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='; base-uri 'none'; form-action 'none'", policy or ""
    )


@pytest.mark.parametrize(
    "told",
    [
        "6 of 15 hosts are critical",
        "ssh: connect to host gone1 port 22: No route to host",
        "gave no TLS answer: Connection refused",
        "Is the server running?",
        "/usr/share/doc/caf\\xe9/README",
        "2 of 812 findings in what was verified",
        "/var/lib/ringmaster/consistency.jsonl",
        "permission denied: only root may read it",
        "line 4 does not parse",
        "grade T (A with trust ignored)",
        "A at best",
        "tls10 (at most B): TLSv1.0 offered",
        "hsts_short: max-age 300 s is less than 180 days",
        "revocation: no CRL or OCSP server is asked",
        "1 vulnerable, 1 likely, 1 exposed, 23 of 24 tested (tests: active)",
        "Heartbleed: it answered more than was sent",
        "POODLE on TLS: answered like a right record",
        "BREACH: the answer to GET / is compressed",
        "ROBOT: vulnerability_tests is active: deep would test it",
        "Mozilla 6.0 modern: does not comply: protocols (not allowed: TLSv1.2)",
        "Mozilla 6.0 intermediate: complies",
        "1 of 2 can connect",
        "Java 6u45: no common protocol",
        "yes: X25519MLKEM768",
        "TLSv1.2: by session ID, not by ticket",
        "TLSv1.3: by ticket (valid for 7,200 s), no 0-RTT data",
        "redirects to https://www.ringmaster.test/",
        "max-age 300 s",
        "nginx (7) runs on /usr/lib/libssl.so.1.1",
        "none: of 1 process seen with a TLS library none runs on one that was replaced",
        "libssl1.0.0 1.0.1e-2+deb7u4: from before the logs begin to 2014-04-08 06:25:01",
        "never installed, as far as the logs go from 2025-01-01 00:00:00 to 2026-11-21 06:00:00",
        "no: OpenSSL 3.0.19 answers no heartbeats over TLS",
        "The TLS libraries of this host were not looked at.",
        "X25519MLKEM768 (post-quantum), x25519",
        "TLS_AES_128_GCM_SHA256 (0x1301)",
        "2027-02-19T15:00:00Z (89 days left)",
        "9,295 of 9,312 files",
        "No finding in what was verified.",
        "No TLS endpoint of this host was measured.",
        "The packages of this host were not verified.",
    ],
)
def test_page_tells(told: str) -> None:
    assert told in "".join(page(odd_fleet()).text)


@pytest.mark.parametrize(
    ("measured", "told"),
    [
        (libraries(heartbleed=heartbleed(log_coverage={})), "not known: there are no package logs"),
        (libraries(heartbleed=heartbleed(vulnerable_now=None)), "Heartbleed nownot known"),
        (libraries(restart_needed=RESTART * 50), "and 10 more"),
        (libraries(processes_total=None), "none: of the processes seen"),
        ({"libraries": []}, "The result does not say about restart_needed, heartbleed, not_tested."),
    ],
)
def test_page_tells_what_is_not_known_about_libraries(measured: dict[str, Any], told: str) -> None:
    assert told in "".join(page([host(tls_libraries=measured)]).text)


def test_who_asked_nothing_about_libraries_has_no_column_of_them() -> None:
    with_libraries, without = host(), host(tls_libraries=None)

    assert "Verified" + "TLS libraries" in "".join(page([with_libraries, without]).text)
    assert "Verified" + "TLS libraries" not in "".join(page([without]).text)


def test_status_is_a_word_and_not_a_colour_alone() -> None:
    text = "".join(page(odd_fleet()).text)

    assert all(word in text for word in ("\u2715 critical", "? unknown", "! attention", "\u2713 ok"))


def test_hosts_in_order_are_closed_and_the_others_open() -> None:
    closed = [attrs for attrs in page(odd_fleet()).every("details") if "open" not in attrs]

    assert len(closed) == 3


def test_long_lists_end_with_how_many_more() -> None:
    findings = damaged_packages()["findings"] * 200
    many = endpoint()
    many["certificates"][0]["leaf"]["names"] = [f"n{number}.test" for number in range(10_000)]
    facts = [host(f"web{number}", packages={**damaged_packages(), "findings": findings}) for number in range(40)]
    facts[0]["tls_endpoints"] = [many]
    text = "".join(page(facts).text)

    assert "10 more reasons in the table and the details below." in text
    assert "100 of 812 findings" in text
    assert "n39.test and 9,960 more" in text


def test_page_of_a_large_fleet_stays_light() -> None:
    markup = to_html(build_report([host(f"web{number}") for number in range(500)], NOW))

    assert len(Page(markup).every("details")) == 500
    assert len(markup) < 500 * 8000
