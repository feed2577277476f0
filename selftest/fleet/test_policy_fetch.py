# SPDX-License-Identifier: GPL-2.0-or-later
"""Policies that the admin fetches by URL, over HTTPS from a server of ours beside it, and brings to a machine."""
import contextlib
import json
import shlex

import pytest

from contents import directory, file, link, policies_at, unit, wants
from miniature import Authority, Fleet

MACHINE = 'app-vm'
STORE = '/etc/policies'
TRUSTED = '/etc/ssl/certs/ca-certificates.crt'
PLACED = '/etc/demo-policies/fetched.conf'
SERVED = '/var/lib/policy-server'
SERVER = f'''import hashlib, http.server, ssl, subprocess


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        # What everybody in this machine sees of who fetches.
        subprocess.run('cat /proc/[0-9]*/cmdline | grep -az givc-policy >>/run/fetching', shell=True)
        try:
            with open('{SERVED}' + self.path, 'rb') as f:
                body = f.read()
        except OSError:
            return self.send_error(503)
        etag = '"' + hashlib.md5(body).hexdigest() + '"'
        same = self.headers.get('If-None-Match') == etag
        self.send_response(304 if same else 200)
        self.send_header('ETag', etag)
        self.send_header('Content-Length', '0' if same else str(len(body)))
        self.end_headers()
        if not same:
            self.wfile.write(body)


server = http.server.ThreadingHTTPServer(('', 8000), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('/etc/givc/cert.pem', '/etc/givc/key.pem')
server.socket = context.wrap_socket(server.socket, server_side=True)
subprocess.run(['systemd-notify', '--ready'], check=True)
server.serve_forever()
'''


def configure(spec, policies):
    for machine in spec['machines']:
        for entry in machine['files']:
            if entry.get('path') == '/etc/givc/agent.json' and machine['name'] == MACHINE:
                config = json.loads(entry['content'])
                config['capabilities']['policy'] = {'enable': True, 'storePath': STORE, 'policies': {'fetched': PLACED, 'steady': ''}}
                entry['content'] = json.dumps(config)
            if entry.get('path') == '/etc/givc/admin.env':
                entry['content'] += f"POLICY_ADMIN=true\nPOLICY_STORE={STORE}\nPOLICY_CONFIG='{json.dumps(policies)}'\n"


@contextlib.contextmanager
def fleet_of(destdir, server, arguments, policies):
    """server: the text of a program in the admin's machine, which has that machine's certificate, and whose authority that
    machine trusts."""
    files = {MACHINE: policies_at('/etc/demo-policies'),
             'admin-vm': [file(f'{STORE}/data/vm-policies/fetched/policy.json', 'of the image'),
                          directory(SERVED), file('/usr/local/lib/policy-server.py', server),
                          link(TRUSTED, '/etc/givc/ca-cert.pem'),
                          unit('policy-server.service', '[Service]\nType=notify\nNotifyAccess=all\nExecStart=/usr/bin/python3 -u '
                                                        f'/usr/local/lib/policy-server.py {arguments}\n'),
                          wants('multi-user.target', 'policy-server.service', '/etc/systemd/system/policy-server.service')]}
    with Fleet(destdir, files=files, configure=lambda spec: configure(spec, policies)) as fleet:
        fleet.wait_registered()
        fleet.run('admin-vm', ['systemctl', 'start', 'policy-server.service'], check=True)  # waits until it is ready
        yield fleet


@pytest.fixture(scope='module')
def fleet(destdir):
    updater = {'url': 'https://kim:top-secret@admin-vm:8000/fetched', 'poll_interval_secs': 86400}
    policies = {'source': {'type': 'per-policy'}, 'policies': {'fetched': {'vms': [MACHINE], 'perPolicyUpdater': updater}}}
    with fleet_of(destdir, SERVER, '', policies) as fleet:
        yield fleet


def wait_for(fleet, text):
    """Until the policy has that text: the agent's journal says when it has installed something."""
    fleet.run(MACHINE, f'journalctl -f -n all -o cat -u givc-agent.service | while read line; do '
                       f'[ "$(cat {PLACED} 2>/dev/null)" = "{text}" ] && exit; done', check=True)


