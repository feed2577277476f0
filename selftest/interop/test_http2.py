# SPDX-License-Identifier: GPL-2.0-or-later
"""HTTP/2 and gRPC as nobody should speak them, to our server: each gets the answer that RFC 9113 (sections below are
of it) or gRPC's PROTOCOL-HTTP2 names, and costs others nothing: a client that behaves is served all the while, and
memory stays bounded."""

import struct
import time

import grpc
import pytest

import h2raw
import harness
import transports
from h2raw import END_HEADERS, END_STREAM, frame, grpc_headers, grpc_message, hpack
from harness import TIMEOUT, Outcome, Request, pb
from patience import SLOWNESS

# What one connection may make the server hold, whatever it does: requests under way (8 MiB), answers that it does not
# read (4 MiB and a last one of 4 MiB), and what the allocator makes of it.
GROWTH_KIB = 24 * 1024


class Victim:
    def __init__(self, server):
        self.server = server
        self.address = server.address

    def connect(self, *settings):
        return h2raw.connect(self.address, *settings)


def victim_of(server):
    """A server under attack, with a client that holds a connection all the while, and wants to be served after."""
    with grpc.insecure_channel(f"ipv4:{server.address}", transports.OPTIONS) as channel:
        stub = pb.stub(channel, "echo.Echo")
        held = stub.Unary.future(Request(tag="held", hang=True))
        server.expect("open", tag="held")
        server.forget_peak()
        before = server.peak_kib()
        yield Victim(server)
        assert server.peak_kib() - before <= GROWTH_KIB
        assert stub.Unary(Request(payload=b"still"), timeout=TIMEOUT).payload == b"still"
        assert not held.done()
        with grpc.insecure_channel(f"ipv4:{server.address}", transports.OPTIONS) as another:
            stub = pb.stub(another, "echo.Echo")
            assert stub.Unary(Request(payload=b"new"), timeout=TIMEOUT).payload == b"new"


@pytest.fixture
def victim(plain_server):
    yield from victim_of(plain_server)


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


