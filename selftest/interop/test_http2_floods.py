# SPDX-License-Identifier: GPL-2.0-or-later
"""HTTP/2 by the million (RFC 9113, 10.5): who floods our server is cut off, stopped, or goes to waste; a client that
behaves is served all the while, and memory stays bounded."""

import itertools
import socket
import time

import pytest

import h2raw
import harness
from h2raw import BLOCK, END_HEADERS, END_STREAM, OPEN, frame, grpc_headers, grpc_message, hpack
from harness import TIMEOUT, Request, pb
from patience import SLOWNESS

CUT_OFF = (h2raw.ENHANCE_YOUR_CALM, h2raw.PROTOCOL_ERROR, h2raw.INTERNAL_ERROR, "closed")


@pytest.mark.parametrize("piece", [16384, 1, 0], ids=["large", "tiny", "empty"])
def test_continuation_flood(victim, piece):
    """100 MB, or a million frames, of a header block that does not end."""
    block = frame(h2raw.CONTINUATION, 0, 1, (hpack(("h", "x" * 16000)) + bytes(16384))[:piece])
    many = max(1, 65536 // len(block))
    with victim.connect() as connection:
        connection.send(frame(h2raw.HEADERS, 0, 1, BLOCK))
        total = min(100_000_000, 1_000_000 * len(block))
        assert connection.flood(block * many for _ in range(total // (len(block) * many))) in CUT_OFF


@pytest.mark.parametrize("gap", [0, 2], ids=["a call", "many calls"])
def test_header_bomb(victim, gap):
    """RFC 7541, 7.3: one byte stands for a header of 4 KB, 60 000 times: 240 MB to look through, in each call."""
    bomb = b"\x40" + hpack(("bomb", "x" * 4000))[1:]
    with victim.connect() as connection:
        begin = time.monotonic()
        for stream in range(1, 2 + 40 * gap, 2):
            block = BLOCK + (bomb if stream == 1 else b"") + b"\xbe" * 60_000
            connection.send(frame(h2raw.HEADERS, END_HEADERS | END_STREAM, stream, block))
            assert connection.receive_refusal(stream) == h2raw.INTERNAL_ERROR
        connection.request(1001, grpc_message(b""))
        assert connection.receive_response(1001)[0]["grpc-status"] == "0"
        assert time.monotonic() - begin < 20 * SLOWNESS  # looked through, 41 of them would take a minute


FLOODS = {
    "PING": frame(h2raw.PING, payload=bytes(8)),
    "SETTINGS": h2raw.settings(),
    "SETTINGS of many": h2raw.settings(*[(h2raw.INITIAL_WINDOW_SIZE, 65535 + i) for i in range(100)]),
}


@pytest.mark.parametrize("reading", [True, False], ids=["reading", "deaf"])
@pytest.mark.parametrize("case", FLOODS)
def test_flood_of_what_is_answered(victim, case, reading):
    """Who reads the answers may go on, or be cut off; who does not is stopped, or cut off. Nobody makes the server
    hold the answers."""
    block = FLOODS[case] * (65536 // len(FLOODS[case]))
    with victim.connect() as connection:
        end = connection.flood((block for _ in range(300)), reading)
        assert end in (*CUT_OFF, None, "blocked") if reading else end in (*CUT_OFF, "blocked")


IDLE_FLOODS = {
    "empty DATA": frame(h2raw.DATA, 0, 1),
    "DATA of padding": frame(h2raw.DATA, h2raw.PADDED, 1, b"\xff" + bytes(255)),
    "PRIORITY": frame(h2raw.PRIORITY, 0, 1, bytes(5)),
    "WINDOW_UPDATE": h2raw.window_update(1, 1),
    "unknown frames": frame(0xBE, 0, 0),
}


@pytest.mark.parametrize("case", IDLE_FLOODS)
def test_flood_of_what_says_nothing(victim, case):
    """Others are served meanwhile, whether it is cut off or only goes to waste."""
    block = IDLE_FLOODS[case] * (65536 // len(IDLE_FLOODS[case]))
    with victim.connect() as connection:
        request = Request(hang=True).SerializeToString()
        connection.request(1, grpc_message(request), grpc_headers("/echo.Echo/Bidi"), end=False)
        end = connection.flood(block for _ in range(100))
        assert end in (*CUT_OFF, h2raw.FLOW_CONTROL_ERROR, None)
        if case in ("empty DATA", "DATA of padding"):
            assert end == h2raw.ENHANCE_YOUR_CALM


def open_and_reset(stream):
    return frame(h2raw.HEADERS, END_HEADERS, stream, BLOCK) + h2raw.rst_stream(stream)


def open_and_spoil(stream):
    """So that it is the server that resets: by a window that overflows."""
    return frame(h2raw.HEADERS, END_HEADERS, stream, BLOCK) + h2raw.window_update(stream, (1 << 31) - 1)


@pytest.mark.parametrize("spoil", [open_and_reset, open_and_spoil], ids=["by client", "by server"])
def test_rapid_reset(victim, spoil):
    """CVE-2023-44487, and its cousin CVE-2025-8671: never too many at once, but one after the other."""
    streams = iter(range(1, 20001, 2))
    with victim.connect() as connection:
        with pytest.raises(h2raw.Closed):
            for _ in range(100):
                connection.send(*(spoil(next(streams)) for _ in range(100)))
                connection.receive_pong()
    victim.server.expect_log("opened and reset too fast")
    victim.server.command("counters")
    assert victim.server.expect("counters")["calls_now"] == 1  # the one that is held


def test_rapid_reset_at_once(victim):
    with victim.connect() as connection:
        # What is between the two may take all of them before the first is looked at.
        end = connection.flood(open_and_reset(stream) for stream in range(1, 20001, 2)) or connection.receive_goaway()
        assert end == h2raw.ENHANCE_YOUR_CALM


def test_resets_in_moderation(victim):
    """A client that gives up a few calls is no attacker."""
    with victim.connect() as connection:
        for stream in range(1, 200, 2):
            connection.send(open_and_reset(stream))
        connection.request(201, grpc_message(b""))
        assert connection.receive_response(201)[0]["grpc-status"] == "0"


def test_streams_beyond_the_limit(victim):
    """5.1.2: refused, or an error."""
    request = Request(hang=True, tag="many").SerializeToString()
    with victim.connect() as connection:
        for stream in range(1, 601, 2):
            connection.request(stream, grpc_message(request))
        assert connection.receive_refusal(599) in (h2raw.REFUSED_STREAM, h2raw.PROTOCOL_ERROR)
        victim.server.command("counters")
        assert victim.server.expect("counters")["calls_now"] <= 257


@pytest.mark.parametrize("reading", [True, False], ids=["reading", "deaf"])
def test_refusals_without_end(victim, reading):
    """Who has not acknowledged our SETTINGS (6.5.3) is refused what is beyond them, stream by stream: here a million
    times, by frames that are smaller than what it takes to remember the answer."""
    with h2raw.connect_silent(victim.address) as connection:
        if not reading:  # so that what is sent soon waits at the server
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.send(h2raw.PREFACE, h2raw.settings())
        request = grpc_message(Request(hang=True).SerializeToString())
        for stream in range(1, 513, 2):
            connection.request(stream, request)
        streams = iter(range(513, 2_000_513, 2))
        blocks = (
            b"".join(frame(h2raw.HEADERS, END_HEADERS | END_STREAM, stream, b"\x83") for stream in some)
            for some in iter(lambda: list(itertools.islice(streams, 4000)), [])
        )
        end = connection.flood(blocks, reading)
        assert end in (*CUT_OFF, None, "blocked") if reading else end in (*CUT_OFF, "blocked")


def test_requests_that_swell(victim):
    """250 calls under way, each with a request of 16 KB that takes ten times as much when it is decoded."""
    request = grpc_message(Request(hang=True, metadata=[""] * 8000).SerializeToString())
    with victim.connect() as connection:
        for stream in range(1, 501, 2):
            connection.request(stream, request)
        connection.receive_pong()


def test_answers_that_nobody_reads(victim):
    """With a window of nothing, each of 250 calls asks for 4 MB."""
    request = grpc_message(Request(reply_bytes=4_000_000).SerializeToString())
    with victim.connect((h2raw.INITIAL_WINDOW_SIZE, 0)) as connection:
        for stream in range(1, 501, 2):
            connection.request(stream, request)
        connection.receive_pong()


def test_streams_that_nobody_reads(victim):
    """The same with streams of 64 KB messages: each writes up to its mark and then waits."""
    request = grpc_message(Request(replies=10000, reply_bytes=65536).SerializeToString())
    with victim.connect((h2raw.INITIAL_WINDOW_SIZE, 0)) as connection:
        for stream in range(1, 501, 2):
            connection.request(stream, request, grpc_headers("/echo.Echo/ServerStream"))
        connection.receive_pong()


def test_reflection_that_nobody_reads(victim):
    """Thousands of questions, each with an answer that is much larger: it stops to listen."""
    question = pb.msg("grpc.reflection.v1.ServerReflectionRequest")(file_containing_symbol="echo.Echo")
    data = grpc_message(question.SerializeToString()) * 500
    path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
    with victim.connect((h2raw.INITIAL_WINDOW_SIZE, 0)) as connection:
        connection.request(1, headers=grpc_headers(path), end=False)
        for _ in range(1_000_000 // len(data)):
            connection.send(frame(h2raw.DATA, 0, 1, data))
        connection.receive_pong()


def test_requests_that_do_not_end(victim):
    """250 requests of 4 MB each, all but the last byte of them: more than one connection may have under way."""
    data = grpc_message(bytes(1_000_000), length=4_000_000)[:-1]
    with victim.connect() as connection:
        blocks = []
        for stream in range(1, 501, 2):
            blocks.append(frame(h2raw.HEADERS, END_HEADERS, stream, BLOCK))
            blocks += [frame(h2raw.DATA, 0, stream, data[i : i + 16384]) for i in range(0, len(data), 16384)]
        # It does not wait for windows, which is an error in itself.
        connection.flood(blocks)


def test_announcements(victim):
    """250 times "here come 4 MB", and then nothing: what is announced takes no memory."""
    with victim.connect() as connection:
        for stream in range(1, 501, 2):
            connection.request(stream, grpc_message(b"x", length=4_000_000), end=False)
        connection.receive_pong()


def test_half_a_frame(plain_server, plain_stub):
    """Hundreds of connections that stop in the middle of something hold their own place, and nobody else's."""
    starts = (b"", b"PRI", h2raw.PREFACE, h2raw.PREFACE + b"\0\0\x04", h2raw.PREFACE + h2raw.settings() + OPEN[:20])
    connections = [h2raw.connect_silent(plain_server.address) for _ in range(40)]
    for i, connection in enumerate(connections):
        connection.send(starts[i % len(starts)])
    assert plain_stub.Unary(Request(payload=b"still"), timeout=TIMEOUT).payload == b"still"
    for connection in connections:
        connection.__exit__()


def test_connections_from_one_host():
    with harness.Server("--connections-per-host", "5") as server:
        connections = [h2raw.connect(server.address) for _ in range(5)]
        with h2raw.connect_silent(server.address) as one_more:
            one_more.receive_end()
        server.expect_log("it has 5 connections, may have 5")
        connections.pop().__exit__()
        server.expect("disconnected")
        with h2raw.connect(server.address) as again:
            again.request(1, grpc_message(b""))
            assert again.receive_response(1)[0]["grpc-status"] == "0"
        for connection in connections:
            connection.__exit__()


def test_silence():
    """Who answers no PING is cut off, be it in the middle of a frame."""
    with harness.Server("--keepalive-msec", "100", "--keepalive-timeout-msec", "100") as server:
        for start in (b"", h2raw.PREFACE + h2raw.settings() + OPEN[:20]):
            with h2raw.connect_silent(server.address) as connection:
                connection.send(start)
                connection.receive_end()


def test_ping_is_answered_by_who_lives():
    with harness.Server("--keepalive-msec", "50", "--keepalive-timeout-msec", "500") as server:
        with h2raw.connect(server.address) as connection:
            for _ in range(3):
                ping = connection.receive_type(h2raw.PING)
                assert not ping.flags & h2raw.ACK
                connection.send(frame(h2raw.PING, h2raw.ACK, 0, ping.payload))
            connection.request(1, grpc_message(b""))
            assert connection.receive_response(1)[0]["grpc-status"] == "0"
