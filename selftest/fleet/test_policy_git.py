# SPDX-License-Identifier: GPL-2.0-or-later
"""Policies that the admin fetches from a git repository, served by git over HTTPS beside it, and brings to a machine."""
import ctypes
import os
import shlex

import pytest

from test_policy_fetch import MACHINE, PLACED, SERVED, fleet_of, miss, refuse_stranger, reload, wait_for, wait_line

SERVER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'interop', 'git_server.py')
WORK = '/root/work'
SYS_LANDLOCK_CREATE_RULESET = 444
POLICY = f'{WORK}/vm-policies/fetched/policy.conf'


@pytest.fixture(scope='module')
def fleet(destdir):
    with open(SERVER, encoding='utf-8') as f:
        server = f.read()
    policies = {'source': {'type': 'git-url', 'url': 'https://admin-vm:8000/policies.git', 'ref': 'main',
                           'poll_interval_secs': 86400},
                'policies': {'steady': {'vms': [MACHINE]}, 'fetched': {'vms': [MACHINE]}, 'other': {'vms': []}}}
    with fleet_of(destdir, server, f'{SERVED} 8000 /etc/givc/cert.pem /etc/givc/key.pem', policies) as fleet:
        yield fleet


def git(fleet, *commands):
    script = ''.join(f'git -c user.name=tester -c user.email=tester@example.org {command} &&' for command in commands)
    fleet.run('admin-vm', f'export HOME=/root; mkdir -p {WORK} && cd {WORK} && {script} true', check=True)


def commit(fleet, text):
    fleet.run('admin-vm', f'mkdir -p {os.path.dirname(POLICY)} && echo -n {shlex.quote(text)} >{POLICY}', check=True)
    git(fleet, 'add -A', 'commit -q -m change', f'push -q {SERVED}/policies.git main')
    reload(fleet)


def test_until_there_is_a_repository_the_image_s_is_in_force(fleet):
    miss(fleet, 'The policies could not be fetched: the repository: unexpected http status code: 404')


def test_what_is_committed_is_brought_to_the_machine(fleet):
    git(fleet, f'init -q --bare -b main {SERVED}/policies.git', 'init -q -b main .')
    commit(fleet, 'committed, 1')
    wait_for(fleet, 'committed, 1')
    begin = fleet.cursor('admin-vm')
    commit(fleet, 'committed, 2')
    wait_for(fleet, 'committed, 2')
    head = fleet.run('admin-vm', ['git', '-C', WORK, 'rev-parse', 'HEAD'], check=True).stdout.strip()
    wait_line(fleet, f'The policies changed: commit {head}.', begin)


def test_what_a_commit_does_not_change_is_not_sent_again(fleet):
    begin = fleet.cursor('admin-vm')
    fleet.run('admin-vm', f'mkdir -p {WORK}/vm-policies/steady && echo steady >{WORK}/vm-policies/steady/policy.conf', check=True)
    commit(fleet, 'committed, 2, beside another')
    wait_for(fleet, 'committed, 2, beside another')
    wait_line(fleet, f'{MACHINE} has the policy steady.', begin)

    begin = fleet.cursor('admin-vm')
    fleet.run('admin-vm', ['systemctl', 'stop', 'policy-server.service'], check=True)
    commit(fleet, 'committed, 2')  # with a reload, which sends what there is
    for text in 'could not be fetched', 'has the policy steady.', 'has the policy fetched.':
        wait_line(fleet, text, begin)

    begin = fleet.cursor('admin-vm')
    fleet.run('admin-vm', ['systemctl', 'start', 'policy-server.service'], check=True)
    wait_for(fleet, 'committed, 2')
    wait_line(fleet, f'{MACHINE} has the policy fetched.', begin)
    assert 'has the policy steady' not in fleet.journal('admin-vm', 'givc-admin.service', [f'--after-cursor={begin}'])


def test_a_commit_that_cannot_be_taken_is_told_and_the_old_one_stays(fleet):
    begin = fleet.cursor('admin-vm')
    fleet.run('admin-vm', f'ln -sf /etc/givc/key.pem {POLICY}', check=True)
    git(fleet, 'add -A', 'commit -q -m link', f'push -q {SERVED}/policies.git main')
    reload(fleet)
    wait_line(fleet, 'fetched: its first file is a link or a submodule. Trying again in 5 s.', begin)
    fleet.run('admin-vm', f'rm {POLICY}; truncate -s 17M {POLICY}', check=True)
    git(fleet, 'add -A', 'commit -q -m large', f'push -q {SERVED}/policies.git main')
    reload(fleet)
    wait_line(fleet, 'fetched: it is larger than 16 MiB', begin)
    assert fleet.read_file(MACHINE, PLACED) == b'committed, 2'
    commit(fleet, 'committed, 3')
    wait_for(fleet, 'committed, 3')


def test_a_branch_that_is_gone_is_told_and_what_it_had_stays(fleet):
    begin = fleet.cursor('admin-vm')
    git(fleet, f'--git-dir={SERVED}/policies.git branch -m main elsewhere')
    reload(fleet)
    wait_line(fleet, 'main: the repository has no such branch or tag', begin)
    git(fleet, f'--git-dir={SERVED}/policies.git branch -m elsewhere main')
    fleet.run(MACHINE, ['rm', PLACED], check=True)
    fleet.run('admin-vm', ['systemctl', 'restart', 'givc-admin.service'], check=True)
    wait_for(fleet, 'committed, 3')


def test_a_server_for_whom_no_authority_vouches_is_not_heard(fleet):
    fleet.run('admin-vm', ['systemctl', 'stop', 'policy-server.service'], check=True)
    commit(fleet, 'committed, 4')
    fleet.run('admin-vm', ['systemctl', 'start', 'policy-server.service'], check=True)
    refuse_stranger(fleet, 'committed, 3')
    wait_for(fleet, 'committed, 4')


@pytest.mark.skipif(ctypes.CDLL(None).syscall(SYS_LANDLOCK_CREATE_RULESET, None, 0, 1) < 1, reason='this kernel has no Landlock')
def test_what_fetches_writes_nowhere_else(fleet):
    """Were it led out of its directory by a link, Landlock would stop it: under the unit's filter of system calls, too."""
    if fleet.under_valgrind:
        pytest.skip('valgrind knows no Landlock')
    state = '/var/lib/givc-admin'
    begin = fleet.cursor('admin-vm')
    fleet.run('admin-vm', f'cd {state}/ && mv policies-git/fetched elsewhere && ln -s ../elsewhere policies-git/fetched', check=True)
    commit(fleet, 'committed, 5')
    wait_line(fleet, 'fetched/policy.bin: Permission denied', begin)
    assert fleet.read_file('admin-vm', f'{state}/elsewhere/policy.bin') == b'committed, 4'
    fleet.run('admin-vm', f'cd {state}/ && rm policies-git/fetched && mv elsewhere policies-git/fetched', check=True)
    reload(fleet)
    wait_for(fleet, 'committed, 5')


def test_nothing_but_policies_is_left_on_the_disk(fleet):
    left = fleet.run('admin-vm', 'cd /var/lib/givc-admin/policies-git && find . | sort', check=True).stdout.split()
    assert left == ['.', './.commit', './fetched', './fetched/policy.bin', './steady', './steady/policy.bin']
