#!/usr/bin/python
# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module ``fleet_report``: facts in, the report's files out."""

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_report
short_description: Write a report on a fleet from what was measured on its hosts
version_added: 0.1.0
description:
  - Writes what M(ringmaster.webops.tls_endpoint_info), M(ringmaster.webops.tls_library_info) and
    M(ringmaster.webops.package_consistency_info) measured as one self-contained HTML page for people and as JSON for
    programs.
  - Each host gets a row with its verdict, its worst TLS grade, the days left of its first certificate to expire, the
    verdict on its packages, the number of findings and how much was verified. A host that could not be measured is a
    row with the reason.
  - The page needs no network, no script and no font of its own. Everything that a host said is escaped in it.
  - Runs where the report is wanted, usually on the control node with C(delegate_to=localhost) and C(run_once=true).
notes:
  - The report carries the moment at which it was written. Given the same facts again, the module writes nothing,
    reports no change and leaves that moment as it is, so that a report never looks fresher than the facts in it. A
    report in which a day count or a verdict has changed with the time is written anew, and so is one with a file that
    was altered or is missing.
  - Ansible logs a module's arguments where the module runs, and here these are all facts. There is nothing secret in
    them, but much; with the variable C(ansible_no_target_syslog=true) on the task they stay out of the log.
  - Verdicts of a host, from best to worst, are V(ok), V(attention), V(unknown) (something could not be measured) and
    V(critical). A grade of B or C, an upper bound of a grade, a vulnerability that is likely, a certificate in its last
    21 days, processes on a TLS library that was replaced, a past with Heartbleed, and packages or libraries that were
    looked at in part ask for V(attention). A worse grade, a vulnerability that was shown, an endpoint without an
    answer, a certificate that expired or is in its last 7 days or is not trusted, an installed library with Heartbleed,
    package content that differs and an unsound package database are V(critical). A host whose packages or TLS endpoints
    were not measured is V(unknown) at best. What a vulnerability merely exposes to, in the sense of
    M(ringmaster.webops.tls_endpoint_info), is shown and worsens no verdict. For certificates of short life the last
    quarter and the last tenth of their life count, where that is less.
