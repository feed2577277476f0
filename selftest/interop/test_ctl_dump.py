# SPDX-License-Identifier: GPL-2.0-or-later
"""givcctl dump: what is in a bundle, that nothing holds it up or leaves half of one, and that no key is in it."""

import contextlib
import io
import json
import os
import pty
import re
import resource
import signal
import socket
import subprocess
import tarfile
import threading
import time

import grpc
import pytest

from admin_fleet import Admin, free_port
from ctl_fake import TIMEOUT, Ctl, Fake, FakeFleet, item, pb, running, serving
from patience import SLOWNESS

LogEntry = pb.msg("logs.LogEntry")
FLEET = [item("givc-net-vm.service", kind="Mgr", Online=True), item("givc-admin.service"), item("microvm@net-vm.service", kind="VM")]
VM_PIECES = {f"vm/net-vm/{name}" for name in ("stats.json", "units.json", "journal-agent.txt", "journal-admin.txt")}


class Bundle:
    """What is in one: pieces by their names, and the reasons of what is not."""

    def __init__(self, data):
        self.data = data
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            members = archive.getmembers()
            self.directories = {member.name.partition("/")[0] for member in members}
            self.pieces = {member.name.partition("/")[2]: archive.extractfile(member).read().decode() for member in members}
        assert len(self.pieces) == len(members) and all(member.isreg() and member.mode == 0o600 for member in members)
        self.missing = dict(line.split(": ", 1) for line in self.pieces["errors.txt"].splitlines())

    def json(self, name):
        return json.loads(self.pieces[name])

    def missing_of_fleet(self):
        """This machine may have no systemd."""
        return {name: reason for name, reason in self.missing.items() if not name.startswith("local/")}


@pytest.fixture
def place(tmp_path):
    """Where bundles are made; nothing else is."""
    place = tmp_path / "place"
    place.mkdir()
    return place


def dump(ctl, place, *options, **more):
    """Of a file of its own, which is the only one that is left. Also what was printed."""
    out, err = ctl("dump", "bundle.tar", *options, cwd=place, **more)
    assert os.listdir(place) == ["bundle.tar"]
    return Bundle((place / "bundle.tar").read_bytes()), out, err


def test_all_of_a_fleet(ctl, fake, fleet, place):
    fake.items = FLEET
    bundle, out, err = dump(ctl, place)
    assert out == "bundle.tar\n" and bundle.missing_of_fleet() == {}
    assert [line for line in err.splitlines() if "missing: local/" not in line] == []
    assert bundle.pieces.keys() >= {"README.txt", "client.json", "registry.json", "sysinfo.json", "errors.txt"} | VM_PIECES
    assert {entry["name"] for entry in bundle.json("registry.json")} == {entry.Name for entry in FLEET}
    assert bundle.json("sysinfo.json")["ghaf_version"] == "25.1"
    assert bundle.json("vm/net-vm/stats.json")["memory"]["total"] == 1 << 30
    assert bundle.json("vm/net-vm/units.json")["units"][0]["result"] == "exit-code"
    logs = [request.Request for request in fleet.requests if hasattr(request, "Request")]
    assert {(request.UnitName, request.Lines, request.Follow) for request in logs} == {
        ("givc-net-vm.service", 500, False),
        ("givc-admin.service", 500, False),
    }


