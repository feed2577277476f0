# SPDX-License-Identifier: GPL-2.0-or-later
"""An agent's journal, read over the wire: straight, and through the admin."""
import contextlib
import json
import queue
import subprocess
import threading
import time

import grpc
import pytest
from grpc import StatusCode

import contents
from miniature import Fleet, wait_line
from wire import crowd

MACHINE = 'net-vm'
CONFIG = '/etc/givc/agent.json'
TALK, OTHER = 'demo-talk.service', 'demo-other.service'
STEADY = 20  # seconds: what should come at once, and has not come by then, does not come
# Copies to its journal whatever a test writes into its fifo, for ever.
SPEAKER = '''[Service]
ExecStartPre=/bin/sh -c 'test -p /run/%N || mkfifo /run/%N'
ExecStart=/bin/sh -c 'exec cat <>/run/%N'
SyslogIdentifier=talk
'''


class Logs:
    def __init__(self, fleet, wire, through_admin, source='ghaf-host'):
        self.fleet, self.pb, self._admin = fleet, wire.pb, through_admin
        self._stub = (wire.stub('admin-vm', 9001, 'admin.FleetService', source=source) if through_admin
                      else wire.stub(MACHINE, 9000, 'logs.LogsService', source='admin-vm'))

    def open(self, unit=TALK, timeout=STEADY, **more):
        request = self.pb.msg('logs.LogsRequest')(UnitName=unit, **more)
        if self._admin:
            request = self.pb.msg('admin.ReadLogsRequest')(VmName=MACHINE, Request=request)
        return self._stub.ReadLogs(request, timeout=timeout, wait_for_ready=True)

    def read(self, unit=TALK, **more):
        return list(self.open(unit, **more))

    def texts(self, unit=TALK, **more):
        """What the unit itself has said."""
        return [entry.Message for entry in self.read(unit, **more) if entry.Identifier == 'talk']

    def error(self, unit=TALK, **more):
        with pytest.raises(grpc.RpcError) as raised:
            self.read(unit, **more)
        return raised.value.code(), raised.value.details()

    @contextlib.contextmanager
    def follow(self, unit=TALK, **more):
        stream = self.open(unit, Follow=True, **more)
        try:
            yield Following(stream)
        finally:
            stream.cancel()

    def say(self, *lines, unit=TALK):
        """Lines of the unit's own; they are in the journal when this returns."""
        name = unit.removesuffix('.service')
        self.fleet.run(MACHINE, ['tee', f'/run/{name}'], input=''.join(f'{line}\n' for line in lines), check=True)
        command = ['journalctl', '-q', '-f', '-o', 'cat', '-n', '2', '-u', unit]
        with self.fleet.popen(MACHINE, command, stdout=subprocess.PIPE) as process:
            wait_line(process, f'^{lines[-1]}$', STEADY)
            process.kill()

    def send(self, **fields):
        """An entry of our own making (systemd's native protocol), of no unit."""
        def encode(key, value):
            value = value if isinstance(value, bytes) else str(value).encode()
            return key.encode() + b'\n' + len(value).to_bytes(8, 'little') + value + b'\n'
        data = b''.join(encode(key, value) for key, value in fields.items())
        script = ('import socket, sys; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); '
                  's.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20); '
                  's.connect("/run/systemd/journal/socket"); s.send(sys.stdin.buffer.read())')
        self.fleet.run(MACHINE, ['/usr/bin/python3', '-c', script], input=data, encoding=None, check=True)
        self.fleet.run(MACHINE, ['journalctl', '--sync'], check=True)


class Following:
    def __init__(self, stream):
        self._stream = stream
        self._items = queue.Queue()
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream):
        try:
            for item in stream:
                self._items.put(item)
            self._items.put(None)
        except grpc.RpcError as error:
            self._items.put(error)

    def begun(self):
        """Returns when it stands where it begins."""
        self._stream.initial_metadata()

    def next(self, timeout=STEADY):
        item = self._items.get(timeout=timeout)
        if isinstance(item, grpc.RpcError):
            raise item
        return item

    def until(self, text):
        seen = [self.next()]
        while seen[-1].Message != text:
            seen.append(self.next())
        return seen


def configure(fleet, how, **logs):
    config = json.loads(fleet.read_file(MACHINE, CONFIG))
    config['capabilities']['logs'] = logs
    fleet.write_file(MACHINE, CONFIG, json.dumps(config))
    fleet.run(MACHINE, ['systemctl', how, 'givc-agent.service'], check=True)
    if how == 'restart':
        fleet.wait_registered([MACHINE])


