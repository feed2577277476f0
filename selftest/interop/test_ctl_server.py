# SPDX-License-Identifier: GPL-2.0-or-later
"""givcctl and its server: the ways to it, and how it exits where it is not there, not who it should be, refuses, or does not
answer."""

import contextlib
import errno
import os
import re
import select
import signal
import socket
import subprocess
import time

import grpc
import pytest

from ctl_fake import TIMEOUT, Ctl, item, running, serving
from patience import SLOWNESS


def test_in_clear(program, handlers, fake):
    with serving(handlers) as port:
        Ctl(program, port)("reboot")
    assert fake.requests


def a_host_name():
    """localhost; its address where nobody knows it: a minimal system has no /etc/hosts."""
    try:
        socket.getaddrinfo("localhost", None)
        return "localhost"
    except socket.gaierror:
        return "127.0.0.1"


def test_environment(program, handlers, certs, fake):
    with serving(handlers, certs / "admin-vm") as port:
        ctl = Ctl(program, port)
        ctl.options = []
        ctl(
            "suspend",
            env={
                "GIVC_ADDR": "127.0.0.1",
                "GIVC_PORT": str(port),
                "GIVC_NAME": "admin-vm",
                "GIVC_CA_CERT": str(certs / "me/ca-cert.pem"),
                "GIVC_HOST_CERT": str(certs / "me/cert.pem"),
                "GIVC_HOST_KEY": str(certs / "me/key.pem"),
            },
        )
        ctl.options = ["--port", str(port), "--addr", a_host_name()]
        with serving(handlers) as port:
            ctl("reboot", env={"GIVC_PORT": "1", "GIVC_NO_TLS": "1"}, code=5)
            ctl("reboot", "--port", str(port), env={"GIVC_PORT": "1", "GIVC_NO_TLS": "1"})
    assert [method for method, _ in fake.requests] == ["Suspend", "Reboot"]


def test_unix_socket(program, handlers, fake, tmp_path):
    path = tmp_path / "socket"
    with serving(handlers, address=f"unix:{path}"):
        ctl = Ctl(program, 0)
        ctl.options = ["--notls", "--addr", str(path)]
        ctl("reboot")
    assert fake.requests


# Failures


CODES = [
    ("NOT_FOUND", 3),
    ("PERMISSION_DENIED", 4),
    ("UNAUTHENTICATED", 4),
    ("UNAVAILABLE", 5),
    ("DEADLINE_EXCEEDED", 6),
    ("INVALID_ARGUMENT", 1),
    ("FAILED_PRECONDITION", 1),
    ("INTERNAL", 1),
    ("CANCELLED", 1),
]


@pytest.mark.parametrize("name,code", CODES)
def test_status_code(ctl, fake, name, code):
    fake.fail = (grpc.StatusCode[name], "the reason\033[31m", None)
    arguments = ["start", "service", "demo", "--vm", "net-vm"]
    out, err = ctl(*arguments, code=code)
    assert out == ""
    assert err.splitlines()[0] == f"givcctl: cannot start demo.service on net-vm: {name}: the reason\\x1b[31m"
    out, err = ctl(*arguments, code=1, called="givc-cli")
    assert err.startswith("givc-cli: cannot start demo.service on net-vm: ")


def test_hints(ctl, fake):
    fake.fail = (grpc.StatusCode.NOT_FOUND, "no agent of net-vm", None)
    assert "'givcctl query' shows what is registered." in ctl("get-status", "net-vm", "demo", code=3)[1]
    fake.fail = (grpc.StatusCode.PERMISSION_DENIED, "no rule", None)
    assert re.search(r"access rules of admin-vm at .* what me may do", ctl("reboot", code=4)[1])
    fake.fail = (grpc.StatusCode.PERMISSION_DENIED, "agent givc-net-vm.service failed StopUnit: unit is not whitelisted", None)
    err = ctl("stop", "service", "demo", "--vm=net-vm", code=4)[1]
    assert "configuration" in err and "access rules of admin-vm" not in err
    fake.fail = (grpc.StatusCode.UNIMPLEMENTED, "NotifyUser is not offered by net-vm: not here", None)
    err = ctl("notify-user", "net-vm", code=1)[1]
    assert "That agent is older" in err and "admin-vm" not in err
    fake.fail = (grpc.StatusCode.UNIMPLEMENTED, "Not supported", None)
    assert ctl("wakeup", code=1)[1] == "givcctl: cannot wake the host up: UNIMPLEMENTED: Not supported\n"
    fake.fail = (grpc.StatusCode.UNAVAILABLE, "the agent of net-vm is offline", None)
    err = ctl("get-status", "net-vm", "demo", code=5)[1]
    assert "ONLINE" in err and "Is it up?" not in err