def test_who_asked(ctl, fake, certs, place):
    bundle, _, _ = dump(ctl, place, env={"TZ": "EAT-3"})
    client = bundle.json("client.json")
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", client["time"]) and client["utc_offset"] == "+0300"
    assert re.fullmatch(r"\d+\.\d+\.\d+", client["version"]) and client["host"] == os.uname().nodename
    admin = client["admin"]
    assert (admin["addr"], admin["name"], admin["tls"]) == ("127.0.0.1", "admin-vm", True)
    mine = admin["certificate"]
    assert (mine["subject"], mine["issuer"], mine["dns_names"], mine["ip_addresses"]) == ("/CN=me", "/CN=GivcCA", ["me"], ["127.0.0.1"])
    expiry = subprocess.run(
        ["openssl", "x509", "-noout", "-enddate", "-dateopt", "iso_8601", "-in", certs / "me" / "cert.pem"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    assert expiry == f"notAfter={mine['not_after'].replace('T', ' ')}\n"
    assert admin["ca_certificate"]["subject"] == "/CN=GivcCA" and admin["key_file"] == str(certs / "me" / "key.pem")


def test_no_key_is_in_it(ctl, fake, certs, place):
    fake.items = FLEET
    bundle, _, _ = dump(ctl, place, env={"CACHIX_TOKEN": "very-secret-token"})
    assert b"PRIVATE KEY" not in bundle.data and b"very-secret-token" not in bundle.data
    for line in (certs / "me" / "key.pem").read_bytes().splitlines():
        assert line not in bundle.data


@contextlib.contextmanager
def journal(program, fake, certs, read_logs):
    fake.items = FLEET[:1]
    fleet = FakeFleet()
    fleet.ReadLogs = read_logs
    with serving((pb.handler("admin.AdminService", fake), pb.handler("admin.FleetService", fleet)), certs / "admin-vm") as port:
        yield Ctl(program, port, certs / "me")


def test_of_a_journal_only_the_daemons_lines(program, fake, certs, place):
    def read_logs(request, context):
        for identifier in ("givc-agent", "cat", "systemd", "", "systemd-x", "givc"):
            yield LogEntry(RealtimeUsec=1, Priority=6, Identifier=identifier, Message=f"of {identifier}\n\033[2J\x9b")

    with journal(program, fake, certs, read_logs) as ctl:
        bundle, _, _ = dump(ctl, place, env={"TZ": "UTC"})
    assert bundle.pieces["vm/net-vm/journal-agent.txt"].splitlines() == [
        f"1970-01-01 00:00:00 {who}: of {who}\\x0a\\x1b[2J\\xc2\\x9b" for who in ("givc-agent", "systemd")
    ]


def test_a_journal_without_end_is_cut(program, fake, certs, place):
    def read_logs(request, context):
        while context.is_active():
            yield LogEntry(Identifier="givc-agent", Message="x" * 60_000)

    with journal(program, fake, certs, read_logs) as ctl:
        bundle, _, _ = dump(ctl, place, f"--timeout={3 * SLOWNESS}")
    assert 1 << 20 <= len(bundle.pieces["vm/net-vm/journal-agent.txt"]) < (1 << 20) + 100_000
    assert "vm/net-vm/journal-agent.txt" in bundle.missing


def test_that_a_journal_is_cut_is_said(program, fake, certs, place):
    def read_logs(request, context):
        for _ in range(40):
            yield LogEntry(Identifier="givc-agent", Message="x" * 60_000)

    with journal(program, fake, certs, read_logs) as ctl:
        bundle, _, _ = dump(ctl, place)
    assert bundle.missing_of_fleet() == {"vm/net-vm/journal-agent.txt": "only its first 1024 KiB are here"}


def test_half_of_the_calls_fail(program, certs, place):
    class Broken(Fake):
        def GetStats(self, request, context):
            if request.VmName == "net-vm":
                context.abort(grpc.StatusCode.INTERNAL, "no\nsuch\033[31m luck")
            return super().GetStats(request, context)

        def Sysinfo(self, request, context):
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "not for you")

    class HalfFleet(FakeFleet):
        def ReadLogs(self, request, context):
            yield LogEntry(Identifier="givc-agent", Message="begun")
            context.abort(grpc.StatusCode.UNAVAILABLE, "broken off")

    broken, half = Broken(), HalfFleet()
    broken.items = [item(f"givc-{vm}.service", vm, "Mgr", Online=True) for vm in ("net-vm", "app-vm")]
    broken.items += [item("givc-off-vm.service", "off-vm", "Mgr", Online=False), item("microvm@new-vm.service", "new-vm", "VM")]
    with serving((pb.handler("admin.AdminService", broken), pb.handler("admin.FleetService", half)), certs / "admin-vm") as port:
        bundle, out, err = dump(Ctl(program, port, certs / "me"), place, "--json")
    missing = bundle.missing_of_fleet()
    assert missing == {
        "sysinfo.json": "PERMISSION_DENIED: not for you",
        "vm/net-vm/stats.json": "INTERNAL: no\\x0asuch\\x1b[31m luck",
        "vm/net-vm/journal-agent.txt": "UNAVAILABLE: broken off",
        "vm/app-vm/journal-agent.txt": "UNAVAILABLE: broken off",
        "vm/off-vm": "its agent is offline",
        "vm/new-vm": "it has no agent registered",
    }
    assert bundle.pieces.keys() >= {"vm/net-vm/units.json", "vm/app-vm/units.json", "vm/app-vm/stats.json"}
    assert bundle.pieces["vm/net-vm/journal-agent.txt"].endswith("givc-agent: begun\n")
    for name, reason in missing.items():
        assert f"givcctl: missing: {name}: {reason.split(chr(92))[0]}" in err
    said = json.loads(out)
    assert said["file"] == "bundle.tar" and {miss["piece"] for miss in said["missing"]} == bundle.missing.keys()


class Reading(FakeFleet):
    """Which counts the journals that are read at the same time, and lets no more be than the admin does."""

    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()
        self.now = self.most = 0

    def ReadLogs(self, request, context):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        yield from super().ReadLogs(request, context)
        time.sleep(0.02)  # in which others come, if they do
        with self.lock:
            self.now -= 1


def test_journals_are_read_one_after_the_other(program, fake, certs, place):
    fake.items = [item(f"givc-vm{i}.service", f"vm{i}", "Mgr", Online=True) for i in range(30)] + [item("givc-admin.service", "vm7")]
    reading = Reading()
    with serving((pb.handler("admin.AdminService", fake), pb.handler("admin.FleetService", reading)), certs / "admin-vm") as port:
        bundle, _, _ = dump(Ctl(program, port, certs / "me"), place)
    assert bundle.missing_of_fleet() == {} and 1 <= reading.most <= 2 + 1  # one that has ended for the client alone
    assert sum("journal" in name for name in bundle.pieces if name.startswith("vm/")) == 31


def test_an_old_fleet_tells_what_it_can(program, fake, certs, place):
    fake.items = FLEET[:1]
    with serving((pb.handler("admin.AdminService", fake),), certs / "admin-vm") as port:
        bundle, _, _ = dump(Ctl(program, port, certs / "me"), place)
    assert bundle.missing_of_fleet().keys() == {"vm/net-vm/units.json", "vm/net-vm/journal-agent.txt"}
    assert "vm/net-vm/stats.json" in bundle.pieces


class Silent(Fake):
    """Of whose VMs some do not answer."""

    def __init__(self, *vms):
        super().__init__()
        self.vms = vms
        self.over = threading.Event()

    def GetStats(self, request, context):
        self._seen("GetStats", request, context)
        if request.VmName in self.vms:
            self.over.wait(TIMEOUT)
        return super().GetStats(request, context)


@contextlib.contextmanager
def silent(program, certs, *vms):
    admin = Silent(*vms)
    admin.items = FLEET + [item("givc-app-vm.service", "app-vm", "Mgr", Online=True)]
    with serving((pb.handler("admin.AdminService", admin), pb.handler("admin.FleetService", FakeFleet())), certs / "admin-vm") as port:
        try:
            yield admin, Ctl(program, port, certs / "me")
        finally:
            admin.over.set()


def test_who_is_silent_holds_up_nobody(program, certs, place):
    with silent(program, certs, "net-vm") as (_, ctl):
        bundle, _, _ = dump(ctl, place, f"--timeout={500 * SLOWNESS}ms")
    assert bundle.missing_of_fleet().keys() == {"vm/net-vm/stats.json"}
    assert bundle.missing["vm/net-vm/stats.json"].startswith("DEADLINE_EXCEEDED")
    assert "vm/app-vm/stats.json" in bundle.pieces


def test_who_answers_nothing_is_not_asked_for_its_journal(program, fake, certs, place):
    class Deaf(FakeFleet):
        def ListUnits(self, request, context):
            context.abort(grpc.StatusCode.UNAVAILABLE, "deaf")

    class Dumb(Fake):
        def GetStats(self, request, context):
            context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "dumb")

    dumb, deaf = Dumb(), Deaf()
    dumb.items = FLEET[:1]
    with serving((pb.handler("admin.AdminService", dumb), pb.handler("admin.FleetService", deaf)), certs / "admin-vm") as port:
        bundle, _, _ = dump(Ctl(program, port, certs / "me"), place)
    assert bundle.missing_of_fleet() == {
        "vm/net-vm/stats.json": "DEADLINE_EXCEEDED: dumb",
        "vm/net-vm/units.json": "UNAVAILABLE: deaf",
        "vm/net-vm/journal-agent.txt": "not asked for, as the machine does not answer",
    }
    assert deaf.requests == []


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_nothing_is_left(program, certs, place, number, code):
    with silent(program, certs, "net-vm") as (admin, ctl), running(ctl.start("dump", cwd=place)) as process:
        assert admin.entered.wait(TIMEOUT)
        while "GetStats" not in [method for method, _ in admin.requests]:
            admin.entered.clear()
            assert admin.entered.wait(TIMEOUT)
        process.send_signal(number)
        assert process.wait(TIMEOUT) == code
    assert os.listdir(place) == []


