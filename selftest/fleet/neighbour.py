# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest that goes about its business while another one is hostile: python3 neighbour.py ADDRESS PORT DIRECTORY SECONDS METHOD
REQUEST calls the admin again and again on one connection, each call answered within so many seconds, until a line comes on
standard input; then says how long each took, in milliseconds. REQUEST is in hexadecimal. Runs in a guest of a fleet, beside
h2raw.py. By hand, as grpcio's threads would be slower than what is measured."""
import select
import socket
import ssl
import sys
import time

import h2raw


def main(address, port, directory, seconds, method, request):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.set_alpn_protocols(['h2'])
    context.load_verify_locations(f'{directory}/ca-cert.pem')
    context.load_cert_chain(f'{directory}/cert.pem', f'{directory}/key.pem')
    plain = socket.create_connection((address, int(port)), timeout=20)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection = h2raw.Connection(context.wrap_socket(plain), timeout=float(seconds))
    connection.open((h2raw.INITIAL_WINDOW_SIZE, 1 << 24))
    connection.send(h2raw.window_update(0, 1 << 24))
    print('calling', flush=True)
    headers, request, times = h2raw.grpc_headers(method), h2raw.grpc_message(bytes.fromhex(request)), []
    for stream in range(1, 1 << 30, 2):
        begin = time.monotonic()
        connection.request(stream, request, headers)
        answer, data = connection.receive_response(stream)
        times.append((time.monotonic() - begin) * 1000)
        assert answer['grpc-status'] == '0' and data, answer
        connection.send(h2raw.window_update(0, max(len(data), 1)))
        if select.select([sys.stdin], [], [], 0.005)[0]:
            break
    print(*(f'{value:.3f}' for value in times))


main(*sys.argv[1:])
