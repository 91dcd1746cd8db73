# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts of a fleet -> verdicts and rows."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.report.model import (
    build_report,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.report.words import (
    expiry,
    fleet_coverage,
    headline,
    libraries_word,
)
from ansible_collections.ringmaster.webops.tests.unit.plugins.module_utils.report.builders import (
    NOW,
    PERIOD,
    RESTART,
    certificate,
    damaged_packages,
    endpoint,
    heartbleed,
    host,
    libraries,
    odd_fleet,
    packages,
    unreachable,
    vulnerabilities,
)


def graded(grade: str | None, **changes: object) -> dict[str, Any]:
    return host(tls_endpoints=[{**endpoint(), "grade": grade, **changes}])


def expiring(days: float, lifetime: float = 90) -> dict[str, Any]:
    return host(tls_endpoints=[endpoint(certificates=[certificate(days, lifetime=lifetime)])])


def both_certificates(**changes: object) -> dict[str, Any]:
    return host(tls_endpoints=[endpoint(certificates=[certificate(), {**certificate(), **changes}])])


def found(status: str) -> dict[str, Any]:
    return host(tls_endpoints=[endpoint(vulnerabilities=vulnerabilities(crime=(status, "it compresses")))])


def on_host(**changes: object) -> dict[str, Any]:
    return host(tls_libraries=libraries(**changes))


def with_heartbleed(**changes: object) -> dict[str, Any]:
    return on_host(heartbleed=heartbleed(**changes))


def verified(listed: int, number: int) -> dict[str, Any]:
    everything = {"installed": 3, "verified": 3, "not_verified": 0}
    files = {"listed": listed, "verified": number, "not_verified": listed - number}
    return {"packages": everything, "files": files, "gaps": []}


CASES = [
    ("sound", host(), "ok", []),
    ("no endpoint", host(tls_endpoints=[]), "ok", []),
    ("packages not measured", host(packages=None), "unknown", ["not_measured"]),
    ("endpoints not measured", host(tls_endpoints=None), "unknown", ["not_measured"]),
    ("an error beside facts", host(error="listeners: no answer"), "unknown", ["host_error"]),
    ("an error explains what is missing", host(error="lost", packages=None), "unknown", ["host_error"]),
    ("host failed", {"host": "a", "error": "no route"}, "unknown", ["host_error"]),
    ("empty entry", {"host": "a"}, "unknown", ["not_measured", "not_measured"]),
    ("endpoint silent", host(tls_endpoints=[unreachable()]), "critical", ["endpoint_unreachable"]),
    ("A+", graded("A+"), "ok", []),
    ("A-", graded("A-"), "ok", []),
    ("B", graded("B"), "attention", ["grade"]),
    ("C", graded("C"), "attention", ["grade"]),
    ("D", graded("D"), "critical", ["grade"]),
    ("F", graded("F"), "critical", ["grade"]),
    ("T", graded("T"), "critical", ["grade"]),
    ("M", graded("M"), "critical", ["grade"]),
    ("a grade of later years", graded("S"), "critical", ["grade"]),
    ("no grade", graded(None), "unknown", ["grade_missing"]),
    ("no certificate", host(tls_endpoints=[endpoint(certificates=[])]), "unknown", ["certificate_missing"]),
    ("one certificate of two unread", both_certificates(leaf={}), "unknown", ["certificate_missing"]),
    ("one of two untrusted", both_certificates(trust={"trusted": False}), "critical", ["certificate_untrusted"]),
    ("missing facts make a bound", graded("A", grade_missing_facts=["x"]), "attention", ["grade_upper_bound"]),
    ("upper bound", graded("A", grade_is_upper_bound=True), "attention", ["grade_upper_bound"]),
    ("22 days", expiring(22), "ok", []),
    ("20 days", expiring(20), "attention", ["certificate_expires"]),
    ("6 days", expiring(6), "critical", ["certificate_expires"]),
    ("last minutes", expiring(0.01), "critical", ["certificate_expires"]),
    ("expired", expiring(-0.01), "critical", ["certificate_expired"]),
    ("5 of 6 days", expiring(5, lifetime=6), "ok", []),
    ("1 of 6 days", expiring(1, lifetime=6), "attention", ["certificate_expires"]),
    ("half of 6 days' last", expiring(0.5, lifetime=6), "critical", ["certificate_expires"]),
    ("from tomorrow", expiring(91, lifetime=90), "critical", ["certificate_not_yet_valid"]),
    ("damaged", host(packages=damaged_packages()), "critical", ["packages_inconsistent"]),
    ("unsound", host(packages=packages("database_unsound")), "critical", ["package_database_unsound"]),
    ("incomplete", host(packages=packages("incomplete")), "attention", ["packages_incomplete"]),
    ("verdict of later years", host(packages=packages("fine")), "unknown", ["packages_verdict_unknown"]),
    (
        "a damaged database beside any verdict",
        host(packages=packages(database_problems=[{"file": "status", "problem": "cut"}])),
        "critical",
        ["package_database_unsound"],
    ),
    ("verification failed", host(packages=packages(failures=["I/O error"])), "unknown", ["packages_failures"]),
    ("no file", host(packages=packages(coverage=verified(0, 0))), "unknown", ["packages_nothing_verified"]),
    ("a hole", host(packages=packages(coverage=verified(9, 8))), "attention", ["packages_incomplete"]),
    ("vulnerable", found("vulnerable"), "critical", ["vulnerability_vulnerable"]),
    ("likely vulnerable", found("likely"), "attention", ["vulnerability_likely"]),
    ("exposed", found("exposed"), "ok", []),
    ("not tested", found("not_tested"), "ok", []),
    ("a status of later years", found("dangerous"), "unknown", ["vulnerability_unknown"]),
    (
        "vulnerabilities not judged",
        host(tls_endpoints=[endpoint(vulnerabilities={})]),
        "unknown",
        ["vulnerability_unknown"],
    ),
    ("nobody asked about libraries", host(tls_libraries=None), "ok", []),
    ("restart due", on_host(restart_needed=RESTART), "attention", ["restart_due"]),
    ("processes not seen", on_host(not_tested=[{"fact": "processes"}]), "attention", ["libraries_incomplete"]),
    ("Heartbleed", with_heartbleed(vulnerable_now=True), "critical", ["heartbleed_installed"]),
    ("Heartbleed of old", with_heartbleed(vulnerable_periods=[PERIOD]), "attention", ["heartbleed_in_the_past"]),
    ("Heartbleed, who knows", with_heartbleed(vulnerable_now=None), "unknown", ["heartbleed_unknown"]),
    ("half a result about libraries", host(tls_libraries={"libraries": []}), "unknown", ["libraries_unknown"]),
    ("coverage unknown", host(packages=packages(coverage={})), "unknown", ["packages_coverage_unknown"]),
]