HEADERS = hpack(*grpc_headers())
OPEN = frame(h2raw.HEADERS, END_HEADERS, 1, HEADERS)
DONE = frame(h2raw.HEADERS, END_HEADERS | END_STREAM, 1, HEADERS)

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
        frame(h2raw.HEADERS, END_HEADERS, 1, b"\x3f\xff\xff\x7f" + HEADERS),
        h2raw.COMPRESSION_ERROR,
    ),
    # 5.1, 5.1.1
    "DATA on an idle stream": (frame(h2raw.DATA, 0, 1, b"x"), h2raw.PROTOCOL_ERROR),
    "RST_STREAM on an idle stream": (h2raw.rst_stream(1), h2raw.PROTOCOL_ERROR),
    "WINDOW_UPDATE on an idle stream": (h2raw.window_update(1, 1), h2raw.PROTOCOL_ERROR),
    "HEADERS on an even stream": (frame(h2raw.HEADERS, END_HEADERS, 2, HEADERS), h2raw.PROTOCOL_ERROR),
    # 6: on the wrong kind of stream
    "DATA on stream 0": (frame(h2raw.DATA, payload=b"x"), h2raw.PROTOCOL_ERROR),
    "HEADERS on stream 0": (frame(h2raw.HEADERS, END_HEADERS, 0, HEADERS), h2raw.PROTOCOL_ERROR),
    "PRIORITY on stream 0": (frame(h2raw.PRIORITY, payload=bytes(5)), h2raw.PROTOCOL_ERROR),
    "RST_STREAM on stream 0": (h2raw.rst_stream(0), h2raw.PROTOCOL_ERROR),
    "CONTINUATION on stream 0": (frame(h2raw.CONTINUATION, END_HEADERS, 0, HEADERS), h2raw.PROTOCOL_ERROR),
    "SETTINGS on stream 1": (frame(h2raw.SETTINGS, 0, 1), h2raw.PROTOCOL_ERROR),
    "PING on stream 1": (frame(h2raw.PING, 0, 1, bytes(8)), h2raw.PROTOCOL_ERROR),
    "GOAWAY on stream 1": (frame(h2raw.GOAWAY, 0, 1, bytes(8)), h2raw.PROTOCOL_ERROR),
    # 6.1, 6.2: padding
    "DATA of padding alone, and more": (OPEN + frame(h2raw.DATA, h2raw.PADDED, 1, b"\x05abc"), h2raw.PROTOCOL_ERROR),
    "HEADERS with too much padding": (
        frame(h2raw.HEADERS, END_HEADERS | h2raw.PADDED, 1, b"\xff" + HEADERS),
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
        OPEN + frame(h2raw.PUSH_PROMISE, END_HEADERS, 1, struct.pack(">I", 2) + HEADERS),
        h2raw.PROTOCOL_ERROR,
    ),
    # 6.9
    "WINDOW_UPDATE of 0": (h2raw.window_update(0, 0), h2raw.PROTOCOL_ERROR),
    "WINDOW_UPDATE past 2^31": (h2raw.window_update(0, (1 << 31) - 1), h2raw.FLOW_CONTROL_ERROR),
    # 6.10
    "CONTINUATION of nothing": (frame(h2raw.CONTINUATION, END_HEADERS, 1, HEADERS), h2raw.PROTOCOL_ERROR),
    "CONTINUATION of another stream": (
        frame(h2raw.HEADERS, 0, 1, HEADERS) + frame(h2raw.CONTINUATION, END_HEADERS, 3),
        h2raw.PROTOCOL_ERROR,
    ),
    "a frame amid a header block": (
        frame(h2raw.HEADERS, 0, 1, HEADERS) + frame(h2raw.PING, payload=bytes(8)),
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


def without(name):
    return tuple(header for header in grpc_headers() if header[0] != name)


MALFORMED_REQUESTS = {
    # 8.2, 8.2.1, 8.2.2
    "a name in upper case": grpc_headers("/echo.Echo/Unary", ("X-Upper", "x")),
    "a name with a space": grpc_headers("/echo.Echo/Unary", ("a b", "x")),
    "an empty name": grpc_headers("/echo.Echo/Unary", ("", "x")),
    "a value with a newline": grpc_headers("/echo.Echo/Unary", ("text", "a\r\nb: c")),
    "a value with NUL": grpc_headers("/echo.Echo/Unary", ("text", "a\0b")),
    "a header about the connection": grpc_headers("/echo.Echo/Unary", ("connection", "close")),
    "TE other than trailers": without("te") + (("te", "gzip"),),
    # 8.3, 8.3.1
    "no :method": without(":method"),
    "no :scheme": without(":scheme"),
    "no :path": without(":path"),
    "an empty :path": grpc_headers(""),
    "a :path of *": grpc_headers("*"),
    ":path twice": ((":path", "/twice"),) + grpc_headers(),
    "a pseudo-header after others": without(":path") + ((":path", "/late"),),
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
        block = struct.pack(">IB", 0x80000000 | 7, 0) + HEADERS
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
        pieces = [HEADERS[i : i + 1] for i in range(len(HEADERS))][:8]
        rest = HEADERS[len(pieces) :]
        connection.send(frame(h2raw.HEADERS, h2raw.PADDED, 1, b"\x03" + pieces[0] + bytes(3)))
        for piece in pieces[1:4]:
            connection.send(frame(h2raw.CONTINUATION, 0, 1, piece))
        connection.send(frame(h2raw.CONTINUATION, END_HEADERS, 1, b"".join(pieces[4:]) + rest))
        for byte in grpc_message(Request(payload=b"abc").SerializeToString()):
            connection.send(frame(h2raw.DATA, h2raw.PADDED, 1, bytes([2, byte, 0, 0])))
        connection.send(frame(h2raw.DATA, END_STREAM, 1))
        headers, data = connection.receive_response(1)
        assert headers["grpc-status"] == "0"
        assert harness.Reply.FromString(data[5:]).payload == b"abc"


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


# What is HTTP/2, and not gRPC


def answer(victim, data, headers=grpc_headers()):
    """The headers and trailers that answer a request."""
    with victim.connect() as connection:
        connection.request(1, data, headers)
        return connection.receive_response(1)[0]


def status(code):
    return str(code.value[0])


def unary_with(*headers):
    return grpc_headers("/echo.Echo/Unary", *headers)


@pytest.mark.parametrize("method", ["GET", "PUT", "OPTIONS", "post"])
def test_method_that_is_not_post(victim, method):
    assert answer(victim, grpc_message(b""), grpc_headers(method=method))[":status"] == "405"


@pytest.mark.parametrize(
    "content_type", ["text/html", "application/json", "application/grpc-web", "application/grpcx", ""]
)
def test_content_type_that_is_not_grpc(victim, content_type):
    assert answer(victim, grpc_message(b""), grpc_headers(content_type=content_type))[":status"] == "415"


def test_no_content_type(victim):
    assert answer(victim, grpc_message(b""), without("content-type"))[":status"] == "415"


@pytest.mark.parametrize(
    "content_type", ["application/grpc", "application/grpc+proto", "application/grpc; charset=utf-8"]
)
def test_content_type_that_is_grpc(victim, content_type):
    headers = answer(victim, grpc_message(b""), grpc_headers(content_type=content_type))
    assert (headers[":status"], headers["content-type"], headers["grpc-status"]) == ("200", "application/grpc", "0")


BAD_MESSAGES = {
    "no prefix": (b"", grpc.StatusCode.UNIMPLEMENTED),
    "a truncated prefix": (grpc_message(b"")[:3], grpc.StatusCode.INTERNAL),
    "a truncated message": (grpc_message(b"abc", length=100), grpc.StatusCode.INTERNAL),
    "a message of 4 GiB": (grpc_message(b"abc", length=0xFFFFFFFF), grpc.StatusCode.RESOURCE_EXHAUSTED),
    "a message that is compressed": (grpc_message(b"", flag=1), grpc.StatusCode.INTERNAL),
    "a flag that is not defined": (grpc_message(b"", flag=2), grpc.StatusCode.INTERNAL),
    "two messages": (grpc_message(b"") * 2, grpc.StatusCode.UNIMPLEMENTED),
    "a message and a half": (grpc_message(b"") + b"\0\0", None),
    "a message that is not protobuf": (grpc_message(b"\xff\xff\xff"), grpc.StatusCode.INTERNAL),
    "a string that is not UTF-8": (grpc_message(b"\x0a\x02\xff\xfe"), grpc.StatusCode.INTERNAL),
}


@pytest.mark.parametrize("case", BAD_MESSAGES)
def test_bad_message(victim, case):
    data, code = BAD_MESSAGES[case]
    with victim.connect() as connection:
        connection.request(1, data, end=False)
        connection.send(frame(h2raw.DATA, END_STREAM, 1))
        headers, _ = connection.receive_response(1)
    assert headers[":status"] == "200"
    if code:
        assert headers["grpc-status"] == status(code)
    assert headers["grpc-status"] != "0"


def test_second_message_in_pieces(victim):
    with victim.connect() as connection:
        second = grpc_message(bytes(20000))
        connection.request(1, grpc_message(b""), end=False)
        for piece in (second[:3], second[3:9000], second[9000:]):
            connection.send(frame(h2raw.DATA, 0, 1, piece))
        headers, _ = connection.receive_response(1)
        assert headers["grpc-status"] == status(grpc.StatusCode.UNIMPLEMENTED)


def test_deep_nesting(victim):
    """Unknown fields that nest without end cost nothing."""
    data = b""
    for _ in range(2000):
        size = len(data)
        data = b"\x7a" + (bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])) + data
        if len(data) > 16000:
            break
    assert answer(victim, grpc_message(data))["grpc-status"] == "0"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "snappy", "nonsense"])