def test_not_offered(program, certs):
    with serving((), certs / "admin-vm") as port:
        _, err = Ctl(program, port, certs / "me")("suspend", code=1)
    assert "UNIMPLEMENTED" in err and "does not offer this" in err


def test_reason_of_a_deployed_admin(ctl, fake):
    """Its message says nothing; what does is in the details: google.rpc.Status{3, …, Any{DebugInfo{…, root cause}}}."""

    def field(number, data):
        return bytes([number << 3 | 2, len(data)]) + data

    message = b"request contains invalid arguments"
    debug_info = field(1, b"Service x not registered") + field(2, b"the root cause")
    detail = field(1, b"type.googleapis.com/google.rpc.DebugInfo") + field(2, debug_info)
    details = b"\x08\x03" + field(2, message) + field(3, detail)
    fake.fail = (grpc.StatusCode.INVALID_ARGUMENT, message.decode(), (("grpc-status-details-bin", details),))
    _, err = ctl("reboot", code=1)
    assert err == "givcctl: cannot reboot the host: INVALID_ARGUMENT: request contains invalid arguments (the root cause)\n"


def test_first_failure_of_several(ctl, fake):
    fake.fail = (grpc.StatusCode.NOT_FOUND, "no such", None)
    _, err = ctl("stop", "service", "a", "b", "--vm", "net-vm", code=3)
    assert err.count("NOT_FOUND") == 2


def test_timeout(ctl, fake):
    fake.hang = True
    _, err = ctl("suspend", "--timeout", f"{300 * SLOWNESS}ms", code=6)
    assert "DEADLINE_EXCEEDED" in err and "--timeout" in err
    assert 0 < fake.remaining <= 0.3 * SLOWNESS


def test_no_timeout(ctl, fake):
    ctl("suspend", "--timeout", "infinity")
    assert fake.remaining is None or fake.remaining > 10**6


