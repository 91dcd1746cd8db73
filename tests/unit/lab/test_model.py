# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts as named on the command line, their numbers and addresses, and the names that a lab gives to things."""

from __future__ import annotations

from pathlib import Path

import pytest
from labkit.errors import LabError
from labkit.layout import Clone
from labkit.model import HostSpec, Lab, parse_host, parse_hosts, place_hosts, read_record, write_record


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lb1=trixie", HostSpec("lb1", "trixie", "loadbalancers")),
        ("web1=12", HostSpec("web1", "bookworm", "webservers")),
        ("web3", HostSpec("web3", "trixie", "webservers")),
        ("db1=bullseye:databases", HostSpec("db1", "bullseye", "databases")),
        ("lb2=:webservers", HostSpec("lb2", "trixie", "webservers")),
        ("website=13", HostSpec("website", "trixie", "")),
    ],
)
def test_host_as_named_on_the_command_line(text: str, expected: HostSpec) -> None:
    assert parse_host(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("web1=potato", "unknown Debian release 'potato'"),
        ("Web1", "not a name for a host"),
        ("../x", "not a name for a host"),
        ("", "not a name for a host"),
        ("a=12:Big-Group", "no name for an inventory group"),
    ],
)
def test_what_names_no_host_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(LabError, match=reason):
        parse_host(text)


def test_one_name_twice_is_refused() -> None:
    with pytest.raises(LabError, match="web1: named twice"):
        parse_hosts(["web1=12", "web2", "web1=13"])


def test_hosts_keep_their_addresses_when_others_come() -> None:
    before = place_hosts("10.213.7.0/24", parse_hosts(["web1", "web2"]))
    after = place_hosts("10.213.7.0/24", parse_hosts(["lb1", "web2"]), before)
    assert [(host.name, host.address) for host in after] == [
        ("web1", "10.213.7.11"),
        ("web2", "10.213.7.12"),
        ("lb1", "10.213.7.13"),
    ]


def test_host_cannot_change_its_release() -> None:
    before = place_hosts("10.213.7.0/24", parse_hosts(["web1=12"]))
    with pytest.raises(LabError, match="web1: asked for as trixie"):
        place_hosts("10.213.7.0/24", parse_hosts(["web1=13"]), before)


def test_more_hosts_than_interface_names_can_number_are_refused() -> None:
    with pytest.raises(LabError, match="80 hosts at most"):
        place_hosts("10.213.7.0/24", [HostSpec(f"web{n}", "trixie", "") for n in range(81)])


def test_record_reads_back_the_same(tmp_path: Path) -> None:
    lab = Lab("one", "10.213.7.0/24", place_hosts("10.213.7.0/24", parse_hosts(["lb1", "web1=12"])))
    write_record(tmp_path / "lab.json", lab)
    assert read_record(tmp_path / "lab.json") == lab


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "x"}', '{"name": "x", "network": "y", "hosts": []}'])
def test_damaged_record_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lab.json"
    path.write_text(text)
    assert read_record(path) is None


def test_interface_names_fit_and_differ_between_labs_and_clones() -> None:
    tags = {Clone(Path(root)).place(name).tag for root in ("/one", "/two") for name in ("demo", "test")}
    assert len(tags) == 4
    assert all(len(tag) + len("80") <= 15 for tag in tags)


def test_lab_is_found_by_its_clones_prefix() -> None:
    clone = Clone(Path("/one"))
    assert clone.place("demo").tag.startswith(clone.prefix)
    assert not clone.place("demo").tag.startswith(Clone(Path("/two")).prefix)


@pytest.mark.parametrize("name", ["", "..", "a/b", "a b", "-x", "x" * 32])
def test_lab_cannot_be_named_like_a_path(name: str) -> None:
    with pytest.raises(LabError, match="not a name for a lab"):
        Clone(Path("/one")).place(name)
