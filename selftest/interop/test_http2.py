# SPDX-License-Identifier: GPL-2.0-or-later
"""HTTP/2 as nobody should speak it, to our server: each gets the answer that RFC 9113 (sections below are of it) names,
and costs others nothing: a client that behaves is served all the while, and memory stays bounded."""

import struct

import grpc
import pytest

import h2raw
import transports
from h2raw import BLOCK, END_HEADERS, END_STREAM, OPEN, frame, grpc_headers, grpc_headers_without, grpc_message, hpack
from harness import TIMEOUT, Reply, Request, pb

# Connection errors: GOAWAY with a code


def test_bad_preface(victim):
    for text in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", b"\x16\x03\x01" * 20):
        with h2raw.connect_silent(victim.address) as connection:
            connection.send(text)
            # 3.4: GOAWAY may be left out, as the peer does not speak HTTP/2.
            connection.receive_end()


def test_settings_come_first(victim):
    with h2raw.connect_silent(victim.address) as connection:
        connection.send(h2raw.PREFACE, frame(h2raw.PING, payload=bytes(8)))
        assert connection.receive_goaway() == h2raw.PROTOCOL_ERROR


CONNECTION_ERRORS = {
    # 4.2, and the sizes of 6
    "larger than SETTINGS_MAX_FRAME_SIZE": (
        OPEN + frame(h2raw.DATA, 0, 1, length=(1 << 24) - 1),
        h2raw.FRAME_SIZE_ERROR,
    ),
    "PING of 7 bytes": (frame(h2raw.PING, payload=bytes(7)), h2raw.FRAME_SIZE_ERROR),
    "RST_STREAM of 3 bytes": (OPEN + frame(h2raw.RST_STREAM, 0, 1, bytes(3)), h2raw.FRAME_SIZE_ERROR),
    "WINDOW_UPDATE of 5 bytes": (frame(h2raw.WINDOW_UPDATE, payload=bytes(5)), h2raw.FRAME_SIZE_ERROR),
    "GOAWAY of 7 bytes": (frame(h2raw.GOAWAY, payload=bytes(7)), h2raw.FRAME_SIZE_ERROR),
    "SETTINGS of 7 bytes": (frame(h2raw.SETTINGS, payload=bytes(7)), h2raw.FRAME_SIZE_ERROR),
    # 4.3
    "HPACK index that is not there": (frame(h2raw.HEADERS, END_HEADERS, 1, b"\xff\xff\x7f"), h2raw.COMPRESSION_ERROR),
    "HPACK string longer than its block": (frame(h2raw.HEADERS, END_HEADERS, 1, b"\0\x7fa"), h2raw.COMPRESSION_ERROR),
    "HPACK table larger than was settled": (
        frame(h2raw.HEADERS, END_HEADERS, 1, b"\x3f\xff\xff\x7f" + BLOCK),
        h2raw.COMPRESSION_ERROR,
    ),
    # 5.1, 5.1.1
    "DATA on an idle stream": (frame(h2raw.DATA, 0, 1, b"x"), h2raw.PROTOCOL_ERROR),
    "RST_STREAM on an idle stream": (h2raw.rst_stream(1), h2raw.PROTOCOL_ERROR),
    "WINDOW_UPDATE on an idle stream": (h2raw.window_update(1, 1), h2raw.PROTOCOL_ERROR),
    "BLOCK on an even stream": (frame(h2raw.HEADERS, END_HEADERS, 2, BLOCK), h2raw.PROTOCOL_ERROR),
    # 6: on the wrong kind of stream
    "DATA on stream 0": (frame(h2raw.DATA, payload=b"x"), h2raw.PROTOCOL_ERROR),
    "BLOCK on stream 0": (frame(h2raw.HEADERS, END_HEADERS, 0, BLOCK), h2raw.PROTOCOL_ERROR),
    "PRIORITY on stream 0": (frame(h2raw.PRIORITY, payload=bytes(5)), h2raw.PROTOCOL_ERROR),
    "RST_STREAM on stream 0": (h2raw.rst_stream(0), h2raw.PROTOCOL_ERROR),
    "CONTINUATION on stream 0": (frame(h2raw.CONTINUATION, END_HEADERS, 0, BLOCK), h2raw.PROTOCOL_ERROR),
    "SETTINGS on stream 1": (frame(h2raw.SETTINGS, 0, 1), h2raw.PROTOCOL_ERROR),
    "PING on stream 1": (frame(h2raw.PING, 0, 1, bytes(8)), h2raw.PROTOCOL_ERROR),
    "GOAWAY on stream 1": (frame(h2raw.GOAWAY, 0, 1, bytes(8)), h2raw.PROTOCOL_ERROR),
    # 6.1, 6.2: padding
    "DATA of padding alone, and more": (OPEN + frame(h2raw.DATA, h2raw.PADDED, 1, b"\x05abc"), h2raw.PROTOCOL_ERROR),
    "BLOCK with too much padding": (
        frame(h2raw.HEADERS, END_HEADERS | h2raw.PADDED, 1, b"\xff" + BLOCK),
        h2raw.PROTOCOL_ERROR,
    ),
    # 6.5
    "SETTINGS ACK with payload": (frame(h2raw.SETTINGS, h2raw.ACK, 0, bytes(6)), h2raw.FRAME_SIZE_ERROR),
    "ENABLE_PUSH of 2": (h2raw.settings((h2raw.ENABLE_PUSH, 2)), h2raw.PROTOCOL_ERROR),
    "INITIAL_WINDOW_SIZE of 2^31": (h2raw.settings((h2raw.INITIAL_WINDOW_SIZE, 1 << 31)), h2raw.FLOW_CONTROL_ERROR),
    "MAX_FRAME_SIZE of 16383": (h2raw.settings((h2raw.MAX_FRAME_SIZE, 16383)), h2raw.PROTOCOL_ERROR),
    "MAX_FRAME_SIZE of 2^24": (h2raw.settings((h2raw.MAX_FRAME_SIZE, 1 << 24)), h2raw.PROTOCOL_ERROR),
    # 8.4: a client cannot push
    "PUSH_PROMISE": (
        OPEN + frame(h2raw.PUSH_PROMISE, END_HEADERS, 1, struct.pack(">I", 2) + BLOCK),
        h2raw.PROTOCOL_ERROR,
    ),
    # 6.9
    "WINDOW_UPDATE of 0": (h2raw.window_update(0, 0), h2raw.PROTOCOL_ERROR),
    "WINDOW_UPDATE past 2^31": (h2raw.window_update(0, (1 << 31) - 1), h2raw.FLOW_CONTROL_ERROR),
    # 6.10
    "CONTINUATION of nothing": (frame(h2raw.CONTINUATION, END_HEADERS, 1, BLOCK), h2raw.PROTOCOL_ERROR),
    "CONTINUATION of another stream": (
        frame(h2raw.HEADERS, 0, 1, BLOCK) + frame(h2raw.CONTINUATION, END_HEADERS, 3),
        h2raw.PROTOCOL_ERROR,
    ),
    "a frame amid a header block": (
        frame(h2raw.HEADERS, 0, 1, BLOCK) + frame(h2raw.PING, payload=bytes(8)),
        h2raw.PROTOCOL_ERROR,
    ),
}


