# SPDX-License-Identifier: GPL-2.0-or-later
"""givc-agent on a real systemd, asked over the wire by another VM."""
import json
import queue
import threading
import time

import grpc
import pytest
from grpc import StatusCode

from miniature import Journal
from wire import Wire, crowd

CONFIG = '/etc/givc/agent.json'
MACHINE = 'net-vm'
UNIT = 'givc-agent.service'
OWN = 'givc-net-vm.service'
STEADY = 20  # seconds: what should come at once, and has not come by then, does not come


class Agent:
    """net-vm's agent, as admin-vm reaches it on one connection."""

    def __init__(self, fleet, wire):
        self.fleet, self.pb = fleet, wire.pb
        self.channel = wire.channel(MACHINE, 9000, source='admin-vm')
        self.control = wire.pb.stub(self.channel, 'systemd.UnitControlService')
        self.watching = wire.pb.stub(self.channel, 'systemd.UnitWatchService')

    def call(self, method, unit, timeout=STEADY):
        request = self.pb.msg('systemd.UnitRequest')(UnitName=unit)
        return getattr(self.control, method)(request, timeout=timeout, wait_for_ready=True).UnitStatus

    def error(self, method, unit, timeout=STEADY):
        with pytest.raises(grpc.RpcError) as raised:
            self.call(method, unit, timeout)
        return raised.value.code(), raised.value.details()

    def watch(self, *units):
        return Watch(self.watching.WatchUnits(self.pb.msg('systemd.WatchUnitsRequest')(UnitNames=units)))

    def monitor(self, unit):
        return self.control.MonitorUnit(self.pb.msg('systemd.UnitResourceRequest')(UnitName=unit), timeout=STEADY)

    def unit(self, name):
        return self.fleet.unit(MACHINE, name)

    def journal(self):
        return Journal(self.fleet, MACHINE, UNIT)

    def configure(self, change):
        """Changes agent.json and reloads: the line with which that ends."""
        config = json.loads(self.fleet.read_file(MACHINE, CONFIG))
        change(config)
        return self.reload(json.dumps(config, indent=2))

    def add_unit(self, name, text):
        """A unit that the agent shows, until the end of the test."""
        self.fleet.write_file(MACHINE, f'/run/systemd/system/{name}', text)
        self.fleet.run(MACHINE, ['systemctl', 'daemon-reload'], check=True)
        self.configure(lambda config: config['capabilities']['services'].append(name))

    def reload(self, text):
        self.fleet.write_file(MACHINE, CONFIG, text)
        journal = self.journal()
        self.fleet.run(MACHINE, ['systemctl', 'reload', UNIT], check=True)
        return journal.wait('have been read again|Not reloaded')


class Watch:
    """A stream that is read all the time, so that a test can wait for what it brings."""

    def __init__(self, stream):
        self.stream, self._items = stream, queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.cancel()

    def _read(self):
        try:
            for item in self.stream:
                self._items.put(item)
        except grpc.RpcError as error:
            self._items.put(error)

    def next(self, timeout=STEADY):
        item = self._items.get(timeout=timeout)
        if isinstance(item, grpc.RpcError):
            raise item
        return item

    def until(self, unit, state, timeout=STEADY):
        """Everything up to the first item in which the unit's active or freezer state is that."""
        seen = [self.next(timeout)]
        while seen[-1].Name != unit or state not in (seen[-1].ActiveState, seen[-1].FreezerState):
            seen.append(self.next(timeout))
        return seen


@pytest.fixture(scope='module')
def wire(givc):
    with Wire(givc) as wire:
        yield wire


@pytest.fixture
def agent(givc, wire):
    """With everything of its machine as it was at boot."""
    config = givc.read_file(MACHINE, CONFIG)
    agent = Agent(givc, wire)
    yield agent
    if givc.read_file(MACHINE, CONFIG) != config:
        agent.reload(config)
    givc.run(MACHINE, "systemctl thaw demo-clock demo-echo; systemctl stop 'demo-*'; systemctl reset-failed")


# --- what is there