@pytest.mark.parametrize(("entry", "verdict", "rules"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_verdict_of_a_host_and_its_reasons(entry: dict[str, Any], verdict: str, rules: list[str]) -> None:
    (row,) = build_report([entry], NOW).hosts

    assert (row.verdict, [reason.rule for reason in row.reasons]) == (verdict, rules)


def test_conffile_findings_do_not_worsen_a_consistent_host() -> None:
    changed = packages(summary={"verdict": "consistent", "findings_total": 3, "by_class": {"config_changed": 3}})
    report = build_report([host(packages=changed)], NOW)

    assert (report.verdict, report.findings_total) == ("ok", 3)


def test_worst_reason_comes_first() -> None:
    (row,) = build_report([host(packages=packages("incomplete"), tls_endpoints=[unreachable()])], NOW).hosts

    assert [reason.level for reason in row.reasons] == ["critical", "attention"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"grade": "B", "caps": [{"rule": "tls10", "limit": "B", "evidence": "TLSv1.0 offered"}]},
            "tls10 (TLSv1.0 off",
        ),
        ({"grade": "T", "grade_trust_ignored": "A-"}, "A- without that"),
        ({"grade": "M"}, "does not name the server"),
    ],
)
def test_grade_is_explained(changes: dict[str, Any], told: str) -> None:
    (row,) = build_report([host(tls_endpoints=[endpoint(**changes)])], NOW).hosts

    assert told in row.reasons[0].text


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (found("vulnerable"), "web1.ringmaster.test:443 is vulnerable to CRIME: it compresses"),
        (found("likely"), "web1.ringmaster.test:443 is likely to be vulnerable to CRIME: it compresses"),
        (found("dangerous"), "web1.ringmaster.test:443: the result does not say about CRIME"),
        (
            graded("A", grade_missing_facts=[f"vulnerabilities.{name}" for name in ("robot", "crime", "beast", "rc4")]),
            "web1.ringmaster.test:443 has grade A at best; not known: ROBOT, CRIME, BEAST, 1 more",
        ),
        (on_host(restart_needed=RESTART * 2), "to be restarted, since their TLS library was replaced: nginx (7, 7)"),
        (
            with_heartbleed(vulnerable_now=True, vulnerable_packages=["libssl1.0.0 1.0.1e"], advice="Make new keys"),
            "a library with Heartbleed is installed: libssl1.0.0 1.0.1e. Make new keys",
        ),
        (
            with_heartbleed(vulnerable_periods=[PERIOD]),
            "a library with Heartbleed was installed: libssl1.0.0 1.0.1e-2+deb7u4",
        ),
        (
            on_host(not_tested=[{"fact": "processes", "reason": "no root"}]),
            "TLS libraries: not all was seen; processes: no root",
        ),
    ],
)
def test_reason_has_name_and_evidence(entry: dict[str, Any], told: str) -> None:
    (row,) = build_report([entry], NOW).hosts

    assert [reason.text for reason in row.reasons] == [told]


@pytest.mark.parametrize(
    ("grades", "worst"),
    [(["A", "B", "A+"], "B"), (["F", "T"], "T"), (["M", "T"], "T"), (["F", "M"], "M"), (["A-", "A"], "A-")],
)
def test_worst_grade_of_the_endpoints(grades: list[str], worst: str) -> None:
    (row,) = build_report([host(tls_endpoints=[endpoint(grade=grade) for grade in grades])], NOW).hosts

    assert row.worst is not None
    assert row.worst.grade == worst


