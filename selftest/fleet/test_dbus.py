# SPDX-License-Identifier: GPL-2.0-or-later
"""What of givc is seen on D-Bus: by root, by somebody, and by somebody whom polkit allows more."""
import json
import re
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

import bus_flood
import contents
from miniature import HOST, Fleet, wait_line

ADMIN, AGENT, PATH = 'org.ghaf.Givc1.Admin', 'org.ghaf.Givc1.Agent', '/org/ghaf/Givc1'
DAEMON, ENTRY, UNIT = 'org.ghaf.Givc1.Daemon', 'org.ghaf.Givc1.Entry', 'org.ghaf.Givc1.Unit'
LOG = '/org/freedesktop/LogControl1', 'org.freedesktop.LogControl1'
MACHINES = [('admin-vm', ADMIN, 'givc-admin'), ('net-vm', AGENT, 'givc-agent')]
NOBODY = 'nobody'  # a user whom nothing allows anything

RULES = contents.file('/etc/polkit-1/rules.d/50-givc.rules', '''\
polkit.addRule(function(action, subject) {
    if (action.id.indexOf("org.ghaf.givc1.") == 0 && subject.user == "%s")
        return polkit.Result.YES;
});
''' % contents.USER)


@pytest.fixture(scope='module')
def fleet(destdir):
    with Fleet(destdir, files={'admin-vm': [RULES], 'net-vm': [RULES]}) as fleet:
        fleet.wait_registered()
        for machine, name, _ in MACHINES:
            wait_name(fleet, machine, name)
        yield fleet


def wait_name(fleet, machine, name):
    """Until it is owned. What is told before the question is asked is told anyway."""
    with Monitor(fleet, machine, f"member='NameOwnerChanged',arg0='{name}'") as monitor:
        if run(fleet, machine, 'status', name).returncode != 0:
            monitor.wait(f'"{name}","","')


def run(fleet, machine, *arguments, user=None, **options):
    command = ['busctl', '--no-pager', *arguments]
    if user:
        command = ['setpriv', f'--reuid={user}', '--clear-groups', '--', *command]
    return fleet.run(machine, command, **options)


def value(fleet, machine, name, path, interface, *properties, user=None):
    shown = run(fleet, machine, '--json=short', 'get-property', name, path, interface, *properties, user=user, check=True).stdout
    values = [json.loads(line)['data'] for line in shown.splitlines()]
    return values[0] if len(properties) == 1 else values


def object_path(kind, name):
    encoded = ''.join(c if re.match('[A-Za-z0-9]', c) and (i or not c.isdigit()) else f'_{ord(c):02x}' for i, c in enumerate(name))
    return f'{PATH}/{kind}/{encoded}'


def about(path):
    return f"path='{path}'"