def test_without_an_admin(program, certs, place):
    port = free_port()
    bundle, _, err = dump(Ctl(program, port, certs / "me"), place)
    assert bundle.missing_of_fleet().keys() == {"registry.json", "sysinfo.json"}
    assert "Connection refused" in bundle.missing["registry.json"] and "missing: registry.json: " in err
    assert bundle.json("client.json")["admin"]["port"] == str(port)


def test_what_keeps_it_from_asking_is_in_it(program, certs, place, tmp_path):
    (tmp_path / "me").mkdir()
    for name in ("ca-cert.pem", "key.pem"):
        (tmp_path / "me" / name).write_bytes((certs / "me" / name).read_bytes())
        (tmp_path / "me" / name).chmod(0o600)
    (tmp_path / "me" / "cert.pem").write_text("none\n")
    bundle, _, _ = dump(Ctl(program, free_port(), tmp_path / "me"), place)
    assert bundle.missing_of_fleet().keys() == {"client.json", "registry.json"}
    assert "cert.pem" in bundle.missing["registry.json"] and "no usable certificate" in bundle.missing["client.json"]
    assert bundle.json("client.json")["admin"]["certificate"] == {"file": str(tmp_path / "me" / "cert.pem")}


def test_hostile_names(ctl, fake, place):
    names = ["../../etc", "a/b", "..", ".", "-x", "", "a\nb", "x" * 65, "x" * 64]
    fake.items = [item(f"givc-{i}.service", name, "Mgr", Online=True) for i, name in enumerate(names)]
    bundle, _, _ = dump(ctl, place)
    assert {name.split("/")[1] for name in bundle.pieces if name.startswith("vm/")} == {"x" * 64}
    assert bundle.missing_of_fleet() == {"vm": "8 entries are of too many machines, or of names that are none"}


