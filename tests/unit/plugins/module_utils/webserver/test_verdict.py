# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is said first of a release with several faults, and what of one without."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.tls.certificate import Anchors
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import verdict
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.request import Endpoint, Request

from .host_facts import Lab, measured_servers, prepared

NOW = datetime.datetime.now(datetime.timezone.utc)
ENDPOINT = Endpoint("localhost", certificates=("tls/fullchain.pem",))
ASKED = Request("nginx", names=("localhost",), endpoints=(ENDPOINT,))
FOREIGN = [{"file": "/etc/nginx/sites-enabled/shop", "names": ["shop.example"], "listeners": []}]
CONFLICT = [{"address": "0.0.0.0", "port": 443, "process": "apache2 (pid 812)"}]
OWN_TEST = {"stage": "tested", "reason": "nginx: [emerg] unexpected end of file"}
UNAVAILABLE = {"status": "unavailable", "reason": "no namespaces"}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with measured_servers(tmp_path_factory.mktemp("peers")) as found:
        yield found


@pytest.fixture(scope="module")
def anchors(lab: Lab) -> Anchors:
    return Anchors([Path(lab.ca_path).read_text()])


def test_a_release_without_faults_is_accepted(lab: Lab, anchors: Anchors) -> None:
    plan = verdict.judge_plan(prepared(lab), ASKED, anchors, NOW)
    assert (plan.stage, plan.reason, plan.warnings, plan.removed_names) == ("measured", None, (), ())
    assert (plan.live[ENDPOINT]["grade"], plan.shadow[ENDPOINT]["grade"]) == ("B", "A")


@pytest.mark.parametrize(
    ("faults", "stage", "words"),
    [
        ({"foreign": FOREIGN}, "staged", "shop.example: served now by /etc/nginx/sites-enabled/shop"),
        ({"previous_names": ["old.example"]}, "staged", "old.example: every name that is served now would vanish"),
        ({"conflicts": CONFLICT}, "staged", "0.0.0.0 port 443: taken by apache2 (pid 812). Stop that"),
        ({"certificates": {}}, "staged", "tls/fullchain.pem, the certificate of localhost:443: it holds no"),
        ({"refused": OWN_TEST}, "tested", OWN_TEST["reason"]),
        ({"shadow": UNAVAILABLE}, "tested", "shadow: unavailable, no namespaces. Set shadow to auto"),
        ({"shadow_scans": []}, "measured", "The endpoints were not measured in the shadow"),
        ({"shadow_scans": "weak"}, "measured", "localhost:443: grade B, and minimum_grade is A."),
    ],
)
def test_each_fault_is_refused_where_it_shows(
    lab: Lab, anchors: Anchors, faults: dict[str, Any], stage: str, words: str
) -> None:
    facts = prepared(lab, **faults)
    if facts["shadow_scans"] == "weak":
        facts["shadow_scans"] = [lab.weak]
    plan = verdict.judge_plan(facts, Request(**{**vars(ASKED), "shadow_required": True}), anchors, NOW)
    assert plan.stage == stage
    assert str(plan.reason).startswith(words)


def test_haproxy_is_not_told_to_keep_what_it_cannot(lab: Lab, anchors: Anchors) -> None:
    plan = verdict.judge_plan(
        prepared(lab, foreign=FOREIGN), dataclasses.replace(ASKED, server="haproxy"), anchors, NOW
    )
    assert str(plan.reason).endswith("Set take_over to replace")


def test_what_is_the_same_of_several_endpoints_is_said_once(lab: Lab, anchors: Anchors) -> None:
    several = tuple(dataclasses.replace(ENDPOINT, port=port) for port in (443, 8443))
    facts = prepared(lab, live_scans=[], shadow_scans=[lab.weak, lab.weak])
    reason = str(verdict.judge_plan(facts, dataclasses.replace(ASKED, endpoints=several), anchors, NOW).reason)
    assert reason.startswith("localhost:443, localhost:8443: grade B, and minimum_grade is A.")
    assert reason.count("grade B") == 1


def test_what_must_be_mended_first_is_said_first(lab: Lab, anchors: Anchors) -> None:
    facts = prepared(lab, refused=OWN_TEST, conflicts=CONFLICT, shadow_scans=[])
    assert str(verdict.judge_plan(facts, ASKED, anchors, NOW).reason).startswith("0.0.0.0 port 443: taken by")


