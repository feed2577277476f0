# SPDX-License-Identifier: GPL-2.0-or-later
"""givcctl dump of a real fleet: every machine's state is in it, nobody holds it up, and no secret is in it."""
import io
import json
import tarfile
import time

from contents import HOST

SECRET = 'very-secret'
BUNDLE = '/root/bundle.tar'


class Bundle:
    def __init__(self, data):
        self.data = data
        with tarfile.open(fileobj=io.BytesIO(data), mode='r:') as archive:
            self.pieces = {member.name.partition('/')[2]: archive.extractfile(member).read().decode()
                           for member in archive.getmembers()}
        self.missing = dict(line.split(': ', 1) for line in self.pieces['errors.txt'].splitlines())

    def json(self, name):
        return json.loads(self.pieces[name])


def dump(givc, *options, machine=HOST):
    givc.run(machine, ['rm', '-f', BUNDLE], check=True)
    done = givc.givcctl('dump', BUNDLE, *options, machine=machine, timeout=60, check=True)
    assert done.stdout == f'{BUNDLE}\n'
    return Bundle(givc.read_file(machine, BUNDLE))


def test_every_machine_is_in_it(givc):
    bundle = dump(givc)
    assert bundle.missing == {}
    for machine in givc.names:
        assert bundle.json(f'vm/{machine}/stats.json')['memory']['total'] > 0
        units = {unit['name'] for unit in bundle.json(f'vm/{machine}/units.json')['units']}
        assert units >= {f'givc-{machine}.service', *givc.exposed[machine]}
        journal = bundle.pieces[f'vm/{machine}/journal-agent.txt']
        assert ' givc-agent[' in journal and ' systemd[1]: ' in journal
    assert ' givc-admin[' in bundle.pieces['vm/admin-vm/journal-admin.txt']
    assert {entry['name'] for entry in bundle.json('registry.json')} >= {f'givc-{machine}.service' for machine in givc.names}
    local = {unit['name']: unit['active_state'] for unit in bundle.json('local/units.json')}
    assert local['givc-agent.service'] == local['microvm@net-vm.service'] == 'active'
    assert bundle.pieces['local/metrics-agent.txt'].endswith('# EOF\n') and 'local/metrics-admin.txt' not in bundle.pieces
    assert ' givc-agent[' in bundle.pieces['local/journal-agent.txt'] and 'local/journal-admin.txt' not in bundle.pieces
    assert bundle.json('client.json')['admin']['certificate']['dns_names'] == [HOST]


def test_no_secret_is_in_it(givc):
    """Neither what is in files nor what calls have brought along, be they refused or not."""
    givc.givcctl('start', 'app', 'sleeper', '--vm', 'app-vm', '--', f'https://{SECRET}@example.com')
    givc.givcctl('set-locale', f'LANG={SECRET}')
    givc.givcctl('notify-user', 'app-vm', '--title', SECRET, '--message', SECRET)
    givc.givcctl('update', 'cachix', 'no-pin', env={'CACHIX_TOKEN': SECRET})
    givc.run('net-vm', f'echo {SECRET} | systemd-cat -t givc-agent')
    bundle = dump(givc)
    assert SECRET.encode() not in bundle.data and b'PRIVATE KEY' not in bundle.data
    for machine in givc.names:
        for line in givc.read_file(machine, '/etc/givc/key.pem').splitlines():
            assert line not in bundle.data
    assert givc.run(HOST, ['stat', '-c', '%a %U', BUNDLE]).stdout == '600 root\n'


def test_a_frozen_machine_holds_up_nobody(givc):
    givc.run(HOST, ['systemctl', 'freeze', 'microvm@net-vm.service'], check=True)
    try:
        begin = time.monotonic()
        bundle = dump(givc, '--timeout=4s')
        took = time.monotonic() - begin
    finally:
        givc.run(HOST, ['systemctl', 'thaw', 'microvm@net-vm.service'], check=True)
    assert took < 12, took  # a question to a machine and the registry at most, and what a busy machine takes
    assert bundle.missing and all(name.startswith('vm/net-vm') for name in bundle.missing), bundle.missing
    for machine in ('admin-vm', 'app-vm', HOST):
        assert {f'vm/{machine}/{piece}' for piece in ('stats.json', 'units.json', 'journal-agent.txt')} <= bundle.pieces.keys()
    givc.wait_registered()


def test_a_machine_that_is_down_is_named(givc):
    givc.stop_vm('app-vm')
    try:
        givc.givcctl('wait', f'{HOST}/microvm@app-vm.service', '--for=inactive,failed', '--timeout=20', check=True)
        bundle = dump(givc)
    finally:
        givc.start_vm('app-vm')
    assert bundle.missing == {'vm/app-vm': 'it has no agent registered'}
    givc.wait_registered()


def test_where_the_admin_is_down(givc):
    """On its machine, of which the units, the agent's figures and the journals are there. To ask for the admin's would start it."""
    units = ['givc-admin.socket', 'givc-admin.service']
    givc.run('admin-vm', ['systemctl', 'stop', *units], check=True)
    try:
        assert givc.unit('admin-vm', 'givc-admin-metrics.socket')['ActiveState'] == 'active'
        bundle = dump(givc, machine='admin-vm')
        assert givc.unit('admin-vm', 'givc-admin.service')['ActiveState'] == 'inactive'
    finally:
        givc.run('admin-vm', ['systemctl', 'start', *units], check=True)
    assert 'Connection refused' in bundle.missing['registry.json']
    local = {unit['name']: unit['active_state'] for unit in bundle.json('local/units.json')}
    assert local['givc-agent.service'] == 'active' and local['givc-admin.socket'] == 'inactive'
    assert ' systemd[1]: Stopped givc-admin.service' in bundle.pieces['local/journal-admin.txt']
    assert 'local/metrics-agent.txt' in bundle.pieces and 'local/metrics-admin.txt' not in bundle.pieces
    givc.wait_registered()
