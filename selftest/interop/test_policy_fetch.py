# SPDX-License-Identifier: GPL-2.0-or-later
"""givc-policy-fetch as the admin runs it, against a server that does as a test says."""

import http.server
import os
import subprocess
import threading

import pytest

PROGRAM = os.environ['GIVC_POLICY_FETCH']
CHANGED, FAILED, SAME = 0, 1, 3  # daemon/admin/policies.h


class Server:
    """Answers with what stands in it, and keeps what it was asked."""

    def __init__(self):
        self.body, self.etag, self.status, self.location = b'one', '"1"', 200, None
        self.asked = []
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                server.asked.append((self.path, self.headers.get('If-None-Match')))
                same = server.etag and self.headers.get('If-None-Match') == server.etag
                self.send_response(304 if same else server.status)
                if server.location:
                    self.send_header('Location', server.location)
                if server.etag:
                    self.send_header('ETag', server.etag)
                self.send_header('Content-Length', '0' if same else str(len(server.body)))
                self.end_headers()
                if not same:
                    self.wfile.write(server.body)

            def log_message(self, *_):
                pass

        self._http = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.url = f'http://127.0.0.1:{self._http.server_port}/policy'
        self._thread = threading.Thread(target=self._http.serve_forever)
        self._thread.start()

    def close(self):
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


def fetch(url, directory):
    done = subprocess.run([PROGRAM, directory], env={'POLICY_URL': url}, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding='utf-8',
                          timeout=60)
    assert (done.returncode == FAILED) == bool(done.stderr), done.stderr
    assert done.stderr.count('\n') <= 1
    return done.returncode, done.stderr.strip()


def test_a_policy_comes_and_is_for_the_admin_alone(server, tmp_path):
    assert fetch(server.url, tmp_path) == (CHANGED, '')
    assert (tmp_path / 'policy.bin').read_bytes() == b'one'
    assert (tmp_path / 'policy.bin').stat().st_mode & 0o777 == 0o600


def test_what_has_its_etag_is_not_sent_again(server, tmp_path):
    fetch(server.url, tmp_path)
    assert fetch(server.url, tmp_path)[0] == SAME
    assert server.asked[1] == ('/policy', '"1"')
    server.body, server.etag = b'two', '"2"'
    assert fetch(server.url, tmp_path)[0] == CHANGED
    assert (tmp_path / 'policy.bin').read_bytes() == b'two'


def test_a_new_etag_of_the_same_content_is_kept(server, tmp_path):
    fetch(server.url, tmp_path)
    server.etag = '"another"'
    assert [fetch(server.url, tmp_path)[0] for _ in range(2)] == [SAME, SAME]
    assert [etag for _, etag in server.asked] == [None, '"1"', '"another"']


def test_without_etags_content_is_compared(server, tmp_path):
    server.etag = None
    assert fetch(server.url, tmp_path)[0] == CHANGED
    before = (tmp_path / '.etag').stat().st_ino
    assert fetch(server.url, tmp_path)[0] == SAME
    assert (tmp_path / '.etag').stat().st_ino == before  # nothing was written


def test_another_url_s_etag_is_not_this_one_s(server, tmp_path):
    fetch(server.url, tmp_path)
    assert fetch(server.url + '?other', tmp_path)[0] == SAME
    assert server.asked[1] == ('/policy?other', None)


@pytest.mark.parametrize('change, reason', [
    ({'status': 503}, 'the server answers 503'),
    ({'body': bytes(16 * 1024 * 1024 + 1)}, 'larger than 16 MiB'),
    ({'status': 302, 'location': '/policy'}, 'redirects'),
    ({'status': 302, 'location': 'file:///etc/hostname'}, 'rotocol'),
])
def test_what_fails_is_told_and_changes_nothing(server, tmp_path, change, reason):
    fetch(server.url, tmp_path)
    server.etag = None
    for name, value in change.items():
        setattr(server, name, value)
    status, told = fetch(server.url.replace('//', '//someone:secret@'), tmp_path)
    assert status == FAILED and reason in told
    assert 'secret' not in told
    assert (tmp_path / 'policy.bin').read_bytes() == b'one'


def test_what_is_as_large_as_it_may_be_comes(server, tmp_path):
    server.body = os.urandom(16 * 1024 * 1024)
    assert fetch(server.url, tmp_path)[0] == CHANGED
    assert (tmp_path / 'policy.bin').read_bytes() == server.body
