# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What several backends, and lines of `defaults`, mean for sessions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.haproxy_frontends import decide_frontends

SESSION = {"cookie": "PHPSESSID", "timeout": "3h"}
GIB = 2**30


def backend(name: str = "app", server: str = "", **changes: object) -> dict[str, Any]:
    one = {"name": "s1", "address": "192.0.2.9", "port": 80, "extra": server}
    return {"name": name, "servers": [one], "app_session": SESSION, **changes}


def warnings(*backends: dict[str, Any], defaults: Sequence[str] = (), memory_bytes: int = 0) -> list[str]:
    settings = {"frontends": [], "backends": backends, "defaults_extra": defaults, "memory_bytes": memory_bytes}
    found: list[str] = decide_frontends(settings)["warnings"]
    return found


@pytest.mark.parametrize(
    ("defaults", "extra", "sentence"),
    [
        (["option persist"], [], "`option persist` beside app_session (app)"),
        (["no option persist", "option persist"], [], "`option persist` beside app_session (app)"),
        (["cookie SRV insert indirect"], [], "`cookie SRV insert indirect` beside app_session"),
    ],
)
def test_defaults_that_send_visitors_elsewhere_are_warned_about(
    defaults: list[str], extra: list[str], sentence: str
) -> None:
    (said,) = warnings(backend(extra=extra), defaults=defaults)
    assert said.startswith("haproxy_defaults_extra")
    assert sentence in said


@pytest.mark.parametrize(
    ("defaults", "changes"),
    [
        (["option persist"], {"extra": ["no option persist"]}),
        (["option persist", "no option persist"], {}),
        (["option persist", "cookie SRV insert"], {"app_session": None}),
        (["option http-keep-alive", ""], {}),
    ],
)
def test_defaults_that_do_no_harm_are_not(defaults: list[str], changes: dict[str, Any]) -> None:
    assert warnings(backend(**changes), defaults=defaults) == []


def test_defaults_by_which_a_backup_would_keep_visitors_are_refused() -> None:
    sentence = "haproxy_defaults_extra: default-server backup, for server s1 of the backend app"
    with pytest.raises(InvalidInputError, match=re.escape(sentence)):
        warnings(backend(), defaults=["default-server inter 5s backup"])


@pytest.mark.parametrize(
    ("defaults", "changes"),
    [
        (["default-server backup non-stick"], {}),
        (["default-server backup"], {"server": "non-stick"}),
        (["default-server backup"], {"server": "no-backup"}),
        (["default-server backup"], {"extra": ["default-server non-stick"]}),
        (["default-server backup"], {"app_session": None}),
        (["default-server inter 5s"], {}),
    ],
)
def test_other_backups_are_accepted(defaults: list[str], changes: dict[str, Any]) -> None:
    assert warnings(backend(**changes), defaults=defaults) == []


@pytest.mark.parametrize(("names", "sessions"), [("a", 1_400_000), ("ab", 700_000)])
def test_tables_that_are_too_large_together_are_warned_about(names: str, sessions: int) -> None:
    backends = [backend(name, app_session={**SESSION, "sessions": sessions}) for name in names]
    (said,) = warnings(*backends, memory_bytes=GIB)
    assert re.search(rf"the tables of {', '.join(names)} take 662 MiB .* the host has 1024 MiB", said)
    assert warnings(*backends) == []


def test_tables_that_leave_half_of_the_memory_are_no_matter() -> None:
    assert warnings(backend(app_session={**SESSION, "sessions": 700_000}), memory_bytes=GIB) == []
