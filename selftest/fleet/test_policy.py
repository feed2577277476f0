# SPDX-License-Identifier: GPL-2.0-or-later
"""Policies: what an agent takes from the admin, and what it refuses; what the admin sends, and to whom."""
import hashlib
import json
import threading

import grpc
import pytest
from grpc import StatusCode

from contents import directory, file, policies_at
from miniature import Fleet

MACHINE = 'app-vm'
STORE = '/etc/policies'
PLACED = '/etc/demo-policies/placed.conf'
SENT = '/etc/demo-policies/sent.conf'
SOURCE = f'{STORE}/data/vm-policies'
STEADY = 20
INSTALLER = '/usr/local/libexec/givc-policy-install'
GATE = '/run/policy-gate'


def with_policies(spec):
    for machine in spec['machines']:
        for entry in machine['files']:
            if entry.get('path') == '/etc/givc/agent.json' and machine['name'] == MACHINE:
                config = json.loads(entry['content'])
                config['capabilities']['policy'] = {
                    'enable': True, 'storePath': STORE,
                    'policies': {'placed': PLACED, 'local': '', 'lost': '/nowhere/lost.conf', 'sent': SENT,
                                 'outside': '/etc/other-policies/outside.conf'}}
                entry['content'] = json.dumps(config)
            if entry.get('path') == '/etc/givc/admin.env':
                policies = {'source': {'type': 'none'}, 'policies': {
                    'sent': {'vms': [MACHINE, 'net-vm']}, 'elsewhere': {'vms': ['ghaf-host']},
                    'unknown': {'vms': [MACHINE]}, 'absent': {'vms': [MACHINE]}}}
                entry['content'] += f"POLICY_ADMIN=true\nPOLICY_STORE={STORE}\nPOLICY_CONFIG='{json.dumps(policies)}'\n"


@pytest.fixture(scope='module')
def fleet(destdir):
    files = {MACHINE: [*policies_at('/etc/demo-policies'), directory('/etc/other-policies')],
             'admin-vm': [file(f'{SOURCE}/{name}/policy.json', f'{name}, of the image')
                          for name in ('sent', 'elsewhere', 'unknown')]}
    with Fleet(destdir, files=files, configure=with_policies) as fleet:
        fleet.wait_registered()
        yield fleet


class Sender:
    def __init__(self, wire, source):
        self.make = wire.pb.msg('policyadmin.StreamPolicyRequest')
        self.stub = wire.stub(MACHINE, 9000, 'policyadmin.PolicyAdmin', source=source)

    def message(self, name, chunk):
        return self.make(policy_name=name, policy_chunk=chunk)

    def send(self, *messages):
        return self.stub.StreamPolicy(iter([self.message(*message) for message in messages]), timeout=STEADY,
                                      wait_for_ready=True).Status

    def refused(self, *messages):
        with pytest.raises(grpc.RpcError) as raised:
            self.send(*messages)
        return raised.value.code(), raised.value.details()


@pytest.fixture(scope='module')
def admin(wire):
    return Sender(wire, 'admin-vm')


def files(fleet):
    return fleet.run(MACHINE, f'find {STORE} /etc/demo-policies -type f | sort', check=True).stdout.split()


def wait_for(fleet, path, text):
    """Until a file has that text: the agent's journal says when it has installed something."""
    fleet.run(MACHINE, f'journalctl -f -n all -o cat -u givc-agent.service | while read line; do '
                       f'[ "$(cat {path} 2>/dev/null)" = "{text}" ] && exit; done', check=True)


def write_source(fleet, name, text):
    """As whatever fetches policies would."""
    path = f'{SOURCE}/{name}/policy.json'
    fleet.run('admin-vm', f'cat >{path}.new && mv {path}.new {path}', input=text, check=True)


def installed(fleet, begun):
    """What the agent says of policies that it has installed since then."""
    return fleet.journal(MACHINE, arguments=[f'--after-cursor={begun}',
                                             'MESSAGE_ID=bfdceba476384ae59367ab27efd73490']).splitlines()


def test_a_policy_of_the_image_is_there_once_the_agent_has_registered(fleet):
    wait_for(fleet, SENT, 'sent, of the image')
    assert fleet.run(MACHINE, ['ls', STORE], check=True).stdout.split() == ['policies.json', 'sent']


def test_a_change_arrives_with_a_reload(fleet):
    write_source(fleet, 'sent', 'sent, anew')
    fleet.run('admin-vm', ['systemctl', 'reload', 'givc-admin.service'], check=True)
    wait_for(fleet, SENT, 'sent, anew')


def test_an_agent_that_was_away_gets_it_when_it_is_back(fleet):
    fleet.run(MACHINE, ['systemctl', 'stop', 'givc-agent.service', 'givc-agent.socket'], check=True)
    write_source(fleet, 'sent', 'sent, meanwhile')
    fleet.run('admin-vm', ['systemctl', 'reload', 'givc-admin.service'], check=True)
    assert fleet.read_file(MACHINE, SENT) == b'sent, anew'
    fleet.run(MACHINE, ['systemctl', 'start', 'givc-agent.socket', 'givc-agent.service'], check=True)
    wait_for(fleet, SENT, 'sent, meanwhile')


