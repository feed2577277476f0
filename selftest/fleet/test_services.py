# SPDX-License-Identifier: GPL-2.0-or-later
"""What agents offer beside units, each against the real thing, and what the admin passes on to them."""
import contextlib
import json
import re
import subprocess
import time

import grpc
import pytest
from grpc import StatusCode

import contents
from miniature import HOST, Fleet, Journal, wait_line
from wire import Wire

GUESTS = ('admin-vm', 'net-vm', 'gui-vm', 'app-vm')
STEADY = 30  # seconds: what should come at once, and has not come by then, does not come
NOTIFIER = '/run/notifier'
STORED = '/var/lib/private/givc-admin'

# Security keys: what each program does shows what it was given.
QCTAP = {
    'qctap-get-info': '#!/bin/sh\necho "arguments: $*"\nexec cat\n',
    'qctap-client-pin': '#!/bin/sh\necho no PIN >&2\nexit 3\n',
    'qctap-get-assertion': '#!/bin/sh\nexec yes\n',
    'qctap-make-credential': '#!/bin/sh\nsleep infinity &\necho $$ $! >/run/touched\nwait\n',
}


def configuration(name, where, capabilities):
    config = contents.agent_config(name, contents.kind_of(name), where, contents.exposed_units(name))
    config['capabilities'].update(capabilities)
    return contents.file('/etc/givc/agent.json', json.dumps(config, indent=2))


@pytest.fixture(scope='module')
def fleet(destdir):
    where = contents.addresses([HOST, *GUESTS])
    files = {
        HOST: [contents.file('/usr/local/bin/ghaf-version', '#!/bin/sh\necho 25.09.1\necho more\n', 0o755)],
        'net-vm': [configuration('net-vm', where, {'hwid': {'enable': True, 'interface': 'host0'}})],
        'gui-vm': [configuration('gui-vm', where, {'ctap': {'enable': True}, 'hwid': {'enable': True},
                                                   'notifier': {'enable': True, 'socket': NOTIFIER}})],
    }
    files['gui-vm'] += [contents.file(f'/usr/local/bin/{name}', text, 0o755) for name, text in QCTAP.items()]
    with Fleet(destdir, guests=GUESTS, files=files) as fleet:
        fleet.wait_registered()
        yield fleet


class Peers:
    """The admin, and an agent, as a machine reaches them."""

    def __init__(self, wire):
        self.wire, self.pb = wire, wire.pb
        self.admin_stub = wire.stub('admin-vm', 9001, 'admin.AdminService', source=HOST)
        self._agents = {}

    def admin(self, method, message='admin.Empty', timeout=STEADY, **fields):
        return getattr(self.admin_stub, method)(self.pb.msg(message)(**fields), timeout=timeout)

    def agent(self, machine, service, method, message, source='admin-vm', timeout=STEADY, **fields):
        key = machine, service, source
        if key not in self._agents:
            self._agents[key] = self.wire.stub(machine, 9000, service, source=source)
        return getattr(self._agents[key], method)(self.pb.msg(message)(**fields), timeout=timeout)

    def set_locale(self, timeout=STEADY, **assignments):
        keys = self.pb.enum('locale.LocaleMacroKey')
        made = [self.pb.msg('locale.LocaleAssignment')(key=keys[key], value=value) for key, value in assignments.items()]
        return self.admin('SetLocale', 'admin.LocaleRequest', timeout, assignments=made)

    def set_timezone(self, name, timeout=STEADY):
        return self.admin('SetTimezone', 'admin.TimezoneRequest', timeout, Timezone=name)


@pytest.fixture(scope='module')
def peers(fleet):
    with Wire(fleet) as wire:
        yield Peers(wire)


def refusal(call, *arguments, **options):
    with pytest.raises(grpc.RpcError) as raised:
        call(*arguments, **options)
    return raised.value.code(), raised.value.details()


