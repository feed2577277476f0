# SPDX-License-Identifier: GPL-2.0-or-later
"""The units that givc installs: what systemd makes of the daemons, before anything is asked of them."""
import json
import re
import shlex

import pytest

import contents
from miniature import Fleet, HOST
from wire import Wire

DAEMONS = [('admin-vm', 'givc-admin'), ('admin-vm', 'givc-agent'), ('net-vm', 'givc-agent'), (HOST, 'givc-agent')]


@pytest.fixture(params=DAEMONS, ids=lambda pair: f'{pair[1]}@{pair[0]}')
def daemon(request):
    return request.param


def show(fleet, machine, unit, *properties):
    shown = fleet.run(machine, ['systemctl', 'show', '-p', ','.join(properties), unit], check=True).stdout
    values = dict(line.split('=', 1) for line in shown.splitlines())
    return tuple(values[name] for name in properties)


def served_certificate(fleet, machine, port):
    """Serial number of the certificate that whoever listens there presents."""
    asked = fleet.run(machine, f'openssl s_client -connect 127.0.0.1:{port} -CAfile /etc/givc/ca-cert.pem -cert /etc/givc/cert.pem '
                               '-key /etc/givc/key.pem -alpn h2 </dev/null 2>/dev/null | openssl x509 -noout -serial', check=True)
    return asked.stdout.strip()


def test_daemons_are_up_and_nobody_complained(givc, daemon):
    machine, name = daemon
    assert show(givc, machine, f'{name}.service', 'ActiveState', 'SubState', 'NRestarts') == ('active', 'running', '0')
    assert show(givc, machine, f'{name}.socket', 'ActiveState', 'SubState') == ('active', 'running')
    errors = givc.run(machine, ['journalctl', '-q', '-p', 'err', '-u', f'{name}.service', '-u', f'{name}.socket'], check=True)
    assert errors.stdout == ''


def test_a_daemon_that_crashes_leaves_no_key_on_the_disk(givc, daemon):
    machine, name = daemon
    assert show(givc, machine, f'{name}.service', 'LimitCORE', 'LimitCORESoft') == ('0', '0')


def test_start_to_ready_is_quick(givc, daemon):
    machine, name = daemon
    begin, end = show(givc, machine, f'{name}.service', 'ExecMainStartTimestampMonotonic', 'ActiveEnterTimestampMonotonic')
    assert int(end) - int(begin) < 1_000_000


def test_the_admin_is_nobody_and_can_do_nothing(givc):
    pid = givc.unit('admin-vm', 'givc-admin.service')['MainPID']
    status = dict(line.split(':', 1) for line in givc.run('admin-vm', ['cat', f'/proc/{pid}/status'], check=True).stdout.splitlines())
    user = givc.run('admin-vm', ['id', '-u', 'givc-admin'], check=True).stdout.strip()
    assert user != '0' and set(status['Uid'].split()) == {user}
    assert [int(status[name], 16) for name in ('CapEff', 'CapPrm', 'CapBnd', 'CapAmb')] == [0, 0, 0, 0]
    assert int(status['Seccomp']) == 2
    assert int(status['NoNewPrivs']) == 1


def test_reload_serves_the_certificates_of_today(givc, daemon):
    machine, name = daemon
    port = 9001 if name == 'givc-admin' else 9000
    before = served_certificate(givc, machine, port)
    pid = givc.unit(machine, f'{name}.service')['MainPID']
    old = {base: givc.certificates[machine][base] for base in ('cert.pem', 'key.pem')}
    new = givc.authority.certify({machine: givc.addresses[machine]})[machine]
    try:
        for base, text in new.items():
            givc.write_file(machine, f'/etc/givc/{base}', text, 0o600)
        assert served_certificate(givc, machine, port) == before
        givc.run(machine, ['systemctl', 'reload', name], check=True)
        assert served_certificate(givc, machine, port) != before
        assert givc.unit(machine, f'{name}.service')['MainPID'] == pid
    finally:
        for base, text in old.items():
            givc.write_file(machine, f'/etc/givc/{base}', text, 0o600)
        givc.run(machine, ['systemctl', 'reload', name], check=True)
    assert served_certificate(givc, machine, port) == before


