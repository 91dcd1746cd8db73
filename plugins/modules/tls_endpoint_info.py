#!/usr/bin/python
# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measure TLS endpoints; the action plugin of the same name judges what was measured."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tls_endpoint_info
short_description: Measure and grade the TLS of endpoints
version_added: 0.1.0
description:
  - Finds out from outside what a TLS endpoint offers - protocols, cipher suites in the server's order, named groups,
    certificates, HSTS - and grades it by the numbers of the SSL Server Rating Guide, version 2009r.
  - It sends ClientHellos of its own and reads what the server answers in clear. What the local OpenSSL can or cannot do
    does not limit what is found. One more connection completes a handshake for the HTTP header and, where only TLS 1.3
    is spoken, for the certificate.
  - A fact that could not be measured is listed in RV(results[].not_tested), and a grade that depends on such a fact is
    marked as an upper bound. A server is believed to refuse something only when it says so.
  - The measuring happens where the task runs, with Python's standard library alone. Certificates are parsed and judged
    on the control node, which needs the Python package C(cryptography) 42 or newer.
  - A bad target is an entry of RV(results) with RV(results[].error) set. It never hides the results of the others and
    never fails the task.
extends_documentation_fragment:
  - ringmaster.webops.attributes
  - ringmaster.webops.attributes.info_module
  - ringmaster.webops.attributes.actiongroup_webops
options:
  targets:
    description:
      - The endpoints to measure, all of them in one process.
      - Each is V(host), V(host:port), V([v6]:port), or a dictionary with C(host) and optionally C(port), C(server_name)
        (the name to ask for and to look for in the certificate), C(starttls) and C(name) (what the result calls it).
      - C(starttls) is the protocol in which TLS is asked for before it begins, since version 0.2.0 - V(smtp), V(lmtp),
        V(imap), V(pop3), V(ftp), V(sieve), V(xmpp), V(xmpp-server), V(ldap), V(postgres), V(mysql), V(nntp) or V(irc).
        At most two connections at once are made to such a server.
      - The port is V(443), or that of C(starttls), unless it is given.
    type: list
    elements: raw
    required: true
  timeout:
    description:
      - The longest that one connection may take, in seconds, from its beginning to the end of the answer.
      - All connections to one target together, without the waiting between them, may take 40 times that. Then the
        server counts as too slow, and the rest is in RV(results[].not_tested).
    type: float
    default: 5
  concurrency:
    description:
      - How many targets are measured at once.
    type: int
    default: 8
  connections_per_host:
    description:
      - How many connections may be open at once to one address and port, over all targets.
    type: int
    default: 4
  delay:
    description:
      - The time between the beginnings of two connections to one address and port, in seconds.
    type: float
    default: 0
  addresses:
    description:
      - Whether to measure the V(first) address of a name where something listens, as a client would, or V(all) of them,
        which gives one result for each. What V(first) passed over stands in RV(results[].not_tested).
    type: str
    choices: [first, all]
    default: first
  ca_path:
    description:
      - A PEM file, or a directory of PEM files, with the certificate authorities to trust instead of the system's. It
        is read on the control node.
    type: path
  mozilla_version:
    description:
      - The version of Mozilla's guideline that RV(results[].mozilla) holds the endpoint against.
    type: str
    choices: ["5.7", "5.8", "6.0"]
    default: "6.0"
    version_added: 0.2.0
  policies:
    description:
      - Further policies to hold the endpoints against, in RV(results[].policies).
      - Each is the name of one that is shipped (V(bsi-tr-02102-2), V(ncsc-nl), V(nist-sp-800-52r2)) or the path of a
        YAML file of the same form on the control node. The comments in a shipped file say what of it was compared with
        its source.
    type: list
    elements: str
    default: []
    version_added: 0.2.0
notes:
  - Revocation is not checked - no CRL or OCSP server is contacted - and does not enter the grade. Nor does a key that
    another server uses with SSL 2.0 (DROWN), or one of Debian's weak keys of 2008.
  - The vulnerabilities that need probes of their own are not probed. Where the facts exclude them (no RSA key exchange,
    no CBC suite, no heartbeat extension and the like) nothing is missing, otherwise they are among
    RV(results[].grade_missing_facts).
