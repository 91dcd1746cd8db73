# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's choice of a network."""

from __future__ import annotations

import pytest
from labkit.addresses import choose_network
from labkit.errors import LabError


@pytest.mark.parametrize(
    ("in_use", "expected"),
    [
        ({}, "10.213.0.0/24"),
        ({"10.213.0.1/24": "an interface"}, "10.213.1.0/24"),
        ({"10.213.0.0/24": "a lab", "10.213.1.0/24": "a lab"}, "10.213.2.0/24"),
        ({"10.213.0.77/32": "a name server"}, "10.213.1.0/24"),
        ({"10.0.0.0/8": "a tunnel's route"}, "172.29.0.0/24"),
        ({"10.0.0.0/8": "a route", "172.16.0.0/12": "a route"}, "192.168.192.0/24"),
    ],
)
def test_first_network_that_overlaps_nothing(in_use: dict[str, str], expected: str) -> None:
    assert choose_network(in_use) == expected


def test_requested_network_is_taken_when_it_is_free() -> None:
    assert choose_network({"10.213.0.0/24": "a lab"}, "192.168.7.0/24") == "192.168.7.0/24"


def test_requested_network_in_use_is_refused_with_its_user() -> None:
    with pytest.raises(LabError, match=r"10\.213\.4\.0/24.*10\.213\.0\.0/16 is in use \(route by tun0\)"):
        choose_network({"10.213.0.0/16": "route by tun0"}, "10.213.4.0/24")


@pytest.mark.parametrize("text", ["10.213.4.1/24", "10.213.4.0/25", "8.8.8.0/24", "fd00::/64", "lab"])
def test_what_is_no_private_slash_24_is_refused_by_name(text: str) -> None:
    with pytest.raises(LabError, match=text.replace(".", r"\.")):
        choose_network({}, text)


def test_no_network_left_is_an_error() -> None:
    with pytest.raises(LabError, match="no free /24"):
        choose_network({"10.213.0.0/23": "labs"}, pools=["10.213.0.0/23"])