def test_what_machines_call_themselves_does_nothing_to_a_terminal(ctl, fake, place):
    described = item("demo.service", Online=True)
    described.Description = "a\033[2J\x9b2J\u202eb"
    fake.items = [described]
    bundle, _, _ = dump(ctl, place)
    assert bundle.json("registry.json")[0]["description"] == described.Description
    assert all(" " <= c <= "~" or c == "\n" for text in bundle.pieces.values() for c in text)


def test_more_machines_than_anybody_has(ctl, fake, place):
    fake.items = [item(f"givc-vm{i}.service", f"vm{i}", "Mgr", Online=i < 20) for i in range(300)]
    bundle, _, _ = dump(ctl, place)
    asked = {name.split("/")[1] for name in bundle.pieces if name.startswith("vm/")}
    assert asked == {f"vm{i}" for i in range(20)} and "44 entries" in bundle.missing["vm"]
    assert sum(reason == "its agent is offline" for reason in bundle.missing.values()) == 236


def test_of_the_real_admin(program, certs, tmp_path, place):
    with Admin(certs, tmp_path) as admin:
        bundle, _, _ = dump(Ctl(program, admin.port, certs / "me"), place)
    assert bundle.json("registry.json") == [] and bundle.missing_of_fleet().keys() == {"sysinfo.json"}
    assert not bundle.missing["sysinfo.json"].startswith("DEADLINE")


# Where it goes