@pytest.mark.parametrize('version', ['v1', 'v1alpha'])
def test_reflection_lists_what_is_offered(agent, version):
    request = agent.pb.msg(f'grpc.reflection.{version}.ServerReflectionRequest')(list_services='')
    stub = agent.pb.stub(agent.channel, f'grpc.reflection.{version}.ServerReflection')
    answer = next(stub.ServerReflectionInfo(iter([request]), timeout=STEADY))
    listed = {service.name for service in answer.list_services_response.service}
    assert listed >= {'grpc.health.v1.Health', 'grpc.reflection.v1.ServerReflection',
                      'grpc.reflection.v1alpha.ServerReflection', 'systemd.UnitControlService', 'systemd.UnitWatchService'}
    assert 'admin.AdminService' not in listed


def test_health(agent):
    request = agent.pb.msg('grpc.health.v1.HealthCheckRequest')(service='systemd.UnitControlService')
    answer = agent.pb.stub(agent.channel, 'grpc.health.v1.Health').Check(request, timeout=STEADY)
    assert answer.status == 1


def test_what_is_not_offered_is_unimplemented(agent):
    with pytest.raises(grpc.RpcError) as raised:
        agent.pb.stub(agent.channel, 'admin.AdminService').QueryList(agent.pb.msg('admin.Empty')(), timeout=STEADY)
    assert raised.value.code() == StatusCode.UNIMPLEMENTED


# --- one unit

def test_status_is_what_systemd_says(agent):
    agent.fleet.run(MACHINE, ['systemctl', 'start', 'demo-clock'], check=True)
    status = agent.call('GetUnitStatus', 'demo-clock.service')
    assert (status.Name, status.Description, status.LoadState, status.ActiveState, status.SubState, status.FreezerState) == (
        'demo-clock.service', 'Demo: does nothing, for ever', 'loaded', 'active', 'running', 'running')
    assert status.Path == '/org/freedesktop/systemd1/unit/demo_2dclock_2eservice'


def test_start_and_stop(agent):
    status = agent.call('StartUnit', 'demo-clock.service')
    assert (status.ActiveState, status.SubState) == ('active', 'running')
    first = agent.unit('demo-clock.service')
    assert first['ActiveState'] == 'active'

    assert agent.call('StartUnit', 'demo-clock.service').ActiveState == 'active'
    assert agent.unit('demo-clock.service')['MainPID'] != first['MainPID'], 'StartUnit restarts'

    status = agent.call('StopUnit', 'demo-clock.service')
    assert (status.ActiveState, status.SubState) == ('inactive', 'dead')
    assert agent.unit('demo-clock.service')['ActiveState'] == 'inactive'
    assert agent.call('StopUnit', 'demo-clock.service').ActiveState == 'inactive', 'once more does no harm'


def test_start_and_stop_answer_when_the_job_is_done(agent):
    begin = time.monotonic()
    assert agent.call('StartUnit', 'demo-slow-start.service').ActiveState == 'active'
    assert time.monotonic() - begin >= 2
    agent.call('StartUnit', 'demo-slow-stop.service')
    begin = time.monotonic()
    assert agent.call('StopUnit', 'demo-slow-stop.service').ActiveState == 'inactive'
    assert time.monotonic() - begin >= 2


def test_kill(agent):
    agent.call('StartUnit', 'demo-clock.service')
    agent.call('KillUnit', 'demo-clock.service')
    agent.fleet.wait_unit(MACHINE, 'demo-clock.service', 'failed')
    assert agent.unit('demo-clock.service')['Result'] == 'signal'


def test_freeze_and_unfreeze(agent):
    agent.call('StartUnit', 'demo-clock.service')
    assert agent.call('FreezeUnit', 'demo-clock.service').FreezerState == 'frozen'
    assert agent.unit('demo-clock.service')['FreezerState'] == 'frozen'
    assert agent.call('GetUnitStatus', 'demo-clock.service').FreezerState == 'frozen'
    assert agent.call('UnfreezeUnit', 'demo-clock.service').FreezerState == 'running'
    assert agent.unit('demo-clock.service')['FreezerState'] == 'running'