def test_reload_with_a_missing_key_fails_and_keeps_serving(givc):
    before = served_certificate(givc, 'admin-vm', 9001)
    pid = givc.unit('admin-vm', 'givc-admin.service')['MainPID']
    givc.run('admin-vm', 'mv /etc/givc/key.pem /etc/givc/key.away', check=True)
    try:
        assert givc.run('admin-vm', ['systemctl', 'reload', 'givc-admin']).returncode == 1
    finally:
        givc.run('admin-vm', 'mv /etc/givc/key.away /etc/givc/key.pem', check=True)
    assert served_certificate(givc, 'admin-vm', 9001) == before
    assert givc.unit('admin-vm', 'givc-admin.service')['MainPID'] == pid
    assert 'key.pem' in givc.journal('admin-vm', 'givc-admin.service')


def test_a_key_that_others_may_read_is_refused(givc, daemon):
    """Whoever hands it over: systemd does not mind, and the daemon sees its copy."""
    machine, name = daemon
    givc.run(machine, ['chmod', '0644', '/etc/givc/key.pem'], check=True)
    try:
        givc.run(machine, ['systemctl', 'reload', name])
        reason = givc.wait_log(machine, 'key.pem: others than its owner may read', f'{name}.service')
        assert reason.startswith('/etc/givc/key.pem: ')
    finally:
        givc.run(machine, ['chmod', '0600', '/etc/givc/key.pem'], check=True)
    givc.run(machine, ['systemctl', 'reload', name], check=True)


def assert_exposure(fleet, machine, unit, threshold, manager='--system', **options):
    """As systemd-analyze reckons it: what the unit may do, whether it needs to or not; from 0 to 10."""
    judged = fleet.run(machine, ['systemd-analyze', 'security', manager, '--no-pager', f'--threshold={threshold * 10:.0f}',
                                 f'{unit}.service'], **options)
    assert judged.returncode == 0 and f'level for {unit}.service: ' in judged.stdout, judged.stdout + judged.stderr


@pytest.mark.parametrize('machine, unit, threshold', [('admin-vm', 'givc-admin', 1.3), ('net-vm', 'givc-agent', 2.7),
                                                      ('net-vm', 'givc-online', 1.2)])
def test_exposure(givc, machine, unit, threshold):
    if givc.sanitized:
        pytest.skip('the sanitizers need what the unit forbids')
    assert_exposure(givc, machine, unit, threshold)


def test_the_agent_may_do_little_itself(givc):
    pid = givc.unit('net-vm', 'givc-agent.service')['MainPID']
    status = dict(line.split(':', 1) for line in givc.run('net-vm', ['cat', f'/proc/{pid}/status'], check=True).stdout.splitlines())
    rights = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert [int(status[name], 16) for name in ('CapEff', 'CapPrm', 'CapBnd', 'CapAmb')] == [rights, rights, rights, 0]
    assert (int(status['Seccomp']), int(status['NoNewPrivs'])) == (2, 1)
    given = givc.run('net-vm', ['ls', '-l', f'/proc/{pid}/root/run/credentials/givc-agent.service'], check=True).stdout
    assert 'key.pem' in given


def writable(fleet, machine, pid, user):
    """Beside what is no disk of theirs (/dev/shm, /dev/mqueue), and what they have for themselves."""
    others = '/ /etc /home /root /run /run/lock /run/systemd/system /run/user /tmp /usr /var /var/lib /var/log /var/tmp'
    others += f' /home/{contents.USER} /run/user/{contents.USER_ID} /run/user/{contents.USER_ID}/givc-agent'
    others += ' /run/givc-agent /etc/policies /var/lib/givc-admin'
    script = f"for d in {others}; do (: >$d/.written) 2>/dev/null && echo $d; done; true"
    said = fleet.run(machine, f'nsenter -t {pid} -m -S $(id -u {user}) -G $(id -g {user}) sh -c {shlex.quote(script)}', check=True)
    return sorted(said.stdout.split())


@pytest.mark.parametrize('machine, name, user, may', [
    ('admin-vm', 'givc-admin', 'givc-admin', '/tmp /var/tmp /var/lib/givc-admin'), ('net-vm', 'givc-agent', 'root', '/run/givc-agent /etc/policies')])
