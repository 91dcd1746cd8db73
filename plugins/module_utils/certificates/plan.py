# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a certificate is due, which sources may replace it, and whether what they give is any better.

Pure: what is asked for, what is there, and a moment -> a decision. The rule above all others: a valid certificate is
never replaced by one that fewer trust, that ends sooner or that covers fewer names.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from ansible_collections.ringmaster.webops.plugins.module_utils.certificates.pair import Pair, Trust
from ansible_collections.ringmaster.webops.plugins.module_utils.certificates.request import Request, algorithm

# Who trusts what a source gives. The best is hoped for of the first two, and judged when it is there.
_TRUST_OF_SOURCE = {
    "given": Trust.STORE,
    "acme": Trust.STORE,
    "own_ca": Trust.OWN_AUTHORITY,
    "self_signed": Trust.NOBODY,
}


@dataclass(frozen=True)
class Found:
    """A pair of files on the control node: read, or the ``problem`` in one sentence where they are not a pair."""

    pair: Pair | None = None
    problem: str = ""


@dataclass(frozen=True)
class Decision:
    """Whether to get another certificate, why, and from where: ``sources`` in the order in which they are tried.

    ``failure`` is set where something is wrong that no source mends: (source, reason). ``is_given`` says that whoever
    gives the present one renews it.
    """

    due: bool
    reason: str = ""
    sources: tuple[str, ...] = ()
    failure: tuple[str, str] | None = None
    is_given: bool = False


def decide(request: Request, present: Found, given: Found, renewal_percent: int, now: datetime.datetime) -> Decision:
    """Decide on one request. ``given`` are the given files, without a problem where none are given."""
    failure = _given_failure(request, given, now)
    usable = tuple(source for source in request.sources if source != "given" or failure is None)
    pair = present.pair
    if pair is None or not pair.is_valid(now):
        reason = present.problem if pair is None else "the present one is not valid now"
        return Decision(bool(usable), reason, usable, failure)
    source = _source_of(request, pair, given, usable)
    is_given = source == "given" and source in usable
    preferred, reason = _preferred(request, usable, pair, source), "there is a source that is preferred"
    if not preferred:
        preferred, reason = usable, _reason_to_replace(request, pair, source)
        if not reason and not is_given and now >= renewal_moment(pair, renewal_percent):
            reason = f"the present one has {pair.days_left(now)} days left"
    if not reason:
        return Decision(False, failure=failure, is_given=is_given)
    sources = tuple(one for one in preferred if _TRUST_OF_SOURCE[one] >= pair.trust)
    if not sources and failure is None:
        failure = (usable[0] if usable else "given", f"{reason}, and what this source gives would be trusted by fewer")
    return Decision(bool(sources), reason, sources, failure)


def _given_failure(request: Request, given: Found, now: datetime.datetime) -> tuple[str, str] | None:
    if "given" not in request.sources:
        return None
    if given.pair is None:
        return "given", given.problem
    if request.suffix and algorithm(given.pair.key_type) != algorithm(request.key_type):
        return "given", f"its key is {given.pair.key_type}, and {request.key_type} is asked for"
    reason = lesser(given.pair, None, request.names, now)
    return ("given", f"the given certificate {reason}") if reason else None


def _source_of(request: Request, pair: Pair, given: Found, usable: tuple[str, ...]) -> str | None:
    """Tell which source a pair comes from; ``None`` where that is none of those that are configured now."""
    if given.pair is not None and given.pair.files == pair.files:
        return "given"
    # Where the given files are lost, what is there may well be what they held; the own authority's certainly is not.
    if "given" in request.sources and "given" not in usable and pair.issued_by != "own_ca":
        return "given"
    source = "acme" if pair.issued_by == "other" else pair.issued_by
    return source if source in request.sources else None


def _preferred(request: Request, usable: tuple[str, ...], pair: Pair, source: str | None) -> tuple[str, ...]:
    """Return the usable sources that come before the one that the present pair is from."""
    if source is not None:
        before = request.sources[: request.sources.index(source)]
    elif pair.trust is Trust.STORE:  # given once, or by an ACME server that is not configured any more
        before = ("given",)
    else:
        before = request.sources
    return tuple(one for one in usable if one in before)


def _reason_to_replace(request: Request, pair: Pair, source: str | None) -> str:
    """Say what is not as it is asked for. Of what was given, only the names are asked for."""
    missing = pair.not_covered(request.names)
    if missing:
        return f"the present one does not cover {', '.join(missing)}"
    if source in (None, "given"):
        return ""
    if pair.names != frozenset(request.names):
        return "the present one covers names that are not asked for"
    if pair.key_type != request.key_type:
        return f"the key of the present one is {pair.key_type}"
    return ""


def renewal_moment(pair: Pair, renewal_percent: int) -> datetime.datetime:
    """Return when a pair is due: when ``renewal_percent`` of its own life remains."""
    return pair.not_after - (pair.not_after - pair.not_before) * renewal_percent / 100


def lesser(new: Pair, present: Pair | None, names: tuple[str, ...], now: datetime.datetime) -> str:
    """Say why a new pair may not take the place of the present one; empty where it may."""
    missing = new.not_covered(names)
    if missing:
        return f"does not cover {', '.join(missing)}"
    if not new.is_valid(now):
        return f"is valid from {_day(new.not_before)} to {_day(new.not_after)} only"
    if present is None or not present.is_valid(now) or present.trust is Trust.NOBODY:
        return ""
    if new.trust < present.trust:
        return "is trusted by fewer than the present one (see certificate_ca_path)"
    if new.trust == present.trust and new.not_after < present.not_after and not present.not_covered(names):
        return f"ends on {_day(new.not_after)}, before the present one ({_day(present.not_after)})"
    return ""


def _day(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%d")


def words(request: Request, present: Found, decision: Decision, renewal_percent: int, now: datetime.datetime) -> str:
    """Say in plain words how long a certificate lives and when another comes."""
    sources = ", then ".join(decision.sources)
    if present.pair is None:
        return f"The certificate {request.label} is not there yet. It comes from {sources or 'nowhere'}."
    pair, left = present.pair, present.pair.days_left(now)
    life = f"has {left} {'day' if left == 1 else 'days'} left" if left >= 0 else f"ended {-left} days ago"
    if decision.due:
        return f"The certificate {request.label} {life}. Another one is due from {sources}: {decision.reason}."
    if decision.is_given:
        return f"The certificate {request.label} {life}. Its files are given; give new ones in time."
    at = (pair.not_after - renewal_moment(pair, renewal_percent)).days
    return f"The certificate {request.label} {life}. It is renewed when {at} are left."
