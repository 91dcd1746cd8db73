# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's command line."""

from __future__ import annotations

import lab as program
import pytest
from labkit import machine, network


def test_up_takes_hosts_and_a_network() -> None:
    options = program.build_parser().parse_args(["up", "demo", "--host", "lb1=13", "--host", "web1", "--network", "n"])
    assert (options.name, options.host, options.network) == ("demo", ["lb1=13", "web1"], "n")


def test_ssh_passes_the_rest_on_untouched() -> None:
    options = program.build_parser().parse_args(["ssh", "demo", "web1", "ls", "--host", "-l"])
    assert (options.host, options.command) == ("web1", ["ls", "--host", "-l"])


@pytest.mark.parametrize("arguments", [[], ["up"], ["fly"], ["ssh", "demo"]])
def test_wrong_words_are_a_usage_error(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        program.build_parser().parse_args(arguments)
    assert caught.value.code == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [(["down"], "no lab named"), (["ssh", "nosuchlab", "web1"], "nosuchlab: no such lab"), (["plan", "A"], "'A'")],
)
def test_errors_are_one_sentence_and_status_1(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(arguments) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert sentence in output.err


def test_user_without_root_is_told_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert program.main(["up", "demo"]) == 1
    assert "the lab needs root" in capsys.readouterr().err


def test_missing_programs_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    def which(name: str, **_options: str) -> str | None:
        return None if name in ("nft", "mmdebstrap") else name

    monkeypatch.setattr("shutil.which", which)
    assert {"nftables", "mmdebstrap"} <= set(machine.missing_packages())
    assert "iproute2" not in machine.missing_packages()


def test_removing_needs_no_program_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    network.remove("rmlnosuch")
