# SPDX-License-Identifier: GPL-2.0-or-later
"""Applications, asked of the admin and of the agent: started, handed over, paused, stopped, and how they end."""
import contextlib
import json
import queue
import threading
import time

import grpc
import pytest
from grpc import StatusCode

from miniature import HOST, Fleet, Journal

STEADY = 20  # seconds: what should come at once, and has not come by then, does not come
VM = 'app-vm'

# Shows what it was started with.
RECORD = r"""#!/bin/sh
printf '%s\0' "$@" >/run/record-args.new; env >/run/record-env
mv /run/record-args.new /run/record-args
exec sleep infinity
"""
# Ends as it is told to, once it is told so.
ACT = r"""#!/bin/bash
[ "$1" = --at-once ] || read -r line </run/act
case $1 in
--at-once) exit 0 ;;
--exit) exit 3 ;;
--segv) kill -SEGV $$ ;;
esac
"""
APPLICATIONS = [
    {'name': 'sleeper', 'command': '/bin/sleep infinity', 'args': [], 'directories': []},
    {'name': 'dozer', 'command': '/bin/sleep infinity', 'args': None, 'directories': None},
    {'name': 'viewer', 'command': '/usr/local/bin/record  first', 'args': ['flag', 'url', 'file'],
     'directories': ['/srv/share']},
    {'name': 'actor', 'command': '/usr/local/bin/act', 'args': ['flag']},
    {'name': 'browser', 'command': '/usr/bin/flock -n -E 0 /run/browser.lock sleep infinity'},
    {'name': 'missing', 'command': '/usr/bin/is-not-there'},
]


class Applications:
    """What the host, as any user of the fleet, sees and does."""

    def __init__(self, fleet, wire):
        self.fleet, self.pb = fleet, wire.pb
        self.admin = wire.stub('admin-vm', 9001, 'admin.AdminService', source=HOST)
        agent = wire.channel(VM, 9000, source=HOST)
        self.agent = wire.pb.stub(agent, 'systemd.UnitControlService')

    def request(self, name, *args, vm=VM):
        return self.pb.msg('admin.ApplicationRequest')(AppName=name, Args=args, **({'VmName': vm} if vm else {}))

    def start(self, name, *args, vm=VM, timeout=STEADY):
        return self.admin.StartApplication(self.request(name, *args, vm=vm), timeout=timeout).registryId

    def operate(self, method, name, vm=None):
        answer = getattr(self.admin, method)(self.request(name, vm=vm), timeout=STEADY)
        assert (answer.CmdStatus, answer.AppStatus) == ('Command successful.', 'Command successful.')

    def refusal(self, function, *arguments, **options):
        with pytest.raises(grpc.RpcError) as raised:
            function(*arguments, **options)
        return raised.value.code(), raised.value.details()

    def entries(self):
        return {item.Name: item for item in self.admin.QueryList(self.pb.msg('admin.Empty')(), timeout=STEADY).List}

    def running(self):
        return sorted(name for name, item in self.entries().items() if item.ServiceType == 'App')

    def unit(self, name):
        return self.fleet.unit(VM, name)

    def watch(self):
        return Watch(self.admin.Watch(self.pb.msg('admin.Empty')()))

    def journal(self, machine):
        return Journal(self.fleet, machine)


class Watch:
    """The admin's, read all the time; each item with the time at which it came."""

    def __init__(self, stream):
        self.stream, self._items = stream, queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        assert self._items.get(timeout=STEADY)[1].WhichOneof('Status') == 'Initial'

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.cancel()

    def _read(self):
        try:
            for item in self.stream:
                self._items.put((time.monotonic(), item))
        except grpc.RpcError as error:
            self._items.put((time.monotonic(), error))

    def until(self, kind, name, timeout=STEADY, **fields):
        """Everything up to that change, as "Kind name", and when it came."""
        seen = []
        while True:
            when, item = self._items.get(timeout=timeout)
            assert not isinstance(item, grpc.RpcError), item
            change = item.WhichOneof('Status')
            entry = getattr(item, change)
            seen.append(f'{change} {entry.Name}')
            if (change, entry.Name) == (kind, name) and all(getattr(entry, k) == v for k, v in fields.items()):
                return seen, when


def with_applications(applications):
    def configure(spec):
        for machine in spec['machines']:
            for entry in machine['files']:
                if entry['path'] == '/etc/givc/agent.json' and machine['name'] in applications:
                    config = json.loads(entry['content'])
                    config['capabilities']['applications'] = applications[machine['name']]
                    entry['content'] = json.dumps(config, indent=2)
    return configure


