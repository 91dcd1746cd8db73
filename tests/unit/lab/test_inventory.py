# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that say how to reach a lab's hosts, read by the programs that they are for."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from labkit.guest import hosts_file
from labkit.inventory import ansible_inventory, known_hosts, ssh_config
from labkit.layout import Clone, Place
from labkit.model import Lab, parse_hosts, place_hosts
from labkit.network import nat_rules

NETWORK = "10.213.7.0/24"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Clone(tmp_path / "a clone").place("demo")


@pytest.fixture
def lab() -> Lab:
    return Lab("demo", NETWORK, place_hosts(NETWORK, parse_hosts(["lb1", "web1=12", "web2", "other"])))


def test_inventory_has_groups_and_addresses(place: Place, lab: Lab) -> None:
    groups = yaml.safe_load(ansible_inventory(place, lab))["all"]["children"]
    assert {name: sorted(group["hosts"]) for name, group in groups.items()} == {
        "loadbalancers": ["lb1"],
        "webservers": ["web1", "web2"],
        "ungrouped": ["other"],
    }
    assert groups["webservers"]["hosts"]["web1"] == {"ansible_host": "10.213.7.12", "lab_address": "10.213.7.12"}


def test_inventory_pins_host_keys(place: Place, lab: Lab) -> None:
    arguments = yaml.safe_load(ansible_inventory(place, lab))["all"]["vars"]["ansible_ssh_common_args"]
    assert "StrictHostKeyChecking=yes" in arguments
    assert str(place.known_hosts) in arguments


def test_ssh_arguments_survive_a_clone_with_an_odd_path(lab: Lab) -> None:
    place = Clone(Path("/srv/Ann's web ops")).place("demo")
    arguments = shlex.split(yaml.safe_load(ansible_inventory(place, lab))["all"]["vars"]["ansible_ssh_common_args"])
    assert arguments[::2] == ["-o"] * len(arguments[::2])
    assert f'UserKnownHostsFile="{place.known_hosts}"' in arguments


def test_control_socket_fits_into_a_socket_address(place: Place) -> None:
    longest = f"{place.control_sockets}/{'x' * 40}.{'y' * 16}"
    assert len(longest.encode()) < 108


@pytest.mark.parametrize("name", ["web1", "web1.ringmaster.test"])
def test_ssh_understands_its_configuration(place: Place, lab: Lab, name: str) -> None:
    place.directory.mkdir(parents=True)
    place.ssh_config.write_text(ssh_config(place, lab))
    output = subprocess.run(
        ["ssh", "-G", "-F", str(place.ssh_config), name], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert {"hostname 10.213.7.12", "user root", "hostkeyalias web1", "stricthostkeychecking true"} <= set(output)
    assert f"userknownhostsfile {place.known_hosts}" in output


def test_known_hosts_by_address_and_names(lab: Lab) -> None:
    keys = {host.name: f"ssh-ed25519 KEY{host.number} comment\n" for host in lab.hosts}
    assert "10.213.7.12,web1,web1.ringmaster.test ssh-ed25519 KEY2\n" in known_hosts(lab, keys)


def test_hosts_know_each_other_and_the_visitors_name(lab: Lab) -> None:
    lines = hosts_file(lab, (("192.0.2.9", "mirror.example.test"),)).splitlines()
    assert "10.213.7.11 lb1.ringmaster.test lb1 www.ringmaster.test" in lines
    assert "10.213.7.12 web1.ringmaster.test web1" in lines
    assert "192.0.2.9 mirror.example.test" in lines


def test_address_translation_is_for_the_labs_network_alone(lab: Lab) -> None:
    rules = nat_rules("rmlx", lab, [("127.0.0.1", 3142)])
    assert f"ip saddr {NETWORK} ip daddr != {NETWORK} masquerade" in rules
    assert "iifname rmlx ip daddr 10.213.7.1 meta l4proto { tcp, udp } th dport 3142 dnat to 127.0.0.1:3142" in rules