def test_what_does_not_run_cannot_be_frozen(agent):
    code, text = agent.error('FreezeUnit', 'demo-clock.service')
    assert code == StatusCode.FAILED_PRECONDITION, text
    assert text.startswith('cannot freeze unit: ')


def test_a_deadline_ends_the_call_and_not_the_job(agent):
    code, _ = agent.error('StartUnit', 'demo-slow-start.service', timeout=0.5)
    assert code == StatusCode.DEADLINE_EXCEEDED
    agent.fleet.wait_unit(MACHINE, 'demo-slow-start.service', 'active')


def test_a_job_that_another_one_replaces(agent):
    starting = agent.control.StartUnit.future(agent.pb.msg('systemd.UnitRequest')(UnitName='demo-gate.service'), timeout=STEADY)
    agent.fleet.wait_unit(MACHINE, 'demo-gate.service', 'activating')
    assert agent.call('StopUnit', 'demo-gate.service').ActiveState in ('inactive', 'failed')
    assert starting.exception().code() == StatusCode.ABORTED


@pytest.mark.parametrize('unit, shown', [
    *((name, name) for name in ('demo-hidden.service', 'dbus.service', 'givc-agent.service', 'microvm@app-vm.service',
                                'demo-clock', '../demo-clock.service', '')),
    ('x' * 100000, 'x' * 255 + '…'),
    ('ü\n', r'\xc3\xbc\x0a'),
])
def test_other_units_are_refused(agent, unit, shown):
    code, text = agent.error('GetUnitStatus', unit)
    assert code == StatusCode.NOT_FOUND
    assert text == f'error fetching unit status: {shown}'
    for method, word in ('StartUnit', 'start'), ('StopUnit', 'stop'), ('KillUnit', 'kill'), ('FreezeUnit', 'freeze'), (
            'UnfreezeUnit', 'unfreeze'):
        assert agent.error(method, unit) == (StatusCode.PERMISSION_DENIED, f'cannot {word} unit: unit is not whitelisted')
    with pytest.raises(grpc.RpcError) as raised:
        next(agent.monitor(unit))
    assert raised.value.code() == StatusCode.PERMISSION_DENIED
    with agent.watch('demo-clock.service', unit) as watch, pytest.raises(grpc.RpcError) as raised:
        watch.next()
    assert raised.value.code() == StatusCode.PERMISSION_DENIED


def test_a_refused_unit_is_not_touched(agent):
    agent.error('StartUnit', 'demo-hidden.service')
    assert agent.unit('demo-hidden.service')['ActiveState'] == 'inactive'


# --- its own unit

def test_the_own_unit_is_shown_under_its_registered_name(agent):
    status = agent.call('GetUnitStatus', OWN)
    assert (status.Name, status.Description, status.ActiveState, status.SubState) == (OWN, 'givc agent', 'active', 'running')
    assert status.Path == '/org/freedesktop/systemd1/unit/givc_2dagent_2eservice'


def test_it_does_not_freeze_itself(agent):
    assert agent.error('FreezeUnit', OWN)[0] == StatusCode.FAILED_PRECONDITION
    assert agent.call('GetUnitStatus', OWN).FreezerState == 'running'


def test_it_restarts_itself_and_registers_again(agent):
    before, journal = agent.unit(UNIT)['MainPID'], agent.journal()
    begin = time.monotonic()
    code, _ = agent.error('StartUnit', OWN)
    assert code == StatusCode.UNAVAILABLE
    journal.wait(f'Registered {OWN} and 8 units')
    assert time.monotonic() - begin < 8 * agent.fleet.slowness
    assert agent.unit(UNIT)['MainPID'] != before
    assert agent.call('GetUnitStatus', OWN).ActiveState == 'active'


# --- watching

def test_watch_begins_with_the_present_states(agent):
    agent.call('StartUnit', 'demo-echo.service')
    with agent.watch() as watch:
        states = [watch.next() for _ in range(9)]
    assert sorted(state.Name for state in states) == sorted([OWN] + [
        f'demo-{name}.service' for name in ('clock', 'echo', 'fail', 'gate', 'missing', 'oneshot', 'slow-start', 'slow-stop')])
    by_name = {state.Name: state.ActiveState for state in states}
    assert (by_name['demo-echo.service'], by_name['demo-clock.service']) == ('active', 'inactive')