def script(path, text):
    return {'path': path, 'kind': 'file', 'content': text, 'mode': 0o755}


@pytest.fixture(scope='module')
def fleet(destdir):
    guests = ('admin-vm', VM, 'late-vm', 'mute-vm', 'bad-vm')
    sleeper = [APPLICATIONS[0], {'name': 'late', 'command': '/bin/sleep infinity'}]
    unusable = [{'path': '/etc/systemd/system/givc-agent.service.d/mute.conf', 'kind': 'file', 'mode': 0o644,
                 'content': '[Service]\nExecStart=\nExecStart=/bin/false\nRestart=no\n'}]
    down = [{'path': '/etc/systemd/system/microvm@bad-vm.service.d/bad.conf', 'kind': 'file', 'mode': 0o644,
             'content': '[Service]\nExecStart=\nExecStart=/bin/false\n'}]
    files = {VM: [script('/usr/local/bin/record', RECORD), script('/usr/local/bin/act', ACT)],
             'mute-vm': unusable, HOST: down}
    with Fleet(destdir, guests=guests, autostart=('admin-vm', VM), files=files,
               configure=with_applications({VM: APPLICATIONS, 'late-vm': sleeper, 'mute-vm': sleeper, 'bad-vm': sleeper})) as fleet:
        fleet.wait_registered()
        fleet.run(VM, 'mkdir -p /srv/share /srv/sharefoo; mkfifo /run/act; cd /srv; '
                      'touch share/{a,\'$HOME b\'} sharefoo/a secret; ln -s ../secret share/out', check=True)
        yield fleet


@pytest.fixture
def apps(fleet, wire):
    """With no application running, before and after."""
    apps = Applications(fleet, wire)
    yield apps
    with apps.watch() as watch:
        left = apps.running()
        for name in left:
            with contextlib.suppress(grpc.RpcError):  # it may just have stopped; that it has is waited for below
                if name.startswith('late@') or name.startswith('sleeper@'):
                    apps.operate('ResumeApplication', name)
                apps.operate('StopApplication', name)
        for name in left:
            if name in apps.running():
                watch.until('Removed', name)


# --- starting

def test_start_and_stop(apps):
    with apps.watch() as watch:
        assert apps.start('sleeper') == 'sleeper@0.service'
        watch.until('Added', 'sleeper@0.service', VmStatus='Running')
        item = apps.entries()['sleeper@0.service']
        assert (item.ServiceType, item.VmType, item.VmName, item.AgentName, item.Description) == (
            'App', 'AppVM', VM, 'givc-app-vm.service', 'Application service for sleeper')
        unit = apps.unit('sleeper@0.service')
        assert (unit['ActiveState'], unit['SubState']) == ('active', 'running')
        shown = apps.fleet.run(VM, ['systemctl', 'show', '-p', 'Type,Transient,CollectMode', 'sleeper@0.service']).stdout
        assert sorted(shown.split()) == ['CollectMode=inactive-or-failed', 'Transient=yes', 'Type=exec']
        apps.operate('StopApplication', 'sleeper@0.service')
        watch.until('Removed', 'sleeper@0.service')
    assert apps.unit('sleeper@0.service')['LoadState'] == 'not-found'
    assert apps.running() == []


def test_who_does_not_wait_for_what_he_starts_has_not_started_less(apps):
    """While systemd is out of reach, it stays one of his 20 operations."""
    request = apps.pb.msg('systemd.AppUnitRequest')
    bus = apps.unit('dbus.service')['MainPID']
    apps.fleet.run(VM, ['kill', '-STOP', bus], check=True)
    try:
        calls = [apps.agent.StartApplication.future(request(UnitName=f'sleeper@{n}.service'), timeout=2) for n in range(20)]
        assert {call.code() for call in calls} == {StatusCode.DEADLINE_EXCEEDED}
        code, details = apps.refusal(apps.agent.StartApplication, request(UnitName='sleeper@20.service'), timeout=STEADY)
        assert code is StatusCode.RESOURCE_EXHAUSTED and 'may have 20 now' in details
    finally:
        apps.fleet.run(VM, ['kill', '-CONT', bus], check=True)
    apps.fleet.wait_for(lambda: len(apps.running()) == 20, VM, what='all of them run')


