# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs alone, in a machine: python3 bus_flood.py NAME SECONDS asks whoever owns NAME on the system bus for all that it shows,
over as many connections as one user should have, without waiting for the answers. Says how much of those came. With BYTES it
sends calls of that size instead, over two connections."""
import os
import select
import socket
import struct
import sys
import time

CONNECTIONS, AT_ONCE = 50, 1 << 16
BUS = 'org.freedesktop.DBus', '/org/freedesktop/DBus', 'org.freedesktop.DBus', 'Hello'


def padded(data, alignment):
    return data + bytes(-len(data) % alignment)


def call(serial, destination, path, interface, member, argument=None):
    """A method call without arguments, or with a string (D-Bus specification, "Message Format")."""
    body = b'' if argument is None else struct.pack('<I', len(argument)) + argument + b'\0'
    fields = b''
    for code, kind, value in ((1, b'o', path), (2, b's', interface), (3, b's', member), (6, b's', destination)):
        fields = padded(fields, 8) + bytes([code, 1]) + kind + b'\0' + struct.pack('<I', len(value)) + value.encode() + b'\0'
    if body:
        fields = padded(fields, 8) + bytes([8, 1]) + b'g\0\1s\0'
    return padded(struct.pack('<cBBBIII', b'l', 1, 0, 1, len(body), serial, len(fields)) + fields, 8) + body


def connection():
    bus = socket.socket(socket.AF_UNIX)
    bus.connect('/run/dbus/system_bus_socket')
    bus.sendall(b'\0AUTH EXTERNAL ' + str(os.getuid()).encode().hex().encode() + b'\r\n')
    if not bus.recv(4096).startswith(b'OK '):
        sys.exit('the bus does not take us')
    bus.sendall(b'BEGIN\r\n' + call(1, *BUS))
    bus.recv(4096)
    bus.setblocking(False)
    return bus


def main(name, seconds, size=None):
    def question():
        if size:
            return call(serial, name, '/org/ghaf/Givc1', 'org.ghaf.Givc1.Daemon', 'SetLogLevel', b'x' * int(size))
        return call(serial, name, '/org/ghaf/Givc1', 'org.freedesktop.DBus.ObjectManager', 'GetManagedObjects')

    serial, answered, end = 1, 0, time.monotonic() + float(seconds)
    unsent = {bus: b'' for bus in [connection() for _ in range(2 if size else CONNECTIONS)]}
    while time.monotonic() < end:
        readable, writable, _ = select.select(unsent, unsent, [], 0.1)
        for bus in readable:
            answered += len(bus.recv(AT_ONCE))
        for bus in writable:
            while len(unsent[bus]) < AT_ONCE:
                serial += 1
                unsent[bus] += question()
            unsent[bus] = unsent[bus][bus.send(unsent[bus]):]
    print(answered)


if __name__ == '__main__':
    main(*sys.argv[1:])
