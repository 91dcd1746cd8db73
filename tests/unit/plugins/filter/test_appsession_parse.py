# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter tells a line from a configuration, and turns the library's errors into Ansible's."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.ringmaster.webops.plugins.filter.appsession_parse import FilterModule

appsession_parse = FilterModule().filters()["appsession_parse"]

LINE = "appsession SID len 8 timeout 1h"


def test_a_line() -> None:
    assert appsession_parse(LINE + "\n")["cookie"] == "SID"


@pytest.mark.parametrize(
    ("text", "file"), [(f"backend app\n{LINE}\n", None), (f"backend app\n{LINE}\n", "a.cfg"), ("backend app", "a.cfg")]
)
def test_a_configuration(text: str, file: str | None) -> None:
    found = appsession_parse(text, file=file)
    assert [(entry["file"], entry["line"]) for entry in found] == ([(file or "", 2)] if LINE in text else [])


@pytest.mark.parametrize(
    ("text", "reason"), [("SID len 8", "not complete"), ("", "one line"), ({"cookie": "SID"}, "text")]
)
def test_errors(text: object, reason: str) -> None:
    with pytest.raises(AnsibleFilterError, match=f"appsession_parse: .*{reason}"):
        appsession_parse(text)
