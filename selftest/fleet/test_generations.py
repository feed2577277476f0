# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's generations, by an ota-update that is a script."""
import json

import grpc
import pytest
from grpc import StatusCode

from miniature import Fleet, HOST
from wire import Wire, assert_forgotten

STEADY = 20  # seconds: what should come at once, and has not come by then, does not come

SCRIPT = r"""#!/bin/sh
case $1 in
get) cat /run/generations.json; exit $(cat /run/generations.code) ;;
cachix)
        printf 'fetching %s\n' "$*"
        printf 'gr\303'; printf '\274n \377\n' >&2
        [ "$2" != stuck ] || exec cat /dev/zero
        [ "$2" != broken ] || exit 3 ;;
esac
"""

GENERATIONS = [
    {'generation': 41, 'current': False, 'storePath': '/nix/store/a', 'nixosVersion': '24.05', 'kernelVersion': '6.6'},
    {'generation': 42, 'current': True, 'storePath': '/nix/store/b', 'nixosVersion': '24.11', 'kernelVersion': '6.12',
     'configurationRevision': 'cafe', 'date': '2026-01-02', 'specialisations': ['x', 'y'], 'bootspec': {'unknown': 1}},
]


@pytest.fixture(scope='module')
def wire(destdir):
    with Fleet(destdir, guests=('admin-vm',)) as fleet:
        fleet.wait_registered()
        config = json.loads(fleet.read_file(HOST, '/etc/givc/agent.json'))
        config['capabilities']['exec'] = {'enable': True}
        fleet.write_file(HOST, '/etc/givc/agent.json', json.dumps(config))
        fleet.write_file(HOST, '/usr/local/bin/ota-update', SCRIPT, 0o755)
        fleet.run(HOST, ['systemctl', 'restart', 'givc-agent.service'], check=True)
        fleet.wait_registered()
        with Wire(fleet) as wire:
            wire.admin = wire.stub('admin-vm', 9001, 'admin.AdminService', source=HOST)
            yield wire


def get(wire, text, code=0):
    wire.fleet.write_file(HOST, '/run/generations.json', text)
    wire.fleet.write_file(HOST, '/run/generations.code', str(code))
    return wire.admin.ListGenerations(wire.pb.msg('admin.Empty')(), timeout=STEADY)


def update(wire, timeout=STEADY, **cachix):
    request = wire.pb.msg('admin.SetGenerationRequest')(Cachix=wire.pb.msg('admin.Cachix')(**cachix))
    return wire.admin.SetGeneration(request, timeout=timeout)


def test_list(wire):
    old, new = get(wire, json.dumps(GENERATIONS)).List
    assert (old.Generation, old.Current, old.StorePath, old.ConfigurationRevision) == (41, False, '/nix/store/a', '')
    assert (new.Generation, new.Current, new.NixosVersion, new.KernelVersion) == (42, True, '24.11', '6.12')
    assert (new.Date, new.ConfigurationRevision, list(new.Specialisations)) == ('2026-01-02', 'cafe', ['x', 'y'])
    assert len(get(wire, '[]').List) == 0


@pytest.mark.parametrize('text, code, status', [
    ('nonsense', 0, StatusCode.INTERNAL),
    ('{}', 0, StatusCode.INTERNAL),
    ('[{"generation": "x"}]', 0, StatusCode.INTERNAL),
    ('[' * 100000, 0, StatusCode.INTERNAL),
    (' ' * 2_000_000, 0, StatusCode.RESOURCE_EXHAUSTED),
    ('[]', 7, StatusCode.FAILED_PRECONDITION),
])
def test_list_that_cannot_be_read(wire, text, code, status):
    with pytest.raises(grpc.RpcError) as raised:
        get(wire, text, code)
    assert raised.value.code() is status


def test_update_streams_its_output(wire):
    *output, last = update(wire, Pin='1.2', Cache='ghaf-dev', Token='secret', CachixHost='host')
    text = ''.join(item.Output for item in output)
    assert 'fetching cachix 1.2 --cache ghaf-dev --token secret --cachix-host host\n' in text
    assert 'n \\xff' in text
    assert last.Finished and not last.HasField('Error')
    assert 'secret' not in wire.fleet.journal(HOST, 'givc-agent.service')


def test_a_token_is_forgotten(wire):
    if wire.fleet.sanitized:
        pytest.skip('terabytes to look through')
    assert any('unforgettable' in item.Output for item in update(wire, Pin='1.2', Cache='c', Token='unforgettable'))
    list(update(wire, Pin='1.2', Cache='c'))  # by then the call before has been cleared away
    assert_forgotten(wire.fleet, 'admin-vm', 'givc-admin.service', 'unforgettable')
    assert_forgotten(wire.fleet, HOST, 'givc-agent.service', 'unforgettable')


def test_update_that_fails(wire):
    last = list(update(wire, Pin='broken', Cache='c'))[-1]
    assert last.Finished and '3' in last.Error


@pytest.mark.parametrize('cachix', [{'Pin': '', 'Cache': 'c'}, {'Pin': '--help', 'Cache': 'c'}, {'Pin': 'p', 'Cache': '-x'}])
def test_update_of_nonsense(wire, cachix):
    with pytest.raises(grpc.RpcError) as raised:
        list(update(wire, **cachix))
    assert raised.value.code() is StatusCode.INVALID_ARGUMENT


def test_update_ends_with_its_call(wire):
    stream = update(wire, Pin='stuck', Cache='c')
    while 'x00' not in next(stream).Output:
        pass
    pid = wire.fleet.run(HOST, ['pgrep', '-x', 'cat'], check=True).stdout.strip()
    stream.cancel()
    wire.fleet.run(HOST, ['timeout', str(STEADY), 'tail', f'--pid={pid}', '-s', '0.05', '-f', '/dev/null'], check=True)


OFFERS = r'''
import http.server, json, subprocess, threading
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps([{'name': self.path, 'storePath': '/nix/store/x', 'current': True, 'pubKey': 'k'}]).encode())
server = http.server.HTTPServer(('127.0.0.1', 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
subprocess.run(['givc-cli', 'update', 'query', '--source', f'http://127.0.0.1:{server.server_port}'], check=True)
'''


def test_what_a_server_offers(wire):
    """Which givcctl leaves to another program, as it is installed."""
    shown = wire.fleet.run(HOST, ['/usr/bin/python3', '-c', OFFERS], check=True).stdout
    assert json.loads(shown) == [{'name': '/update/ghaf-updates', 'storePath': '/nix/store/x', 'current': True, 'pubKey': 'k'}]
