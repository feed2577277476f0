# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests share: certificates, a server of ours on each kind of address, and channels to it."""

import os
import subprocess

import grpc
import pytest

import h2raw
import harness
import transports
from ctl_fake import certs, ctl, fake, fleet, handlers, program  # noqa: F401 (for the tests of givcctl)

# What one connection may make the server hold, whatever it does: requests under way (8 MiB), answers that it does not
# read (4 MiB and a last one of 4 MiB), and what the allocator makes of it.
GROWTH_KIB = 24 * 1024


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """A directory with members server, client, expired, and nameless; and in it another one, elsewhere, where another
    CA has certified a server and a client."""
    directory = tmp_path_factory.mktemp("certificates")

    def make(*arguments):
        subprocess.run([os.environ["MAKE_CERTS"], *arguments], check=True, stdin=subprocess.DEVNULL)

    make(directory, "server=127.0.0.1", "client=127.0.0.1")
    make("--expired", directory, "expired=127.0.0.1")
    make("--no-dns", directory, "nameless=127.0.0.1")
    make(directory / "elsewhere", "server=127.0.0.1", "client=127.0.0.1")
    return directory


@pytest.fixture(params=["tls", "tcp", "unix"])
def transport(request, certificates, tmp_path):
    return transports.make(request.param, certificates, tmp_path)


@pytest.fixture
def server(transport):
    """Ours, with default limits."""
    with transport.server() as server:
        yield server


@pytest.fixture
def channel(transport, server):
    """grpcio's, to our server."""
    with transport.channel(server.address) as channel:
        yield channel


@pytest.fixture
def stub(channel):
    return harness.pb.stub(channel, "echo.Echo")


@pytest.fixture
def plain_server():
    """Ours, in clear on TCP, for tests that speak raw HTTP/2 to it."""
    with harness.Server() as server:
        yield server


@pytest.fixture
def plain_stub(plain_server):
    """grpcio's, to plain_server: a client that behaves."""
    with grpc.insecure_channel(f"ipv4:{plain_server.address}", transports.OPTIONS) as channel:
        yield harness.pb.stub(channel, "echo.Echo")


class Victim:
    def __init__(self, server):
        self.server = server
        self.address = server.address

    def connect(self, *settings):
        return h2raw.connect(self.address, *settings)


@pytest.fixture
def victim(plain_server):
    """A server under attack, with a client that holds a connection all the while, and wants to be served after."""
    with grpc.insecure_channel(f"ipv4:{plain_server.address}", transports.OPTIONS) as channel:
        stub = harness.pb.stub(channel, "echo.Echo")
        held = stub.Unary.future(harness.Request(tag="held", hang=True))
        plain_server.expect("open", tag="held")
        plain_server.forget_peak()
        before = plain_server.peak_kib()
        yield Victim(plain_server)
        assert plain_server.peak_kib() - before <= GROWTH_KIB
        assert stub.Unary(harness.Request(payload=b"still"), timeout=harness.TIMEOUT).payload == b"still"
        assert not held.done()
        with grpc.insecure_channel(f"ipv4:{plain_server.address}", transports.OPTIONS) as another:
            stub = harness.pb.stub(another, "echo.Echo")
            assert stub.Unary(harness.Request(payload=b"new"), timeout=harness.TIMEOUT).payload == b"new"