def test_the_file(ctl, place):
    out, _ = ctl("dump", cwd=place)
    name = out.rstrip("\n")
    assert os.listdir(place) == [name] and re.fullmatch(rf"givc-{os.uname().nodename}-\d{{8}}T\d{{6}}Z\.tar", name)
    assert (place / name).stat().st_mode & 0o7777 == 0o600
    assert Bundle((place / name).read_bytes()).directories == {name.removesuffix(".tar")}
    listed = subprocess.run(["tar", "--list", "--file", place / name], check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert f"{name.removesuffix('.tar')}/errors.txt" in listed.stdout.splitlines() and listed.stderr == ""


def test_what_is_there_stays(ctl, fake, place):
    (place / "bundle.tar").write_text("mine")
    (place / "link.tar").symlink_to("nowhere")
    assert ctl("dump", "bundle.tar", cwd=place, code=1)[1] == "givcctl: cannot make bundle.tar: File exists\n"
    ctl("dump", "link.tar", cwd=place, code=1)
    assert (place / "bundle.tar").read_text() == "mine" and sorted(os.listdir(place)) == ["bundle.tar", "link.tar"]
    assert fake.requests == []


def test_what_comes_meanwhile_stays(program, certs, place):
    with silent(program, certs, "net-vm") as (admin, ctl), running(ctl.start("dump", "bundle.tar", cwd=place)) as process:
        assert admin.entered.wait(TIMEOUT)
        (place / "bundle.tar").write_text("mine")
        admin.over.set()
        assert process.wait(TIMEOUT) == 1
    assert (place / "bundle.tar").read_text() == "mine" and os.listdir(place) == ["bundle.tar"]


def test_nowhere(ctl, fake):
    assert ctl("dump", "/nowhere/bundle.tar", code=1)[1].startswith("givcctl: cannot make /nowhere/bundle.tar: No such file")
    assert fake.requests == []
    ctl("dump", "a.tar", "b.tar", code=2)


def test_a_full_disk_leaves_nothing(ctl, place):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))

    _, err = ctl("dump", "bundle.tar", cwd=place, code=1, preexec_fn=limit)
    assert "cannot make bundle.tar: File too large" in err and os.listdir(place) == []


def test_standard_output(ctl, fake, place):
    fake.items = FLEET
    with open(place / "bundle", "wb") as file:
        ctl("dump", "-", stdout=file, cwd=place)
    assert "registry.json" in Bundle((place / "bundle").read_bytes()).pieces and os.listdir(place) == ["bundle"]
    with open("/dev/full", "wb") as full:
        assert ctl("dump", "-", stdout=full, code=1)[1].endswith("givcctl: cannot make the bundle: No space left on device\n")


def test_nothing_for_a_terminal(ctl, fake):
    master, slave = pty.openpty()
    try:
        with running(ctl.start("dump", "-", stdout=slave)) as process:
            assert process.wait(TIMEOUT) == 2
    finally:
        os.close(master)
        os.close(slave)
    assert fake.requests == []


# The daemons' figures


@pytest.fixture
def metrics(tmp_path):
    """The socket of the user's agent, and what to do with who connects."""
    (tmp_path / "run" / "givc-agent").mkdir(parents=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "run" / "givc-agent" / "metrics"))
    listener.listen()
    yield listener, {"XDG_RUNTIME_DIR": str(tmp_path / "run")}
    listener.close()


def test_figures(ctl, place, metrics):
    listener, environment = metrics

    def serve():
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"# TYPE givc_build info\n# EOF\n")

    thread = threading.Thread(target=serve)
    thread.start()
    bundle, _, _ = dump(ctl, place, env=environment)
    thread.join(TIMEOUT)
    assert bundle.pieces["local/metrics-user-agent.txt"] == "# TYPE givc_build info\n# EOF\n"


def test_a_daemon_that_says_nothing(ctl, place, metrics):
    bundle, _, _ = dump(ctl, place, env=metrics[1])
    assert bundle.missing["local/metrics-user-agent.txt"].endswith("givc-agent/metrics: the daemon does not answer")
    assert "registry.json" in bundle.pieces


def test_a_daemon_without_end(ctl, place, metrics):
    listener, environment = metrics

    def serve():
        connection, _ = listener.accept()
        with connection, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while True:
                connection.sendall(b"x" * 65536)

    thread = threading.Thread(target=serve)
    thread.start()
    bundle, _, _ = dump(ctl, place, env=environment)
    thread.join(TIMEOUT)
    assert "says more than" in bundle.missing["local/metrics-user-agent.txt"]
