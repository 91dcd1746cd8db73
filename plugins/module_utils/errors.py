# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The exceptions of the library: each names the value, the reason and the remedy."""

from __future__ import annotations


class WebopsError(Exception):
    """Something that the library cannot do, in the words of the person who has to mend it.

    ``value`` is what was given or found, ``reason`` why it cannot be used, ``remedy`` what to do about it. The text of
    the exception is all three in one sentence pair.
    """

    def __init__(self, value: str, reason: str, remedy: str) -> None:
        """Hold the three parts, and say them in one text."""
        super().__init__(f"{value}: {reason}. {remedy}")
        self.value = value
        self.reason = reason
        self.remedy = remedy


class InvalidInputError(WebopsError):
    """A value that the caller gave cannot be used."""


class MeasurementError(WebopsError):
    """A fact could not be measured at all."""