def localed(fleet, machine):
    """What systemd-localed says, and what the manager hands to units."""
    shown = fleet.run(machine, ['busctl', '--json=short', 'get-property', 'org.freedesktop.locale1',
                                '/org/freedesktop/locale1', 'org.freedesktop.locale1', 'Locale'], check=True).stdout
    environment = fleet.run(machine, ['systemctl', 'show-environment'], check=True).stdout
    return set(json.loads(shown)['data']), set(re.findall(r'^(?:LANG|LC_.*)=.*$', environment, re.M))


def timezone(fleet, machine):
    link = fleet.run(machine, ['readlink', '/etc/localtime']).stdout
    return link.partition('zoneinfo/')[2].strip()


@contextlib.contextmanager
def masked(fleet, machine, unit):
    fleet.run(machine, ['systemctl', 'mask', '--runtime', '--now', unit], check=True)
    yield
    fleet.run(machine, ['systemctl', 'unmask', '--runtime', unit], check=True)


# --- locale and time zone

def test_locale_is_set_everywhere(fleet, peers):
    peers.set_locale(LANG='C.UTF-8', LC_TIME='POSIX', LC_ALL='C')
    for machine in fleet.names:
        assert localed(fleet, machine) == ({'LANG=C.UTF-8', 'LC_TIME=POSIX'},
                                           {'LANG=C.UTF-8', 'LC_TIME=POSIX', 'LC_ALL=C'})
    assert fleet.read_file('admin-vm', f'{STORED}/locale-givc.conf') == b'LANG=C.UTF-8\nLC_TIME=POSIX\nLC_ALL=C\n'

    peers.set_locale(LC_PAPER='POSIX')
    for machine in fleet.names:
        kept = {'LANG=C.UTF-8', 'LC_TIME=POSIX', 'LC_PAPER=POSIX'}
        assert localed(fleet, machine) == (kept, kept), 'what is not assigned stays, but LC_ALL'
    assert fleet.read_file('admin-vm', f'{STORED}/locale-givc.conf') == b'LANG=C.UTF-8\nLC_PAPER=POSIX\nLC_TIME=POSIX\n'


def test_time_zone_is_set_everywhere(fleet, peers):
    for name in ('America/Argentina/Buenos_Aires', 'UTC'):
        peers.set_timezone(name)
        assert [timezone(fleet, machine) for machine in fleet.names] == [name] * len(fleet.names)
        assert fleet.read_file('admin-vm', f'{STORED}/timezone.conf') == f'{name}\n'.encode()


@pytest.mark.parametrize('value', ['', 'english', 'de_DE.UTF-8; reboot', 'de_DE\nLC_ALL=x', 'C@euro', '../C'])
def test_what_is_no_locale_is_refused(fleet, peers, value):
    before = fleet.read_file('admin-vm', f'{STORED}/locale-givc.conf')
    code, text = refusal(peers.set_locale, LANG=value)
    assert code == StatusCode.INVALID_ARGUMENT and 'de_DE' in text
    code, _ = refusal(peers.agent, 'net-vm', 'locale.LocaleClient', 'LocaleSet', 'locale.LocaleMessage',
                      assignments=[peers.pb.msg('locale.LocaleAssignment')(key=0, value=value)])
    assert code == StatusCode.INVALID_ARGUMENT
    assert fleet.read_file('admin-vm', f'{STORED}/locale-givc.conf') == before


def test_a_locale_assigns_something_and_nothing_twice(peers):
    assignment = peers.pb.msg('locale.LocaleAssignment')
    for assignments in ([], [assignment(key=1, value='C'), assignment(key=1, value='C')], [assignment(key=99, value='C')]):
        code, _ = refusal(peers.admin, 'SetLocale', 'admin.LocaleRequest', assignments=assignments)
        assert code == StatusCode.INVALID_ARGUMENT
        code, _ = refusal(peers.agent, 'net-vm', 'locale.LocaleClient', 'LocaleSet', 'locale.LocaleMessage',
                          assignments=assignments)
        assert code == StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize('value', ['', 'europe/helsinki', 'Europe/', '/UTC', 'Europe/../UTC', 'UTC\n'])
