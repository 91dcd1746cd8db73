# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which grade and which trust may go live."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import grade_gate

from ..report import builders

KEY = "www.example.com:443"
TLS10 = {"rule": "tls10_or_tls11_offered", "limit": "B", "evidence": "TLSv1.0 offered", "since": "2009q"}
WEAK_KEY = {"rule": "key_below_2048", "limit": "B", "evidence": "worth 1024 RSA bits", "since": "2009e"}
NO_HSTS = {"rule": "hsts_disabled", "evidence": "Strict-Transport-Security says max-age=0", "since": "2009r"}


def graded(letter: str | None, **changes: object) -> dict[str, Any]:
    return {**builders.endpoint(grade=letter or "", grade_trust_ignored=letter, warnings=[]), **changes}


def with_trust(trusted: bool | None, reason: str | None = None, name_matches: bool = True) -> dict[str, Any]:
    entry = builders.certificate()
    entry["trust"].update(trusted=trusted, reason=reason, name_matches=name_matches)
    return graded("A", certificates=[entry])


@pytest.mark.parametrize(
    ("letter", "live", "minimum", "accepted"),
    [
        ("A", None, "A", True),
        ("A+", None, "A", True),
        ("A-", None, "A", False),
        ("B", "C", "A", True),
        ("B", "B", "A", False),
        ("B", "A", "A", False),
        ("B", "A", "B", True),
        ("F", None, "none", True),
        ("F", "T", "A", False),
        (None, "F", "F", False),
    ],
)
def test_a_grade_must_reach_the_minimum_or_be_better_than_what_is_live(
    letter: str | None, live: str | None, minimum: str, accepted: bool
) -> None:
    before = None if live is None else graded(None if live == "T" else live)
    found = grade_gate.judge_grade(KEY, graded(letter), before, minimum)
    assert (found.refusals == ()) is accepted


def test_a_live_endpoint_that_does_not_answer_excuses_nothing() -> None:
    assert grade_gate.judge_grade(KEY, graded("B"), builders.unreachable(), "A").refusals


@pytest.mark.parametrize("minimum", ["A", "none"])
def test_an_endpoint_that_does_not_answer_is_refused(minimum: str) -> None:
    found = grade_gate.judge_grade(KEY, builders.unreachable(message="refused"), None, minimum)
    assert found.refusals == (f"{KEY}: it does not answer: refused",)


def test_what_is_better_than_live_and_too_low_is_a_warning() -> None:
    (text,) = grade_gate.judge_grade(KEY, graded("B", caps=[TLS10]), graded("C"), "A").warnings
    assert text.startswith(f"{KEY}: grade B is below minimum_grade A, but better than C, which is live. ")


def test_a_grade_that_falls_is_a_warning() -> None:
    assert grade_gate.judge_grade(KEY, graded("A"), graded("A+"), "A").warnings == (
        f"{KEY}: its grade falls from A+ to A",
    )


@pytest.mark.parametrize(
    ("letter", "minimum", "changes", "words"),
    [
        (
            "B",
            "A",
            {"caps": [TLS10]},
            "tls10_or_tls11_offered (TLSv1.0 offered). Take the TLS profile intermediate or modern, or lower",
        ),
        ("B", "A", {"caps": [WEAK_KEY]}, "key_below_2048 (worth 1024 RSA bits). Use an ECDSA key, or an RSA key"),
        ("A-", "A", {"warnings": [NO_HSTS]}, "hsts_disabled (Strict-Transport-Security says max-age=0). Set the HSTS"),
        ("A", "A+", {}, "Strict-Transport-Security (300 s; A+ takes 15552000 s). Set the HSTS stage to full, or lower"),
        ("A", "A+", {"http": None}, "Strict-Transport-Security (none; A+ takes 15552000 s)"),
        ("B", "A", {}, "its scores are protocol 100, key_exchange 90, cipher_strength 90. Change what is named here"),
        ("C", "B", {"caps": [TLS10, {**TLS10, "rule": "other", "limit": "C"}]}, "reason is other (TLSv1.0 offered)."),
    ],
)
def test_a_refusal_says_what_lowers_the_grade_and_the_remedy(
    letter: str, minimum: str, changes: dict[str, Any], words: str
) -> None:
    (text,) = grade_gate.judge_grade(KEY, graded(letter, **changes), None, minimum).refusals
    assert text.startswith(f"{KEY}: grade {letter}, and minimum_grade is {minimum}. The reason is ")
    assert words in text


@pytest.mark.parametrize(
    ("missing", "refused", "warned"),
    [
        (["vulnerabilities.robot"], False, False),
        (["certificates.chain"], False, True),
        (["protocols.TLSv1.0"], True, False),
        (["cipher_suites.TLSv1.2"], True, False),
    ],
)
def test_a_grade_that_is_not_known_is_no_grade(missing: list[str], refused: bool, warned: bool) -> None:
    found = grade_gate.judge_grade(KEY, graded("A", grade_missing_facts=missing), None, "A")
    assert (bool(found.refusals), bool(found.warnings)) == (refused, warned)


@pytest.mark.parametrize(
    ("now", "live", "refused", "warned"),
    [
        (with_trust(True), with_trust(True), False, False),
        (with_trust(False, "self_signed"), with_trust(True), True, False),
        (with_trust(True, name_matches=False), with_trust(True), True, False),
        (with_trust(False, "self_signed"), with_trust(False, "expired"), False, True),
        (with_trust(False, "self_signed"), None, False, True),
        (with_trust(False, "self_signed"), builders.unreachable(), False, True),
        (with_trust(None, "chain_not_seen"), with_trust(True), False, False),
        (builders.unreachable(), with_trust(True), False, False),
    ],
)
def test_trust_must_not_get_worse(
    now: dict[str, Any], live: dict[str, Any] | None, refused: bool, warned: bool
) -> None:
    found = grade_gate.judge_trust(KEY, now, live)
    assert (bool(found.refusals), bool(found.warnings)) == (refused, warned)


def test_distrust_is_explained() -> None:
    (text,) = grade_gate.judge_trust(KEY, with_trust(False, "self_signed"), with_trust(True)).refusals
    assert text.startswith(f"{KEY}: its certificate is not trusted (self_signed), and the one that is live is.")