def test_certain_grade_is_better_than_the_same_as_a_bound() -> None:
    both = [endpoint("sure"), endpoint("bound", grade_is_upper_bound=True)]
    (row,) = build_report([host(tls_endpoints=both)], NOW).hosts

    assert row.worst is not None
    assert row.worst.grade_is_upper_bound


@pytest.mark.parametrize(
    ("days", "left", "words"),
    [
        (89.5, 89, "89 days"),
        (1.2, 1, "1 day"),
        (0.3, 0, "today"),
        (-0.3, -1, "expired today"),
        (-2.5, -3, "expired 2 days ago"),
    ],
)
def test_days_left_at_the_given_moment(days: float, left: int, words: str) -> None:
    (row,) = build_report([expiring(days)], NOW).hosts

    assert (row.days_left, expiry(row)) == (left, words)


@pytest.mark.parametrize(
    ("measured", "word"),
    [
        (None, "not measured"),
        (libraries(), "in order"),
        (libraries(not_tested=[{"fact": "processes"}]), "incomplete"),
        (libraries(restart_needed=RESTART * 2), "2 restarts due"),
        (libraries(heartbleed=heartbleed(vulnerable_periods=[PERIOD])), "Heartbleed in the past"),
        (libraries(heartbleed=heartbleed(vulnerable_now=True), restart_needed=RESTART), "Heartbleed"),
        (libraries(heartbleed=heartbleed(vulnerable_now=None)), "unknown"),
        ({"libraries": []}, "unknown"),
    ],
)
def test_the_worst_about_libraries_in_a_word(measured: dict[str, Any] | None, word: str) -> None:
    (row,) = build_report([host(tls_libraries=measured)], NOW).hosts

    assert libraries_word(row.libraries) == word


def test_every_host_is_a_row() -> None:
    fleet = odd_fleet()

    assert {row.name for row in build_report(fleet, NOW).hosts} == {entry["host"] for entry in fleet}


def test_hosts_of_the_same_name_stay_apart() -> None:
    assert len(build_report([host(), host()], NOW).hosts) == 2


def test_fleet_in_words() -> None:
    report = build_report(odd_fleet(), NOW)

    assert headline(report.hosts_by_verdict) == "6 of 15 hosts are critical"
    assert fleet_coverage(report) == (
        "812 package findings: 121,039 of 121,056 files and 2,753 of 2,756 packages verified on 14 of 15 hosts, "
        "5.3 GB read. 13 TLS endpoints measured, 1 without an answer. "
        "Vulnerabilities: 1 vulnerable, 1 likely, 1 exposed, 287 of 288 tested."
    )


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ([], "Nothing was measured: there is no host"),
        ([host()], "1 host in order"),
        ([host(), {"host": "b"}], "1 of 2 hosts could not be measured in full"),
        ([host(packages=packages("incomplete"))], "1 of 1 host needs attention"),
    ],
)
def test_headline_says_the_worst(facts: list[dict[str, Any]], words: str) -> None:
    assert headline(build_report(facts, NOW).hosts_by_verdict) == words


def test_report_about_nothing_is_not_ok() -> None:
    assert build_report([], NOW).verdict == "unknown"


def test_findings_that_nobody_counted_are_not_none() -> None:
    uncounted = {key: value for key, value in packages(summary={"verdict": "consistent"}).items() if key != "findings"}
    clean, unclear = host(), host(packages=uncounted)

    assert build_report([clean], NOW).findings_total == 0
    assert build_report([clean, unclear], NOW).findings_total is None
    assert build_report([unclear, host(packages=damaged_packages())], NOW).findings_total == 812


def test_no_finding_stands_with_the_coverage() -> None:
    told = fleet_coverage(build_report([host()], NOW))

    assert told.startswith("No package finding: 9,312 of 9,312 files")
    assert told.endswith("Vulnerabilities: none found, 24 of 24 tested.")


def without(value: object, key: str) -> object:
    """Return a copy of nested facts in which no dictionary has ``key``."""
    if isinstance(value, dict):
        return {name: without(item, key) for name, item in value.items() if name != key}
    return [without(item, key) for item in value] if isinstance(value, list) else value


def keys(value: object) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*(keys(item) for item in value.values()))
    return set().union(*(keys(item) for item in value)) if isinstance(value, list) else set()


@pytest.mark.parametrize("key", sorted(keys(odd_fleet())))
def test_a_missing_key_loses_no_host_and_betters_none(key: str) -> None:
    whole = build_report(odd_fleet(), NOW)
    entries = [entry for entry in (without(fact, key) for fact in odd_fleet()) if isinstance(entry, dict)]
    report = build_report(entries, NOW)

    assert len(report.hosts) == len(whole.hosts)
    assert report.hosts_by_verdict["ok"] <= whole.hosts_by_verdict["ok"] or key in FORGIVING


# Without these keys a problem itself is gone from the facts, and nothing is left that could tell of it.
FORGIVING = {"packages", "tls_endpoints", "tls_libraries", "grade_is_upper_bound"}