def test_a_certificate_out_of_its_time_is_refused_unless_it_is_live(lab: Lab, anchors: Anchors) -> None:
    early = datetime.datetime(1990, 1, 1, tzinfo=datetime.timezone.utc)
    other = prepared(lab, live_scans=[])
    assert "it is not valid before" in str(verdict.judge_plan(other, ASKED, anchors, early).reason)
    plan = verdict.judge_plan(prepared(lab), ASKED, anchors, early)
    assert plan.reason is None
    assert any("it is not valid before" in text for text in plan.warnings)


def test_trust_that_is_lost_is_refused(lab: Lab, anchors: Anchors) -> None:
    bare = {
        **lab.good,
        "certificates": [{**each, "chain_der": each["chain_der"][:1]} for each in lab.good["certificates"]],
    }
    plan = verdict.judge_plan(prepared(lab, shadow_scans=[bare]), ASKED, anchors, NOW)
    assert "its certificate is not trusted" in str(plan.reason)
    plan = verdict.judge_plan(prepared(lab, shadow_scans=[bare], live_scans=[]), ASKED, anchors, NOW)
    assert plan.reason is None


def test_names_that_go_are_listed(lab: Lab, anchors: Anchors) -> None:
    facts = prepared(lab, previous_names=["localhost", "old.example"], foreign=FOREIGN)
    asked = Request(**{**vars(ASKED), "take_over": "replace", "removed_names": ("shop.example",)})
    plan = verdict.judge_plan(facts, asked, anchors, NOW)
    assert (plan.reason, plan.removed_names) == (None, ("old.example", "shop.example"))


def test_a_host_without_a_server_is_judged_by_what_it_has(lab: Lab, anchors: Anchors) -> None:
    skipped = {"status": "skipped", "reason": "nginx is not installed"}
    facts = prepared(lab, installed=False, shadow=skipped, shadow_scans=[], live_scans=[], certificates={})
    plan = verdict.judge_plan(facts, ASKED, anchors, NOW)
    assert (plan.stage, plan.reason) == ("tested", None)


def test_a_release_without_endpoints_needs_no_measurement(lab: Lab, anchors: Anchors) -> None:
    asked = Request("nginx", names=("localhost",))
    plan = verdict.judge_plan(prepared(lab, shadow_scans=[], live_scans=[]), asked, anchors, NOW)
    assert plan.reason is None
    found, live = verdict.judge_live(plan, [], asked, anchors, NOW)
    assert (found.refusals, live) == ((), {})


def test_an_address_is_measured_by_the_address(lab: Lab, anchors: Anchors) -> None:
    endpoint = Endpoint("127.0.0.1", 8443)
    asked = Request("nginx", names=("localhost",), endpoints=(endpoint,))
    plan = verdict.judge_plan(prepared(lab), asked, anchors, NOW)
    result = plan.shadow[endpoint]
    assert (result["target"]["name"], result["target"]["server_name"]) == ("127.0.0.1:8443", None)
    assert result["certificates"][0]["trust"]["name_matches"] is True


def test_live_is_held_against_the_shadow_or_against_the_rules(lab: Lab, anchors: Anchors) -> None:
    plan = verdict.judge_plan(prepared(lab), ASKED, anchors, NOW)
    assert verdict.judge_live(plan, [lab.good], ASKED, anchors, NOW)[0].refusals == ()
    (text,) = verdict.judge_live(plan, [lab.weak], ASKED, anchors, NOW)[0].refusals
    assert "protocols.TLSv1.0 is offered, not not_offered" in text
    blind = verdict.judge_plan(prepared(lab, shadow=UNAVAILABLE, shadow_scans=[]), ASKED, anchors, NOW)
    assert verdict.judge_live(blind, [lab.good], ASKED, anchors, NOW)[0].refusals == ()
    (text,) = verdict.judge_live(blind, [lab.weak], ASKED, anchors, NOW)[0].refusals
    assert text.startswith("localhost:443: grade B, and minimum_grade is A.")


def test_the_same_facts_give_the_same_verdict(lab: Lab, anchors: Anchors) -> None:
    first, second = (verdict.judge_plan(prepared(lab), ASKED, anchors, NOW) for _turn in range(2))
    assert first == second