def test_watch_tells_changes_of_what_was_asked_for(agent):
    with agent.watch('demo-clock.service', 'demo-clock.service') as watch:
        assert watch.next().ActiveState == 'inactive'
        agent.call('StartUnit', 'demo-echo.service')
        agent.call('StartUnit', 'demo-clock.service')
        seen = watch.until('demo-clock.service', 'active')
        assert {state.Name for state in seen} == {'demo-clock.service'}
        agent.call('FreezeUnit', 'demo-clock.service')
        watch.until('demo-clock.service', 'frozen')
        agent.call('UnfreezeUnit', 'demo-clock.service')
        watch.until('demo-clock.service', 'running')
        agent.call('KillUnit', 'demo-clock.service')
        watch.until('demo-clock.service', 'failed')


def test_no_final_state_is_merged_away(agent):
    agent.call('StartUnit', 'demo-clock.service')
    with agent.watch('demo-clock.service') as watch:
        assert watch.next().ActiveState == 'active'
        agent.fleet.run(MACHINE, 'for i in $(seq 20); do systemctl stop demo-clock; systemctl start demo-clock; done; '
                                  'systemctl kill -s KILL demo-clock', check=True)
        states = [state.ActiveState for state in watch.until('demo-clock.service', 'failed')]
    final = [state for i, state in enumerate(states) if state in ('inactive', 'failed') and (i == 0 or states[i - 1] != state)]
    assert final == ['inactive'] * 20 + ['failed']


def test_a_change_arrives_at_once(agent):
    with agent.watch('demo-clock.service') as watch:
        watch.next()
        begin = time.monotonic()
        agent.call('StartUnit', 'demo-clock.service')
        watch.until('demo-clock.service', 'active')
        assert time.monotonic() - begin < 1 * agent.fleet.slowness


def test_one_peer_cannot_use_up_the_watchers(agent, wire):
    other = wire.stub(MACHINE, 9000, 'systemd.UnitWatchService', source='app-vm')
    everything = agent.pb.msg('systemd.WatchUnitsRequest')()
    journal = agent.journal()
    with crowd(lambda: other.WatchUnits(everything), 8), agent.watch() as watch:
        watch.next()
        journal.wait('app-vm takes too much: it has 8 watchers')


def test_a_slow_reader_is_cut_off_and_holds_up_nobody(agent, wire):
    agent.add_unit('demo-long.service', f'[Unit]\nDescription={"long " * 1000}\n[Service]\nExecStart=sleep infinity\n')
    request = agent.pb.msg('systemd.WatchUnitsRequest')(UnitNames=['demo-long.service'])
    # What gRPC takes in unread does not grow with time.
    small = (('grpc.http2.lookahead_bytes', 1 << 16), ('grpc.http2.bdp_probe', 0))
    slow = wire.stub(MACHINE, 9000, 'systemd.UnitWatchService', source='admin-vm', options=small).WatchUnits(
        request, timeout=STEADY)
    with agent.watch('demo-long.service') as watch:
        watch.next()
        journal = agent.journal()
        agent.fleet.run(MACHINE, 'for i in $(seq 60); do systemctl stop demo-long; systemctl start demo-long; done', check=True)
        journal.wait('admin-vm reads too slowly')
        for _ in range(60):
            watch.until('demo-long.service', 'active')
    count = 0
    with pytest.raises(grpc.RpcError) as raised:
        for _ in slow:
            count += 1
    assert raised.value.code() == StatusCode.RESOURCE_EXHAUSTED
    assert count > 100, 'what was queued has come'


