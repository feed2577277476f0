# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest that goes about its business while another one is hostile: python3 neighbour.py ADDRESS PORT DIRECTORY SECONDS METHOD
REQUEST CALLS calls the admin again and again, so often on one connection, each connected and each call answered within so many
seconds, until a line comes on standard input; then says how long each took, in milliseconds. REQUEST is in hexadecimal. Runs in a guest of a fleet, beside
h2raw.py. By hand, as grpcio's threads would be slower than what is measured."""
import select
import socket
import ssl
import sys
import time

import h2raw


def enough():
    return select.select([sys.stdin], [], [], 0.005)[0]


def call(connection, stream, method, request):
    """How long it took, in milliseconds."""
    begin = time.monotonic()
    connection.request(stream, h2raw.grpc_message(bytes.fromhex(request)), h2raw.grpc_headers(method))
    answer, data = connection.receive_response(stream)
    took = (time.monotonic() - begin) * 1000
    assert answer['grpc-status'] == '0' and data, answer
    connection.send(h2raw.window_update(0, max(len(data), 1)))
    return took


def main(address, port, directory, seconds, method, request, calls):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.set_alpn_protocols(['h2'])
    context.load_verify_locations(f'{directory}/ca-cert.pem')
    context.load_cert_chain(f'{directory}/cert.pem', f'{directory}/key.pem')
    times, done = [], False
    while not done:
        plain = socket.create_connection((address, int(port)), timeout=float(seconds) if times else 20)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with h2raw.Connection(context.wrap_socket(plain), timeout=float(seconds)) as connection:
            connection.open((h2raw.INITIAL_WINDOW_SIZE, 1 << 24))
            connection.send(h2raw.window_update(0, 1 << 24))
            if not times:
                print('calling', flush=True)
            for stream in range(1, 2 * int(calls), 2):
                times.append(call(connection, stream, method, request))
                done = enough()
                if done:
                    break
    print(*(f'{value:.3f}' for value in times))


main(*sys.argv[1:])
