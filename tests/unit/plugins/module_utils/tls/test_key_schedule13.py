# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The key schedule against the traces of RFC 8448: section 3 (a handshake) and section 4 (its resumption)."""

from __future__ import annotations

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import (
    key_schedule13,
    messages13,
    records13,
    registry,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.key_schedule13 import KeySchedule, Transcript

CLIENT_HELLO = bytes.fromhex(
    "010000c00303cb34ecb1e78163ba1c38c6dacb196a6dffa21a8d9912ec18a2ef6283024dece7000006130113031302010000910000000b00"
    "09000006736572766572ff01000100000a00140012001d0017001800190100010101020103010400230000003300260024001d002099381d"
    "e560e4bd43d23d8e435a7dbafeb3c06e51c13cae4d5413691e529aaf2c002b0003020304000d0020001e0403050306030203080408050806"
    "04010501060102010402050206020202002d00020101001c00024001"
)
SERVER_HELLO = bytes.fromhex(
    "020000560303a6af06a4121860dc5e6e60249cd34c95930c8ac5cb1434dac155772ed3e2692800130100002e00330024001d0020c9828876"
    "112095fe66762bdbf7c672e156d6cc253b833df1dd69b1b04e751f0f002b00020304"
)
ENCRYPTED_EXTENSIONS = bytes.fromhex("080000240022000a00140012001d00170018001901000101010201030104001c0002400100000000")
CERTIFICATE = bytes.fromhex(
    "0b0001b9000001b50001b0308201ac30820115a003020102020102300d06092a864886f70d01010b0500300e310c300a0603550403130372"
    "7361301e170d3136303733303031323335395a170d3236303733303031323335395a300e310c300a06035504031303727361"
    "30819f300d06092a864886f70d010101050003818d0030818902818100b4bb498f8279303d980836399b36c6988c0c68de55e1bdb826d390"
    "1a2461eafd2de49a91d015abbc9a95137ace6c1af19eaa6af98c7ced43120998e187a80ee0ccb0524b1b018c3e0b63264d449a6d38e22a5f"
    "da430846748030530ef0461c8ca9d9efbfae8ea6d1d03e2bd193eff0ab9a8002c47428a6d35a8d88d79f7f1e3f0203010001a31a30183009"
    "0603551d1304023000300b0603551d0f0404030205a0300d06092a864886f70d01010b05000381810085aad2a0e5b9276b908c65f73a7267"
    "170618a54c5f8a7b337d2df7a594365417f2eae8f8a58c8f8172f9319cf36b7fd6c55b80f21a03015156726096fd335e5e67f2dbf102702e"
    "608ccae6bec1fc63a42a99be5c3eb7107c3c54e9b9eb2bd5203b1c3b84e0a8b2f759409ba3eac9d91d402dcc0cc8f8961229ac9187b42b4d"
    "e10000"
)
CERTIFICATE_VERIFY = bytes.fromhex(
    "0f000084080400805a747c5d88fa9bd2e55ab085a61015b7211f824cd484145ab3ff52f1fda8477b0b7abc90db78e2d33a5c141a078653fa"
    "6bef780c5ea248eeaaa785c4f394cab6d30bbe8d4859ee511f602957b15411ac027671459e46445c9ea58c181e818e95b8c3fb0bf3278409"
    "d3be152a3da5043e063dda65cdf5aea20d53dfacd42f74f3"
)
SERVER_FINISHED = bytes.fromhex("140000209b9b141d906337fbd2cbdce71df4deda4ab42c309572cb7fffee5454b78f0718")
CLIENT_FINISHED = bytes.fromhex("14000020a8ec436d677634ae525ac1fcebe11a039ec17694fac6e98527b642f2edd5ce61")
SERVER_FLIGHT_RECORD_BEGINS = bytes.fromhex(
    "d1ff334a56f5bff6594a07cc87b580233f500f45e489e7f33af35edf7869fcf40aa40aa2b8ea73f848a7ca07612ef9f945cb960b40689051"
    "23ea78b111b429ba9191cd05d2a389280f526134aadc7fc7"
)
SHARED_SECRET = bytes.fromhex("8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d")
CLIENT_HANDSHAKE = "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21"
SERVER_HANDSHAKE = "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38"
CLIENT_DATA = "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5"
SERVER_DATA = "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643"
TICKET_PSK = "4ecd0eb6ec3b4d87f5d6028f922ca4c5851a277fd41311c9e62d2c9492e1c4f3"

# Section 4: a hello that ends with the ticket of section 3 and its binder.
RESUMING_HELLO = bytes.fromhex(
    "010001fc03031bc3ceb6bbe39cff938355b5a50adb6db21b7a6af649d7b4bc419d7876487d95000006130113031302010001cd0000000b00"
    "09000006736572766572ff01000100000a00140012001d00170018001901000101010201030104003300260024001d0020e4ffb68ac05f8d"
    "96c99da26698346c6be16482badddafe051a66b4f18d668f0b002a0000002b0003020304000d0020001e0403050306030203080408050806"
    "04010501060102010402050206020202002d00020101001c0002400100150057"
    + 87
    * "00"
    + "002900dd00b800b22c035d829359ee5ff7af4ec900000000262a6494dc486d2c8a34cb33fa90bf1b0070ad3c498883c9367c09a2be785abc"
    "55cd226097a3a982117283f82a03a143efd3ff5dd36d64e861be7fd61d2827db279cce145077d454a3664d4e6da4d29ee03725a6a4dafcd0"
    "fc67d2aea70529513e3da2677fa5906c5b3f7d8f92f228bda40dda721470f9fbf297b5aea617646fac5c03272e970727c621a79141ef5f7d"
    "e6505e5bfbc388e93343694093934ae4d357fad6aacb0021203add4fb2d8fdf822a0ca3cf7678ef5e88dae990141c5924d57bb6fa31b9e5f"
    "9d"
)


def transcript_of(*messages: bytes) -> Transcript:
    transcript = Transcript()
    for message in messages:
        transcript.add(message)
    return transcript


def test_a_handshake_from_hello_to_ticket() -> None:
    flight = (ENCRYPTED_EXTENSIONS, CERTIFICATE, CERTIFICATE_VERIFY)
    transcript = transcript_of(CLIENT_HELLO, SERVER_HELLO)
    schedule = KeySchedule("sha256")
    client, server = schedule.handshake_secrets(SHARED_SECRET, transcript.digest("sha256"))
    assert (client.hex(), server.hex()) == (CLIENT_HANDSHAKE, SERVER_HANDSHAKE)
    for message in flight:
        transcript.add(message)
    assert key_schedule13.finished(server, transcript.digest("sha256"), "sha256") == SERVER_FINISHED[4:]
    transcript.add(SERVER_FINISHED)
    client_data, server_data = schedule.application_secrets(transcript.digest("sha256"))
    assert (client_data.hex(), server_data.hex()) == (CLIENT_DATA, SERVER_DATA)
    assert key_schedule13.finished(client, transcript.digest("sha256"), "sha256") == CLIENT_FINISHED[4:]
    transcript.add(CLIENT_FINISHED)
    resumption = schedule.resumption_secret(transcript.digest("sha256"))
    assert key_schedule13.ticket_psk(resumption, b"\x00\x00", "sha256").hex() == TICKET_PSK


def test_the_binder_of_a_resumption() -> None:
    truncated, binder = RESUMING_HELLO[:-35], RESUMING_HELLO[-32:]
    schedule = KeySchedule("sha256", bytes.fromhex(TICKET_PSK))
    assert schedule.binder(Transcript().digest("sha256", truncated)) == binder


def test_a_record_of_the_servers_flight() -> None:
    flight = ENCRYPTED_EXTENSIONS + CERTIFICATE + CERTIFICATE_VERIFY + SERVER_FINISHED
    suite = registry.cipher_suite(0x1301)
    body = records13.Protection(suite, bytes.fromhex(SERVER_HANDSHAKE)).seal(22, flight)
    assert body.startswith(SERVER_FLIGHT_RECORD_BEGINS)
    assert len(body) == 0x2A2


def test_the_messages_of_the_trace_are_decoded() -> None:
    assert list(messages13.decode_encrypted_extensions(ENCRYPTED_EXTENSIONS[4:])) == [10, 28, 0]
    certificates = messages13.decode_certificates(CERTIFICATE[4:])
    assert [len(der) for der in certificates.chain] == [432]
    assert (certificates.stapled_ocsp, certificates.sct_list) == (None, None)
    assert messages13.decode_signature_scheme(CERTIFICATE_VERIFY[4:]) == 0x0804


def test_a_retry_request_folds_the_first_hello() -> None:
    transcript = transcript_of(CLIENT_HELLO)
    digest = transcript.digest("sha256")
    transcript.fold("sha256")
    assert transcript.digest("sha256") == transcript_of(b"\xfe\x00\x00\x20" + digest).digest("sha256")