def test_what_is_no_time_zone_is_refused(peers, value):
    assert refusal(peers.set_timezone, value)[0] == StatusCode.INVALID_ARGUMENT
    assert refusal(peers.agent, 'net-vm', 'locale.LocaleClient', 'TimezoneSet', 'locale.TimezoneMessage',
                   Timezone=value)[0] == StatusCode.INVALID_ARGUMENT


def test_who_cannot_set_it_is_named(fleet, peers):
    with masked(fleet, 'net-vm', 'systemd-timedated.service'):
        code, text = refusal(peers.set_timezone, 'Europe/Helsinki')
    assert code != StatusCode.INVALID_ARGUMENT
    assert 'not set in 1 of 5 machines: givc-net-vm.service: ' in text and 'gui-vm' not in text
    assert timezone(fleet, 'gui-vm') == 'Europe/Helsinki' != timezone(fleet, 'net-vm')

    peers.set_timezone('UTC')


def test_what_no_machine_has_is_not_kept(fleet, peers):
    peers.set_timezone('Asia/Tokyo')
    code, text = refusal(peers.set_timezone, 'Mars/Olympus_Mons')
    assert code == StatusCode.INVALID_ARGUMENT
    assert 'stays as it was, none of 5 machines has that one: givc-' in text
    assert text.count('.service') == 5 and text.count('Olympus_Mons') == 1, 'what all say is said once'
    assert fleet.read_file('admin-vm', f'{STORED}/timezone.conf') == b'Asia/Tokyo\n'
    peers.set_timezone('UTC')


def test_who_was_off_is_told_when_it_registers_also_after_a_restart(fleet, peers):
    fleet.stop_vm('net-vm')
    fleet.wait_log('admin-vm', 'givc-net-vm.service.*(is lost|has left)', since_boot=True)
    peers.set_timezone('Asia/Tokyo')
    peers.set_locale(LC_NAME='POSIX')
    fleet.run('admin-vm', ['systemctl', 'restart', 'givc-admin.service'], check=True)
    fleet.start_vm('net-vm')
    fleet.wait_log('net-vm', 'the time zone is set', unit='givc-agent.service', timeout=STEADY)
    fleet.wait_log('net-vm', 'the locale is set', unit='givc-agent.service', timeout=STEADY)
    assert timezone(fleet, 'net-vm') == 'Asia/Tokyo'
    assert localed(fleet, 'net-vm') == localed(fleet, 'gui-vm') and 'LC_NAME=POSIX' in localed(fleet, 'net-vm')[1]
    fleet.wait_registered()


def test_an_agent_that_comes_back_is_told_again(fleet, peers):
    # Behind the back of timedated, which remembers what it set.
    fleet.run('net-vm', ['systemctl', 'stop', 'systemd-timedated.service'], check=True)
    fleet.run('net-vm', ['ln', '-sf', '/usr/share/zoneinfo/Etc/GMT+9', '/etc/localtime'], check=True)
    journal = Journal(fleet, 'net-vm', 'givc-agent.service')
    fleet.run('net-vm', ['systemctl', 'kill', '-s', 'KILL', 'givc-agent.service'], check=True)
    journal.wait('the time zone is set')
    assert timezone(fleet, 'net-vm') == timezone(fleet, 'gui-vm')
    fleet.wait_registered()


