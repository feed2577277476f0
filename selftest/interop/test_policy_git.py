# SPDX-License-Identifier: GPL-2.0-or-later
"""givc-policy-git as the admin runs it, against git's own server and repositories as people and others make them."""

import os
import subprocess
import threading

import pytest

import git_server

PROGRAM = os.environ['GIVC_POLICY_GIT']
CHANGED, FAILED, SAME = 0, 1, 3  # daemon/admin/policies.h
VERSION = tuple(map(int, os.environ['LIBGIT2_VERSION'].split('.')[:2]))
LARGEST = 16 * 1024 * 1024


class Repository:
    """Commits are made of what a test says, without a work tree, as no work tree could hold all of it."""

    def __init__(self, path):
        self.path = path
        self.parent = None
        self.git('init', '--bare', '-q', '-b', 'master', path)
        # What is large here is random.
        self.git('config', 'core.compression', '0')
        self.git('config', 'pack.window', '0')

    def git(self, *arguments, input=None):
        environment = {'PATH': os.environ['PATH'], 'HOME': '/nonexistent', 'GIT_DIR': str(self.path)}
        for who in ('AUTHOR', 'COMMITTER'):
            environment |= {f'GIT_{who}_NAME': 'tester', f'GIT_{who}_EMAIL': 'tester@example.org'}
        return subprocess.run(['git', *arguments], env=environment, input=input, stdout=subprocess.PIPE, check=True).stdout.decode(
            ).strip()

    def tree(self, entries):
        """entries: {name: content, or (mode, content or object), or a dict of entries}."""
        lines = []
        for name, entry in entries.items():
            if isinstance(entry, dict):
                mode, kind, identity = '040000', 'tree', self.tree(entry)
            else:
                mode, content = entry if isinstance(entry, tuple) else ('100644', entry)
                kind = 'commit' if mode == '160000' else 'blob'
                identity = content if kind == 'commit' else self.git('hash-object', '-w', '--stdin', input=content)
            lines.append(f'{mode} {kind} {identity}\t{name}\n')
        return self.git('mktree', '--missing', input=''.join(lines).encode())

    def commit(self, policies, ref='refs/heads/master', directory='vm-policies', others=None):
        tree = self.tree({directory: policies, 'README': b'policies of a fleet', **(others or {})})
        parents = ['-p', self.parent] if self.parent else []
        self.parent = self.git('commit-tree', '-m', 'change', *parents, tree)
        self.git('update-ref', ref, self.parent)
        return self.parent


class Case:
    def __init__(self, path):
        (path / 'served').mkdir()
        self.directory = path / 'policies'
        self.directory.mkdir()
        self.repository = Repository(path / 'served' / 'policies.git')
        self.server = git_server.serve(path / 'served', 0)
        self.url = f'http://127.0.0.1:{self.server.server_port}/policies.git'
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self):
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()

    def fetch(self, *names, ref='master', url=None):
        done = subprocess.run([PROGRAM, ref, self.directory, *(names or ('proxy', 'usb'))], env={'POLICY_URL': url or self.url},
                              stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding='utf-8', timeout=60)
        assert done.returncode in (CHANGED, FAILED, SAME), done.stderr
        assert bool(done.stderr) == (done.returncode != SAME) and done.stderr.count('\n') <= 1, done.stderr
        assert not (self.directory / '.repository').exists()
        return done.returncode, done.stderr.strip()

    def have(self):
        return {path.parent.name: path.read_bytes() for path in self.directory.glob('*/*')}

    def asked(self):
        """And forget it."""
        asked, self.server.asked = self.server.asked, []
        return asked


@pytest.fixture
def case(tmp_path):
    case = Case(tmp_path)
    yield case
    case.close()


ONE = {'proxy': {'policy.json': b'proxy, 1'}, 'usb': {'policy.json': b'usb, 1'}, 'unasked': {'policy.json': b'unasked'}}