def test_a_restart_of_the_admin_sends_what_it_has(fleet):
    write_source(fleet, 'sent', 'sent, after all')
    fleet.run('admin-vm', ['systemctl', 'restart', 'givc-admin.service'], check=True)
    wait_for(fleet, SENT, 'sent, after all')


def test_what_an_agent_does_not_take_is_told_in_the_journal(fleet):
    told = fleet.journal('admin-vm', 'givc-admin.service')
    assert 'The policy unknown could not be set in app-vm: "unknown" is no policy of this agent' in told
    assert f'The policy absent cannot be read below {SOURCE}' in told
    assert 'could not be set in net-vm' not in told  # which has no such service


def test_a_policy_is_installed_where_the_configuration_says(fleet, admin):
    chunks = [b'a' * 1000000, b'b' * 1000000, b'c']
    assert admin.send(('placed', chunks[0]), ('', chunks[1]), ('placed', chunks[2])) == 'Success'
    assert fleet.read_file(MACHINE, PLACED) == b''.join(chunks)
    assert fleet.read_file(MACHINE, f'{STORE}/placed/policy.bin') == b''.join(chunks)
    assert fleet.run(MACHINE, ['stat', '-c', '%a %U', PLACED], check=True).stdout == '644 root\n'
    book = json.loads(fleet.read_file(MACHINE, f'{STORE}/policies.json'))
    assert book['placed'] == {'Destination': PLACED, 'Sha': hashlib.sha256(b''.join(chunks)).hexdigest()}
    assert 'placed' in fleet.journal(MACHINE, arguments=['MESSAGE_ID=bfdceba476384ae59367ab27efd73490'])


def test_without_a_destination_it_stays_in_the_store(fleet, admin):
    assert admin.send(('local', b'here')) == 'Success'
    assert fleet.read_file(MACHINE, f'{STORE}/local/policy.bin') == b'here'


def test_the_same_policy_again_is_not_touched(fleet, admin):
    def inode():
        return fleet.run(MACHINE, ['stat', '-c', '%i', PLACED], check=True).stdout
    admin.send(('placed', b'one'))
    before = inode()
    admin.send(('placed', b'o'), ('', b'ne'))
    assert inode() == before
    admin.send(('placed', b'two'))
    assert fleet.read_file(MACHINE, PLACED) == b'two'


def test_a_stream_that_is_cut_off_installs_nothing_and_leaves_nothing(fleet, admin):
    admin.send(('placed', b'whole'))
    before = files(fleet)

    def endless():
        while True:
            yield admin.message('placed', b'x' * 100000)
    with pytest.raises(grpc.RpcError) as raised:
        admin.stub.StreamPolicy(endless(), timeout=STEADY)
    assert raised.value.code() == StatusCode.INVALID_ARGUMENT and '16 MiB' in raised.value.details()

    taken, held = threading.Event(), threading.Event()

    def half():
        yield admin.message('placed', b'half')
        taken.set()
        held.wait(STEADY)
    cut = admin.stub.StreamPolicy.future(half(), timeout=STEADY)
    assert taken.wait(STEADY)
    cut.cancel()
    held.set()
    admin.send(('local', b'after it'))
    assert fleet.read_file(MACHINE, PLACED) == b'whole'
    assert set(files(fleet)) <= {*before, f'{STORE}/local/policy.bin'}


def test_two_at_once_are_not_mixed(fleet, admin, wire):
    other = Sender(wire, 'admin-vm')
    texts = [b'1' * 3000000, b'2' * 3000000]
    calls = [sender.stub.StreamPolicy.future(
        iter([sender.message('placed', text[i:i + 10000]) for i in range(0, len(text), 10000)]), timeout=STEADY)
        for sender, text in zip((admin, other), texts)]
    assert [call.result().Status for call in calls] == ['Success', 'Success']
    assert fleet.read_file(MACHINE, PLACED) in texts


class Gate:
    """Opens for one installation at a time: until then each stands still."""

    def __init__(self, fleet):
        self.fleet = fleet
        fleet.run(MACHINE, f'mkfifo {GATE} && mv {INSTALLER} {INSTALLER}-real && cat >{INSTALLER} && chmod 755 {INSTALLER}',
                  input=f'#!/bin/sh\nread x <{GATE}\nexec {INSTALLER}-real "$@"\n', check=True)

    def open(self):
        """Waits for an installation that is to pass."""
        self.fleet.run(MACHINE, f'timeout {STEADY} sh -c "echo >{GATE}"', check=True)

    def lift(self):
        """For good, and for those that stand before it."""
        self.fleet.run(MACHINE, f'[ ! -e {GATE} ] || {{ mv {INSTALLER}-real {INSTALLER} && exec 3<>{GATE} && rm {GATE}; }}', check=True)


@pytest.fixture
def gate(fleet):
    gate = Gate(fleet)
    try:
        yield gate
    finally:
        gate.lift()