def test_where_they_may_write(givc, machine, name, user, may):
    assert writable(givc, machine, givc.unit(machine, f'{name}.service')['MainPID'], user) == sorted(may.split())


def test_the_door_stays_open_however_often_a_daemon_dies(givc, daemon):
    machine, name = daemon
    port = 9001 if name == 'givc-admin' else 9000
    for _ in range(8):  # a start limit of systemd's default would be reached by 5
        pid = givc.unit(machine, f'{name}.service')['MainPID']
        givc.run(machine, ['systemctl', 'kill', '-s', 'KILL', name], check=True)
        givc.run(machine, ['systemctl', 'restart', name], check=True)
        assert givc.unit(machine, f'{name}.service')['MainPID'] not in (pid, '0')
    assert served_certificate(givc, machine, port)
    assert show(givc, machine, f'{name}.socket', 'ActiveState') == ('active',)


def test_a_caller_waits_while_a_daemon_comes_back(givc):
    """Nobody is refused: the socket is systemd's."""
    givc.run('admin-vm', ['systemctl', 'kill', '-s', 'KILL', 'givc-admin'], check=True)
    assert givc.givcctl('query-list', check=True)


def test_a_configuration_that_was_mended_is_taken_up(givc):
    """Also after it has been wrong for long: no start limit is in the way, nobody has to come and reset it."""
    good = givc.read_file('net-vm', '/etc/givc/agent.json').decode()
    givc.write_file('net-vm', '/etc/givc/agent.json', '{')
    try:
        assert givc.run('net-vm', ['systemctl', 'restart', 'givc-agent.service']).returncode != 0

        def has_failed_often():
            return int(show(givc, 'net-vm', 'givc-agent.service', 'NRestarts')[0]) >= 2
        givc.wait_for(has_failed_often, 'net-vm', what='the agent restarts')
    finally:
        givc.write_file('net-vm', '/etc/givc/agent.json', good)
    givc.wait_unit('net-vm', 'givc-agent.service', 'running')
    assert show(givc, 'net-vm', 'givc-agent.socket', 'ActiveState') == ('active',)


def test_an_agent_whose_files_are_elsewhere(destdir):
    """As its configuration says; then none need be where the unit looks for them."""
    def elsewhere(spec):
        for machine in spec['machines']:
            for entry in machine['files'] if machine['name'] == 'net-vm' else []:
                if entry['path'] == '/etc/givc/agent.json':
                    config = json.loads(entry['content'])
                    config['network']['tls'] = {'caCertPath': '/etc/keys/ca-cert.pem', 'certPath': '/etc/keys/cert.pem',
                                                'keyPath': '/etc/keys/key.pem'}
                    entry['content'] = json.dumps(config)
                entry['path'] = re.sub('^/etc/givc/(.*pem)$', r'/etc/keys/\1', entry['path'])
    with Fleet(destdir, guests=['admin-vm', 'net-vm'], configure=elsewhere) as fleet:
        fleet.wait_registered()
        fleet.run('net-vm', ['systemctl', 'reload', 'givc-agent.service'], check=True)
        fleet.run('net-vm', ['chmod', '0640', '/etc/keys/key.pem'], check=True)
        assert fleet.run('net-vm', ['systemctl', 'restart', 'givc-agent.service']).returncode != 0
        assert '/etc/keys/key.pem: others than its owner may read' in fleet.journal('net-vm', 'givc-agent.service')


def test_the_watchdog_ends_a_daemon_that_hangs(destdir):
    drop_in = contents.file('/etc/systemd/system/givc-agent.service.d/watchdog.conf', '[Service]\nWatchdogSec=1\n')
    with Fleet(destdir, guests=['admin-vm', 'net-vm'], files={'net-vm': [drop_in]}) as fleet:
        unit = fleet.wait_unit('net-vm', 'givc-agent.service', 'running')
        fleet.run('net-vm', f'kill -STOP {unit["MainPID"]}', check=True)

        def is_another():
            now = fleet.unit('net-vm', 'givc-agent.service')
            return now['SubState'] == 'running' and now['MainPID'] != unit['MainPID']
        fleet.wait_for(is_another, 'net-vm', what='another agent')
        assert 'Watchdog timeout' in fleet.journal('net-vm', 'givc-agent.service')