author:
  - ringmaster.webops contributors (@ringmaster-webops)
seealso:
  - module: ringmaster.webops.tls_listener_info
  - plugin: ringmaster.webops.tls_grade_at_least
    plugin_type: test
"""

EXAMPLES = r"""
- name: Measure two endpoints, one of them by its address
  ringmaster.webops.tls_endpoint_info:
    targets:
      - www.example.com
      - host: 192.0.2.10
        port: 8443
        server_name: www.example.com
        name: the second web server
      - host: mail.example.com
        starttls: smtp
    ca_path: /etc/ssl/own-ca.pem
  delegate_to: localhost
  register: tls

- name: Fail when one of them is worse than A-
  ansible.builtin.assert:
    that: item is ringmaster.webops.tls_grade_at_least('A-')
    fail_msg: "{{ item.target.name }}: {{ item.grade }} {{ item.caps }} {{ item.warnings }} {{ item.error }}"
  loop: "{{ tls.results }}"
  loop_control:
    label: "{{ item.target.name }}"
"""

RETURN = r"""
results:
  description: One entry for each target, in their order (one for each address with O(addresses=all)).
  returned: always
  type: list
  elements: dict
  contains:
    target:
      description: What was asked for - C(name), C(host), C(port), C(server_name), C(starttls).
      returned: always
      type: dict
    address:
      description: The address that was measured, null where no name was resolved.
      returned: always
      type: str
    addresses:
      description: All addresses of the host.
      returned: always
      type: list
      elements: str
    reachable:
      description: Whether something there speaks TLS.
      returned: always
      type: bool
    error:
      description:
        - Why the target could not be measured - C(kind), C(message) and C(remedy) - or null.
        - The kinds are V(invalid_target), V(name_not_resolved), V(connection_refused), V(unreachable), V(timeout),
          V(not_tls), V(malformed), V(connection_closed), V(server_name_refused), V(starttls_refused), V(busy),
          V(not_that_protocol).
      returned: always
      type: dict
    protocols:
      description: Each protocol's C(name) and C(status) (V(offered), V(not_offered), V(not_tested)).
      returned: always
      type: list
      elements: dict
    cipher_suites:
      description:
        - For each protocol the accepted cipher suites in the order in which the server picked them, each with C(name),
          C(id), C(key_exchange), C(authentication), C(encryption), C(bits), C(mac) and C(forward_secrecy).
      returned: always
      type: dict
    preference:
      description: For each protocol whose order decides - V(server), V(client) or V(not_tested).
      returned: always
      type: dict
    groups:
      description:
        - The named groups, with C(name), C(id), C(post_quantum), C(rsa_equivalent_bits) and C(protocols).
        - C(protocols) are those in which the group was seen. A group that TLS 1.3 shows is not asked for again in older
          protocols.
      returned: always
      type: list
      elements: dict
    dh_parameters:
      description: The finite field parameters seen - C(protocol), C(bits), C(prime_sha256).
      returned: always
      type: list
      elements: dict
    extensions:
      description: For each protocol from TLS 1.0 to 1.2 the extensions that the server echoed in any answer.
      returned: always
      type: dict
    compression:
      description: Whether the server compresses; null where no protocol could.
      returned: always
      type: bool
    renegotiation:
      description: C(secure) says whether the server supports RFC 5746; null where no protocol renegotiates.
      returned: always
      type: dict
    certificates:
      description:
        - Every certificate that was seen, with C(key_type), C(server_name_sent), C(protocols), C(leaf), C(chain) and
          C(trust).
        - The leaf and each certificate of the chain have C(subject), C(issuer), C(common_name), C(names),
          C(serial_number), C(not_before), C(not_after), C(days_left), C(key_type), C(key_bits),
          C(curve), C(rsa_equivalent_bits), C(rsa_public_exponent), C(signature_algorithm), C(self_issued),
          C(sha256_fingerprint), C(spki_sha256), C(ocsp_responders) and C(must_staple). One that cannot be parsed has
          C(error), C(sha256_fingerprint) and C(size) instead.
        - C(trust) has C(trusted), C(reason) (V(expired), V(not_yet_valid), V(self_signed), V(chain_incomplete),
          V(unknown_issuer), V(untrusted_root), V(unreadable), V(not_for_servers), V(invalid_chain),
          V(weak_signature)), C(detail) and C(name_matches). Where a Python older than 3.10 scans and shows the leaf
          alone, C(trusted) may be null and C(reason) V(chain_not_seen), and the grade is an upper bound.
      returned: always
      type: list
      elements: dict
    http:
      description:
        - C(speaks_http), the C(status) of a request for C(/), and C(strict_transport_security) with C(present),
          C(valid), C(max_age_seconds), C(include_subdomains), C(preload) and C(value).
        - Null when it could not be measured.
      returned: always
      type: dict
    grade:
      description: The grade from V(A+) to V(F), V(T) without trust, V(M) for another name, null without enough facts.
      returned: always
      type: str
    grade_trust_ignored:
      description: The grade as if the certificate were trusted and for this name.
      returned: always
      type: str
    grade_is_upper_bound:
      description: Whether facts are missing that could make the grade worse.
      returned: always
      type: bool
    grade_missing_facts:
      description: Those facts.
      returned: always
      type: list
      elements: str
    scores:
      description: The scores C(protocol), C(key_exchange), C(cipher_strength) and C(total), from 0 to 100.
      returned: always
      type: dict
    caps:
      description: What limits the grade - C(rule), C(limit), C(evidence).
      returned: always
      type: list
      elements: dict
    warnings:
      description: What makes an A an A- - C(rule), C(evidence).
      returned: always
      type: list
      elements: dict
    mozilla:
      description:
        - The endpoint held against the profiles of Mozilla's guideline, null when it could not be measured.
        - C(version), C(profiles), C(best) (the strictest profile that it complies with for certain) and
          C(best_possible) (the strictest that nothing measured contradicts). Each profile has the form of
          RV(results[].policies[]).
      returned: always
      type: dict
    policies:
      description:
        - What each of O(policies) says - C(name), C(version), C(source), C(compliant), C(undecided) and C(items).
        - C(compliant) is null when something that matters was not measured; C(undecided) names it.
        - Each of C(items) has C(item), C(expected), C(actual), C(status) (V(pass), V(fail), V(recommend), V(skipped)),
          C(reason) and C(source).
      returned: always
      type: list
      elements: dict
    not_tested:
      description: The facts that could not be measured - C(fact), C(reason).
      returned: always
      type: list
      elements: dict
    connections:
      description: How many connections were made.
      returned: always
      type: int
    duration_ms:
      description: How long it took, in milliseconds.
      returned: always
      type: int
