# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A little of a target in every run of the tests, the same each time; and all of what a proof tries."""

from __future__ import annotations

import os
import random

from hypothesis import HealthCheck, Phase, given, settings

from fuzz import engine

SEED = os.environ.get("FUZZ_SEED", "0")


def some(target: engine.Target, examples: int) -> None:
    """Give a target so many changed inputs, the same in every run."""

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(engine.mutations(target))
    def tried(data: bytes) -> None:
        engine.run(target, data)

    tried()


def many(target: engine.Target, runs: int) -> int:
    """Give a target so many changed inputs (others for another FUZZ_SEED). Returns how many it could read."""
    chance = random.Random(f"{SEED} {target.name}")
    return sum(
        engine.run(target, engine.mutate(chance.choice(target.seeds), target.seeds, chance)) for _run in range(runs)
    )
