# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is said of a vulnerability: its status and what the status stands on."""

from __future__ import annotations

from dataclasses import dataclass

VULNERABLE = "vulnerable"
LIKELY = "likely"
EXPOSED = "exposed"
NOT_VULNERABLE = "not_vulnerable"
NOT_APPLICABLE = "not_applicable"
NOT_TESTED = "not_tested"

# How far a scan goes to find out, each level with all of those before it (``vulnerability_tests``).
LEVELS = ("none", "passive", "active", "deep")


@dataclass(frozen=True)
class Finding:
    """The status of one vulnerability and the evidence for it, in one sentence.

    ``vulnerable`` was shown; ``likely`` was seen without a proof; ``exposed`` is the condition for an attack that
    depends on more than the server; ``not_vulnerable`` was tested, or is impossible with what the server accepts;
    ``not_applicable`` concerns nothing that the server speaks; ``not_tested`` has the reason as its evidence.
    """

    status: str
    evidence: str

    def as_dict(self) -> dict[str, str]:
        """Return the finding as it stands in a result."""
        return {"status": self.status, "evidence": self.evidence}