extends_documentation_fragment:
  - ringmaster.webops.attributes
  - ringmaster.webops.attributes.actiongroup_webops
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - The diff shows the report as its JSON has it, without the facts that it rests on.
options:
  facts:
    description:
      - What is known of each host of the fleet.
    type: list
    elements: dict
    required: true
    suboptions:
      host:
        description: The name of the host, as the inventory has it.
        type: str
        required: true
      groups:
        description: The inventory groups to show with the host.
        type: list
        elements: str
        default: []
      error:
        description: Why the host could not be measured, or nothing.
        type: str
      packages:
        description:
          - The result of M(ringmaster.webops.package_consistency_info) on the host; without it they were not measured.
        type: dict
      tls_endpoints:
        description:
          - The entries of RV(ringmaster.webops.tls_endpoint_info#module:results) that belong to the host.
          - An empty list says that it was looked and there is none; without the option they were not measured.
        type: list
        elements: dict
      tls_libraries:
        description:
          - The result of M(ringmaster.webops.tls_library_info) on the host; without it nothing is said about libraries.
        type: dict
        version_added: 0.2.0
  destination:
    description:
      - The directory that receives C(index.html) and C(report.json). It is made, with its parents, where it is missing.
      - Files are replaced as a whole, never in part, and get mode C(0644).
    type: path
    required: true
author:
  - ringmaster.webops contributors (@ringmaster-webops)
seealso:
  - module: ringmaster.webops.package_consistency_info
  - module: ringmaster.webops.tls_endpoint_info
  - module: ringmaster.webops.tls_library_info
"""

EXAMPLES = r"""
- name: Report on the fleet
  ringmaster.webops.fleet_report:
    destination: "{{ playbook_dir }}/report"
    facts:
      - host: web1
        groups: [webservers]
        packages: "{{ hostvars.web1.packages }}"
        tls_endpoints: "{{ endpoints.results | selectattr('target.name', 'equalto', 'web1') }}"
        tls_libraries: "{{ hostvars.web1.libraries }}"
      - host: web2
        groups: [webservers]
        error: "Connection timed out"
  delegate_to: localhost
  run_once: true
  register: report

- name: Stop when something is critical
  ansible.builtin.assert:
    that: report.verdict != 'critical'
    fail_msg: "{{ report.hosts | selectattr('verdict', 'equalto', 'critical') | map(attribute='reasons') | flatten }}"
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
paths:
  description: The files of the report.
  returned: success
  type: dict
  contains:
    html:
      description: The page for people.
      type: str
    json:
      description: The report for programs.
      type: str
  sample:
    html: /srv/report/index.html
    json: /srv/report/report.json
verdict:
  description: The worst verdict of all hosts; V(unknown) when there is no host.
  returned: success
  type: str
  sample: attention
generated_at:
  description: The moment that the report carries, UTC.
  returned: success
  type: str
  sample: "2026-11-22T03:00:00Z"
hosts:
  description: One entry a host, worst first.
  returned: success
  type: list
  elements: dict
  contains:
    host:
      description: The name of the host.
      type: str
    groups:
      description: Its groups, as they were given.
      type: list
      elements: str
    verdict:
      description: V(ok), V(attention), V(unknown) or V(critical).
      type: str
    reasons:
      description: Why the verdict is what it is, worst first.
      type: list
      elements: dict
      contains:
        level:
          description: The verdict that this reason asks for.
          type: str
        rule:
          description: The rule's name.
          type: str
        text:
          description: A sentence with the value.
          type: str
    error:
      description: Why the host could not be measured, or nothing.
      type: str
    tls:
      description: The host's endpoints in short; nothing when it has none.
      type: dict
      contains:
        endpoints:
          description: How many endpoints were looked at.
          type: int
        unreachable:
          description: How many of them gave no TLS answer.
          type: int
        grade:
          description: The worst grade.
          type: str
        grade_is_upper_bound:
          description: Whether the grade could be worse, had everything been measured.
          type: bool
        grade_endpoint:
          description: The endpoint that has the worst grade.
          type: str
        vulnerabilities:
          description:
            - How many vulnerabilities of all endpoints are V(vulnerable), V(likely) and V(exposed), and how many were
              V(tested) and V(not_tested).
          type: dict
          version_added: 0.2.0
    certificate:
      description: The first certificate to expire; nothing when none was seen.
      type: dict
      contains:
        endpoint:
          description: The endpoint that sends it.
          type: str
        subject:
          description: Its subject.
          type: str
        not_after:
          description: When it expires, UTC.
          type: str
        days_left:
          description: The whole days until then, negative afterwards.
          type: int
    packages:
      description: The host's packages in short; nothing when they were not verified.
      type: dict
      contains:
        verdict:
          description: The verdict of M(ringmaster.webops.package_consistency_info).
          type: str
        findings_total:
          description: How many findings there are.
          type: int
        by_class:
          description: How many findings there are of each class.
          type: dict
        coverage:
          description: How much was verified, and in how many points it was not (C(gaps)).
          type: dict
        database_problems:
          description: How many problems the package database has.
          type: int
    libraries:
      description: The host's TLS libraries in short; nothing when nobody asked.
      type: dict
      version_added: 0.2.0
      contains:
        restarts_due:
          description: How many processes run on a library that was replaced.
          type: int
        heartbleed_now:
          description: Whether a library with Heartbleed is installed; nothing where that is not known.
          type: bool
        heartbleed_once:
          description: Whether the package logs know of a time when one was installed.
          type: bool
        gaps:
          description: How many things could not be read.
          type: int
  sample:
    - host: web1
      groups: [webservers]
      verdict: ok
      reasons: []
      error: null
      tls:
        endpoints: 1
        unreachable: 0
        grade: A
        grade_is_upper_bound: false
        grade_endpoint: "web1.example.org:443"
        vulnerabilities: {vulnerable: 0, likely: 0, exposed: 1, tested: 24, not_tested: 0}
      certificate:
        endpoint: "web1.example.org:443"
        subject: CN=web1
        not_after: "2027-02-19T11:00:00Z"
        days_left: 89
      packages:
        verdict: consistent
        findings_total: 0
        by_class: {}
        coverage:
          packages: {installed: 212, verified: 212}
          files: {listed: 9312, verified: 9312}
          bytes_read: 412000000
          gaps: 0
        database_problems: 0
      libraries: {restarts_due: 0, heartbleed_now: false, heartbleed_once: false, gaps: 0}
"""

from datetime import datetime, timezone

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.report.document import rows
from ansible_collections.ringmaster.webops.plugins.module_utils.report.files import plan_report, write_report
from ansible_collections.ringmaster.webops.plugins.module_utils.report.reading import iso


def main() -> None:
    """Write the report of the given facts."""
    module = AnsibleModule(
        argument_spec={
            "facts": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "host": {"type": "str", "required": True},
                    "groups": {"type": "list", "elements": "str", "default": []},
                    "error": {"type": "str"},
                    "packages": {"type": "dict"},
                    "tls_endpoints": {"type": "list", "elements": "dict"},
                    "tls_libraries": {"type": "dict"},
                },
            },
            "destination": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    try:
        plan = plan_report(module.params["facts"], module.params["destination"], datetime.now(timezone.utc))
        if plan.changed and not module.check_mode:
            write_report(plan)
    except WebopsError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(
        changed=plan.changed,
        **({"diff": plan.diff()} if module._diff else {}),
        paths={"html": str(plan.html_path), "json": str(plan.json_path)},
        verdict=plan.report.verdict,
        generated_at=iso(plan.report.generated_at),
        hosts=rows(plan.report),
    )


if __name__ == "__main__":
    main()