def test_the_lowest_free_number(apps):
    assert [apps.start('sleeper') for _ in range(3)] == [f'sleeper@{n}.service' for n in range(3)]
    apps.operate('StopApplication', 'sleeper@1.service')
    assert apps.start('sleeper') == 'sleeper@1.service'
    assert apps.start('sleeper') == 'sleeper@3.service'


def test_a_second_instance_is_not_slow(apps):
    apps.start('sleeper')
    begin = time.monotonic()
    apps.start('sleeper')
    assert time.monotonic() - begin < 1.5


def test_concurrent_starts_do_not_collide(apps):
    starting = [apps.admin.StartApplication.future(apps.request('sleeper'), timeout=STEADY) for _ in range(20)]
    names = [start.result().registryId for start in starting]
    assert sorted(names) == sorted(f'sleeper@{n}.service' for n in range(20))
    assert apps.running() == sorted(names)


def test_arguments_and_environment(apps):
    args = ['-f', '--new-window', 'https://example.com/?q=a&hl=en', '/srv/share/a', '/srv/share/$HOME b']
    name = apps.start('viewer', *args)
    apps.fleet.wait_for(lambda: apps.fleet.run(VM, ['test', '-e', '/run/record-args']).returncode == 0, VM)
    assert apps.fleet.read_file(VM, '/run/record-args').decode().split('\0')[:-1] == ['first', *args]
    environment = dict(line.split('=', 1) for line in apps.fleet.read_file(VM, '/run/record-env').decode().splitlines())
    agent = apps.fleet.unit(VM, 'givc-agent.service')['MainPID']
    theirs = dict(line.split('=', 1) for line in apps.fleet.run(
        VM, f'tr "\\0" "\\n" </proc/{agent}/environ', check=True).stdout.splitlines())
    assert environment['PATH'] == theirs['PATH']
    assert environment['INVOCATION_ID'] != theirs['INVOCATION_ID']
    assert not {'NOTIFY_SOCKET', 'LISTEN_FDS', 'WATCHDOG_USEC'} & set(environment)
    apps.operate('StopApplication', name)


@pytest.mark.parametrize('name, args, words', [
    ('sleeper', ['-x'], 'argument 1 is a flag'),
    ('sleeper', ['https://example.com'], 'does not take'),
    ('viewer', ['-x', '-x;reboot'], 'argument 2'),
    ('viewer', ['-'], 'is not a flag'),
    ('viewer', ['file:///etc/passwd'], 'is not an URL'),
    ('viewer', ['https://user@example.com'], 'is not an URL'),
    ('viewer', ['https://example.com/$(reboot)'], 'is not an URL'),
    ('viewer', ['/etc/passwd'], 'is not in a directory'),
    ('viewer', ['/srv/sharefoo/a'], 'is not in a directory'),
    ('viewer', ['/srv/share/out'], 'is not in a directory'),
    ('viewer', ['/srv/share/../secret'], 'is not a clean absolute path'),
    ('viewer', ['/srv/share/none'], 'is not there'),
    ('viewer', [''], 'is not an URL'),
    ('viewer', ['-x'] * 65, 'too many'),
    ('viewer', ['https://example.com/' + 'x' * 5000], 'is too long'),
])
def test_arguments_that_are_refused(apps, name, args, words):
    code, text = apps.refusal(apps.start, name, *args)
    assert code == StatusCode.INVALID_ARGUMENT
    assert 'cannot start application: ' in text and words in text
    assert apps.running() == []


@pytest.mark.parametrize('name, code', [
    ('unknown', StatusCode.NOT_FOUND), ('givc-app', StatusCode.NOT_FOUND), ('', StatusCode.INVALID_ARGUMENT),
    ('../sleeper', StatusCode.INVALID_ARGUMENT), ('sleeper@0', StatusCode.INVALID_ARGUMENT), ('a b', StatusCode.INVALID_ARGUMENT),
    ('x' * 300, StatusCode.INVALID_ARGUMENT),
])
def test_applications_that_are_refused(apps, name, code):
    assert apps.refusal(apps.start, name)[0] == code


def test_vms_that_are_refused(apps):
    assert apps.refusal(apps.start, 'sleeper', vm='../x')[0] == StatusCode.INVALID_ARGUMENT
    code, text = apps.refusal(apps.start, 'sleeper', vm='ghost-vm')
    assert code == StatusCode.NOT_FOUND and 'microvm@ghost-vm.service' in text
    code, text = apps.refusal(apps.start, 'sleeper', vm=None)
    assert code == StatusCode.NOT_FOUND and 'microvm@sleeper-vm.service' in text


