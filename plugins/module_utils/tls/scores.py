# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The scores of the SSL Server Rating Guide: three categories, from 0 to 100, and their weighted sum.

The guide says nothing of rounding; nothing is rounded before the sum. Where text and product differ, this follows the
product: 3DES counts 112 bits, elliptic curves their RSA equivalent, TLS 1.3 as much as TLS 1.2.
"""

from __future__ import annotations

from ansible_collections.ringmaster.webops.plugins.module_utils.tls.grade_view import View

PROTOCOL_SCORES = {"SSLv2": 0, "SSLv3": 80, "TLSv1.0": 90, "TLSv1.1": 95, "TLSv1.2": 100, "TLSv1.3": 100}

_KEY_EXCHANGE_SCORES = ((512, 20), (1024, 40), (2048, 80), (4096, 90))  # bits below -> score, else 100
_LETTER_SCORES = ((80, "A"), (65, "B"), (50, "C"), (35, "D"), (20, "E"))


def protocol_score(view: View) -> float | None:
    """Return the mean of the best and the worst protocol's score."""
    scores = [PROTOCOL_SCORES[name] for name in view.offered(*PROTOCOL_SCORES)]
    return (max(scores) + min(scores)) / 2 if scores else None


def key_exchange_score(view: View) -> float | None:
    """Return the score of the weakest of certificate key, groups and parameters; anonymous suites score 0.

    A hybrid group counts by its classical part, so that the grade stays comparable with what others give.
    """
    if any(suite.authentication == "anon" for suite in view.all_suites):
        return 0.0
    strengths = [certificate.strength_bits for certificate in view.certificates if certificate.strength_bits]
    if not strengths:
        return None
    strengths += [*view.group_bits.values(), *view.dh_bits]
    score = float(next((value for below, value in _KEY_EXCHANGE_SCORES if min(strengths) < below), 100))
    return min(score, 40.0) if any(suite.export for suite in view.all_suites) else score


def cipher_strength_score(view: View) -> float | None:
    """Return the mean of the strongest and the weakest suite's score."""
    bits = [suite.bits for suite in view.all_suites]
    if not bits:
        return None
    return (_bits_score(max(bits)) + _bits_score(min(bits))) / 2


def _bits_score(bits: int) -> float:
    if bits == 0:
        return 0.0
    return 20.0 if bits < 128 else 80.0 if bits < 256 else 100.0


def total_score(protocol: float | None, key_exchange: float | None, cipher_strength: float | None) -> float | None:
    """Return the weighted sum; a category of 0 makes it 0."""
    if protocol is None or key_exchange is None or cipher_strength is None:
        return None
    if 0 in (protocol, key_exchange, cipher_strength):
        return 0.0
    return round(0.3 * protocol + 0.3 * key_exchange + 0.4 * cipher_strength, 2)


def letter_of(score: float) -> str:
    """Return the letter of a total score, before rules."""
    return next((letter for least, letter in _LETTER_SCORES if score >= least), "F")