@pytest.fixture(scope='module')
def fleet(destdir):
    units = [contents.unit(name, SPEAKER) for name in (TALK, OTHER)]
    with Fleet(destdir, guests=('admin-vm', MACHINE), files={MACHINE: units},
               exposed={MACHINE: [TALK, OTHER, 'demo-slow-start.service', 'demo-echo.service', 'demo-clock.service']}) as fleet:
        fleet.wait_registered()
        fleet.run(MACHINE, ['systemctl', 'start', TALK, OTHER], check=True)
        yield fleet


@pytest.fixture(scope='module')
def both(fleet, wire):
    return {'agent': Logs(fleet, wire, False), 'admin': Logs(fleet, wire, True)}


@pytest.fixture(params=['agent', 'admin'])
def logs(request, both):
    """Everything that an agent can be asked can be asked of the admin."""
    return both[request.param]


@pytest.fixture
def agent(both):
    return both['agent']


@pytest.fixture
def whole(fleet):
    configure(fleet, 'reload', wholeJournal=True)
    yield
    configure(fleet, 'reload')


# --- history

def test_what_a_unit_has_said_and_what_systemd_said_of_it(logs):
    logs.say('one', 'two', 'three')
    logs.say('of another', unit=OTHER)
    entries = logs.read()
    texts = [entry.Message for entry in entries]
    assert [text for text in texts if text in ('one', 'two', 'three')][-3:] == ['one', 'two', 'three']
    assert f'Started {TALK}.' in texts[0] or f'Starting {TALK}' in texts[0], 'systemd, about it'
    assert 'of another' not in texts
    last = entries[-1]
    assert (last.UnitName, last.Identifier, last.Priority, last.Message) == (TALK, 'talk', 6, 'three')
    assert last.Pid == int(logs.fleet.unit(MACHINE, TALK)['MainPID'])
    assert abs(last.RealtimeUsec / 1e6 - time.time()) < 60
    assert [entry.RealtimeUsec for entry in entries] == sorted(entry.RealtimeUsec for entry in entries)
    assert len({entry.Cursor for entry in entries}) == len(entries)


def test_the_newest_lines(logs):
    logs.say('a', 'b', 'c')
    assert logs.texts(Lines=2) == ['b', 'c']
    assert len(logs.read(Lines=1)) == 1
    assert logs.read(Lines=4000000000) == logs.read()


def test_only_news(logs):
    logs.say('old')
    assert logs.read(OnlyNews=True) == []
    with logs.follow(OnlyNews=True) as following:
        following.begun()
        logs.say('new')
        assert [entry.Message for entry in following.until('new')] == ['new']


def test_news_of_a_unit_that_has_said_nothing(logs, fleet):
    silent = 'demo-echo.service' if logs._admin else 'demo-clock.service'
    with logs.follow(silent, OnlyNews=True) as following:
        following.begun()
        fleet.run(MACHINE, ['systemctl', 'start', silent], check=True)
        assert 'Started' in following.next().Message


def test_a_unit_that_has_said_nothing(logs):
    assert logs.read('demo-slow-start.service') == []
    assert logs.read('demo-slow-start.service', Lines=5) == []


def test_since_and_until(logs):
    logs.say('before')
    before = logs.read()[-1].RealtimeUsec
    logs.say('between')
    between = logs.read()[-1].RealtimeUsec
    logs.say('after')
    assert logs.texts(SinceUsec=before + 1) == ['between', 'after']
    assert logs.texts(SinceUsec=before + 1, UntilUsec=between) == ['between']
    assert logs.texts(UntilUsec=between)[-2:] == ['before', 'between']
    assert logs.texts(UntilUsec=between, Lines=1) == ['between']
    assert logs.texts(SinceUsec=before + 1, Lines=10) == ['between', 'after']
    assert logs.texts(SinceUsec=1 << 62) == []
    assert logs.texts(UntilUsec=1) == []


def test_priority(logs):
    logs.say('<3>an error', 'of no importance')
    # Of a service's standard output, systemd takes the number off and makes it the priority.
    assert logs.texts(PriorityMax=4)[-1] == 'an error'
    assert logs.texts(PriorityMax=7)[-1] == 'of no importance'
    assert logs.texts(PriorityMax=8)[-2:] == ['an error', 'of no importance']
    assert logs.texts(PriorityMax=1) == []


def test_resuming_behind_a_cursor(logs):
    logs.say('first')
    cursor = logs.read()[-1].Cursor
    assert logs.read(Cursor=cursor) == []
    logs.say('second', 'third')
    assert logs.texts(Cursor=cursor) == ['second', 'third']
    assert logs.texts(Cursor=cursor, Lines=1) == ['third']
    assert logs.texts(Cursor=cursor, Lines=10) == ['second', 'third']
    logs.say('elsewhere', unit=OTHER)
    assert logs.texts(OTHER, Cursor=cursor)[-1] == 'elsewhere', "another unit's is a place in the journal, too"
    with logs.follow(Cursor=cursor) as following:
        assert [following.next().Message for _ in range(2)] == ['second', 'third']