def test_compression(victim, encoding):
    """PROTOCOL-HTTP2: UNIMPLEMENTED, and what would be understood is named."""
    headers = answer(victim, grpc_message(b"", flag=1), unary_with(("grpc-encoding", encoding)))
    assert headers["grpc-status"] == status(grpc.StatusCode.UNIMPLEMENTED)
    assert headers["grpc-accept-encoding"] == "identity"


def test_identity_is_no_compression(victim):
    headers = unary_with(("grpc-encoding", "identity"), ("grpc-accept-encoding", "gzip,identity"))
    assert answer(victim, grpc_message(b""), headers)["grpc-status"] == "0"


@pytest.mark.parametrize("timeout", ["", "5", "S", "-1S", "1.5S", "1X", "123456789S", "1 S", "99999999999999999999H"])
def test_malformed_timeout(victim, timeout):
    headers = answer(victim, grpc_message(b""), unary_with(("grpc-timeout", timeout)))
    assert headers["grpc-status"] == status(grpc.StatusCode.INTERNAL)


TIMEOUTS = {
    "99999999H": None,
    "2M": 120e6,
    "100S": 100e6,
    "100000m": 100e6,
    "99999999u": 100e6,
    "99999999n": 100e3,
}


@pytest.mark.parametrize("timeout, usec", TIMEOUTS.items())
def test_timeout(victim, timeout, usec):
    with victim.connect() as connection:
        connection.request(1, grpc_message(b""), unary_with(("grpc-timeout", timeout)))
        headers, data = connection.receive_response(1)
    assert headers["grpc-status"] == "0"
    reply = harness.Reply.FromString(data[5:])
    assert reply.has_deadline
    assert usec is None or usec / 2 < reply.remaining_usec <= usec


