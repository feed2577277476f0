# SPDX-License-Identifier: GPL-2.0-or-later
"""Access rules in a fleet, under the installed units: in the admin VM, and on an agent whose neighbour is hostile."""
import contextlib
import json
import subprocess

import grpc
import pytest
from grpc import StatusCode

from contents import file
from miniature import Fleet, wait_line

RULES = '/etc/givc/rules.cedar'
STEADY = 20
ADMIN_RULES = '''
@id("agents") permit (principal, action == Command::"RegisterService", resource == Module::"admin");
@id("host") permit (principal == Source::"ghaf-host", action, resource);
@id("look") permit (principal == Source::"app-vm", action == Command::"QueryList", resource == Module::"admin");
'''
AGENT_RULES = '''
@id("admin") permit (principal == Source::"admin-vm", action, resource);
permit (principal == Source::"ghaf-host", action, resource == Module::"systemd")
when { context has "UnitName" && context.UnitName == "demo-clock.service" };
'''


def with_rules(spec):
    """Access control for the admin and for net-vm's agent."""
    for machine in spec['machines']:
        for entry in machine['files']:
            if entry.get('path') == '/etc/givc/admin.env':
                entry['content'] += f'ACCESS_CONTROL=true\nCEDAR_FILE={RULES}\n'
            if entry.get('path') == '/etc/givc/agent.json' and machine['name'] == 'net-vm':
                config = json.loads(entry['content'])
                config['accessControl'] = {'enable': True, 'rulesFile': RULES}
                entry['content'] = json.dumps(config)


@pytest.fixture(scope='module')
def fleet(destdir):
    files = {'admin-vm': [file(RULES, ADMIN_RULES)], 'net-vm': [file(RULES, AGENT_RULES)]}
    with Fleet(destdir, files=files, configure=with_rules) as fleet:
        fleet.wait_registered()
        yield fleet


def refusal(call, request):
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=STEADY, wait_for_ready=True)
    assert caught.value.code() == StatusCode.PERMISSION_DENIED, caught.value
    return caught.value.details()


def test_the_host_does_its_work_through_both(fleet):
    fleet.givcctl('start', 'service', 'demo-clock.service', '--vm', 'net-vm', check=True)
    fleet.givcctl('stop', 'service', 'demo-clock.service', '--vm', 'net-vm', check=True)


def test_a_vm_may_do_no_more_than_it_is_permitted(fleet, wire):
    admin = wire.stub('admin-vm', 9001, 'admin.AdminService', source='app-vm')
    admin.QueryList(wire.pb.msg('admin.Empty')(), timeout=STEADY, wait_for_ready=True)
    request = wire.pb.msg('admin.ServiceRequest')(ServiceName='demo-clock.service', VmName='net-vm')
    assert refusal(admin.StartService, request).startswith('cedar: permission denied by admin access control policy: no rule')
    fleet.wait_log('admin-vm', r'Denied admin.AdminService/StartService for app-vm: no rule permits it', unit='givc-admin.service')
    said = fleet.journal('admin-vm', arguments=['GIVC_PEER=app-vm', 'GIVC_STATUS=PERMISSION_DENIED', '-o', 'json'])
    assert json.loads(said.splitlines()[-1])['GIVC_METHOD'] == 'admin.AdminService/StartService'


def test_the_agent_judges_by_the_request(wire):
    request = wire.pb.msg('systemd.UnitRequest')
    host = wire.stub('net-vm', 9000, 'systemd.UnitControlService', source='ghaf-host')
    host.GetUnitStatus(request(UnitName='demo-clock.service'), timeout=STEADY, wait_for_ready=True)
    said = refusal(host.GetUnitStatus, request(UnitName='givc-net-vm.service'))
    assert said == ('permission denied by access control policy: no rule permits it; policy1 at rules.cedar:3 would, '
                    'when context.UnitName == "demo-clock.service"')
    neighbour = wire.stub('net-vm', 9000, 'systemd.UnitControlService', source='app-vm')
    assert 'no rule permits it' in refusal(neighbour.GetUnitStatus, request(UnitName='demo-clock.service'))


@contextlib.contextmanager
def follow_decisions(fleet, *arguments):
    """What givcctl auth log on the host prints, as objects, once the admin and net-vm are followed."""
    log = fleet.popen('ghaf-host', ['givcctl', 'auth', 'log', '--json', *arguments], stdout=subprocess.PIPE, text=True)
    try:
        followed = set()
        while not {('admin-vm', 'givc-admin'), ('net-vm', 'givc-agent')} <= followed:
            source = json.loads(wait_line(log, r'"followed":true'))
            followed.add((source['vm'], source['daemon']))
        yield lambda pattern: json.loads(wait_line(log, pattern))
    finally:
        log.kill()
        log.wait()


def test_denials_of_the_whole_fleet_are_followed_on_the_host(fleet, wire):
    with follow_decisions(fleet) as expect:
        admin = wire.stub('admin-vm', 9001, 'admin.AdminService', source='app-vm')
        refusal(admin.StartVM, wire.pb.msg('admin.StartVMRequest')(VmName='app-vm'))
        said = expect(r'AdminService/StartVM"')
        assert (said['vm'], said['daemon'], said['decision'], said['peer']) == ('admin-vm', 'givc-admin', 'deny', 'app-vm')
        assert said['rule'] is None and said['reason'].startswith('no rule permits it')

        neighbour = wire.stub('net-vm', 9000, 'systemd.UnitManageService', source='app-vm')
        refusal(neighbour.ListUnits, wire.pb.msg('systemd.ListUnitsRequest')())
        said = expect(r'UnitManageService/ListUnits"')
        assert (said['vm'], said['daemon'], said['decision'], said['peer']) == ('net-vm', 'givc-agent', 'deny', 'app-vm')