def test_a_frozen_machine_is_named_and_told_later(fleet, peers):
    journal = Journal(fleet, 'net-vm', 'givc-agent.service')
    fleet.run(HOST, ['systemctl', 'freeze', 'microvm@net-vm.service'], check=True)
    try:
        code, text = refusal(peers.set_timezone, 'Africa/Cairo', timeout=2)
        assert code == StatusCode.DEADLINE_EXCEEDED
        assert 'givc-net-vm.service' in text and timezone(fleet, 'gui-vm') == 'Africa/Cairo'
    finally:
        fleet.run(HOST, ['systemctl', 'thaw', 'microvm@net-vm.service'], check=True)
    # What was asked before the frost may be done, too: both set the same.
    journal.wait('the time zone is set')
    assert timezone(fleet, 'net-vm') == 'Africa/Cairo'
    fleet.wait_registered()


def test_givcctl_sets_and_asks(fleet):
    fleet.givcctl('set-timezone', 'Europe/Berlin', check=True)
    fleet.givcctl('set-locale', 'LANG=C.UTF-8', check=True)
    assert [timezone(fleet, machine) for machine in fleet.names] == ['Europe/Berlin'] * len(fleet.names)
    failed = fleet.givcctl('set-locale', 'LANG=english')
    assert failed.returncode != 0 and 'de_DE' in failed.stderr
    assert '25.09.1' in fleet.givcctl('sysinfo', check=True).stdout
    assert fleet.givcctl('ctap', 'ctap.GetInfo+one', input='payload', check=True).stdout == 'arguments: one\npayload'


# --- statistics

def test_stats_are_those_of_the_machine(fleet, peers):
    stats = peers.admin('GetStats', 'admin.StatsRequest', VmName='net-vm')
    meminfo = dict(re.findall(r'^(\w+): +(\d+) kB', fleet.run('net-vm', ['cat', '/proc/meminfo']).stdout, re.M))
    processes = int(fleet.run('net-vm', 'ls -d /proc/[0-9]* | wc -l').stdout)
    assert stats.Memory.Total == int(meminfo['MemTotal']) * 1024
    assert 0 < stats.Memory.Free <= stats.Memory.Available <= stats.Memory.Total
    assert 0 < stats.Memory.Cached < stats.Memory.Total
    assert stats.Load.Load1Min >= 0 and stats.Load.Load15Min > 0
    assert abs(stats.Process.Total - processes) < 10
    assert 1 <= stats.Process.Running <= stats.Process.Total
    assert 0 < stats.Process.UserCycles + stats.Process.SysCycles < stats.Process.TotalCycles
    largest = [process.ResSetSize for process in stats.Process.MemProcesses]
    assert len(largest) == 5 and largest == sorted(largest, reverse=True)
    resident = fleet.run('net-vm', 'cat /proc/[0-9]*/statm | sort -rnk2 | head -1').stdout.split()[1]
    assert largest[0] == pytest.approx(int(resident), rel=0.2), 'in pages'


def test_shares_are_since_the_callers_own_previous_call(fleet, peers):
    def ask(source):
        return peers.agent('net-vm', 'stats.StatsService', 'GetStats', 'stats.StatsRequest', source=source).Process

    def share(process):
        return process.User + process.Sys

    fleet.run('net-vm', 'cp /bin/dash /run/spinner', check=True)
    with fleet.popen('net-vm', ['/run/spinner', '-c', 'while :; do :; done']) as spinner:
        try:
            assert not ask('gui-vm').CpuProcesses, 'there is no previous call'
            busiest = []
            end = time.monotonic() + STEADY
            while not (busiest and busiest[0].Name == 'spinner' and share(busiest[0]) > 10):
                assert time.monotonic() < end
                for other in [HOST, *(guest for guest in GUESTS if guest != 'gui-vm')]:
                    ask(other)  # another caller takes nothing from it
                busiest = ask('gui-vm').CpuProcesses
                shares = [share(process) for process in busiest]
                assert len(shares) <= 5 and shares == sorted(shares, reverse=True)
                assert all(0 < one <= 101 for one in shares)
        finally:
            spinner.kill()