def test_a_program_that_is_not_there(apps):
    journal = apps.journal(VM)
    code, text = apps.refusal(apps.start, 'missing')
    assert code == StatusCode.FAILED_PRECONDITION
    assert 'could not be executed' in text
    journal.wait('Application missing@0.service has failed')
    assert apps.running() == []
    assert apps.refusal(apps.start, 'missing')[0] == StatusCode.FAILED_PRECONDITION, 'the name is free again'


def test_what_has_ended_is_not_registered(apps):
    with apps.watch() as watch:
        assert apps.start('actor', '--at-once') == 'actor@0.service'
        if 'actor@0.service' in apps.running():  # it has not ended yet: a busy machine
            watch.until('Removed', 'actor@0.service')
    assert 'actor@0.service' not in apps.running()
    assert apps.start('actor', '--at-once') == 'actor@0.service'


def test_hand_over(apps):
    assert apps.start('browser') == 'browser@0.service'
    begin = time.monotonic()
    assert apps.start('browser') == 'browser@0.service'
    assert time.monotonic() - begin < 1
    assert apps.running() == ['browser@0.service']


# --- how it ends

@pytest.mark.parametrize('how, result, words, failed', [
    ('--exit', 'exit-code', 'its main process exited with status 3', True),
    ('--segv', 'signal', 'its main process was killed by SIGSEGV', True),
    ('--well', 'success', 'its main process exited with status 0', False),
])
def test_an_end_is_told_at_once_with_its_result(apps, how, result, words, failed):
    name = apps.start('actor', how)
    journals = apps.journal(VM), apps.journal('admin-vm')
    with apps.watch() as watch:
        apps.fleet.run(VM, 'echo >/run/act', check=True)
        watch.until('Removed', name, Result=words)
    assert name not in apps.running()
    for journal, where in zip(journals, ('', f' in {VM}')):
        entry = journal.wait_entry(f'Application {name}')
        assert entry['MESSAGE'] == f'Application {name}{where} has {"failed" if failed else "ended"}: {words}.'
        assert (entry['GIVC_RESULT'], entry['GIVC_UNIT'], entry['PRIORITY']) == (result, name, '4' if failed else '6')
        assert len(entry['MESSAGE_ID']) == 32


def test_an_end_for_want_of_memory_is_told_as_such(apps):
    """Marked as systemd-oomd marks what it kills: memory itself cannot be taken where the kernel's controller is another's."""
    name = apps.start('sleeper')
    journal = apps.journal('admin-vm')
    group = apps.fleet.run(VM, ['systemctl', 'show', '-P', 'ControlGroup', name], check=True).stdout.strip()
    mark = 'import os, sys; [os.setxattr(sys.argv[1], f"user.oomd_{what}", b"1") for what in ("ooms", "kill")]'
    with apps.watch() as watch:
        apps.fleet.run(VM, ['/usr/bin/python3', '-c', mark, f'/sys/fs/cgroup{group}'], check=True)
        apps.fleet.run(VM, ['systemctl', 'kill', '-s', 'KILL', name], check=True)
        watch.until('Removed', name, Result='memory ran out')
    assert journal.wait_entry(f'Application {name}')['GIVC_RESULT'] == 'oom-kill'


def test_an_end_leaves_the_registry_within_milliseconds(apps):
    delays = []
    for _ in range(5):
        name = apps.start('sleeper')
        pid = int(apps.unit(name)['MainPID'])
        with apps.watch() as watch:
            begin = time.monotonic()
            apps.fleet.run(VM, ['kill', '-TERM', str(pid)], check=True)
            delays.append(watch.until('Removed', name)[1] - begin)
    assert sorted(delays)[2] < 0.5, delays  # nsenter and kill are in it, too


def test_a_killed_one_is_removed_and_its_name_is_free(apps):
    apps.start('sleeper')
    with apps.watch() as watch:
        request = apps.pb.msg('systemd.UnitRequest')(UnitName='sleeper@0.service')
        apps.agent.KillUnit(request, timeout=STEADY)
        watch.until('Removed', 'sleeper@0.service')
    assert apps.start('sleeper') == 'sleeper@0.service'


# --- pause, resume, stop