@pytest.mark.parametrize("case", CONNECTION_ERRORS)
def test_connection_error(victim, case):
    data, code = CONNECTION_ERRORS[case]
    with victim.connect() as connection:
        connection.send(data)
        assert connection.receive_goaway() == code
        connection.receive_end()


def test_streams_only_count_up(victim):
    """5.1.1: a PROTOCOL_ERROR; but such a stream may also be one that was reset meanwhile (5.1), so that ignoring it
    is as good. It is not opened."""
    with victim.connect() as connection:
        connection.request(5, grpc_message(b""))
        connection.receive_response(5)
        connection.request(3, grpc_message(Request(tag="late").SerializeToString()))
        connection.receive_pong()
    victim.server.command("counters")
    assert victim.server.expect("counters")["calls"] == 2  # the one that is held, and 5


HANG = grpc_message(Request(hang=True, stop_reading=True).SerializeToString())


def test_more_than_the_streams_window(victim):
    """6.9: 1 MiB, while nobody reads."""
    with victim.connect() as connection:
        connection.request(1, HANG, grpc_headers("/echo.Echo/ClientStream"), end=False)
        connection.send(frame(h2raw.DATA, 0, 1, bytes(16384)) * 70)
        assert connection.receive_refusal(1) == h2raw.FLOW_CONTROL_ERROR


