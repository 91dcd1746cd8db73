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
    certificates, sessions, HTTP header - and what follows from it - known vulnerabilities, which well-known clients can
    connect and with what, whether it complies with Mozilla's guideline - and grades it by the numbers of the SSL Server
    Rating Guide.
  - It sends ClientHellos of its own and reads what the server answers in clear. What the local OpenSSL can or cannot do
    does not limit what is found. A few connections complete a handshake of its own, for what is only said encrypted.
  - A fact that could not be measured is listed in RV(results[].not_tested), and a grade that depends on such a fact is
    marked as an upper bound. A server is believed to refuse something only when it says so.
  - The measuring happens where the task runs, with Python's standard library alone. Certificates are parsed and judged
    on the control node, which needs the Python package C(cryptography) 43 or newer.
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
        (the name to ask for and to look for in the certificate), C(starttls), C(http_port) and C(name) (what the result
        calls it).
      - C(http_port), since version 0.2.0, is where the same site answers without TLS. It is V(80) for port 443, and
        otherwise not known unless it is given - then RV(results[].plain_http) is null.
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
  vulnerability_tests:
    description:
      - How far to go in search of vulnerabilities. What follows from the other facts is said at every level.
      - V(none) and V(passive) send nothing for it. V(active) adds what takes a handful of connections - Heartbleed, CCS
        injection, Ticketbleed, insecure and client-initiated renegotiation, STARTTLS injection, Opossum. V(deep) adds
        what can take tens of them - ROBOT, the padding oracles of CBC suites, and all signature schemes.
      - Nothing that is sent can crash a server, or make one show its memory. But malformed records look like an attack
        in the log of a server, so V(active) and V(deep) are for one's own.
    type: str
    choices: [none, passive, active, deep]
    default: passive
    version_added: 0.2.0
  fetch_issuers:
    description:
      - Whether to fetch, by plain HTTP, certificates that a server should have sent from where its certificates say. An
        endpoint that lacks an intermediate certificate is then not V(T) but at best V(B), as browsers that do the same
        see it.
      - The addresses come from the server that is measured. A hostile one can make the host that scans send a GET to
        any address that this host reaches, so it is off unless it is asked for.
    type: bool
    default: false
    version_added: 0.2.0
  criteria:
    description:
      - The version of the rating guide. V(2009q) knows no warning for a missing TLS 1.3 and a useless HSTS header, and
        wants TLS_FALLBACK_SCSV for V(A+).
    type: str
    choices: [2009q, 2009r]
    default: 2009r
    version_added: 0.2.0
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
  - Revocation is not checked beyond a stapled response - no CRL or OCSP server is contacted - and signatures of
    certificate timestamps are not verified, since no list of logs is shipped. One of Debian's weak keys of 2008 is not
    recognized.
  - The form of the result is the JSON Schema C(docs/schemas/tls_endpoint_info-2.0.json) of the collection. Its version
    is RV(schema_version).
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

- name: Look for vulnerabilities of one's own servers too
  ringmaster.webops.tls_endpoint_info:
    targets: ["{{ inventory_hostname }}"]
    vulnerability_tests: active
  delegate_to: localhost
  register: tls_own