def test_pause_and_resume(apps):
    apps.start('sleeper')
    with apps.watch() as watch:
        apps.operate('PauseApplication', 'sleeper@0.service')
        watch.until('Updated', 'sleeper@0.service', VmStatus='Paused')
        assert apps.unit('sleeper@0.service')['FreezerState'] == 'frozen'
        apps.operate('ResumeApplication', 'sleeper@0.service')
        watch.until('Updated', 'sleeper@0.service', VmStatus='Running')


def test_by_prefix(apps):
    for name in ('sleeper', 'sleeper', 'dozer'):
        apps.start(name)
    with apps.watch() as watch:
        apps.operate('PauseApplication', 'sleeper@')
        for n in range(2):
            assert apps.unit(f'sleeper@{n}.service')['FreezerState'] == 'frozen'
        assert apps.unit('dozer@0.service')['FreezerState'] == 'running'
        apps.operate('ResumeApplication', 'sleeper')
        apps.operate('StopApplication', 'sleeper@', vm=VM)
        for n in range(2):
            assert apps.unit(f'sleeper@{n}.service')['LoadState'] == 'not-found'
        watch.until('Removed', 'sleeper@1.service')
    assert apps.running() == ['dozer@0.service']


def test_a_paused_one_is_stopped(apps):
    apps.start('sleeper')
    apps.operate('PauseApplication', 'sleeper@0.service')
    with apps.watch() as watch:
        apps.operate('StopApplication', 'sleeper@0.service')
        watch.until('Removed', 'sleeper@0.service')


@pytest.mark.parametrize('method', ['PauseApplication', 'ResumeApplication', 'StopApplication'])
def test_nothing_matches(apps, method):
    apps.start('sleeper')
    for name, vm in (('sleeper@1.service', None), ('dozer@', None), ('', None), ('@', None), ('slee', None), ('givc-app-vm.service', None),
                     ('sleeper@0.service', 'late-vm')):
        assert apps.refusal(apps.operate, method, name, vm)[0] == StatusCode.NOT_FOUND, name


# --- at the agent itself

def start_at_agent(apps, unit, *args):
    request = apps.pb.msg('systemd.AppUnitRequest')(UnitName=unit, Args=args)
    return apps.agent.StartApplication(request, timeout=STEADY).UnitStatus


def test_what_others_start_is_registered(apps):
    with apps.watch() as watch:
        status = start_at_agent(apps, 'sleeper@7.service')
        assert (status.Name, status.ActiveState, status.SubState) == ('sleeper@7.service', 'active', 'running')
        watch.until('Added', 'sleeper@7.service', VmStatus='Running')
    assert apps.refusal(start_at_agent, apps, 'sleeper@7.service')[0] == StatusCode.ALREADY_EXISTS
    apps.operate('StopApplication', 'sleeper@7.service')


def test_an_instance_that_the_admin_does_not_know_is_stepped_over(apps):
    apps.fleet.run(VM, ['systemd-run', '--unit=sleeper@0.service', 'sleep', 'infinity'], check=True)
    try:
        assert apps.start('sleeper') == 'sleeper@1.service'
    finally:
        apps.fleet.run(VM, ['systemctl', 'stop', 'sleeper@0.service'], check=True)


@pytest.mark.parametrize('unit', ['unknown@0.service', 'sleeper.service', 'sleeper@.service', 'sleeper@0.socket', 'sleeper@0',
                                  'sleeper@a.b.service', 'demo-app-vm.service', '', 'x' * 100000])
def test_units_that_are_no_instances(apps, unit):
    code, text = apps.refusal(start_at_agent, apps, unit)
    assert code == StatusCode.NOT_FOUND
    assert text.startswith('cannot start application: ')


def test_only_numbered_instances_are_shown(apps):
    assert start_at_agent(apps, 'sleeper@word.service').ActiveState == 'active'
    request = apps.pb.msg('systemd.UnitRequest')(UnitName='sleeper@word.service')
    assert apps.refusal(apps.agent.GetUnitStatus, request, timeout=STEADY)[0] == StatusCode.NOT_FOUND
    assert apps.refusal(apps.agent.StopUnit, request, timeout=STEADY)[0] == StatusCode.PERMISSION_DENIED
    assert apps.running() == []
    apps.fleet.run(VM, ['systemctl', 'stop', 'sleeper@word.service'], check=True)


