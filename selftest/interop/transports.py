# SPDX-License-Identifier: GPL-2.0-or-later
"""The ways to reach a server, for each of: our server, our client, grpcio's channel, grpcio's server."""

from concurrent import futures

import grpc

import harness

# One connection for each channel, as with ours; and messages that are larger than ours may be, to see them refused.
OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.max_send_message_length", 64 * 1024 * 1024),
    ("grpc.ssl_target_name_override", "server"),
)


def make(name, certificates, directory):
    if name == "unix":
        return Transport(f"{directory}/socket", None)
    return Transport("127.0.0.1:0", certificates if name == "tls" else None)


class Transport:
    def __init__(self, listen, certificates):
        self._listen = listen
        self._certificates = certificates

    def elsewhere(self):
        """Where a second server may listen."""
        return self._listen + "2" if self._listen.startswith("/") else self._listen

    @property
    def is_tls(self):
        return self._certificates is not None

    def _member(self, name):
        return self._certificates / name if self._certificates else None

    def _read(self, member):
        return [(self._member(member) / name).read_bytes() for name in ("ca-cert.pem", "key.pem", "cert.pem")]

    def server(self, *arguments, listen=None):
        """Our server."""
        return harness.Server(*arguments, listen=listen or self._listen, certificates=self._member("server"))

    def client(self, address, *arguments):
        """Our client."""
        return harness.Client(address, *arguments, certificates=self._member("client"))

    def channel(self, address, *options):
        """grpcio's client."""
        target = f"unix:{address}" if address.startswith("/") else f"ipv4:{address}"
        if not self.is_tls:
            return grpc.insecure_channel(target, OPTIONS + options)
        return grpc.secure_channel(
            target, grpc.ssl_channel_credentials(*self._read("client")), OPTIONS + options
        )

    def grpcio_server(self, *handlers, listen=None, options=()):
        """grpcio's server, started, and the address where it listens."""
        server = grpc.server(futures.ThreadPoolExecutor(16), handlers, options=OPTIONS + options)
        listen = listen or self._listen
        if self.is_tls:
            ca, key, certificate = self._read("server")
            credentials = grpc.ssl_server_credentials([(key, certificate)], ca, require_client_auth=True)
            port = server.add_secure_port(listen, credentials)
        else:
            port = server.add_insecure_port(f"unix:{listen}" if listen.startswith("/") else listen)
        server.start()
        return server, listen if listen.startswith("/") else f"127.0.0.1:{port}"