def test_policies_come_and_are_for_the_admin_alone(case):
    commit = case.repository.commit(ONE)
    assert case.fetch() == (CHANGED, f'commit {commit}')
    assert case.have() == {'proxy': b'proxy, 1', 'usb': b'usb, 1'}
    assert {path.stat().st_mode & 0o777 for path in case.directory.glob('*/*')} == {0o600}


def test_a_commit_that_is_there_is_asked_for_by_name_only(case):
    case.repository.commit(ONE)
    case.fetch()
    case.asked()
    assert case.fetch() == (SAME, '')
    assert not [line for line in case.asked() if line.startswith('POST')]


def test_a_new_commit_comes(case):
    case.repository.commit(ONE)
    case.fetch()
    before = (case.directory / 'usb/policy.bin').stat().st_ino
    commit = case.repository.commit({**ONE, 'proxy': {'policy.json': b'proxy, 2'}})
    assert case.fetch() == (CHANGED, f'commit {commit}')
    assert case.have() == {'proxy': b'proxy, 2', 'usb': b'usb, 1'}
    assert (case.directory / 'usb/policy.bin').stat().st_ino == before
    case.repository.commit({**ONE, 'proxy': {'policy.json': b'proxy, 2'}}, others={'NEWS': b'nothing'})
    assert [case.fetch()[0] for _ in range(2)] == [SAME, SAME]


def test_a_policy_that_is_new_in_the_configuration_comes_from_the_same_commit(case):
    case.repository.commit(ONE)
    assert [case.fetch('proxy')[0], case.fetch('proxy', 'unasked')[0]] == [CHANGED, CHANGED]
    assert case.have() == {'proxy': b'proxy, 1', 'unasked': b'unasked'}


def test_a_policy_that_a_commit_has_not_stays(case):
    case.repository.commit(ONE)
    case.fetch()
    case.repository.commit({'proxy': {'policy.json': b'proxy, 2'}})
    assert case.fetch()[0] == CHANGED
    assert case.have() == {'proxy': b'proxy, 2', 'usb': b'usb, 1'}


def test_the_first_file_by_name_is_the_policy(case):
    case.repository.commit({'proxy': {'.hidden': b'hidden', 'a': {'file': b'below'}, 'b.sh': ('100755', b'first'), 'c': b'second'}})
    assert case.fetch()[0] == CHANGED
    assert case.have() == {'proxy': b'first'}


def test_a_branch_a_tag_and_a_commit_can_be_meant(case):
    of_tag = case.repository.commit({'proxy': {'x': b'of the tag'}})
    case.repository.git('tag', '-a', '-m', 'release', 'v1', of_tag)
    case.repository.git('tag', 'light', of_tag)
    case.repository.commit({'proxy': {'x': b'of the branch'}}, ref='refs/heads/site/one')
    case.repository.git('tag', 'site/one', of_tag)
    of_master = case.repository.commit({'proxy': {'x': b'of master'}})
    case.repository.git('config', 'uploadpack.allowAnySHA1InWant', 'true')
    for ref, text in {'v1': b'of the tag', 'master': b'of master', 'light': b'of the tag', 'site/one': b'of the branch',
                      'refs/tags/site/one': b'of the tag', 'HEAD': b'of master', of_tag: b'of the tag',
                      of_master: b'of master'}.items():
        assert case.fetch(ref=ref)[0] == CHANGED, ref
        assert case.have() == {'proxy': text}


def test_a_branch_that_is_named_as_a_commit_is_not_taken_for_it(case):
    meant = case.repository.commit({'proxy': {'x': b'meant'}})
    case.repository.commit({'proxy': {'x': b'of the branch'}}, ref=f'refs/heads/{meant}')
    case.repository.git('config', 'uploadpack.allowAnySHA1InWant', 'true')
    # With a branch of that name, libgit2 may not be able to ask for the commit.
    assert case.fetch(ref=meant)[0] == FAILED or case.have() == {'proxy': b'meant'}


def test_another_repository_s_commit_is_not_this_one_s(case):
    case.repository.commit(ONE)
    case.fetch()
    (case.directory / 'proxy/policy.bin').write_bytes(b'of another')
    assert case.fetch(url=case.url + '/')[0] == CHANGED
    assert case.have()['proxy'] == b'proxy, 1'