# --- following

def test_following(logs):
    logs.say('there already')
    with logs.follow(Lines=1) as following:
        assert following.next().Message == 'there already'
        logs.say('of another', unit=OTHER)
        begin = time.monotonic()
        logs.say('news')
        entry = following.next()
        assert (entry.Message, entry.UnitName) == ('news', TALK)
        # journald tells of news every 250 ms, to journalctl -f as well.
        assert time.monotonic() - begin < 1.5
        logs.say('more', 'and more')
        assert [following.next().Message for _ in range(2)] == ['more', 'and more']


def test_following_what_has_said_nothing_yet(logs, whole):
    marker = f'marker {time.monotonic()}'
    with logs.follow('', SinceUsec=int((time.time() + 5) * 1e6)) as following:
        assert following._items.empty()
    with logs.follow('', Lines=1) as following:
        following.next()
        logs.send(MESSAGE=marker)
        following.until(marker)


def test_following_through_rotation(agent):
    with agent.follow(Lines=1) as following:
        following.next()
        agent.say('before the rotation')
        following.until('before the rotation')
        agent.fleet.run(MACHINE, ['journalctl', '--rotate'], check=True)
        agent.say('after the rotation')
        assert following.next().Message == 'after the rotation'


# --- what is in an entry

def test_bytes_that_are_no_text(agent, whole):
    agent.send(MESSAGE=b'caf\xc3\xa9 \xff\xfe\x00 end', SYSLOG_IDENTIFIER='odd\xff', PRIORITY='2')
    entry = agent.read('', Lines=20, PriorityMax=3)[-1]
    assert (entry.Message, entry.Priority) == (r'café \xff\xfe\x00 end', 2)
    agent.send(MESSAGE='no priority', SYSLOG_IDENTIFIER='x')
    assert [e.Priority for e in agent.read('', Lines=20) if e.Message == 'no priority'] == [6]


def test_a_long_message_is_cut_visibly(agent, whole):
    agent.send(MESSAGE='x' * (1 << 20), PRIORITY='2')
    entry = agent.read('', Lines=1, PriorityMax=3)[-1]
    assert entry.Message == 'x' * (64 << 10) + '…'
    agent.send(MESSAGE='y' * (64 << 10), PRIORITY='2')
    assert agent.read('', Lines=1, PriorityMax=3)[-1].Message == 'y' * (64 << 10)


def test_nobody_speaks_for_a_unit(agent):
    agent.send(MESSAGE='forged', UNIT=TALK, OBJECT_SYSTEMD_UNIT=TALK, COREDUMP_UNIT=TALK)
    # It runs as root in here, so systemd believes what root says of others (OBJECT_…), and nothing else.
    agent.fleet.run(MACHINE, ['runuser', '-u', contents.USER, '--', 'logger', '--journald'],
                    input=f'MESSAGE=forged by a user\nUNIT={TALK}\nOBJECT_SYSTEMD_UNIT={TALK}\nCOREDUMP_UNIT={TALK}\n')
    agent.fleet.run(MACHINE, ['journalctl', '--sync'], check=True)
    assert 'forged by a user' not in [entry.Message for entry in agent.read()]


# --- a slow reader

def test_a_slow_reader_gets_everything_and_holds_up_nobody(both):
    """Some 20 MB, far more than may wait on the way."""
    logs = both['admin']
    size, n = 30000, 700
    begin = time.time()
    logs.fleet.run(MACHINE, f"head -c {size - 8} /dev/zero | tr '\\0' z >/tmp/z; for i in $(seq -w {n}); do "
                            f"echo $i $(cat /tmp/z); done >/run/demo-talk; rm /tmp/z", check=True)
    logs.say('the last')
    stream = logs.open(SinceUsec=int(begin * 1e6), timeout=60)
    entries = iter(stream)
    seen = [next(entries).Message]
    before = memory(logs.fleet)
    assert logs.texts(OTHER, Lines=1) is not None
    logs.say('meanwhile', unit=OTHER)
    assert logs.texts(OTHER, Lines=1) == ['meanwhile']
    assert logs.fleet.sanitized or memory(logs.fleet) - before < 4 << 20, 'sanitizers keep what is freed'
    seen += [entry.Message for entry in entries]
    numbers = [text.split()[0] for text in seen if text[0].isdigit()]
    assert numbers == sorted(numbers) and len(numbers) == n
    assert seen[-1] == 'the last'