def test_wrong_certificates_are_told_of_on_the_host(fleet, wire):
    """Of the admin, and of agents whether they have access rules (net-vm) or not (app-vm)."""
    where = fleet.addresses['app-vm']
    fleet.certificates['expired'] = fleet.authority.certify({'app-vm': where}, '--expired', '--force')['app-vm']
    health = wire.pb.msg('grpc.health.v1.HealthCheckRequest')()
    with follow_decisions(fleet) as expect:
        for machine, port, daemon in [('admin-vm', 9001, 'givc-admin'), ('net-vm', 9000, 'givc-agent')]:
            stub = wire.stub(machine, port, 'grpc.health.v1.Health', source='app-vm', identity='expired')
            with pytest.raises(grpc.RpcError):
                stub.Check(health, timeout=STEADY)
            said = expect(rf'"vm":"{machine}".*"decision":"refuse"')
            assert (said['daemon'], said['address'], said['claimed']) == (daemon, where, 'app-vm')
            assert said['reason'] == "peer's certificate has expired" and said['serial']

        stub = wire.stub('app-vm', 9000, 'grpc.health.v1.Health', source='net-vm', identity='ghaf-host')
        assert 'not in certificate SAN' in refusal(stub.Check, health)
        said = expect(r'"vm":"app-vm".*"decision":"refuse"')
        assert (said['daemon'], said['address'], said['claimed']) == ('givc-agent', fleet.addresses['net-vm'], 'ghaf-host')


def test_a_decision_is_explained_by_who_would_make_it(fleet):
    question = ['auth', 'why', 'app-vm', 'StartVM', 'admin']
    said = fleet.givcctl(*question, check=True).stdout
    assert said.startswith('Source::"app-vm" may not Command::"StartVM" on Module::"admin"\n  no policy permits it\n')
    said = json.loads(fleet.givcctl('auth', 'why', '--json', 'app-vm', 'QueryList', 'admin', check=True).stdout)
    assert said == {'decision': 'allow', 'reason': ['policy2'], 'errors': []}
    said = fleet.givcctl('auth', 'why', '--vm=net-vm', 'admin-vm', 'StartUnit', 'systemd', check=True).stdout
    assert 'permitted by policy0 (admin) at /etc/givc/rules.cedar:2\n' in said
    said = fleet.givcctl('auth', 'why', '--vm=app-vm', 'admin-vm', 'StartUnit', 'systemd')
    assert said.returncode == 1 and 'access control is off' in said.stderr


def test_a_change_of_the_rules_is_in_force_at_once_and_a_broken_one_is_not(fleet, wire):
    request = wire.pb.msg('systemd.UnitRequest')(UnitName='demo-clock.service')
    neighbour = wire.stub('net-vm', 9000, 'systemd.UnitControlService', source='app-vm')
    more = AGENT_RULES + 'permit (principal == Source::"app-vm", action, resource);'
    fleet.write_file('net-vm', RULES, more)
    fleet.wait_log('net-vm', r'\b3 access rules of /etc/givc/rules.cedar are in force', unit='givc-agent.service')
    neighbour.GetUnitStatus(request, timeout=STEADY, wait_for_ready=True)
    fleet.write_file('net-vm', RULES, 'permit (principal, everything);')
    fleet.wait_log('net-vm', r'rules.cedar:1:20: found everything where "action" is expected', unit='givc-agent.service')
    fleet.wait_log('net-vm', r'in force stay so', unit='givc-agent.service')
    neighbour.GetUnitStatus(request, timeout=STEADY, wait_for_ready=True)
    watched = wire.stub('net-vm', 9000, 'systemd.UnitWatchService', source='app-vm').WatchUnits(
        wire.pb.msg('systemd.WatchUnitsRequest')(), timeout=STEADY)
    next(watched)
    fleet.write_file('net-vm', RULES, more + 'forbid (principal == Source::"app-vm", action, resource);')
    fleet.wait_log('net-vm', r'\b4 access rules of /etc/givc/rules.cedar are in force', unit='givc-agent.service')
    assert 'policy3 at rules.cedar:5 forbids it' in refusal(neighbour.GetUnitStatus, request)
    assert 'policy3 at rules.cedar:5 forbids it' in refusal(lambda *_, **__: list(watched), None)
    fleet.wait_log('net-vm', r'Denied systemd.UnitWatchService/WatchUnits for app-vm, which was under way', unit='givc-agent.service')


def test_it_is_seen_from_outside(fleet):
    said = fleet.run('admin-vm', ['busctl', 'get-property', 'org.ghaf.Givc1.Admin', '/org/ghaf/Givc1', 'org.ghaf.Givc1.Daemon',
                                  'AccessControl'], check=True).stdout
    assert said == 'b true\n'
    figures = fleet.run('admin-vm', ['curl', '-s', '--unix-socket', '/run/givc-admin/metrics', 'http://localhost/metrics'],
                        check=True).stdout
    assert 'givc_access_rules 3\n' in figures
    assert int(figures.split('givc_decisions_total{decision="permit"} ')[1].split('\n')[0]) > 0