def test_the_server_keeps_the_deadline(victim):
    """A client that does not is answered all the same."""
    request = Request(tag="late", hang=True).SerializeToString()
    headers = answer(victim, grpc_message(request), unary_with(("grpc-timeout", "50m")))
    assert headers["grpc-status"] == status(grpc.StatusCode.DEADLINE_EXCEEDED)
    victim.server.expect("gone", tag="late")


@pytest.mark.parametrize(
    "path",
    ["/", "//", "/echo.Echo", "/echo.Echo/", "/echo.Echo/Unary/", "//echo.Echo/Unary", "/" + "x" * 8000],
)
def test_paths_that_lead_nowhere(victim, path):
    headers = answer(victim, grpc_message(b""), grpc_headers(path))
    assert headers["grpc-status"] == status(grpc.StatusCode.UNIMPLEMENTED)


def test_large_header_list(victim):
    """Larger than SETTINGS_MAX_HEADER_LIST_SIZE says: that call fails, the connection stays."""
    with victim.connect() as connection:
        connection.request(1, grpc_message(b""), unary_with(("large", "x" * 30000)))
        headers, _ = connection.receive_response(1)
        assert headers["grpc-status"] == status(grpc.StatusCode.RESOURCE_EXHAUSTED)
        connection.request(3, grpc_message(b""))
        assert connection.receive_response(3)[0]["grpc-status"] == "0"


def test_many_headers(victim):
    with victim.connect() as connection:
        connection.request(1, grpc_message(b""), unary_with(*((f"h{i}", "") for i in range(1000))))
        headers, _ = connection.receive_response(1)
        assert headers["grpc-status"] == status(grpc.StatusCode.RESOURCE_EXHAUSTED)


# Floods

CUT_OFF = (h2raw.ENHANCE_YOUR_CALM, h2raw.PROTOCOL_ERROR, h2raw.INTERNAL_ERROR, "closed")


@pytest.mark.parametrize("piece", [16384, 1, 0], ids=["large", "tiny", "empty"])
def test_continuation_flood(victim, piece):
    """100 MB, or a million frames, of a header block that does not end."""
    block = frame(h2raw.CONTINUATION, 0, 1, (hpack(("h", "x" * 16000)) + bytes(16384))[:piece])
    many = max(1, 65536 // len(block))
    with victim.connect() as connection:
        connection.send(frame(h2raw.HEADERS, 0, 1, HEADERS))
        total = min(100_000_000, 1_000_000 * len(block))
        assert connection.flood(block * many for _ in range(total // (len(block) * many))) in CUT_OFF


@pytest.mark.parametrize("gap", [0, 2], ids=["a call", "many calls"])
def test_header_bomb(victim, gap):
    """RFC 7541, 7.3: one byte stands for a header of 4 KB, 60 000 times: 240 MB to look through, in each call."""
    bomb = b"\x40" + hpack(("bomb", "x" * 4000))[1:]
    with victim.connect() as connection:
        begin = time.monotonic()
        for stream in range(1, 2 + 40 * gap, 2):
            block = HEADERS + (bomb if stream == 1 else b"") + b"\xbe" * 60_000
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
    return frame(h2raw.HEADERS, END_HEADERS, stream, HEADERS) + h2raw.rst_stream(stream)


def open_and_spoil(stream):
    """So that it is the server that resets: by a window that overflows."""
    return frame(h2raw.HEADERS, END_HEADERS, stream, HEADERS) + h2raw.window_update(stream, (1 << 31) - 1)


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
            blocks.append(frame(h2raw.HEADERS, END_HEADERS, stream, HEADERS))
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