def test_more_than_the_connections_window(victim):
    """250 streams with a window of 1 MiB each, that nobody reads: the connection's window is what bounds them, or the
    peer's share of memory, past which streams are reset."""
    with victim.connect() as connection:
        blocks = []
        for stream in range(1, 501, 2):
            start = frame(h2raw.HEADERS, END_HEADERS, stream, hpack(*grpc_headers("/echo.Echo/ClientStream")))
            blocks += [start + frame(h2raw.DATA, 0, stream, HANG), frame(h2raw.DATA, 0, stream, bytes(16384)) * 60]
        assert connection.flood(blocks) in (h2raw.FLOW_CONTROL_ERROR, h2raw.ENHANCE_YOUR_CALM, None)


# Stream errors: RST_STREAM, or GOAWAY, with a code


MALFORMED_REQUESTS = {
    # 8.2, 8.2.1, 8.2.2
    "a name in upper case": grpc_headers("/echo.Echo/Unary", ("X-Upper", "x")),
    "a name with a space": grpc_headers("/echo.Echo/Unary", ("a b", "x")),
    "an empty name": grpc_headers("/echo.Echo/Unary", ("", "x")),
    "a value with a newline": grpc_headers("/echo.Echo/Unary", ("text", "a\r\nb: c")),
    "a value with NUL": grpc_headers("/echo.Echo/Unary", ("text", "a\0b")),
    "a header about the connection": grpc_headers("/echo.Echo/Unary", ("connection", "close")),
    "TE other than trailers": grpc_headers_without("te") + (("te", "gzip"),),
    # 8.3, 8.3.1
    "no :method": grpc_headers_without(":method"),
    "no :scheme": grpc_headers_without(":scheme"),
    "no :path": grpc_headers_without(":path"),
    "an empty :path": grpc_headers(""),
    "a :path of *": grpc_headers("*"),
    ":path twice": ((":path", "/twice"),) + grpc_headers(),
    "a pseudo-header after others": grpc_headers_without(":path") + ((":path", "/late"),),
    "a pseudo-header of responses": ((":status", "200"),) + grpc_headers(),
    "an unknown pseudo-header": ((":nonsense", "x"),) + grpc_headers(),
    # 8.1.1
    "content-length that is not true": grpc_headers("/echo.Echo/Unary", ("content-length", "1000")),
}


@pytest.mark.parametrize("case", MALFORMED_REQUESTS)
def test_malformed_request(victim, case):
    with victim.connect() as connection:
        connection.request(1, grpc_message(b""), MALFORMED_REQUESTS[case])
        assert connection.receive_refusal(1) == h2raw.PROTOCOL_ERROR


def test_stream_window(victim):
    with victim.connect() as connection:
        for stream, increment, code in ((1, 0, h2raw.PROTOCOL_ERROR), (3, (1 << 31) - 1, h2raw.FLOW_CONTROL_ERROR)):
            with victim.connect() as connection:
                connection.request(stream, end=False)
                connection.send(h2raw.window_update(stream, increment))
                assert connection.receive_refusal(stream) == code


def test_data_after_the_end(victim):
    request = Request(tag="late", hang=True).SerializeToString()
    with victim.connect() as connection:
        connection.request(1, grpc_message(request))
        connection.send(frame(h2raw.DATA, 0, 1, b"more"))
        assert connection.receive_refusal(1) == h2raw.STREAM_CLOSED
        victim.server.expect("gone", tag="late")


def test_data_after_a_reset(victim):
    """5.1: an error, which may be ignored. It takes nothing from the connection's window."""
    request = Request(tag="reset", hang=True).SerializeToString()
    with victim.connect() as connection:
        connection.request(1, grpc_message(request), grpc_headers("/echo.Echo/Bidi"), end=False)
        connection.send(h2raw.rst_stream(1))
        victim.server.expect("gone", tag="reset")
        assert connection.flood(frame(h2raw.DATA, 0, 1, bytes(16384)) for _ in range(1000)) is None
        connection.request(3, grpc_message(b""))
        assert connection.receive_response(3)[0]["grpc-status"] == "0"