@pytest.mark.parametrize("signal_number,code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted(ctl, fake, signal_number, code):
    fake.hang = True
    with running(ctl.start("suspend")) as process:
        assert fake.entered.wait(TIMEOUT)
        assert not fake.cancelled.is_set()
        process.send_signal(signal_number)
        assert process.wait(TIMEOUT) == code
        assert fake.cancelled.wait(TIMEOUT)
        assert process.stderr.read() == ""


@contextlib.contextmanager
def dead_address():
    """A port that answers nothing at all: the kernel drops what comes while the queue of a listener is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        while True:
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            assert waiting.connect_ex(listener.getsockname()) == errno.EINPROGRESS
            if not select.select([], [waiting], [], 0.3)[1]:
                break
        yield listener.getsockname()[1]


def test_dead_address(program):
    with dead_address() as port:
        ctl = Ctl(program, port)
        began = time.monotonic()
        ctl("query", "--timeout=500ms", code=6)
        assert time.monotonic() - began < 3 * SLOWNESS
        began = time.monotonic()
        _, err = ctl("query", code=5)
        assert 4 < time.monotonic() - began < 10 * SLOWNESS
        assert f"Tried admin-vm at 127.0.0.1:{port}" in err
        with running(ctl.start("query")) as process:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.3)  # it is waiting: that is all there is to see of it
            process.send_signal(signal.SIGINT)
            assert process.wait(TIMEOUT) == 130


def test_nobody_there(program):
    with socket.socket() as bound:  # and does not listen
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        _, err = Ctl(program, port)("query", code=5)
        assert "refused" in err and f"Tried admin-vm at 127.0.0.1:{port}" in err
        Ctl(program, port)("query", code=1, called="givc-cli")
        Ctl(program, port)("watch", code=5)


def test_wrong_peer(program, handlers, certs, fake):
    with serving(handlers, certs / "admin-vm") as port:
        ctl = Ctl(program, port, certs / "me", "net-vm")
        _, err = ctl("query", code=5)
        assert "net-vm" in err
        _, err = Ctl(program, port, certs / "elsewhere/me")("query", code=5)
        assert "certificate" in err or "CA" in err
        for verb in ("query", "watch"):
            _, err = Ctl(program, port, certs / "expired")(verb, code=5)
            assert "certificate" in err and "Tried admin-vm" in err
    with serving(handlers, certs / "expired") as port:
        _, err = Ctl(program, port, certs / "me", "expired")("query", code=5)
        assert "expired" in err
    with serving(handlers) as port:
        Ctl(program, port, certs / "me")("query", code=5)
    assert fake.requests == []


def test_unusable_certificates(program, certs, tmp_path):
    ctl = Ctl(program, 1, certs / "me")
    _, err = ctl("query", "--cert", "/nowhere/cert.pem", code=2)
    assert "/nowhere/cert.pem" in err
    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_text("rubbish")
    _, err = ctl("query", "--cacert", str(rubbish), code=2)
    assert str(rubbish) in err
    _, err = ctl("query", "--key", str(certs / "net-vm/key.pem"), code=2)
    assert "key" in err


def test_usage(program):
    ctl = Ctl(program, 1)
    assert "unknown verb 'strat'; did you mean 'start'?\n" in ctl("strat", "vm", "app-vm", code=2)[1]
    assert "'start everything': known are start app, start vm, start service; of a unit also VM/UNIT\n" in ctl("start", "everything", code=2)[1]
    assert "--port" in ctl("query", "--port", "no", code=2)[1]
    assert "--by-type" in ctl("query", "--by-type", "15", code=2)[1]
    assert "--vm" in ctl("start", "service", "demo", code=2)[1]
    out, err = ctl("--help")
    assert err == "" and len(out.splitlines()) <= 24 and max(map(len, out.splitlines())) <= 80
    assert "--limit=N" in ctl("watch", "--help")[0]
    assert re.findall(r"\] (\w+ \w+)", ctl("start", "--help")[0]) == ["start app", "start vm", "start service"]
    assert re.findall(r"\] (\w+ \w+)", ctl("pause", "--help")[0]) == ["pause APP", "pause vm", "pause app"]
    assert ctl("nothing", "--help")[0] == out
    assert re.fullmatch(r"givcctl \d[\d.]*\n", ctl("--version")[0])


PRINTING = [["query"], ["query", "--json"], ["query", "--as-json"], ["watch", "--initial"], ["status"]]


@pytest.mark.parametrize("many", [1, 300])
@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_output_that_cannot_be_written(ctl, fake, arguments, many):
    """Whether that is found at the end, or in the midst of what is printed."""
    fake.items = [item(f"givc-{'long' * 10}{i}.service", kind="Mgr") for i in range(many)]
    with open("/dev/full", "w") as full:
        process = ctl.start(*arguments, stdout=full)
        assert process.communicate(timeout=TIMEOUT)[1] == "givcctl: cannot print: No space left on device\n"
        assert process.returncode == 1
    reader, writer = os.pipe()
    os.close(reader)
    process = ctl.start(*arguments, stdout=writer)
    os.close(writer)
    assert process.communicate(timeout=TIMEOUT)[1] == "" and process.returncode == 1


def test_connection_lost(program, handlers, certs, fake):
    """That the host may have gone down before it could say so is no answer."""
    fake.hang = True
    server = contextlib.ExitStack()
    with server:
        port = server.enter_context(serving(handlers, certs / "admin-vm"))
        with running(Ctl(program, port, certs / "me").start("poweroff")) as process:
            assert fake.entered.wait(TIMEOUT)
            server.close()
            assert process.wait(TIMEOUT) in (1, 5)  # grpcio says CANCELLED, if it can