def refuse(case, why, **options):
    """What cannot be taken changes nothing, not even in part, and what comes after it is taken."""
    assert case.fetch(**options) == (FAILED, why) or why in case.fetch(**options)[1]
    assert case.have() == {'proxy': b'proxy, 1', 'usb': b'usb, 1'}
    case.repository.commit({**ONE, 'usb': {'policy.json': b'usb, 2'}})
    assert case.fetch()[0] == CHANGED


@pytest.mark.parametrize('usb, why', [
    ({'policy.json': bytes(LARGEST + 1)}, 'usb: it is larger than 16 MiB'),
    ({'policy.json': ('120000', b'/etc/shadow')}, 'usb: its first file is a link or a submodule'),
    ({'policy.json': ('160000', '1' * 40)}, 'usb: its first file is a link or a submodule'),
    (b'a file', 'usb: it is not a directory'),
    (('120000', b'proxy'), 'usb: it is not a directory'),
])
def test_a_commit_is_taken_whole_or_not_at_all(case, usb, why):
    case.repository.commit(ONE)
    case.fetch()
    case.repository.commit({'proxy': {'policy.json': b'proxy, 2'}, 'usb': usb})
    refuse(case, why)


def test_a_repository_without_policies_is_told(case):
    case.repository.commit(ONE)
    case.fetch()
    commit = case.repository.commit(ONE, directory='elsewhere')
    refuse(case, f'{commit}: there are none of the policies below vm-policies')


def test_what_there_is_not_is_told(case):
    case.repository.commit(ONE)
    case.fetch()
    assert case.fetch(ref='gone') == (FAILED, 'gone: the repository has no such branch or tag')
    assert case.fetch(ref='1' * 40)[0] == FAILED
    assert '404' in case.fetch(url=case.url.replace('policies', 'none'))[1]
    refuse(case, 'the repository: ', url='http://127.0.0.1:1/policies.git')


def test_what_is_as_large_as_it_may_be_comes(case):
    content = os.urandom(LARGEST)
    case.repository.commit({'proxy': {'policy.json': content}})
    assert case.fetch()[0] == CHANGED
    assert case.have() == {'proxy': content}


def test_a_repository_has_a_bound(case):
    case.repository.commit(ONE)
    case.fetch()
    case.repository.commit(ONE, others={f'large-{i}': os.urandom(LARGEST) for i in range(4)})
    assert case.fetch() == (FAILED, 'master: the repository is larger than 48 MiB')


@pytest.mark.skipif(VERSION < (1, 7), reason='this libgit2 knows no depth')
def test_old_commits_do_not_count(case):
    case.repository.commit(ONE, others={f'large-{i}': os.urandom(LARGEST) for i in range(4)})
    case.repository.commit(ONE)
    assert case.fetch()[0] == CHANGED


def test_what_a_crash_has_left_is_no_hindrance(case):
    case.repository.commit(ONE)
    (case.directory / '.repository/objects/pack').mkdir(parents=True)
    (case.directory / '.repository/objects/pack/pack_1').write_bytes(b'half')
    (case.directory / '.repository/link').symlink_to('/etc')
    (case.directory / '.commit').write_bytes(b'\0\xff' * 100000)
    assert case.fetch()[0] == CHANGED
    assert os.path.isdir('/etc')


def test_a_redirect_is_followed_but_not_to_what_is_no_server(case):
    case.repository.commit(ONE)
    case.server.redirect = {'/old.git': case.url, '/files.git': f'file://{case.repository.path}'}
    assert case.fetch(url=case.url.replace('policies', 'old'))[0] == CHANGED
    assert case.fetch(url=case.url.replace('policies', 'files'))[0] == FAILED


def test_who_must_log_in_is_told(case):
    case.repository.commit(ONE)
    case.repository.git('config', 'http.uploadpack', 'false')
    status, why = case.fetch(url=case.url.replace('//', '//someone:secret@'))
    assert status == FAILED and '403' in why and 'secret' not in why
