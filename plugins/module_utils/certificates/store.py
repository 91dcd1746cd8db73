# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host's certificates on the control node: what is there, what is due, and the files that belong on the host.

In the directory of a certificate lie ``fullchain.pem`` and ``privkey.pem`` (``fullchain.rsa.pem`` and so on for a
further key type), and while another one is made, that pair in ``.new``.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.ringmaster.webops.plugins.module_utils.certificates import plan
from ansible_collections.ringmaster.webops.plugins.module_utils.certificates.pair import Trusted, read_pair
from ansible_collections.ringmaster.webops.plugins.module_utils.certificates.plan import Decision, Found
from ansible_collections.ringmaster.webops.plugins.module_utils.certificates.request import Request, Wanted
from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError

_VERSION_DIGITS = 16


@dataclass(frozen=True)
class Store:
    """The directory of a host's certificates on the control node, and what they are judged by."""

    directory: Path
    trusted: Trusted
    renewal_percent: int
    now: datetime.datetime

    def look(self, wanted: Sequence[Wanted]) -> dict[str, object]:
        """Return the plan for all certificates; its shape is that of the lookup ``certificate_plan``."""
        seen = {request: self._seen(request) for certificate in wanted for request in certificate.requests}
        views = [view for view in seen.values() if view.present.pair is not None]
        left = [
            (view.request.certificate, view.present.pair.days_left(self.now)) for view in views if view.present.pair
        ]
        return {
            "requests": [self._as_dict(view) for view in seen.values()],
            "certificates": [self._files(one, [seen[request] for request in one.requests]) for one in wanted],
            "failures": [
                _failure(view.request, *view.decision.failure) for view in seen.values() if view.decision.failure
            ],
            "days_left": {name: min(days for one, days in left if one == name) for name, _days in left},
        }

    def _seen(self, request: Request) -> _View:
        directory = self.directory / request.certificate
        present = self._found(*_pair_paths(directory, request.suffix))
        given = self._found(*map(_path, request.given)) if request.given else Found()
        decision = plan.decide(request, present, given, self.renewal_percent, self.now)
        return _View(request, present, decision, self._staged_problem(request, present))

    def _found(self, fullchain: Path, private_key: Path) -> Found:
        try:
            return Found(read_pair(fullchain, private_key, self.trusted, self.now))
        except InvalidInputError as error:
            return Found(problem=f"{error.value}: {error.reason}")

    def _staged_problem(self, request: Request, present: Found) -> str:
        """Say why what lies in ``.new`` may not take the present one's place; empty where it may."""
        staged = self._found(*_pair_paths(_staging(self.directory, request), ""))
        if staged.pair is None:
            return staged.problem
        reason = plan.lesser(staged.pair, present.pair, request.names, self.now)
        return f"the certificate that it gave {reason}" if reason else ""

    def _as_dict(self, view: _View) -> dict[str, object]:
        request, decision = view.request, view.decision
        return {
            "certificate": request.certificate,
            "label": request.label,
            "key_type": request.key_type,
            "names": list(request.names),
            "suffix": request.suffix,
            "staging": str(_staging(self.directory, request)),
            "given": [str(_path(name)) for name in request.given or ()],
            "due": decision.due,
            "reason": decision.reason,
            # What a run that was killed had made already comes first.
            "sources": [*(["staged"] if decision.due and not view.staged_problem else []), *decision.sources],
            "staged_problem": view.staged_problem,
            "words": plan.words(request, view.present, decision, self.renewal_percent, self.now),
        }

    def _files(self, certificate: Wanted, views: Sequence[_View]) -> dict[str, object]:
        """Return the files of a certificate; ``version`` is the same as long as their contents are."""
        files = []
        for view in views:
            paths = _pair_paths(self.directory / certificate.name, view.request.suffix)
            digests = view.present.pair.files if view.present.pair is not None else ("", "")
            files += [
                {"name": path.name, "source": str(path), "sha256": digest, "private": path is paths[1]}
                for path, digest in zip(paths, digests)
            ]
        identity = "".join(f"{file['name']} {file['sha256']}\n" for file in files)
        return {
            "name": certificate.name,
            "owner": certificate.owner,
            "group": certificate.group,
            "complete": all(view.present.pair is not None for view in views),
            "version": hashlib.sha256(identity.encode()).hexdigest()[:_VERSION_DIGITS],
            "files": files,
        }


@dataclass(frozen=True)
class _View:
    request: Request
    present: Found
    decision: Decision
    staged_problem: str


def _path(name: str) -> Path:
    return Path(name).expanduser()


def _staging(directory: Path, request: Request) -> Path:
    return directory / request.certificate / f".new{request.suffix}"


def _pair_paths(directory: Path, suffix: str) -> tuple[Path, Path]:
    return directory / f"fullchain{suffix}.pem", directory / f"privkey{suffix}.pem"


def _failure(request: Request, source: str, reason: str) -> dict[str, str]:
    return {"name": request.certificate, "key_type": request.key_type, "source": source, "reason": reason}