def test_a_process_may_call_itself_what_it_likes(fleet, peers):
    fleet.run('net-vm', r"""cp /bin/sleep $'/run/) R 1 \xff\n(' && { $'/run/) R 1 \xff\n(' infinity >/dev/null 2>&1 & }; echo $! >/run/odd""")
    try:
        answer = peers.agent('net-vm', 'stats.StatsService', 'GetStats', 'stats.StatsRequest')
        assert answer.Process.Total > 5
    finally:
        fleet.run('net-vm', 'kill $(cat /run/odd)')


def test_many_callers_at_once(peers):
    calls = [peers.admin_stub.GetStats.future(peers.pb.msg('admin.StatsRequest')(VmName='net-vm'), timeout=STEADY)
             for _ in range(40)]
    assert all(call.result().Process.Total > 5 for call in calls)


def test_stats_of_whom(peers):
    assert refusal(peers.admin, 'GetStats', 'admin.StatsRequest', VmName='no-vm')[0] == StatusCode.NOT_FOUND
    assert refusal(peers.admin, 'GetStats', 'admin.StatsRequest', VmName='')[0] == StatusCode.INVALID_ARGUMENT
    assert refusal(peers.admin, 'GetStats', 'admin.StatsRequest', VmName='a b')[0] == StatusCode.INVALID_ARGUMENT


# --- system information

def test_sysinfo_is_the_hosts(fleet, peers):
    info = peers.admin('Sysinfo')
    assert info.GhafVersion == '25.09.1'
    assert info.HasField('SecureBoot') == (fleet.run(HOST, ['test', '-e', '/sys/firmware/efi']).returncode == 0)
    encrypted = fleet.run(HOST, 'grep -qs ^CRYPT- /sys/class/block/dm-*/dm/uuid').returncode == 0
    assert info.DiskEncrypted == encrypted and info.HasField('DiskEncrypted')


def test_sysinfo_without_ghaf_version(fleet, peers):
    ask = ('net-vm', 'stats.StatsService', 'GetSysinfo', 'stats.StatsRequest')
    assert peers.agent(*ask).GhafVersion == ''
    fleet.write_file('net-vm', '/etc/ghaf-version', '24.12\n')
    assert peers.agent(*ask).GhafVersion == '24.12'


def test_wakeup_is_not_supported(peers):
    assert refusal(peers.admin, 'Wakeup') == (StatusCode.UNIMPLEMENTED, 'Not supported')


# --- hardware address

# Does $2, and waits until the link of $1 is up, which the kernel says when it comes to it. Were its word missed, it is looked at
# again with the next one, or after a second.
WITH_ITS_LINK = """
exec 3< <(exec ip monitor link); monitor=$!; trap 'kill $monitor' EXIT
$2
for _ in {1..20}; do
        [ "$(cat /sys/class/net/$1/operstate)" = up ] && exit
        read -r -t 1 -u 3 line
done
exit 1
"""


def test_hwid(fleet, peers):
    ask = ('net-vm', 'hwid.HwidService', 'GetHwId', 'hwid.HwIdRequest')
    address = fleet.run('net-vm', ['cat', '/sys/class/net/host0/address'], check=True).stdout.strip()
    assert peers.agent(*ask).Identifier == address

    # gui-vm's configuration names none: the first wl*, else the first en*, and only with its link up.
    ask = ('gui-vm', *ask[1:])
    assert refusal(peers.agent, *ask)[0] == StatusCode.FAILED_PRECONDITION
    fleet.run('gui-vm', 'ip link add ens9 address 02:00:00:00:00:09 type veth peer far9', check=True)
    code, text = refusal(peers.agent, *ask)
    assert code == StatusCode.FAILED_PRECONDITION and 'ens9' in text and 'down' in text
    fleet.run('gui-vm', 'ip link set ens9 up', check=True)
    assert refusal(peers.agent, *ask)[0] == StatusCode.FAILED_PRECONDITION, 'up, but the other end is not there yet'
    fleet.run('gui-vm', ['/bin/bash', '-c', WITH_ITS_LINK, 'bash', 'ens9', 'ip link set far9 up'], check=True)
    assert peers.agent(*ask).Identifier == '02:00:00:00:00:09'
    fleet.run('gui-vm', 'ip link add wlx1 address 02:00:00:00:00:01 type veth peer far1; ip link set far1 up', check=True)
    fleet.run('gui-vm', ['/bin/bash', '-c', WITH_ITS_LINK, 'bash', 'wlx1', 'ip link set wlx1 up'], check=True)
    assert peers.agent(*ask).Identifier == '02:00:00:00:00:01'


