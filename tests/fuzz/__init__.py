# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One target for every decoder of what a stranger sends: see :mod:`fuzz.engine`.

``corpus.txt`` holds what real servers answered (:mod:`fuzz.record` writes it). The unit tests run each target a little,
with Hypothesis, which finds the smallest input that fails; ``make proof`` runs each a hundred thousand times.
"""