def test_who_is_cut_off_again_and_again_is_told_of_so_often(agent, wire):
    names = ['demo-vast-1.service', 'demo-vast-2.service']
    for name in names:  # the first alone is as much as may wait
        agent.add_unit(name, f'[Unit]\nDescription={"vast " * 110_000}\n[Service]\nExecStart=sleep infinity\n')
        with agent.watch(name) as watch:
            watch.next()  # known by now: both come at once
    request, cursor = agent.pb.msg('systemd.WatchUnitsRequest')(UnitNames=names), agent.fleet.cursor(MACHINE, UNIT)
    other = wire.stub(MACHINE, 9000, 'systemd.UnitWatchService', source='app-vm')
    for watching in [agent.watching, *[other] * 310]:
        with pytest.raises(grpc.RpcError) as raised:
            for _ in watching.WatchUnits(request, timeout=STEADY):
                pass
        assert raised.value.code() == StatusCode.RESOURCE_EXHAUSTED
    log = agent.fleet.journal(MACHINE, UNIT, [f'--after-cursor={cursor}'])
    assert log.count('admin-vm reads too slowly') == 1
    assert 0 < log.count('app-vm reads too slowly') <= 300


# --- what a unit uses

def test_monitor(agent):
    agent.add_unit('demo-burn.service', '[Service]\nExecStart=/bin/sh -c "while :; do :; done"\n')
    agent.call('StartUnit', 'demo-burn.service')
    stream, begin = agent.monitor('demo-burn.service'), time.monotonic()
    samples = [next(stream) for _ in range(3)]
    assert 2.5 < time.monotonic() - begin < 5
    assert all(5 < sample.cpu_usage < 110 for sample in samples), samples
    # Whether systemd accounts memory depends on the controllers that this machine gives to the fleet.
    shown = agent.fleet.run(MACHINE, 'systemctl show --value -p MemoryCurrent demo-burn', check=True).stdout
    assert all(0 < sample.memory_usage < 1 if shown.strip().isdigit() else sample.memory_usage == 0 for sample in samples)
    agent.call('StopUnit', 'demo-burn.service')
    next(stream)
    last = next(stream)
    assert (last.cpu_usage, last.memory_usage) == (0, 0)
    stream.cancel()


def test_one_peer_cannot_use_up_the_monitors(agent, wire):
    other = wire.stub(MACHINE, 9000, 'systemd.UnitControlService', source='app-vm')
    request = agent.pb.msg('systemd.UnitResourceRequest')(UnitName='demo-clock.service')
    with crowd(lambda: other.MonitorUnit(request), 8):
        next(agent.monitor('demo-clock.service'))


# --- without systemd, without the admin

def test_without_dbus(agent):
    with agent.watch('demo-clock.service') as watch:
        assert watch.next().ActiveState == 'inactive'
        # Calls of systemctl as root go to systemd itself.
        agent.fleet.run(MACHINE, ['systemctl', 'stop', 'dbus.service', 'dbus.socket'], check=True)
        try:
            code, text = agent.error('GetUnitStatus', 'demo-clock.service')
            assert (code, text) == (
                StatusCode.UNAVAILABLE, 'error fetching unit status: demo-clock.service: systemd cannot be reached')
            assert agent.error('StartUnit', 'demo-clock.service')[0] == StatusCode.UNAVAILABLE
            agent.fleet.run(MACHINE, ['systemctl', 'start', 'demo-clock'], check=True)
        finally:
            agent.fleet.run(MACHINE, ['systemctl', 'start', 'dbus.socket', 'dbus.service'], check=True)
        watch.until('demo-clock.service', 'active')


def test_it_registers_again_with_an_admin_that_has_forgotten_it(agent):
    journal = agent.journal()
    agent.fleet.run('admin-vm', ['systemctl', 'stop', 'givc-admin.service', 'givc-admin.socket'], check=True)
    journal.wait('Cannot reach admin-vm')
    agent.fleet.run('admin-vm', ['systemctl', 'start', 'givc-admin.socket', 'givc-admin.service'], check=True)
    journal.wait(f'Registered {OWN} and 8 units')
    assert 'demo-echo.service' in agent.fleet.givcctl('query-list', check=True).stdout


# --- reloading, stopping