def begin(admin, text):
    """A policy that has all been sent, but is not installed yet."""
    sent = threading.Event()

    def messages():
        yield admin.message('placed', text)
        sent.set()
    call = admin.stub.StreamPolicy.future(messages(), timeout=STEADY)
    assert sent.wait(STEADY)
    return call


def test_while_one_is_installed_others_are_answered_and_wait_their_turn(fleet, admin, gate):
    begun = fleet.cursor(MACHINE)
    calls = [begin(admin, f'turn {i}'.encode()) for i in range(3)]
    assert not [call for call in calls if call.done()]
    assert fleet.read_file(MACHINE, PLACED) != b'turn 0'
    for i, call in enumerate(calls):
        gate.open()
        assert call.result().Status == 'Success'
        assert fleet.read_file(MACHINE, PLACED) == f'turn {i}'.encode()
    assert len(installed(fleet, begun)) == 3


def test_who_goes_while_it_waits_leaves_nothing_and_while_it_is_installed_leaves_it_whole(fleet, admin, gate):
    begun = fleet.cursor(MACHINE)
    first, second, third = [begin(admin, text) for text in (b'first', b'second', b'third')]
    admin.refused(('stranger', b'x'))  # on the same connection: all that was sent before it has come
    first.cancel()
    second.cancel()
    admin.refused(('stranger', b'x'))
    gate.open()
    gate.open()
    assert third.result().Status == 'Success'
    assert fleet.read_file(MACHINE, PLACED) == b'third'
    assert len(installed(fleet, begun)) == 2


def test_an_installation_that_dies_is_an_error_and_the_next_is_none(fleet, admin, gate):
    call = begin(admin, b'never')
    admin.refused(('stranger', b'x'))
    fleet.run(MACHINE, ['pkill', '-KILL', '-f', INSTALLER], check=True)
    with pytest.raises(grpc.RpcError) as raised:
        call.result()
    assert raised.value.code() == StatusCode.INTERNAL
    gate.lift()
    assert admin.send(('placed', b'after it')) == 'Success' and fleet.read_file(MACHINE, PLACED) == b'after it'


def test_a_reload_waits_for_what_is_installed(fleet, admin, gate):
    call = begin(admin, b'over a reload')
    admin.refused(('stranger', b'x'))
    fleet.run(MACHINE, ['systemctl', 'reload', 'givc-agent.service'], check=True)
    gate.open()
    assert call.result().Status == 'Success' and fleet.read_file(MACHINE, PLACED) == b'over a reload'


def test_a_crash_of_the_agent_ends_what_it_installs(fleet, admin, gate):
    before = files(fleet)
    call = begin(admin, b'never')
    admin.refused(('stranger', b'x'))
    fleet.run(MACHINE, ['systemctl', 'kill', '-s', 'KILL', 'givc-agent.service'], check=True)
    with pytest.raises(grpc.RpcError) as raised:
        call.result()
    assert raised.value.code() == StatusCode.UNAVAILABLE
    gate.lift()
    assert admin.send(('local', b'x')) == 'Success'
    assert files(fleet) == before


@pytest.mark.parametrize('name', ['stranger', '../placed', 'placed/../local', '/etc/passwd', '.', 'policies.json', 'plaçed'])
def test_what_is_not_configured_is_refused(fleet, admin, name):
    before = files(fleet)
    assert admin.refused((name, b'x'))[0] == StatusCode.NOT_FOUND
    assert files(fleet) == before


def test_a_stream_has_one_policy(fleet, admin):
    assert admin.refused(('', b'x'))[0] == StatusCode.INVALID_ARGUMENT
    assert admin.refused()[0] == StatusCode.INVALID_ARGUMENT
    assert admin.refused(('placed', b'x'), ('local', b'y'))[0] == StatusCode.INVALID_ARGUMENT


def test_a_destination_that_cannot_be_written_is_said(fleet, admin):
    code, details = admin.refused(('lost', b'x'))
    assert code == StatusCode.INTERNAL and '/nowhere/lost.conf' in details
    code, details = admin.refused(('outside', b'x'))
    assert code == StatusCode.INTERNAL and '/etc/other-policies/outside.conf' in details and 'ReadWritePaths=' in details


@pytest.mark.parametrize('source', ['net-vm', 'ghaf-host', MACHINE])
def test_nobody_but_the_admin_may_send(fleet, wire, source):
    before = fleet.read_file(MACHINE, PLACED)
    assert Sender(wire, source).refused(('placed', b'mine'))[0] == StatusCode.PERMISSION_DENIED
    assert fleet.read_file(MACHINE, PLACED) == before


def test_an_agent_that_was_not_configured_has_no_such_service(fleet, wire):
    stub = wire.stub('net-vm', 9000, 'policyadmin.PolicyAdmin', source='admin-vm')
    with pytest.raises(grpc.RpcError) as raised:
        stub.StreamPolicy(iter([wire.pb.msg('policyadmin.StreamPolicyRequest')(policy_name='placed')]), timeout=STEADY,
                          wait_for_ready=True)
    assert raised.value.code() == StatusCode.UNIMPLEMENTED