def wait_line(fleet, text, begin):
    """Until somebody in the admin's machine has written that, after a cursor of its journal. Of all units: with -u,
    journalctl passes over the first entry that it finds behind a cursor of another unit."""
    fleet.run('admin-vm', f'journalctl -f -n all -o cat --after-cursor "{begin}" | grep -m1 -F -e {shlex.quote(text)}', check=True)


def serve(fleet, text):
    fleet.run('admin-vm', f'cat >{SERVED}/new && mv {SERVED}/new {SERVED}/fetched', input=text, check=True)


def reload(fleet):
    fleet.run('admin-vm', ['systemctl', 'reload', 'givc-admin.service'], check=True)


def refuse_stranger(fleet, had):
    """While another authority is trusted, what the server has is not taken; afterwards it is fetched."""
    begin = fleet.cursor('admin-vm')
    other = Authority().certify({'stranger': '192.168.100.250'})['stranger']['ca-cert.pem']
    fleet.write_file('admin-vm', TRUSTED, other)
    reload(fleet)
    wait_line(fleet, 'certificate ', begin)
    assert fleet.read_file(MACHINE, PLACED).decode() == had
    fleet.run('admin-vm', ['ln', '-sfT', '/etc/givc/ca-cert.pem', TRUSTED], check=True)
    reload(fleet)


def miss(fleet, told):
    """While nothing can be fetched, that is told, and the image's is in force."""
    wait_for(fleet, 'of the image')
    begin = fleet.cursor('admin-vm')
    reload(fleet)
    wait_line(fleet, told, begin)
    assert fleet.read_file(MACHINE, PLACED) == b'of the image'


def test_until_it_can_be_fetched_the_image_s_is_in_force(fleet):
    miss(fleet, 'The policy fetched could not be fetched: https://admin-vm:8000/fetched: the server answers 503')


def test_what_is_fetched_is_brought_to_the_machine(fleet):
    serve(fleet, 'fetched, 1')
    reload(fleet)
    wait_for(fleet, 'fetched, 1')
    serve(fleet, 'fetched, 2')
    reload(fleet)
    wait_for(fleet, 'fetched, 2')


def test_a_password_in_the_url_is_seen_by_nobody(fleet):
    everybody = fleet.read_file('admin-vm', '/run/fetching').decode() + fleet.journal('admin-vm')
    assert 'givc-policy-fetch' in everybody and 'top-secret' not in everybody


def test_what_is_the_same_is_not_fetched_again(fleet):
    begin = fleet.cursor('admin-vm')
    reload(fleet)
    wait_line(fleet, '"GET /fetched HTTP/1.1" 304', begin)


def test_what_fails_is_tried_again_and_the_old_one_stays(fleet):
    fleet.run('admin-vm', ['rm', f'{SERVED}/fetched'], check=True)
    begin = fleet.cursor('admin-vm')
    reload(fleet)
    wait_line(fleet, 'Trying again in 5 s.', begin)
    assert fleet.read_file(MACHINE, PLACED) == b'fetched, 2'
    serve(fleet, 'fetched, 3')  # and nobody asks for it
    wait_for(fleet, 'fetched, 3')


def test_what_is_too_large_is_not_taken(fleet):
    begin = fleet.cursor('admin-vm')
    fleet.run('admin-vm', ['truncate', '-s', '17M', f'{SERVED}/fetched'], check=True)
    reload(fleet)
    wait_line(fleet, 'larger than 16 MiB', begin)
    assert fleet.read_file(MACHINE, PLACED) == b'fetched, 3'


def test_a_server_for_whom_no_authority_vouches_is_not_heard(fleet):
    serve(fleet, 'fetched, 4')
    refuse_stranger(fleet, 'fetched, 3')
    wait_for(fleet, 'fetched, 4')


def test_without_its_server_the_admin_has_what_it_had(fleet):
    fleet.run('admin-vm', ['systemctl', 'stop', 'policy-server.service'], check=True)
    begin = fleet.cursor('admin-vm')
    fleet.run(MACHINE, ['rm', PLACED], check=True)
    fleet.run('admin-vm', ['systemctl', 'restart', 'givc-admin.service'], check=True)
    wait_for(fleet, 'fetched, 4')
    wait_line(fleet, 'could not be fetched', begin)