- name: Say which clients are turned away
  ansible.builtin.debug:
    msg: "{{ tls_own.results[0].clients | rejectattr('connects', 'true') | map(attribute='name') }}"

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
      description:
        - What was asked for - C(name), C(host), C(port), C(server_name), C(starttls), C(http_port).
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
    address_differences:
      description:
        - With O(addresses=all), what this address does otherwise than the first of the same target - C(fact), C(before)
          (at the first), C(after) (here), C(direction) (V(better), V(worse), V(neutral), V(unknown)).
      returned: always
      version_added: 0.2.0
      type: list
      elements: dict
    reachable:
      description: Whether something there speaks TLS.
      returned: always
      type: bool
    error:
      description:
        - Why the target could not be measured - C(kind), C(message) and C(remedy) - or null.
        - The kinds are V(invalid_target), V(name_not_resolved), V(connection_refused), V(unreachable), V(timeout),
          V(not_tls), V(malformed), V(connection_closed), V(server_name_refused), V(starttls_refused), V(busy),
          V(not_that_protocol), V(scanner_fault).
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
      description: For each protocol whose order of cipher suites decides - V(server), V(client) or V(not_tested).
      returned: always
      type: dict
    chacha20_priority:
      description:
        - Whether a server with an order of its own prefers ChaCha20 for a client that does; null where that does not
          arise.
      returned: always
      version_added: 0.2.0
      type: bool
    groups:
      description:
        - The named groups, with C(name), C(id), C(post_quantum), C(rsa_equivalent_bits) and C(protocols).
        - C(protocols) are those in which the group was seen. A group that TLS 1.3 shows is not asked for again in older
          protocols.
      returned: always
      type: list
      elements: dict
    groups_preference:
      description: For each protocol whose order of groups decides - V(server), V(client) or V(not_tested).
      returned: always
      version_added: 0.2.0
      type: dict
    signature_schemes:
      description:
        - For each protocol the C(name) and C(id) of the schemes that key exchanges were signed with. They are all only
          with O(vulnerability_tests=deep), otherwise those that happened to be seen.
      returned: always
      version_added: 0.2.0
      type: dict
    dh_parameters:
      description:
        - The finite field parameters seen - C(protocol), C(bits), C(prime_sha256), C(known_prime) (the name of a prime
          that many servers share, or null).
      returned: always
      type: list
      elements: dict
    key_reuse:
      description: For V(DHE) and V(ECDHE) whether an ephemeral key was used twice; null with fewer than two to compare.
      returned: always
      version_added: 0.2.0
      type: dict
    alpn:
      description: For TLS 1.2, or where it is not offered TLS 1.3, what was selected of V(h2) and V(http/1.1), if any.
      returned: always
      version_added: 0.2.0
      type: dict
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
    downgrade_sentinel:
      description:
        - Whether a server that speaks TLS 1.3 says so when it is asked for less (RFC 8446 4.1.3) - V(present),
          V(missing), V(not_applicable) or V(not_tested).
      returned: always
      version_added: 0.2.0
      type: str
    fallback_scsv:
      description:
        - Whether a server with several protocols up to TLS 1.2 refuses a client that falls back (RFC 7507) -
          V(supported), V(not_supported), V(not_applicable) or V(not_tested).
      returned: always
      version_added: 0.2.0
      type: str
    server_name_required:
      description: Whether the server refuses a client that sends no server name; null where that was not asked.
      returned: always
      version_added: 0.2.0
      type: bool
    client_certificate:
      description: Whether the server asks for one - V(requested), V(not_requested) or V(not_tested).
      returned: always
      version_added: 0.2.0
      type: str
    sessions:
      description:
        - For TLS 1.3 and the best older protocol what resumes a session - C(session_id), C(session_ticket) (null where
          it does not exist or was not measured) - with C(ticket_lifetime_seconds) (null where the server does not say)
          and C(max_early_data_bytes) (how much 0-RTT data TLS 1.3 takes, 0 for none).
      returned: always
      version_added: 0.2.0
      type: dict
    certificates:
      description:
        - Every certificate that was seen, with and without the server name.
      returned: always
      type: list
      elements: dict
      contains:
        key_type:
          description: The kind of its key, such as V(RSA) or V(ECDSA).
          returned: always
          version_added: 0.2.0
          type: str
        server_name_sent:
          description: Whether it was shown to a client that asked for the name; false for one that only others see.
          returned: always
          version_added: 0.2.0
          type: bool
        protocols:
          description: The protocols in which it was seen.
          returned: always
          version_added: 0.2.0
          type: list
          elements: str
        leaf:
          description:
            - C(subject), C(issuer), C(common_name), C(names), C(serial_number), C(not_before), C(not_after),
              C(validity_days), C(days_left), C(key_type), C(key_bits), C(curve), C(rsa_equivalent_bits),
              C(rsa_public_exponent), C(signature_algorithm), C(self_issued), C(sha256_fingerprint), C(spki_sha256),
              C(ocsp_responders), C(ca_issuers), C(crl_distribution_points), C(must_staple).
            - One that cannot be parsed has C(error), C(sha256_fingerprint) and C(size) instead.
          returned: always
          version_added: 0.2.0
          type: dict
        chain:
          description: The other certificates as they were sent, each in the form of the leaf.
          returned: always
          version_added: 0.2.0
          type: list
          elements: dict
        trust:
          description:
            - C(trusted), C(reason), C(detail), C(name_matches) (by RFC 9525) and C(chain_incomplete) (whether a
              certificate is missing between what was sent and what is trusted).
            - The reasons are V(expired), V(not_yet_valid), V(self_signed), V(chain_incomplete) (an issuer was not sent
              that could be fetched), V(unknown_issuer), V(untrusted_root), V(unreadable), V(not_for_servers),
              V(invalid_chain), V(weak_signature), V(revoked). C(trusted) is null for V(unsupported_algorithm), and may
              be for V(chain_not_seen), where only the leaf could be seen. Then the grade is an upper bound.
          returned: always
          version_added: 0.2.0
          type: dict
        chain_order:
          description: V(correct) where each certificate certifies the one before it, V(wrong), or null where not seen.
          returned: always
          version_added: 0.2.0
          type: str
        extra_certificates:
          description: The SHA-256 fingerprints of certificates that are sent and of no use.
          returned: always
          version_added: 0.2.0
          type: list
          elements: str
        contains_anchor:
          description: Whether the trust anchor itself was sent, which no client needs.
          returned: always
          version_added: 0.2.0
          type: bool
        stapled_ocsp:
          description:
            - What was stapled, verified - C(status) (V(good), V(revoked), V(unknown)), C(valid), C(reason), C(detail),
              C(responder), C(produced_at), C(this_update), C(next_update), C(revoked_at), C(revocation_reason). Null
              where nothing was.
          returned: always
          version_added: 0.2.0
          type: dict
        must_staple_satisfied:
          description: Whether a certificate that demands a stapled response has a good one; null if it demands none.
          returned: always
          version_added: 0.2.0
          type: bool
        scts:
          description:
            - The certificate timestamps (RFC 6962) - C(source) (V(certificate), V(tls), V(ocsp)), C(version),
              C(log_id), C(timestamp), C(verified) (always null), C(error).
          returned: always
          version_added: 0.2.0
          type: list
          elements: dict
    http:
      description:
        - What the answer to C(GET /) says, on whatever C(status) - C(speaks_http), C(strict_transport_security) with
          C(present), C(valid), C(max_age_seconds), C(include_subdomains), C(preload) and C(value), C(location) (of a
          redirect, without query), the usual security headers and those that tell of software as they were sent,
          C(compressed), C(version_disclosure) (headers that show a version), C(cookies_without) (names of cookies that
          lack V(secure), V(httponly) or V(samesite)).
        - Null when it could not be measured.
      returned: always
      type: dict
    plain_http:
      description:
        - What the site says without TLS - C(reachable), C(speaks_http), C(status), C(redirects_to_https), C(location),
          C(reason). Null where the port is not known.
      returned: always
      version_added: 0.2.0
      type: dict
    vulnerability_tests:
      description: How far the search for vulnerabilities went.
      returned: always
      version_added: 0.2.0
      type: str
    vulnerabilities:
      description:
        - For each known vulnerability its C(status) and the C(evidence) for it. V(vulnerable) was shown, V(likely) was
          seen without a proof, V(exposed) is the condition for an attack that depends on more than the server,
          V(not_vulnerable) was tested or is impossible with what the server accepts, V(not_applicable) concerns nothing
          that it speaks, V(not_tested) has the reason as its evidence.
        - C(heartbleed), C(ccs_injection), C(robot), C(ticketbleed), C(poodle), C(poodle_tls), C(zombie_poodle),
          C(goldendoodle), C(sleeping_poodle), C(zero_length_padding_oracle), C(cve_2016_2107), C(freak), C(logjam),
          C(drown) (also by a key that another target of the same run uses with SSL 2.0), C(sweet32), C(beast),
          C(lucky13), C(rc4), C(crime), C(breach), C(opossum), C(insecure_renegotiation),
          C(client_initiated_renegotiation), C(starttls_injection).
      returned: always
      version_added: 0.2.0
      type: dict
    clients:
      description:
        - What well-known clients get, by what was measured - C(name), C(reference) (whether the grade looks at it),
          C(connects) (null where that is not known), C(protocol), C(cipher_suite), C(possible_cipher_suites) (where it
          is one of several), C(group), C(reason). Whether a client trusts the certificate is not asked.
      returned: always
      version_added: 0.2.0
      type: list
      elements: dict
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
      description:
        - What limits the grade - C(rule), C(limit), C(since) (the version of the guide that brought it), C(evidence).
      returned: always
      type: list
      elements: dict
    warnings:
      description: What makes an A an A- - C(rule), C(since), C(evidence).
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
      version_added: 0.2.0
      type: dict
    policies:
      description:
        - What each of O(policies) says - C(name), C(version), C(source), C(compliant), C(undecided) and C(items).
        - C(compliant) is null when something that matters was not measured; C(undecided) names it.
        - Each of C(items) has C(item), C(expected), C(actual), C(status) (V(pass), V(fail), V(recommend), V(skipped)),
          C(reason) and C(source).
      returned: always
      version_added: 0.2.0
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
  sample: "2.0"
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
            "vulnerability_tests": {
                "type": "str",
                "choices": ["none", "passive", "active", "deep"],
                "default": "passive",
            },
            "fetch_issuers": {"type": "bool", "default": False},
            "criteria": {"type": "str", "choices": ["2009q", "2009r"], "default": "2009r"},
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
        vulnerability_tests=module.params["vulnerability_tests"],
        fetch_issuers=module.params["fetch_issuers"],
    )
    module.exit_json(changed=False, scans=scan_targets(module.params["targets"], options))


if __name__ == "__main__":
    main()
