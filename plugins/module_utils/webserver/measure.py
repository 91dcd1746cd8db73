# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Try a release without touching what is live: the server's own test, a start in a shadow, and what it then answers."""

from __future__ import annotations

import ipaddress
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError, WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.scan import Options, scan_targets
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import stage
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.ports import accepts, open_listeners
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.release import Facts, Release
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.server import Listener, run
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.shadow import (
    Limits,
    ShadowUnavailableError,
    run_in_shadow,
)

if TYPE_CHECKING:
    from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.lock import Lock
    from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.server import Server

_TEST_TIMEOUT_SECONDS = 30
_START_TIMEOUT_SECONDS = 30
_ANSWER_TIMEOUT_SECONDS = 15
_PAUSE_SECONDS = 0.1
# The resolver alone waits 5 seconds for a name server that is down, twice for each, and then asks the next.
_RESOLVE_SECONDS = 30.0
_RESOLVERS = 16
_MAX_OUTPUT_BYTES = 256 * 1024
_HOST_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252})")
# In memory, and gone after a reboot.
_TRIAL_DIRECTORY = "/run"


def scan_endpoints(endpoints: Sequence[Mapping[str, Any]]) -> list[dict[str, object]]:
    """Return the TLS facts of each endpoint, in their order, without judgement."""
    return scan_targets([_target(endpoint) for endpoint in endpoints], Options(vulnerability_tests="passive"))


def _target(endpoint: Mapping[str, Any]) -> dict[str, object]:
    name, port = str(endpoint["server_name"]), int(endpoint.get("port") or 443)
    return {
        "host": str(endpoint.get("address") or "127.0.0.1"),
        "port": port,
        "server_name": None if _is_address(name) else name,
        "name": str(endpoint.get("name") or f"{name}:{port}"),
    }


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def try_release(layout: stage.Layout, release: Release, facts: Facts, lock: Lock) -> dict[str, Any]:
    """Test, start and measure a release in a shadow.

    ``facts`` are what it is expected to serve. Where there is no shadow, the server's own test alone is done. The
    result has ``shadow``, ``shadow_scans``, ``refused``, ``opened`` (the sockets that it opens, whatever was expected)
    and ``warnings``.
    """
    hosts, unresolved = resolve_names(layout.server.upstream_names(_texts(release)))
    warnings = [
        f"{name}: this host cannot resolve the name, so the shadow knows no address for it" for name in unresolved
    ]
    seconds = 2 * len(facts.endpoints)
    limits = Limits(cpu_seconds=60 + seconds, wall_seconds=90 + seconds)
    try:
        outcome = run_in_shadow(lambda: _work(layout, release, facts, lock), hosts=hosts, limits=limits)
    except ShadowUnavailableError as error:
        lock.stage("testing")
        shadow: dict[str, str | None] = {"status": "unavailable", "reason": error.reason}
        outcome = {"refused": test_outside(layout, release), "scans": [], "opened": []}
    else:
        reason = outcome["refused"]["reason"] if outcome["refused"] else None
        shadow = {"status": "skipped" if reason else "measured", "reason": reason}
    return {
        "shadow": shadow,
        "shadow_scans": outcome["scans"],
        "refused": outcome["refused"],
        "opened": [Listener(str(address), int(port)) for address, port in outcome["opened"]],
        "warnings": warnings,
    }


def _texts(release: Release) -> list[str]:
    return [each.content.decode("utf-8", "replace") for each in release.files if not each.is_secret]