def test_units_of_an_instance_that_is_not_there(apps):
    request = apps.pb.msg('systemd.UnitRequest')(UnitName='sleeper@9.service')
    assert apps.refusal(apps.agent.GetUnitStatus, request, timeout=STEADY)[0] == StatusCode.NOT_FOUND
    assert apps.agent.StopUnit(request, timeout=STEADY).UnitStatus.ActiveState == 'inactive'


# --- restarts

def test_over_a_restart_of_the_agent(apps):
    for name in ('sleeper', 'sleeper', 'dozer'):
        apps.start(name)
    pids = {name: apps.unit(name)['MainPID'] for name in apps.running()}
    with apps.watch() as watch:
        apps.fleet.run(VM, ['systemctl', 'stop', 'givc-agent.socket', 'givc-agent.service'], check=True)
        apps.fleet.run(VM, ['systemctl', 'stop', 'sleeper@1.service'], check=True)
        apps.fleet.run(VM, ['systemctl', 'start', 'givc-agent.socket', 'givc-agent.service'], check=True)
        seen, _ = watch.until('Removed', 'sleeper@1.service')
        apps.fleet.wait_registered([VM])
        assert apps.running() == ['dozer@0.service', 'sleeper@0.service']
        assert {name: apps.unit(name)['MainPID'] for name in apps.running()} == {
            name: pid for name, pid in pids.items() if name != 'sleeper@1.service'}
        # They are followed as before.
        apps.fleet.run(VM, ['systemctl', 'stop', 'dozer@0.service'], check=True)
        more, _ = watch.until('Removed', 'dozer@0.service')
    assert [change for change in seen + more if change.startswith('Removed')] == [
        'Removed sleeper@1.service', 'Removed dozer@0.service']


def test_over_a_restart_of_the_admin(apps, wire):
    for name in ('sleeper', 'dozer'):
        apps.start(name)
    apps.fleet.run('admin-vm', ['systemctl', 'stop', 'givc-admin.service'], check=True)
    apps.fleet.run(VM, ['systemctl', 'stop', 'dozer@0.service'], check=True)
    apps.fleet.run('admin-vm', ['systemctl', 'start', 'givc-admin.service'], check=True)
    apps.fleet.wait_registered()
    after = Applications(apps.fleet, wire)
    with after.watch() as watch:
        if 'dozer@0.service' in after.running():
            watch.until('Removed', 'dozer@0.service')
        assert after.running() == ['sleeper@0.service']
        after.operate('StopApplication', 'sleeper@')
        watch.until('Removed', 'sleeper@0.service')


# --- on demand

def test_its_vm_is_started_once_for_all(apps):
    assert not apps.fleet.is_running('late-vm')
    starting = [apps.admin.StartApplication.future(apps.request('late', vm=None), timeout=60) for _ in range(5)]
    starting += [apps.admin.StartApplication.future(apps.request('sleeper', vm='late-vm'), timeout=60)]
    names = [start.result().registryId for start in starting]
    assert sorted(names) == [*(f'late@{n}.service' for n in range(5)), 'sleeper@0.service']
    assert apps.entries()['late@0.service'].VmName == 'late-vm'
    assert apps.fleet.unit(HOST, 'microvm@late-vm.service')['NRestarts'] == '0'
    with apps.watch() as watch:
        apps.fleet.kill_vm('late-vm')
        watch.until('Removed', 'givc-late-vm.service')
    assert apps.running() == []


def test_a_vm_whose_agent_does_not_come(apps):
    begin = time.monotonic()
    code, text = apps.refusal(apps.start, 'sleeper', vm='mute-vm', timeout=5)
    assert code == StatusCode.DEADLINE_EXCEEDED
    assert 'givc-mute-vm.service has not registered in time' in text
    assert time.monotonic() - begin < 6
    # Whoever waits hears at once that it has gone.
    starting = apps.admin.StartApplication.future(apps.request('sleeper', vm='mute-vm'), timeout=60)
    with pytest.raises(grpc.FutureTimeoutError):
        starting.exception(timeout=0.5)
    apps.fleet.kill_vm('mute-vm')
    assert starting.exception(timeout=STEADY).code() == StatusCode.FAILED_PRECONDITION
    assert 'has gone down' in starting.exception().details()


def test_a_vm_that_cannot_be_started(apps):
    code, text = apps.refusal(apps.start, 'sleeper', vm='bad-vm')
    assert code == StatusCode.FAILED_PRECONDITION
    assert text.startswith('cannot start VM bad-vm')
