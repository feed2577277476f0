# SPDX-License-Identifier: GPL-2.0-or-later
"""What is HTTP/2, and not gRPC: each gets the answer that gRPC's PROTOCOL-HTTP2 names, and the connection stays."""

import grpc
import pytest

import h2raw
import harness
from h2raw import END_STREAM, frame, grpc_headers, grpc_headers_without, grpc_message
from harness import Request


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
    assert answer(victim, grpc_message(b""), grpc_headers_without("content-type"))[":status"] == "415"


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