def memory(fleet):
    """What the agent and the admin have for themselves, in bytes."""
    total = 0
    for machine, unit in (MACHINE, 'givc-agent.service'), ('admin-vm', 'givc-admin.service'):
        pid = fleet.unit(machine, unit)['MainPID']
        text = fleet.run(machine, ['grep', '-h', 'Private_Dirty', f'/proc/{pid}/smaps_rollup'], check=True).stdout
        total += int(text.split()[1]) << 10
    return total


# --- refusals

@pytest.mark.parametrize('unit', ['demo-hidden.service', 'dbus.service', 'demo-talk', '*', '../x'])
def test_other_units_are_refused(logs, unit):
    code, text = logs.error(unit)
    assert code == StatusCode.PERMISSION_DENIED
    assert 'unit is not whitelisted' in text


def test_the_whole_journal_is_not_shown_unless_the_configuration_says_so(logs):
    code, text = logs.error('')
    assert code == StatusCode.PERMISSION_DENIED
    assert 'capabilities.logs.wholeJournal' in text


def test_a_reload_ends_what_is_not_permitted_any_more(agent):
    configure(agent.fleet, 'reload', wholeJournal=True)
    with agent.follow('', Lines=1) as following, agent.follow(Lines=1) as unit:
        assert following.next().Cursor
        configure(agent.fleet, 'reload')
        with pytest.raises(grpc.RpcError) as raised:
            while True:
                following.next()
        assert raised.value.code() == StatusCode.PERMISSION_DENIED
        agent.say('still')
        unit.until('still')


@pytest.mark.parametrize('more, code', [
    ({'PriorityMax': 9}, StatusCode.INVALID_ARGUMENT),
    ({'Follow': True, 'UntilUsec': 1}, StatusCode.INVALID_ARGUMENT),
    ({'Cursor': 'nonsense'}, StatusCode.INVALID_ARGUMENT),
    ({'Cursor': 's=' + 'f' * 5000}, StatusCode.INVALID_ARGUMENT),
    ({'Cursor': 's=' + '0' * 32 + ';i=1;b=' + '1' * 32 + ';m=1;t=1;x=1'}, StatusCode.OUT_OF_RANGE),
])
def test_nonsense_is_refused(logs, more, code):
    assert logs.error(**more)[0] == code


def test_one_peer_cannot_use_up_the_streams(agent, wire):
    other = wire.stub(MACHINE, 9000, 'logs.LogsService', source='ghaf-host')
    request = agent.pb.msg('logs.LogsRequest')(UnitName=TALK, Follow=True, Lines=1)
    with crowd(lambda: other.ReadLogs(request, timeout=STEADY), 4):
        assert agent.read(Lines=1)
    assert agent.read(Lines=1)


def test_one_peer_cannot_use_up_what_the_admin_has(agent, wire, both):
    """Through the admin, everybody's streams are the admin's."""
    admin = both['admin']
    with crowd(lambda: admin.open(Follow=True, Lines=1), 4):
        other = Logs(agent.fleet, wire, True, source=MACHINE)
        assert other.read(Lines=1)


def test_streams_end_with_their_call(agent):
    """Else the bound on streams would be reached."""
    for _ in range(20):
        with agent.follow(Lines=1) as following:
            following.next()


def test_an_agent_that_stops_says_so(both):
    with both['admin'].follow(Lines=1) as following:
        following.next()
        both['admin'].fleet.run(MACHINE, ['systemctl', 'restart', 'givc-agent.service'], check=True)
        with pytest.raises(grpc.RpcError) as raised:
            following.next()
        assert raised.value.code() == StatusCode.UNAVAILABLE


def test_givcctl_goes_on_after_the_admin_and_the_agent_have_died(both):
    """Each line once."""
    logs = both['admin']
    if logs.fleet.under_valgrind:
        pytest.skip('givcctl does not wait as long as the admin needs to start under valgrind')
    logs.say('before')
    command = ['givcctl', 'logs', '-f', '-n1', '-u', TALK, '--vm', MACHINE]
    with logs.fleet.popen('ghaf-host', command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert wait_line(process, 'talk').endswith('before')
            for machine, daemon in (('admin-vm', 'givc-admin'), (MACHINE, 'givc-agent')):
                logs.fleet.run(machine, ['systemctl', 'kill', '-s', 'KILL', daemon], check=True)
                logs.say(f'without {daemon}')
                assert wait_line(process, 'talk').endswith(f'without {daemon}')
        finally:
            process.kill()


def test_it_is_not_there_where_it_is_switched_off(fleet, wire, both):
    configure(fleet, 'restart', enable=False)
    try:
        anew = Logs(fleet, wire, False)  # the other's connection is just being lost
        assert anew.error()[0] == StatusCode.UNIMPLEMENTED
        code, text = both['admin'].error()
        assert code == StatusCode.UNIMPLEMENTED
        assert f'not offered by {MACHINE}' in text
    finally:
        configure(fleet, 'restart')