summary:
  description: How many C(endpoints), C(reachable), C(unreachable), C(connections), and how many of each of C(grades).
  returned: always
  type: dict
schema_version:
  description: The version of this structure.
  returned: always
  type: str
  sample: "1.1"
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.ringmaster.webops.plugins.module_utils.tls.scan import Options, scan_targets


def main() -> None:
    """Measure; the facts go to the action plugin."""
    module = AnsibleModule(
        argument_spec={
            "targets": {"type": "list", "elements": "raw", "required": True},
            "timeout": {"type": "float", "default": 5},
            "concurrency": {"type": "int", "default": 8},
            "connections_per_host": {"type": "int", "default": 4},
            "delay": {"type": "float", "default": 0},
            "addresses": {"type": "str", "choices": ["first", "all"], "default": "first"},
            "ca_path": {"type": "path"},
            "mozilla_version": {"type": "str", "choices": ["5.7", "5.8", "6.0"], "default": "6.0"},
            "policies": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    for option, least in (("timeout", 0.1), ("concurrency", 1), ("connections_per_host", 1), ("delay", 0)):
        if not module.params[option] >= least:
            module.fail_json(msg=f"{option}: {module.params[option]} is too small. Give at least {least}")
    options = Options(
        timeout_seconds=module.params["timeout"],
        concurrency=module.params["concurrency"],
        connections_per_host=module.params["connections_per_host"],
        delay_seconds=module.params["delay"],
        all_addresses=module.params["addresses"] == "all",
    )
    module.exit_json(changed=False, scans=scan_targets(module.params["targets"], options))


if __name__ == "__main__":
    main()
