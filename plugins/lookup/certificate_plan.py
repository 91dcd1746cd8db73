# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lookup ``ringmaster.webops.certificate_plan``."""

from __future__ import annotations

DOCUMENTATION = r"""
name: certificate_plan
short_description: Which certificates of a host are due, and where another one may come from
version_added: 0.2.0
author:
  - ringmaster.webops contributors (@ringmaster-webops)
description:
  - Reads the certificates of one host on the control node and decides which of them are due, and which sources may
    replace them. Changes nothing. The role P(ringmaster.webops.certificate#role) does what it says.
  - A valid certificate is never replaced by one that fewer trust, that ends sooner or that covers fewer names.
  - A certificate is due when it is missing, has ended, does not fit its key, is not for the names and the key type that
    are asked for, when a preferred source is there, or when less than O(renewal_percent) of its life remains.
options:
  _terms:
    description: The certificates, as P(ringmaster.webops.certificate#role) takes them in C(certificate_certificates).
    type: list
    elements: dict
    required: true
  directory:
    description: Directory of the host's certificates on the control node.
    type: path
    required: true
  authority:
    description: Certificate of the role's own authority. It need not be there.
    type: path
    required: true
  sources:
    description: The sources, the preferred one first.
    type: list
    elements: str
    choices: [given, acme, own_ca, self_signed]
    default: [given, acme, own_ca, self_signed]
  acme:
    description: Whether an ACME server is configured.
    type: bool
    default: false
  ca_path:
    description: PEM file or directory of the authorities that are trusted. The system's, when empty.
    type: str
    default: ""
  renewal_percent:
    description: A certificate is due when less than this percentage of its life remains.
    type: int
    default: 33
notes:
  - Needs the Python library C(cryptography) on the control node.
"""

EXAMPLES = r"""
- name: Show which certificates are due
  ansible.builtin.debug:
    msg: "{{ plan.requests | map(attribute='words') }}"
  vars:
    plan: >-
      {{ lookup('ringmaster.webops.certificate_plan', [{'name': 'www', 'names': ['www.example.org']}],
                directory='authority/hosts/web1', authority='authority/ca.pem') }}
"""

RETURN = r"""
_raw:
  description:
    - One dictionary.
    - C(requests) has one entry a certificate and key type, with C(certificate), C(label), C(key_type), C(names),
      C(suffix), C(given), C(due), C(reason), C(sources) (those that may replace it, in the order in which to try them),
      C(staging) (the directory in which another one is made), C(staged_problem) (why what lies there may not be used,
      or empty) and C(words) (how many days are left, for a person).
    - C(certificates) has one entry a certificate, with C(name), C(owner), C(group), C(complete), C(version) and
      C(files), each of them with C(name), C(source), C(sha256) and C(private). The filter
      P(ringmaster.webops.certificate_deployment#filter) takes them.
    - C(failures) are sources that are configured and cannot be used, each with C(name), C(key_type), C(source) and
      C(reason).
    - C(days_left) has the days that are left, by certificate.
  type: list
  elements: dict
"""

from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.ringmaster.webops.plugins.module_utils.certificates.pair import Trusted
from ansible_collections.ringmaster.webops.plugins.module_utils.certificates.request import wanted
from ansible_collections.ringmaster.webops.plugins.module_utils.certificates.store import Store
from ansible_collections.ringmaster.webops.plugins.module_utils.errors import WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls import certificate, trust_store


class LookupModule(LookupBase):
    """The lookup, as Ansible finds it."""

    def run(
        self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: object
    ) -> list[dict[str, object]]:
        """Return the plan; see the documentation of the lookup."""
        plugin: Any = self  # what it inherits has no types
        plugin.set_options(var_options=variables, direct=kwargs)
        if certificate.CRYPTOGRAPHY_IMPORT_ERROR is not None:
            raise AnsibleLookupError(
                f"certificate_plan: the Python library cryptography is needed on the control node: "
                f"{certificate.CRYPTOGRAPHY_IMPORT_ERROR}. Install it for the Python that runs Ansible."
            )
        certificates = [entry for term in terms for entry in (term if isinstance(term, list) else [term])]
        try:
            asked = wanted(certificates, plugin.get_option("sources"), acme=plugin.get_option("acme"))
            return [_store(plugin.get_option).look(asked)]
        except WebopsError as error:
            raise AnsibleLookupError(f"certificate_plan: {error}") from error


def _store(option: Callable[[str], Any]) -> Store:
    authority = Path(option("authority"))
    own = trust_store.read_anchors(str(authority)) if authority.is_file() else []
    store = trust_store.read_anchors(option("ca_path") or None)
    return Store(
        directory=Path(option("directory")),
        trusted=Trusted(certificate.Anchors(store), certificate.Anchors(own)),
        renewal_percent=option("renewal_percent"),
        now=datetime.now(timezone.utc),
    )
