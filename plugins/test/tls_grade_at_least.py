# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Is the TLS of an endpoint known to be good enough."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.ringmaster.webops.plugins.module_utils.tls.grade import at_least

DOCUMENTATION = r"""
name: tls_grade_at_least
short_description: Whether an endpoint's TLS grade is at least this good
version_added: 0.1.0
author:
  - ringmaster.webops contributors (@ringmaster-webops)
description:
  - Whether one entry of RV(ringmaster.webops.tls_endpoint_info#module:results) has at least the given grade.
  - It is false for the grades V(T) (no trust) and V(M) (another name), for an endpoint without a grade, and for a grade
    that is only an upper bound because facts are missing.
options:
  _input:
    description: One entry of the results of M(ringmaster.webops.tls_endpoint_info).
    type: dict
    required: true
  minimum:
    description: The grade that is good enough.
    type: str
    choices: [A+, A, A-, B, C, D, E, F]
    required: true
positional: minimum
seealso:
  - module: ringmaster.webops.tls_endpoint_info
"""

EXAMPLES = r"""
- name: Refuse anything below A-
  ansible.builtin.assert:
    that: tls.results[0] is ringmaster.webops.tls_grade_at_least('A-')
"""

RETURN = r"""
_value:
  description: Whether the grade is known to be at least as good.
  type: bool
"""


def tls_grade_at_least(result: object, minimum: str) -> bool:
    """Return whether a result's grade is known to be at least ``minimum``."""
    if not isinstance(result, Mapping) or "grade" not in result:
        raise AnsibleFilterError(
            f"tls_grade_at_least: a {type(result).__name__} without 'grade' was given. "
            "Give one entry of the results of ringmaster.webops.tls_endpoint_info"
        )
    try:
        return at_least(result["grade"], result.get("grade_is_upper_bound"), minimum)
    except ValueError as error:
        raise AnsibleFilterError(f"tls_grade_at_least: {error}") from error


class TestModule:
    """The test, as Ansible wants it."""

    def tests(self) -> dict[str, Callable[..., bool]]:
        """Return the test by its name."""
        return {"tls_grade_at_least": tls_grade_at_least}