def test_priority_is_ignored(victim):
    """5.3.2: it is deprecated, and may be any nonsense."""
    with victim.connect() as connection:
        for stream in (1, 3, 99):
            connection.send(frame(h2raw.PRIORITY, 0, stream, struct.pack(">IB", stream + 2, 255)))
        block = struct.pack(">IB", 0x80000000 | 7, 0) + BLOCK
        connection.send(frame(h2raw.HEADERS, END_HEADERS | h2raw.PRIORITY_FLAG, 101, block))
        connection.send(frame(h2raw.DATA, END_STREAM, 101, grpc_message(b"")))
        headers, _ = connection.receive_response(101)
        assert headers["grpc-status"] == "0"


def test_unknown_frames_are_ignored(victim):
    """5.5"""
    with victim.connect(((0x99, 12345))) as connection:
        connection.send(frame(0xBE, 0xFF, 0, b"extension"), frame(0xEF, 0xFF, 77, bytes(16384)))
        connection.request(1, grpc_message(b""))
        assert connection.receive_response(1)[0]["grpc-status"] == "0"


def test_request_trailers_end_a_request(victim):
    with victim.connect() as connection:
        connection.request(1, grpc_message(b""), end=False)
        connection.send(frame(h2raw.HEADERS, END_HEADERS | END_STREAM, 1, hpack(("some", "trailer"))))
        assert connection.receive_response(1)[0]["grpc-status"] == "0"


def test_split_and_padded(victim):
    """Everything in as many pieces as can be: padded, continued, empty, one byte at a time."""
    with victim.connect() as connection:
        pieces = [BLOCK[i : i + 1] for i in range(len(BLOCK))][:8]
        rest = BLOCK[len(pieces) :]
        connection.send(frame(h2raw.HEADERS, h2raw.PADDED, 1, b"\x03" + pieces[0] + bytes(3)))
        for piece in pieces[1:4]:
            connection.send(frame(h2raw.CONTINUATION, 0, 1, piece))
        connection.send(frame(h2raw.CONTINUATION, END_HEADERS, 1, b"".join(pieces[4:]) + rest))
        for byte in grpc_message(Request(payload=b"abc").SerializeToString()):
            connection.send(frame(h2raw.DATA, h2raw.PADDED, 1, bytes([2, byte, 0, 0])))
        connection.send(frame(h2raw.DATA, END_STREAM, 1))
        headers, data = connection.receive_response(1)
        assert headers["grpc-status"] == "0"
        assert Reply.FromString(data[5:]).payload == b"abc"


def test_goaway_of_a_client(victim):
    """Calls under way are still answered."""
    request = Request(replies=3, reply_bytes=100).SerializeToString()
    with victim.connect() as connection:
        connection.request(1, grpc_message(request), grpc_headers("/echo.Echo/ServerStream"))
        connection.send(h2raw.goaway(0, h2raw.NO_ERROR))
        assert connection.receive_response(1)[0]["grpc-status"] == "0"


def test_who_says_goodbye_has_not_failed(plain_server):
    """Not in the log: a client that leaves by GOAWAY, one that is still connected when the server drains, and one that
    answers the server's GOAWAY with its own."""
    with h2raw.connect(plain_server.address) as connection:
        connection.send(h2raw.goaway(0, h2raw.NO_ERROR))
        connection.receive_end()
    with (
        h2raw.connect(plain_server.address) as connection,
        grpc.insecure_channel(f"ipv4:{plain_server.address}", transports.OPTIONS) as channel,
    ):
        assert pb.stub(channel, "echo.Echo").Unary(Request(payload=b"x"), timeout=TIMEOUT).payload == b"x"
        plain_server.command("drain")
        assert connection.receive_goaway() == h2raw.NO_ERROR
        connection.send(h2raw.goaway(0, h2raw.NO_ERROR))
        plain_server.expect("drained")
    assert plain_server.stop() == 0
    assert "failed" not in plain_server.log