class Monitor:
    """Signals, from now on."""

    def __init__(self, fleet, machine, match):
        self._process = fleet.popen(machine, ['busctl', '--json=short', 'monitor', f"--match=type='signal',{match}"],
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert 'Monitoring' in self._process.stderr.readline()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.communicate()

    def wait(self, pattern):
        return json.loads(wait_line(self._process, pattern))


@pytest.fixture(params=MACHINES, ids=lambda each: each[2])
def daemon(request):
    return request.param


def test_anybody_may_look(fleet, daemon):
    machine, name, _ = daemon
    for user in (None, NOBODY):
        version, tls, access = value(fleet, machine, name, PATH, DAEMON, 'Version', 'Tls', 'AccessControl', user=user)
        assert (version, tls, access) == ('0.1.0', True, False)
        peers = value(fleet, machine, name, PATH, DAEMON, 'Peers', user=user)
        assert peers
        tree = run(fleet, machine, 'tree', '--list', name, user=user, check=True).stdout.split()
        assert PATH in tree and '/org/freedesktop/LogControl1' in tree
        assert len([path for path in tree if path.startswith(f'{PATH}/')]) > 3
        assert run(fleet, machine, 'introspect', name, PATH, user=user, check=True).stdout.count('.Version') == 1


def test_peers_are_who_they_are(fleet):
    peers = value(fleet, 'admin-vm', ADMIN, PATH, DAEMON, 'Peers')
    assert {(identity, address) for identity, address, since, calls in peers} >= set(fleet.addresses.items())
    assert all(since > 0 and calls > 0 for _, _, since, calls in peers)
    peers = value(fleet, 'net-vm', AGENT, PATH, DAEMON, 'Peers')
    assert [peer[:2] for peer in peers] == [['admin-vm', fleet.addresses['admin-vm']]]


def test_who_listens_is_told_when_a_peer_comes_or_goes(fleet):
    with Monitor(fleet, 'admin-vm', about(PATH)) as admins, Monitor(fleet, 'net-vm', about(PATH)) as agents:
        with fleet.popen(HOST, ['givcctl', 'watch', '--json', '--initial'], stdout=subprocess.PIPE) as watch:
            assert admins.wait('"Peers"')['payload']['data'] == [DAEMON, {}, ['Peers']]
            while len(peers_of_host(fleet)) != 2:
                admins.wait('"Peers"')
            watch.kill()
        while len(peers_of_host(fleet)) != 1:
            admins.wait('"Peers"')
        fleet.run('admin-vm', ['systemctl', 'restart', 'givc-admin'], check=True)
        assert agents.wait('"Peers"')['payload']['data'] == [DAEMON, {}, ['Peers']]
    wait_name(fleet, 'admin-vm', ADMIN)
    fleet.wait_registered()


def peers_of_host(fleet):
    return [peer for peer in value(fleet, 'admin-vm', ADMIN, PATH, DAEMON, 'Peers') if peer[0] == HOST]


def test_calls_are_counted(fleet):
    before = value(fleet, 'admin-vm', ADMIN, PATH, DAEMON, 'Calls')
    fleet.givcctl('query-list', check=True)
    calls, errors = value(fleet, 'admin-vm', ADMIN, PATH, DAEMON, 'Calls', 'CallErrors')
    assert calls > before and errors <= calls


def test_interfaces_are_as_they_are_installed(fleet):
    def members(element):
        return [(child.tag, *sorted(child.items()), *members(child)) for child in element]

    def described(text):
        root = ElementTree.fromstring(text)
        return {interface.get('name'): sorted(members(interface))
                for interface in root.iter('interface') if interface.get('name').startswith('org.ghaf.Givc1.')}

    shown = {}
    for machine, name, path in [('admin-vm', ADMIN, PATH), ('admin-vm', ADMIN, object_path('entry', 'givc-net-vm.service')),
                                ('net-vm', AGENT, PATH), ('net-vm', AGENT, object_path('unit', 'demo-clock.service'))]:
        shown |= described(run(fleet, machine, 'introspect', '--xml-interface', name, path, check=True).stdout)
    installed = {}
    for interface in shown:
        installed |= described(fleet.read_file('admin-vm', f'/usr/share/dbus-1/interfaces/{interface}.xml').decode())
    assert len(shown) == 5 and shown == installed


def test_entries_tell_of_their_changes(fleet):
    path = object_path('entry', 'demo-clock.service')
    fleet.givcctl('stop', 'service', 'demo-clock.service', '--vm', 'net-vm', check=True)
    with Monitor(fleet, 'admin-vm', about(path)) as monitor:
        fleet.givcctl('start', 'service', 'demo-clock.service', '--vm', 'net-vm', check=True)
        interface, changed, invalidated = monitor.wait('"Running"')['payload']['data']
        assert interface == ENTRY and invalidated == []
        assert changed['ActiveState']['data'] == 'active' and changed['Online']['data'] is True
    vm, agent, status = value(fleet, 'admin-vm', ADMIN, path, ENTRY, 'Vm', 'Agent', 'Status', user=NOBODY)
    assert (vm, agent, status) == ('net-vm', 'givc-net-vm.service', 'Running')


def test_units_tell_of_their_changes(fleet):
    path = object_path('unit', 'demo-clock.service')
    fleet.givcctl('stop', 'service', 'demo-clock.service', '--vm', 'net-vm', check=True)
    with Monitor(fleet, 'net-vm', about(path)) as monitor:
        fleet.givcctl('start', 'service', 'demo-clock.service', '--vm', 'net-vm', check=True)
        assert monitor.wait('"running"')['payload']['data'][0] == UNIT
    assert value(fleet, 'net-vm', AGENT, path, UNIT, 'ActiveState', 'Application') == ['active', False]


def test_applications_come_and_go(fleet):
    with Monitor(fleet, 'admin-vm', about(PATH)) as monitor:
        fleet.givcctl('start', 'app', 'sleeper', '--vm', 'app-vm', check=True)
        added = monitor.wait('"InterfacesAdded"')['payload']['data']
        assert added[0] == object_path('entry', 'sleeper@0.service')
        assert added[1][ENTRY]['ServiceType']['data'] == 'App'
        with Monitor(fleet, 'app-vm', about(PATH)) as agents:
            assert value(fleet, 'app-vm', AGENT, object_path('unit', 'sleeper@0.service'), UNIT, 'Application') is True
            fleet.givcctl('stop', 'app', 'sleeper@0.service', check=True)
            assert agents.wait('"InterfacesRemoved"')['payload']['data'][0] == object_path('unit', 'sleeper@0.service')
        assert monitor.wait('"InterfacesRemoved"')['payload']['data'][0] == added[0]
    assert run(fleet, 'admin-vm', 'get-property', ADMIN, added[0], ENTRY, 'Name').returncode != 0


def test_an_agent_that_is_lost_is_told_of(fleet):
    with Monitor(fleet, 'admin-vm', about(object_path('entry', 'demo-app-vm.service'))) as monitor:
        fleet.run('app-vm', ['systemctl', 'restart', 'givc-agent'], check=True)
        assert monitor.wait('PropertiesChanged.*"Online":{"type":"b","data":false}')
        assert monitor.wait('PropertiesChanged.*"Online":{"type":"b","data":true}')


def test_the_agent_says_whether_it_has_its_admin(fleet):
    interface = 'org.ghaf.Givc1.Agent'
    identity, admin, online = value(fleet, 'net-vm', AGENT, PATH, interface, 'Identity', 'Admin', 'AdminOnline', user=NOBODY)
    assert (identity, admin[0], admin[3], online) == ('net-vm', 'admin-vm', '9001', True)
    with Monitor(fleet, 'net-vm', about(PATH)) as monitor:
        fleet.run('admin-vm', ['systemctl', 'restart', 'givc-admin'], check=True)
        assert monitor.wait('"AdminOnline":{"type":"b","data":false}')
        assert monitor.wait('"AdminOnline":{"type":"b","data":true}')
    wait_name(fleet, 'admin-vm', ADMIN)
    fleet.wait_registered()


@pytest.mark.parametrize('machine, name, service', MACHINES, ids=[each[2] for each in MACHINES])
def test_who_asks_and_asks_takes_no_memory_and_nobody_elses_turn(fleet, machine, name, service):
    pid = fleet.unit(machine, f'{service}.service')['MainPID']
    with fleet.popen(machine, flood(name, '6'), stdout=subprocess.PIPE) as process:
        calls = 0
        while process.poll() is None:
            # What takes the agent's own questions to systemd.
            fleet.givcctl('reset-failed', 'demo-clock.service', '--vm', 'net-vm', check=True)
            calls += 1
        assert int(process.stdout.read()) > 0
    assert calls > 0 and fleet.unit(machine, f'{service}.service')['MainPID'] == pid
    if not fleet.sanitized:
        assert memory(fleet, machine, pid, 'VmHWM') < 32 * 1024


def flood(name, *arguments):
    with open(bus_flood.__file__) as script:
        return ['setpriv', f'--reuid={NOBODY}', '--clear-groups', '--', '/usr/bin/python3', '-c', script.read(), name, *arguments]


def memory(fleet, machine, pid, what):
    """In kilobytes."""
    return int(re.search(rf'{what}:\s+(\d+) kB', fleet.run(machine, ['cat', f'/proc/{pid}/status'], check=True).stdout)[1])


def test_what_is_as_large_as_the_bus_passes_on_is_not_kept(fleet, daemon):
    machine, name, service = daemon
    if fleet.sanitized:
        pytest.skip('they keep it')
    pid = fleet.unit(machine, f'{service}.service')['MainPID']
    fleet.run(machine, flood(name, '3', f'{30 << 20}'), check=True)
    value(fleet, machine, name, PATH, DAEMON, 'Version', user=NOBODY)  # by then all that came before has been answered
    assert memory(fleet, machine, pid, 'VmRSS') < 32 * 1024


# --- what changes something

def reload(fleet, daemon, user=None):
    machine, name, _ = daemon
    return run(fleet, machine, 'call', name, PATH, DAEMON, 'Reload', user=user)


def test_reload_is_for_root_and_whom_polkit_allows(fleet, daemon):
    machine, _, service = daemon
    assert reload(fleet, daemon).returncode == 0
    assert reload(fleet, daemon, user=contents.USER).returncode == 0
    refused = reload(fleet, daemon, user=NOBODY)
    assert refused.returncode != 0 and re.search('nteractive auth|Access denied', refused.stderr)
    journal = fleet.journal(machine, f'{service}.service')
    assert len(re.findall('User 0 asks over D-Bus to reload', journal)) == 1
    assert len(re.findall(f'User {contents.USER_ID} asks over D-Bus to reload', journal)) == 1
    assert len(re.findall('asks over D-Bus', journal)) == 2


def test_a_reload_that_fails_is_told(fleet):
    good = fleet.read_file('net-vm', '/etc/givc/agent.json').decode()
    fleet.write_file('net-vm', '/etc/givc/agent.json', '{')
    try:
        failed = reload(fleet, MACHINES[1])
        assert failed.returncode != 0 and 'stays so' in failed.stderr
    finally:
        fleet.write_file('net-vm', '/etc/givc/agent.json', good)
    assert reload(fleet, MACHINES[1]).returncode == 0


def test_the_logs_level(fleet, daemon):
    machine, name, service = daemon
    level = ['systemctl', 'service-log-level', f'{service}.service']
    assert fleet.run(machine, level, check=True).stdout == 'info\n'
    try:
        fleet.run(machine, [*level, 'debug'], check=True)
        assert fleet.run(machine, level, check=True).stdout == 'debug\n'
        assert value(fleet, machine, name, PATH, DAEMON, 'LogLevel', user=NOBODY) == 'debug'
        with Monitor(fleet, machine, about(PATH)) as monitor:
            run(fleet, machine, 'call', name, PATH, DAEMON, 'SetLogLevel', 's', 'notice', user=contents.USER, check=True)
            assert monitor.wait('"LogLevel"')['payload']['data'][1]['LogLevel']['data'] == 'notice'
        run(fleet, machine, 'set-property', name, PATH, DAEMON, 'LogLevel', 's', 'warning', check=True)
        assert fleet.run(machine, level, check=True).stdout == 'warning\n'
        for refused in (run(fleet, machine, 'call', name, PATH, DAEMON, 'SetLogLevel', 's', 'debug', user=NOBODY),
                        run(fleet, machine, 'set-property', name, PATH, DAEMON, 'LogLevel', 's', 'debug', user=NOBODY),
                        run(fleet, machine, 'set-property', name, *LOG, 'LogLevel', 's', 'debug', user=NOBODY),
                        run(fleet, machine, 'call', name, PATH, DAEMON, 'SetLogLevel', 's', 'loud')):
            assert refused.returncode != 0
        assert fleet.run(machine, level, check=True).stdout == 'warning\n'
    finally:
        fleet.run(machine, [*level, 'info'], check=True)
    assert value(fleet, machine, name, *LOG, 'LogTarget', 'SyslogIdentifier') == ['journal', service]


def test_without_polkit_root_may_and_nobody_else(fleet):
    fleet.run('net-vm', ['systemctl', 'mask', '--runtime', '--now', 'polkit.service'], check=True)
    try:
        assert reload(fleet, MACHINES[1]).returncode == 0
        refused = reload(fleet, MACHINES[1], user=contents.USER)
        assert refused.returncode != 0 and 'Access denied' in refused.stderr
    finally:
        fleet.run('net-vm', ['systemctl', 'unmask', '--runtime', 'polkit.service'], check=True)


def test_a_bus_that_restarts_takes_nothing_along(fleet, daemon):
    machine, name, service = daemon
    pid = fleet.unit(machine, f'{service}.service')['MainPID']
    fleet.run(machine, ['systemctl', 'restart', 'dbus.service'], check=True)
    assert fleet.givcctl('query-list', check=True).stdout
    wait_name(fleet, machine, name)
    assert value(fleet, machine, name, PATH, DAEMON, 'Version', user=NOBODY) == '0.1.0'
    assert reload(fleet, daemon).returncode == 0
    assert fleet.unit(machine, f'{service}.service')['MainPID'] == pid
    fleet.wait_registered()


def test_the_admin_can_do_without_a_bus(fleet):
    fleet.run('admin-vm', ['systemctl', 'mask', '--runtime', '--now', 'dbus.socket', 'dbus.service'])
    try:
        fleet.run('admin-vm', ['systemctl', 'restart', 'givc-admin'])
        assert fleet.givcctl('query-list', check=True).stdout
    finally:
        fleet.run('admin-vm', ['systemctl', 'unmask', '--runtime', 'dbus.socket', 'dbus.service'])
        fleet.run('admin-vm', ['systemctl', 'start', 'dbus.socket', 'dbus.service'])
    wait_name(fleet, 'admin-vm', ADMIN)


def test_a_users_agent_is_on_that_users_bus(fleet):
    def as_user(*command):
        return fleet.run('app-vm', command, user=contents.USER)
    fleet.run('app-vm', ['systemctl', 'stop', 'givc-agent.socket', 'givc-agent.service'], check=True)
    try:
        fleet.run('app-vm', ['chown', contents.USER, '/etc/givc/key.pem'], check=True)
        fleet.run('app-vm', ['systemctl', 'start', f'user@{contents.USER_ID}.service'], check=True)
        assert as_user('systemctl', '--user', 'start', 'givc-agent.service').returncode == 0
        fleet.wait_registered(['app-vm'])
        fleet.wait_for(lambda: as_user('busctl', '--user', 'status', AGENT).returncode == 0, 'app-vm', what='it on the bus')
        shown = as_user('busctl', '--user', 'get-property', AGENT, PATH, 'org.ghaf.Givc1.Agent', 'Identity')
        assert shown.stdout == 's "app-vm"\n'
        assert as_user('busctl', '--user', 'call', AGENT, PATH, DAEMON, 'Reload').returncode == 0
        assert as_user('systemctl', '--user', 'service-log-level', 'givc-agent.service').stdout == 'info\n'
        metrics = as_user('curl', '-sS', '--unix-socket', f'/run/user/{contents.USER_ID}/givc-agent/metrics', 'http://localhost/metrics')
        assert metrics.stdout.endswith('# EOF\n')
        as_user('systemctl', '--user', 'stop', 'givc-agent.socket', 'givc-agent.service')
    finally:
        fleet.run('app-vm', ['chown', 'root', '/etc/givc/key.pem'])
        fleet.run('app-vm', ['systemctl', 'start', 'givc-agent.socket', 'givc-agent.service'])