def test_a_users_manager_runs_the_agent_too(destdir):
    """In place of the system's: both want the same port. What it controls then is that user's units."""
    unit = contents.file('/etc/systemd/user/demo-app-vm.service', contents.service('A user\'s', ExecStart='/bin/sleep infinity'))
    where = contents.addresses([HOST, 'admin-vm', 'app-vm'])
    config = contents.agent_config('app-vm', 'AppVM', where, contents.exposed_units('app-vm'))
    config['capabilities']['exec'] = {'enable': True, 'commands': ['sh']}
    files = [unit, contents.file('/etc/givc/agent.json', json.dumps(config))]
    with Fleet(destdir, guests=['admin-vm', 'app-vm'], files={'app-vm': files}) as fleet:
        fleet.run('app-vm', ['systemctl', 'stop', 'givc-agent.socket', 'givc-agent.service'], check=True)
        fleet.run('app-vm', ['chown', contents.USER, '/etc/givc/key.pem'], check=True)
        fleet.run('app-vm', ['systemctl', 'start', f'user@{contents.USER_ID}.service'], check=True)
        fleet.run('app-vm', ['systemctl', '--user', 'start', 'givc-agent.service'], user=contents.USER, check=True)
        fleet.wait_registered(['app-vm'])
        fleet.givcctl('start', 'service', 'demo-app-vm.service', '--vm', 'app-vm', check=True)
        active = fleet.run('app-vm', ['systemctl', '--user', 'is-active', 'demo-app-vm.service'], user=contents.USER)
        assert active.stdout == 'active\n'
        assert fleet.run('app-vm', ['systemctl', 'is-active', 'demo-app-vm.service']).stdout == 'inactive\n'
        fleet.givcctl('start', 'app', 'sleeper', '--vm', 'app-vm', check=True)
        sleeper = fleet.run('app-vm', ['systemctl', '--user', 'show', '-P', 'ActiveState', 'sleeper@0.service'], user=contents.USER)
        assert sleeper.stdout == 'active\n'
        assert 'sleeper@0.service' in fleet.givcctl('query', '--by-type=App').stdout
        fleet.givcctl('stop', 'app', 'sleeper@', check=True)
        assert 'sleeper@0.service' not in fleet.givcctl('query', '--by-type=App').stdout
        if not fleet.sanitized:
            assert_exposure(fleet, 'app-vm', 'givc-agent', 2.7, '--user', user=contents.USER)
            assert_exposure(fleet, 'app-vm', 'givc-online', 2, '--user', user=contents.USER)
        fleet.run('app-vm', ['systemctl', '--user', 'start', 'givc-online.service'], user=contents.USER, check=True)
        for name in ('givc-agent', 'givc-online'):
            show_pid = ['systemctl', '--user', 'show', '-P', 'MainPID', f'{name}.service']
            pid = fleet.run('app-vm', show_pid, user=contents.USER, check=True).stdout.strip()
            assert writable(fleet, 'app-vm', pid, contents.USER) == [f'/run/user/{contents.USER_ID}/givc-agent']
        with Wire(fleet) as wire:
            start = wire.pb.msg('exec.StartCommand')(Command='sh', Arguments=['-c', 'id -un; pwd; echo $HOME.; exit 3'])
            request = iter([wire.pb.msg('exec.CommandRequest')(Start=start)])
            answers = list(wire.stub('app-vm', 9000, 'exec.Exec', source='admin-vm').RunCommand(request, timeout=20))
        assert b''.join(answer.Stdout.Payload for answer in answers) == f'{contents.USER}\n/\n.\n'.encode()
        assert answers[-1].Finished.ReturnCode == 3
        # Where users may have no namespaces, as the drop-in says.
        instead = '/etc/systemd/user/givc-agent.service.d'
        fleet.run('app-vm', f'mkdir -p {instead} && ln -s /dev/null {instead}/10-namespaces.conf', check=True)
        fleet.run('app-vm', ['systemctl', '--user', 'daemon-reload'], user=contents.USER, check=True)
        fleet.run('app-vm', ['systemctl', '--user', 'restart', 'givc-agent.service'], user=contents.USER, check=True)
        assert_exposure(fleet, 'app-vm', 'givc-agent', 9, '--user', user=contents.USER)
