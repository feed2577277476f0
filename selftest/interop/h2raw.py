# SPDX-License-Identifier: GPL-2.0-or-later
"""HTTP/2 (RFC 9113) frame by frame, so that it can be spoken wrongly. Sections below are of that RFC."""

import contextlib
import ctypes
import select
import socket
import ssl
import struct
from collections import namedtuple

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 0x1
END_HEADERS, PADDED, PRIORITY_FLAG = 0x4, 0x8, 0x20

# 7
(NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR,
 REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM) = range(12)  # fmt: skip

# 6.5.2
(HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE,
 MAX_HEADER_LIST_SIZE) = range(1, 7)  # fmt: skip

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

Frame = namedtuple("Frame", "type flags stream payload")


def frame(kind, flags=0, stream=0, payload=b"", length=None):
    """A frame; length is what it says of itself where that is not true."""
    size = len(payload) if length is None else length
    return struct.pack(">I", size)[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def settings(*pairs):
    return frame(SETTINGS, payload=b"".join(struct.pack(">HI", key, value) for key, value in pairs))


def window_update(stream, increment):
    return frame(WINDOW_UPDATE, stream=stream, payload=struct.pack(">I", increment))


def rst_stream(stream, code=CANCEL):
    return frame(RST_STREAM, stream=stream, payload=struct.pack(">I", code))


def goaway(last, code):
    return frame(GOAWAY, payload=struct.pack(">II", last, code))


def _integer(value, bits):
    """RFC 7541, 5.1"""
    most = (1 << bits) - 1
    if value < most:
        return bytes([value])
    out = bytearray([most])
    value -= most
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _string(text):
    data = text if isinstance(text, bytes) else text.encode()
    return _integer(len(data), 7) + data


def hpack(*headers):
    """Each as a literal without indexing, with a new name (RFC 7541, 6.2.2), not Huffman-coded."""
    return b"".join(b"\0" + _string(name) + _string(value) for name, value in headers)


def grpc_headers(path="/echo.Echo/Unary", *more, method="POST", content_type="application/grpc"):
    return (
        (":method", method),
        (":scheme", "http"),
        (":path", path),
        (":authority", "server"),
        ("te", "trailers"),
        ("content-type", content_type),
        *more,
    )


def grpc_headers_without(name):
    return tuple(header for header in grpc_headers() if header[0] != name)


def grpc_message(data, flag=0, length=None):
    """A Length-Prefixed-Message; length is what it says of itself where that is not true."""
    return struct.pack(">BI", flag, len(data) if length is None else length) + data


# A header block of a request, and that request's beginning.
BLOCK = hpack(*grpc_headers())
OPEN = frame(HEADERS, END_HEADERS, 1, BLOCK)


class _Header(ctypes.Structure):
    """nghttp2_nv"""

    _fields_ = [
        ("name", ctypes.POINTER(ctypes.c_char)),
        ("value", ctypes.POINTER(ctypes.c_char)),
        ("namelen", ctypes.c_size_t),
        ("valuelen", ctypes.c_size_t),
        ("flags", ctypes.c_uint8),
    ]


class Inflater:
    """Reads header blocks: by libnghttp2, since the tables of RFC 7541 are no subject of these tests."""

    FINAL, EMIT = 1, 2  # nghttp2_hd_inflate_flag

    def __init__(self):
        self._library = ctypes.CDLL("libnghttp2.so.14")
        self._library.nghttp2_hd_inflate_hd2.restype = ctypes.c_ssize_t
        self._inflater = ctypes.c_void_p()
        self._library.nghttp2_hd_inflate_new(ctypes.byref(self._inflater))

    def close(self):
        self._library.nghttp2_hd_inflate_del(self._inflater)

    def read(self, block):
        headers = []
        flags = ctypes.c_int()
        header = _Header()
        while True:
            n = self._library.nghttp2_hd_inflate_hd2(
                self._inflater,
                ctypes.byref(header),
                ctypes.byref(flags),
                block,
                ctypes.c_size_t(len(block)),
                1,
            )
            assert n >= 0, "the peer's header block is malformed"
            block = block[n:]
            if flags.value & self.EMIT:
                name, value = header.name[: header.namelen], header.value[: header.valuelen]
                headers.append((name.decode(), value.decode()))
            if flags.value & self.FINAL:
                self._library.nghttp2_hd_inflate_end_headers(self._inflater)
                return headers


class Closed(Exception):
    """The peer has closed or reset the connection."""


class Connection:
    """One side of a connection, over a connected socket (or one in TLS)."""

    def __init__(self, sock, timeout=20):
        sock.settimeout(timeout)
        self._timeout = timeout
        self.socket = sock
        self._received = b""
        self._inflater = Inflater()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        self._inflater.close()

    # what goes out

    def send(self, *frames):
        try:
            self.socket.sendall(b"".join(frames))
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed from error

    def open(self, *own_settings):
        """Client: preface and SETTINGS, with the dialogue that follows."""
        self.send(PREFACE, settings(*own_settings))
        assert self.receive_type(SETTINGS).flags == 0
        self.send(frame(SETTINGS, ACK))

    def request(self, stream, data=b"", headers=None, end=True):
        """A request in one HEADERS frame and, if there are, DATA."""
        block = hpack(*(headers or grpc_headers()))
        self.send(frame(HEADERS, END_HEADERS | (END_STREAM if end and not data else 0), stream, block))
        if data:
            self.send(frame(DATA, END_STREAM if end else 0, stream, data))

    def respond(self, stream, *headers, end=False):
        """Server: a header block."""
        self.send(frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, hpack(*headers)))

    # what comes in

    def _receive_bytes(self, n):
        while len(self._received) < n:
            try:
                more = self.socket.recv(65536)
            except ConnectionResetError as error:
                raise Closed from error
            if not more:
                raise Closed
            self._received += more
        taken, self._received = self._received[:n], self._received[n:]
        return taken

    def receive(self):
        """The next frame. SETTINGS and PING are not answered."""
        head = self._receive_bytes(9)
        size = int.from_bytes(head[:3], "big")
        kind, flags, stream = struct.unpack(">BBI", head[3:])
        return Frame(kind, flags, stream & 0x7FFFFFFF, self._receive_bytes(size))

    def receive_type(self, *kinds):
        """The next frame of one of these types; others are skipped."""
        while True:
            received = self.receive()
            if received.type in kinds:
                return received

    def receive_preface(self):
        """Server: the client's."""
        assert self._receive_bytes(len(PREFACE)) == PREFACE

    def receive_goaway(self):
        """The error code of the next GOAWAY."""
        return struct.unpack(">I", self.receive_type(GOAWAY).payload[4:8])[0]

    def receive_end(self):
        """Reads until the peer closes."""
        try:
            while True:
                self.receive()
        except Closed:
            pass

    def receive_response(self, stream):
        """Headers (those of the trailers win) and data, up to END_STREAM."""
        headers, data = {}, b""
        while True:
            received = self.receive()
            assert received.type != GOAWAY, received
            if received.type == HEADERS:
                block = self._inflater.read(received.payload)
                assert received.flags & END_HEADERS
            if received.stream != stream:
                continue
            assert received.type != RST_STREAM, received
            if received.type == HEADERS:
                headers.update(block)
            if received.type == DATA:
                data += received.payload
            if received.type in (HEADERS, DATA) and received.flags & END_STREAM:
                return headers, data

    def receive_pong(self):
        """Sends a PING and reads until it is answered: everything before it was taken in."""
        self.send(frame(PING, payload=b"answer!!"))
        while True:
            received = self.receive_type(PING)
            if received.flags & ACK and received.payload == b"answer!!":
                return

    def receive_refusal(self, stream):
        """The error code of the stream's RST_STREAM, or of a GOAWAY: who may reset may also hang up (5.4.2)."""
        while True:
            received = self.receive_type(RST_STREAM, GOAWAY)
            if received.type == GOAWAY:
                return struct.unpack(">I", received.payload[4:8])[0]
            if received.stream == stream:
                return struct.unpack(">I", received.payload)[0]

    def flood(self, blocks, reading=True, patience=1):
        """Sends all blocks, as fast as they are taken, and meanwhile reads and forgets what comes (or does not).
        Returns the error code if the peer said GOAWAY; "closed" if it hung up without; "blocked" if it takes no more
        for some seconds; else None."""
        self.socket.setblocking(False)
        try:
            for block in blocks:
                rest = memoryview(block)
                while rest:
                    inputs = [self.socket] if reading else []
                    readable, writable, _ = select.select(inputs, [self.socket], [], patience)
                    if readable:
                        self._read_ahead()
                    if writable:
                        # TLS may have something to say or to hear first.
                        with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
                            rest = rest[self.socket.send(rest) :]
                    if not readable and not writable:
                        return "blocked"
        except (BrokenPipeError, ConnectionResetError, Closed):
            return self._last_words()
        finally:
            self.socket.settimeout(self._timeout)
        return None

    def _read_ahead(self):
        try:
            more = self.socket.recv(1 << 20)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        if not more:
            raise Closed
        self._received += more
        # Whole frames are forgotten, but for GOAWAY.
        while len(self._received) >= 9:
            size = 9 + int.from_bytes(self._received[:3], "big")
            if len(self._received) < size or self._received[3] == GOAWAY:
                return
            self._received = self._received[size:]

    def _last_words(self):
        self.socket.settimeout(self._timeout)
        try:
            return self.receive_goaway()
        except Closed:
            return "closed"

    def receive_headers(self):
        """The stream and the headers of the next header block."""
        received = self.receive_type(HEADERS)
        return received.stream, dict(self._inflater.read(received.payload))


def connect(address, *own_settings):
    """A client's connection in clear to "127.0.0.1:PORT", opened."""
    connection = connect_silent(address)
    connection.open(*own_settings)
    return connection


def connect_silent(address):
    """The same, before anything was sent."""
    host, _, port = address.rpartition(":")
    return Connection(socket.create_connection((host, int(port))))