def test_what_is_not_enabled_is_not_there(peers):
    assert refusal(peers.agent, 'admin-vm', 'hwid.HwidService', 'GetHwId', 'hwid.HwIdRequest')[0] == StatusCode.UNIMPLEMENTED
    code, text = refusal(peers.admin, 'NotifyUser', 'admin.UserNotificationRequest', VmName='net-vm',
                         Notification=peers.pb.msg('notify.UserNotification')())
    assert code == StatusCode.UNIMPLEMENTED and 'not offered by net-vm' in text


# --- notifications

LISTEN = f'''
import os, socket, sys
os.makedirs("{NOTIFIER}", exist_ok=True)
listeners = []
for name in sys.argv[1:]:
    listeners.append(socket.socket(socket.AF_UNIX))
    listeners[-1].bind("{NOTIFIER}/" + name)
    listeners[-1].listen(0)
print("listening", flush=True)
for listener in listeners:
    connection = listener.accept()[0]
    with connection.makefile() as stream:
        print(stream.read(), flush=True)
'''


@contextlib.contextmanager
def listening(fleet, *names):
    with fleet.popen('gui-vm', ['/usr/bin/python3', '-c', LISTEN, *names], stdout=subprocess.PIPE) as process:
        try:
            wait_line(process, 'listening', STEADY)
            yield process
        finally:
            process.kill()
            fleet.run('gui-vm', ['rm', '-rf', NOTIFIER])


def notify(peers, **fields):
    notification = peers.pb.msg('notify.UserNotification')(**fields)
    return peers.admin('NotifyUser', 'admin.UserNotificationRequest', VmName='gui-vm', Notification=notification)


def test_every_socket_gets_the_notification(fleet, peers):
    with listening(fleet, 'a.sock', 'b.sock') as listener:
        status = notify(peers, Event='[host] update', Title='"Ghaf" ✓', Urgency=2, Message='two\nlines')
        assert status.Status == 'Notification sent'
        for _ in range(2):
            text = wait_line(listener, '.', STEADY)
            assert json.loads(text) == {'Event': '[host] update', 'Title': '"Ghaf" ✓', 'Urgency': 'CRITICAL',
                                        'Message': 'two\nlines'}
            assert [key for key, _ in json.loads(text, object_pairs_hook=list)] == ['Event', 'Title', 'Urgency', 'Message']


def test_nobody_who_listens_is_no_error(fleet, peers):
    assert notify(peers, Title='x').Status == 'Notification sent'
    script = f'mkdir -p {NOTIFIER}/directory; : >{NOTIFIER}/file; ln -sf /run/systemd/private {NOTIFIER}/link'
    fleet.run('gui-vm', script, check=True)
    dead = f'import socket; socket.socket(socket.AF_UNIX).bind("{NOTIFIER}/dead")'
    fleet.run('gui-vm', ['/usr/bin/python3', '-c', dead], check=True)
    assert notify(peers, Title='x').Status == 'Notification sent'
    fleet.run('gui-vm', ['rm', '-rf', NOTIFIER])