def resolve_names(names: Iterable[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Return the addresses of host names as this host knows them, and the names that it knows none of.

    Asked by a program, which can be given up when time is over; a thread that waits for the resolver cannot.
    """
    deadline = time.monotonic() + _RESOLVE_SECONDS
    wanted = sorted(name for name in names if not _is_address(name))
    with ThreadPoolExecutor(max_workers=_RESOLVERS) as pool:
        found = dict(zip(wanted, pool.map(lambda name: _addresses(name, deadline), wanted)))
    return {name: found[name] for name in wanted if found[name]}, [name for name in wanted if not found[name]]


def _addresses(name: str, deadline: float) -> list[str]:
    left_seconds = deadline - time.monotonic()
    if left_seconds <= 0 or not _HOST_NAME.fullmatch(name):
        return []
    try:
        output = run(["getent", "ahosts", name], left_seconds)
    except MeasurementError:
        return []
    return list(dict.fromkeys(line.split()[0] for line in output.stdout.splitlines() if line.split()))


def _work(layout: stage.Layout, release: Release, facts: Facts, lock: Lock) -> dict[str, Any]:
    """Do, in the shadow, what a deployment does; return ``refused``, ``scans`` and ``opened``."""
    server = layout.server
    lock.stage("testing")
    _stage_in_shadow(layout, release)
    refused = _own_test(server, server.entry_path)
    if refused is None:
        lock.stage("shadow")
        refused = _start(server, [*facts.listeners, *_sockets(facts)])
    if refused is not None:
        return {"refused": refused, "scans": [], "opened": []}
    lock.stage("measuring")
    opened = [(each.address, each.port) for each in open_listeners()]
    return {"refused": None, "scans": scan_endpoints(facts.endpoints), "opened": opened}


def _stage_in_shadow(layout: stage.Layout, release: Release) -> None:
    """Write the release; where only a shadow cannot have it (/etc of another host, no memory), there is no shadow."""
    try:
        stage.write_release(layout, release)
        stage.flip(layout, release.name)
        stage.write_entry(layout)
    except stage.StagingError as error:
        if not isinstance(error.__cause__, OSError):
            raise
        raise ShadowUnavailableError("Shadow start", f"{error.value}: {error.reason}", error.remedy) from error


def _sockets(facts: Facts) -> list[Listener]:
    return [Listener(str(each.get("address") or "127.0.0.1"), int(each.get("port") or 443)) for each in facts.endpoints]


def _own_test(server: Server, entry_path: str) -> dict[str, str] | None:
    output = run(server.test_argv(entry_path), _TEST_TIMEOUT_SECONDS)
    if output.status == 0:
        return None
    return _refused(
        "tested", server.explanation(f"{output.stderr}\n{output.stdout}"), "its own test ended with an error"
    )


def _refused(at: str, explanation: str, otherwise: str) -> dict[str, str]:
    return {"stage": at, "reason": explanation.strip() or otherwise}


def _start(server: Server, listeners: Sequence[Listener]) -> dict[str, str] | None:
    """Start the server and wait until it answers; return why not."""
    moment = time.time()
    status, output = _run_into_file(server.start_argv())
    silent = [] if status else _silent(listeners)
    if status == 0 and not silent:
        return None
    said = "\n".join([*_logged(server, moment), output if status else ""])
    what = ", ".join(f"{each.address} port {each.port}" for each in silent)
    otherwise = f"it was started, but does not answer on {what}" if silent else f"its start ended with status {status}"
    return _refused("shadowed", server.explanation(said), otherwise)


def _logged(server: Server, moment: float) -> list[str]:
    try:
        return server.errors_since(moment)
    except WebopsError:
        return []


def _run_into_file(argv: Sequence[str]) -> tuple[int, str]:
    """Run what leaves processes behind: those may hold on to the output, so it is no pipe that has an end."""
    with tempfile.TemporaryFile() as output:
        try:
            done = subprocess.run(  # pylint: disable=ansible-bad-function
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=_START_TIMEOUT_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return 127, f"{argv[0]}: {error}"
        output.seek(0)
        return done.returncode, output.read(_MAX_OUTPUT_BYTES).decode("utf-8", "replace")


def _silent(listeners: Iterable[Listener]) -> list[Listener]:
    """Wait until every listener takes a connection; return those that do not in time."""
    deadline = time.monotonic() + _ANSWER_TIMEOUT_SECONDS
    waiting = list(dict.fromkeys(listeners))
    while True:
        waiting = [each for each in waiting if not accepts(each, 1.0)]
        if not waiting or time.monotonic() > deadline:
            return waiting
        time.sleep(_PAUSE_SECONDS)


def test_outside(layout: stage.Layout, release: Release) -> dict[str, str] | None:
    """Let the server test a release without a shadow, in a directory of its own; return why it is refused.

    Texts refer to that directory in place of the current release.
    """
    remove_trials(layout)
    directory = tempfile.mkdtemp(prefix=_trial_prefix(layout), dir=_TRIAL_DIRECTORY)
    try:
        _write_trial(layout, release, directory)
        return _own_test(layout.server, f"{directory}/{layout.server.main_file}") or _further(layout.server, directory)
    finally:
        shutil.rmtree(directory)


def _write_trial(layout: stage.Layout, release: Release, directory: str) -> None:
    for file in release.files:
        path = Path(directory) / file.path
        content = file.content.replace(f"{layout.current_path}/".encode(), f"{directory}/".encode())
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stage.write_file(path, replace(file, content=content))
        except (OSError, LookupError) as error:
            reason = f"it cannot be written to {directory} ({error})"
            raise stage.StagingError(file.path, reason, "Nothing was changed: correct that, and run again") from error


def _further(server: Server, directory: str) -> dict[str, str] | None:
    """Ask for what only a start would show, of a server whose own test is blind to it (Apache's is to TLS)."""
    problems = getattr(server, "tls_problems", None)
    found = problems(f"{directory}/{server.main_file}") if problems is not None else []
    return _refused("tested", "\n".join(found), "") if found else None


def _trial_prefix(layout: stage.Layout) -> str:
    return f"ringmaster-{layout.server.name}-trial-"


def remove_trials(layout: stage.Layout) -> None:
    """Remove what a run that was killed has left of its test: it may hold private keys."""
    for left in Path(_TRIAL_DIRECTORY).glob(f"{_trial_prefix(layout)}*"):
        shutil.rmtree(left, ignore_errors=True)