def test_reload_changes_what_may_be_seen(agent):
    with agent.watch() as all_units, agent.watch('demo-clock.service') as clock, agent.watch('demo-echo.service') as echo:
        for _ in range(9):
            all_units.next()
        clock.next()
        echo.next()

        def change(config):
            config['capabilities']['services'].remove('demo-clock.service')
            config['capabilities']['services'].append('demo-hidden.service')
        journal = agent.journal()
        assert 'have been read again' in agent.configure(change)
        journal.wait(f'Registered {OWN} and 8 units')

        all_units.until('demo-hidden.service', 'inactive')
        with pytest.raises(grpc.RpcError) as raised:
            clock.next()
        assert raised.value.code() == StatusCode.PERMISSION_DENIED
        assert agent.error('StartUnit', 'demo-clock.service')[0] == StatusCode.PERMISSION_DENIED
        assert agent.call('StartUnit', 'demo-hidden.service').ActiveState == 'active'
        agent.call('StartUnit', 'demo-echo.service')
        echo.until('demo-echo.service', 'active')


def test_a_broken_configuration_changes_nothing(agent):
    text = agent.fleet.read_file(MACHINE, CONFIG).decode()
    line = text[:text.index('"port"')].count('\n') + 1
    with agent.watch('demo-clock.service') as watch:
        watch.next()
        journal = agent.journal()
        assert 'Not reloaded' in agent.reload(text.replace('"9000"', '"nine thousand"'))
        journal.wait(f'{CONFIG}:{line}: network.agent.transport.port: is "nine thousand", must be a number')
        assert 'Not reloaded' in agent.reload(text.replace('"9000"', '"9009"'))
        journal.wait('network.agent.transport is another: that takes a restart')
        agent.call('StartUnit', 'demo-clock.service')
        watch.until('demo-clock.service', 'active')


def test_a_broken_certificate_changes_nothing(agent, wire):
    good = agent.fleet.read_file(MACHINE, '/etc/givc/cert.pem')
    config = agent.fleet.read_file(MACHINE, CONFIG)
    try:
        agent.fleet.write_file(MACHINE, '/etc/givc/cert.pem', 'nonsense')
        journal = agent.journal()
        assert 'Not reloaded' in agent.reload(config)
        journal.wait('/cert.pem: no usable certificate')
        assert Agent(agent.fleet, wire).call('GetUnitStatus', OWN).ActiveState == 'active', 'new connections, too'
    finally:
        agent.fleet.write_file(MACHINE, '/etc/givc/cert.pem', good)
        assert 'have been read again' in agent.reload(config)


def test_it_stops_at_once_and_tells_its_watchers(agent):
    with agent.watch() as watch:
        watch.next()
        monitor = agent.monitor('demo-clock.service')
        next(monitor)
        slow = agent.control.StartUnit.future(agent.pb.msg('systemd.UnitRequest')(UnitName=OWN), timeout=STEADY)
        begin = time.monotonic()
        agent.fleet.run(MACHINE, ['systemctl', 'restart', UNIT], check=True)
        assert time.monotonic() - begin < 2 * agent.fleet.slowness
        with pytest.raises(grpc.RpcError) as raised:
            while True:
                watch.next()
        assert raised.value.code() == StatusCode.UNAVAILABLE
        assert raised.value.details() == 'the agent is stopping'
        with pytest.raises(grpc.RpcError) as raised:
            next(monitor)
        assert raised.value.code() == StatusCode.UNAVAILABLE
        assert slow.exception().code() == StatusCode.UNAVAILABLE
    agent.fleet.wait_unit(MACHINE, UNIT, 'running')


def test_a_start_that_fails_says_where_the_configuration_is_wrong(agent):
    config = agent.fleet.read_file(MACHINE, CONFIG)
    journal = agent.journal()
    try:
        agent.fleet.write_file(MACHINE, CONFIG, config.replace(b'"accessControl"', b'"x"')[:-3] + b', "accessControl": {"enable": true}}\n')
        agent.fleet.run(MACHINE, ['systemctl', 'restart', UNIT])
        journal.wait(rf'{CONFIG}:\d+: accessControl.rulesFile: is missing')
    finally:
        agent.fleet.write_file(MACHINE, CONFIG, config)
        agent.fleet.run(MACHINE, ['systemctl', 'restart', UNIT], check=True)