def test_who_does_not_take_it_holds_up_nobody(fleet, peers):
    script = LISTEN.replace('connection = listener.accept()[0]', 'import signal; signal.pause()')
    with fleet.popen('gui-vm', ['/usr/bin/python3', '-c', script, 'stuck'], stdout=subprocess.PIPE) as process:
        wait_line(process, 'listening', STEADY)
        with pytest.raises(grpc.RpcError) as raised:
            for _ in range(4):  # its backlog takes some
                notify(peers, Title='x' * 1000)
        assert raised.value.code() == StatusCode.UNAVAILABLE
        process.kill()
    fleet.run('gui-vm', ['rm', '-rf', NOTIFIER])


def test_a_directory_full_of_dead_sockets_holds_up_nobody(fleet, peers):
    """Whose it is may put into it what he likes."""
    fill = (f'import os, socket; os.makedirs("{NOTIFIER}"); os.chdir("{NOTIFIER}")\n'
            'for i in range(300): socket.socket(socket.AF_UNIX).bind(str(i))')
    fleet.run('gui-vm', ['/usr/bin/python3', '-c', fill], check=True)
    notify(peers, Title='lost')
    fleet.wait_log('gui-vm', f'{NOTIFIER}: no more than 256 entries', 'givc-agent.service')
    fleet.run('gui-vm', ['rm', '-rf', NOTIFIER])


def test_a_notification_has_bounds(peers):
    assert refusal(notify, peers, Message='x' * 20000)[0] == StatusCode.INVALID_ARGUMENT
    assert refusal(peers.admin, 'NotifyUser', 'admin.UserNotificationRequest',
                   VmName='gui-vm')[0] == StatusCode.INVALID_ARGUMENT


# --- security keys

def ctap(peers, request, timeout=STEADY, **fields):
    return peers.admin('Ctap', 'ctap.CtapRequest', timeout, Req=request, **fields)


def test_ctap_is_gui_vms(peers):
    payload = bytes(range(256)) * 200
    answer = ctap(peers, 'ctap.GetInfo', Args=['one', 'two $(reboot)'], Payload=payload)
    assert answer.Output == b'arguments: one two $(reboot)\n' + payload
    assert ctap(peers, 'ctap.GetInfo').Output == b'arguments: \n'


def test_what_is_not_ctap_is_refused(peers):
    assert refusal(ctap, peers, 'sh')[0] == StatusCode.INVALID_ARGUMENT
    assert refusal(ctap, peers, 'ctap.GetInfo', Payload=bytes(70000))[0] == StatusCode.INVALID_ARGUMENT
    assert refusal(ctap, peers, 'ctap.GetInfo', Args=['x'] * 17)[0] == StatusCode.INVALID_ARGUMENT


def test_a_key_that_fails_or_says_too_much(peers):
    code, text = refusal(ctap, peers, 'ctap.ClientPin')
    assert code == StatusCode.ABORTED and 'qctap-client-pin has failed with status 3' in text
    code, text = refusal(ctap, peers, 'u2f.Authenticate')
    assert code == StatusCode.RESOURCE_EXHAUSTED and '65536 bytes' in text


AWAIT_ENDS = '''
import os, select, sys
processes = [os.pidfd_open(int(pid)) for pid in sys.argv[1:]]
print("both are there", flush=True)
for process in processes:
    select.select([process], [], [])
'''


def test_a_call_that_is_given_up_takes_its_program_along(fleet, peers):
    fleet.run('gui-vm', ['mkfifo', '/run/touched'], check=True)
    call = peers.admin_stub.Ctap.future(peers.pb.msg('ctap.CtapRequest')(Req='u2f.Register'), timeout=STEADY)
    pids = fleet.run('gui-vm', ['cat', '/run/touched'], check=True).stdout.split()
    with fleet.popen('gui-vm', ['/usr/bin/python3', '-c', AWAIT_ENDS, *pids], stdout=subprocess.PIPE) as waiting:
        wait_line(waiting, 'both are there', STEADY)
        call.cancel()
        assert waiting.wait(STEADY) == 0
