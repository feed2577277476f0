# SPDX-License-Identifier: GPL-2.0-or-later
"""givcctl update query --source, against a server as ota-update's is. It is run as givcctl runs it: with its command line."""

import http.server
import json
import os
import subprocess
import tempfile
import threading

import pytest

from patience import SLOWNESS

OFFERS = [
    {"name": "Update #2", "storePath": "/nix/store/b-nixos-system-2", "current": True, "pubKey": "k:2", "more": 1},
    {"name": "Update \033[1m#1", "storePath": "/nix/store/a-nixos-system-1", "current": False, "pubKey": "k:1"},
]


@pytest.fixture
def server():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            answer = self.server.answers.get(self.path)
            self.send_response(200 if answer is not None else 404)
            self.end_headers()
            self.wfile.write(answer or b"")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.answers = {"/update/ghaf-updates": json.dumps(OFFERS).encode()}
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def query(source, *arguments, called="givcctl", code=0):
    if not isinstance(source, str):
        source = f"http://127.0.0.1:{source.server_port}"
    with tempfile.TemporaryDirectory() as directory:
        os.symlink(os.environ["GIVC_UPDATE_QUERY"], f"{directory}/{called}")
        run = subprocess.run(
            [f"{directory}/{called}", "update", "query", "--source", source, *arguments],
            capture_output=True,
            text=True,
            timeout=20 * SLOWNESS,
        )
    assert run.returncode == code, (run.stdout, run.stderr)
    return run.stdout, run.stderr


def test_scripts_get_what_is_current_as_json(server):
    [offer] = json.loads(query(server, called="givc-cli")[0])
    assert offer == {key: OFFERS[0][key] for key in ("name", "storePath", "current", "pubKey")}
    assert [offer["name"] for offer in json.loads(query(server, "--json", "--current")[0])] == [offer["name"] for offer in OFFERS]


def test_paths_alone(server):
    assert query(server, "--raw", "--current")[0].splitlines() == [offer["storePath"] for offer in OFFERS]
    assert query(server, "--raw")[0].splitlines() == [OFFERS[0]["storePath"]]


def test_people_get_a_table(server):
    lines = query(server, "--current")[0].splitlines()
    assert [lines[0].split(), len(lines)] == [["NAME", "CURRENT", "STORE", "PATH"], 3]
    assert "\\x1b[1m" in lines[2] and "\033" not in lines[2]


def test_another_profile(server):
    server.answers["/update/a%20b%2Fc"] = b"[]"
    assert json.loads(query(server, "--pin-name", "a b/c", "--json")[0]) == []
    assert "answers 404" in query(server, "--pin-name", "missing", code=3)[1]


@pytest.mark.parametrize("answer", [b"", b"{}", b"[", b"[1]", b'[{"name": "x"}]', b"\xff", json.dumps(OFFERS).encode()[:-20], b"[" * 5000])
def test_nonsense_is_refused(server, answer):
    server.answers["/update/ghaf-updates"] = answer
    assert "no list of updates" in query(server, code=1)[1]


def test_too_much_is_refused(server):
    server.answers["/update/ghaf-updates"] = b" " * (1 << 20) + b"[]"
    assert "larger than 1 MiB" in query(server, code=1)[1]


def test_nobody_there():
    assert "cannot ask" in query("http://127.0.0.1:1", code=5)[1]
    assert "cannot ask" in query("http://127.0.0.1:1", called="givc-cli", code=1)[1]
    assert "cannot ask" in query("file:///etc", code=5)[1]
