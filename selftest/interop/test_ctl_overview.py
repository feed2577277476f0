# SPDX-License-Identifier: GPL-2.0-or-later
"""givcctl status, top and test ensure: what they show of a fleet made of grpcio, and of agents that are old or silent."""

import contextlib
import json
import threading

import grpc
import pytest

from ctl_fake import AGENT, TIMEOUT, Ctl, Fake, FakeFleet, Lines, UnitStatus, item, pb, running, serving
from patience import SLOWNESS


def test_a_unit_on_one_screen(ctl, fake, fleet):
    fake.items = [AGENT]
    out, _ = ctl("status", "net-vm/demo", env={"TZ": "UTC"})
    lines = out.splitlines()
    assert lines[0].startswith("net-vm: online for ")
    assert "demo.service - A demo" in out and "active (running)" in out and "exit-code (exited, 3)" in out
    assert lines[-1] == "2023-11-14 22:13:20 demo[7]: bad\\x1b[1m"
    asked, logs = fleet.requests
    assert (asked.VmName, asked.Request.UnitName, asked.Request.Verb) == ("net-vm", "demo.service", 0)
    assert (logs.VmName, logs.Request.UnitName, logs.Request.Lines) == ("net-vm", "demo.service", 10)
    ctl("status", "demo", "--vm=net-vm")
    assert fleet.requests[2] == asked


def test_a_vm_on_one_screen(ctl, fake, fleet):
    fake.items = [item("givc-app-vm.service", "app-vm", "Mgr", Online=False)]
    fleet.detail.Status.ActiveState = "failed"
    said = json.loads(ctl("status", "app-vm", "--json", code=1)[0])
    assert (said["vm"], said["registered"], said["online"]) == ("app-vm", True, False)
    assert (said["unit"]["active_state"], said["unit"]["result"], said["log"][0]["message"]) == ("failed", "exit-code", "bad\033[1m")
    asked, logs = fleet.requests
    assert (asked.VmName, asked.Request.UnitName) == ("", "microvm@app-vm.service")
    assert (logs.VmName, logs.Request.UnitName) == ("app-vm", "givc-app-vm.service")


def test_the_host_on_one_screen(ctl, fake, fleet):
    host = item("givc-ghaf-host.service", "ghaf-host", "Mgr", Online=True)
    host.VmType = "Host"
    fake.items = [host]
    assert ctl("status", "ghaf-host")[0].startswith("ghaf-host: online")
    for asked in fleet.requests:
        assert (asked.VmName, asked.Request.UnitName) == ("ghaf-host", "givc-ghaf-host.service")


def test_what_has_no_journal_ends_with_its_state(ctl, fake, fleet):
    fake.items, fleet.journal = [AGENT], []
    assert not ctl("status", "net-vm/demo")[0].endswith("\n\n")


def test_an_old_fleet_tells_what_it_can(program, fake, certs):
    with serving((pb.handler("admin.AdminService", fake),), certs / "admin-vm") as port:
        out, _ = Ctl(program, port, certs / "me")("status", "net-vm/demo")
    assert "active (running)" in out and out.endswith("No journal: not offered by that VM\n")


def test_an_old_host_knows_the_state_of_a_vm(program, fake, certs):
    host = item("microvm@net-vm.service", kind="VM")
    host.AgentName = "givc-ghaf-host.service"
    fake.items = [AGENT, host]
    with serving((pb.handler("admin.AdminService", fake),), certs / "admin-vm") as port:
        out, _ = Ctl(program, port, certs / "me")("status", "net-vm")
    assert "active (running)" in out
    [asked] = [request for method, request in fake.requests if method == "GetUnitStatus"]
    assert (asked.VmName, asked.UnitName) == ("ghaf-host", "microvm@net-vm.service")


def test_a_unit_is_found_by_its_name_alone(ctl, fake, fleet):
    fake.items = [AGENT, item("demo.service")]
    assert ctl("status", "demo")[0].startswith("net-vm: online for ")
    assert (fleet.requests[0].VmName, fleet.requests[0].Request.UnitName) == ("net-vm", "demo.service")
    out, err = ctl("status", "dem", code=3)
    assert out == "" and "neither a VM nor a unit of the name 'dem' is registered" in err


def test_what_is_not_there_has_no_status(ctl, fake):
    fake.fail = (grpc.StatusCode.NOT_FOUND, "no such thing", None)
    assert "no such thing" in ctl("status", "net-vm/demo", code=3)[1]
    ctl("status", "a b", code=2)
    ctl("status", "/x", code=2)


def test_the_fleet_at_a_glance(ctl, fake):
    fake.items = [AGENT, item("microvm@net-vm.service", kind="VM"), item("demo.service", status="PoweredOff")]
    out, _ = ctl("status")
    assert "1 machines, 1 online; 3 entries, 2 running" in out.splitlines()[0]
    assert "microvm@net-vm.service" in out and "demo.service" not in out
    fake.items.append(item("givc-app-vm.service", "app-vm", "Mgr", Online=False))
    assert json.loads(ctl("status", "--json", code=1)[0]) == {"machines": 2, "online": 1, "entries": 4, "running": 3}


def test_top_shows_every_vm_and_who_is_silent(ctl, fake):
    fake.items = [AGENT, item("givc-app-vm.service", "app-vm", "Mgr", Online=False)]
    out, _ = ctl("top", "--limit=2", f"--interval={200 * SLOWNESS}ms")
    first, second = out.split("\n\n")
    assert first.splitlines()[0].split() == ["VM", "LOAD", "MEMORY", "USED", "PROCESSES", "BUSIEST"]
    assert first.splitlines()[1].split() == ["net-vm", "0.50", "1024", "MiB", "50", "%", "9", "bu\\x1bsy", "(2.0", "%)"]
    assert "app-vm" not in out and second.count("net-vm") == 1


class Silent(Fake):
    """Whose VMs do not answer."""

    over = threading.Event()

    def GetStats(self, request, context):
        self.over.wait(TIMEOUT)


def test_top_shows_what_it_knows_at_once(ctl, fake):
    """Who has an hour to wait has something to look at."""
    fake.items = [AGENT]
    with running(ctl.start("top", "--interval=1h")) as process:
        lines = Lines(process.stdout)
        assert lines.next().startswith("VM ") and lines.next().startswith("net-vm ")


def test_top_is_not_held_up(program, certs):
    silent = Silent()
    silent.items = [AGENT]
    with serving((pb.handler("admin.AdminService", silent),), certs / "admin-vm") as port:
        out, _ = Ctl(program, port, certs / "me")("top", "--limit=1", f"--interval={200 * SLOWNESS}ms", "--json")
        silent.over.set()
    assert json.loads(out) == {"vm": "net-vm", "error": "does not answer"}


class Crowd:
    """Calls that an admin does for one peer at once, no more than limit; who comes beside them is waited for."""

    def __init__(self, limit):
        self._limit = limit
        self._lock = threading.Lock()
        self._now = 0
        self._too_many = threading.Event()

    @contextlib.contextmanager
    def one_more(self, context):
        with self._lock:
            self._now += 1
            if self._now > self._limit:
                self._too_many.set()
        try:
            if self._too_many.wait(0.1):
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too much at once")
            yield
        finally:
            with self._lock:
                self._now -= 1


class Crowded(Fake):
    def __init__(self):
        super().__init__()
        self._looks, self._operations = Crowd(128), Crowd(24)

    def GetStats(self, request, context):
        with self._looks.one_more(context):
            return super().GetStats(request, context)

    def StartService(self, request, context):
        with self._operations.one_more(context):
            return super().StartService(request, context)


class CrowdedFleet(FakeFleet):
    """Whose units are all active."""

    def __init__(self):
        super().__init__()
        self._relays = Crowd(16)

    def WatchUnit(self, request, context):
        with self._relays.one_more(context):
            self.requests.append(request)
            yield UnitStatus(Name=request.UnitName, ActiveState="active")


@pytest.fixture
def crowded(program, certs):
    """givcctl, and an admin and a fleet that have so many threads that it is for it to hold back."""
    fake, fleet = Crowded(), CrowdedFleet()
    handlers = (pb.handler("admin.AdminService", fake), pb.handler("admin.FleetService", fleet))
    with serving(handlers, certs / "admin-vm", threads=210) as port:
        yield Ctl(program, port, certs / "me"), fake, fleet


def test_top_asks_no_more_vms_at_once_than_an_admin_does(crowded):
    ctl, fake, _ = crowded
    names = [f"vm{i:03}" for i in range(200)]
    fake.items = [item(f"givc-{name}.service", name, "Mgr", Online=True) for name in names]
    out, _ = ctl("top", "--limit=1", f"--interval={TIMEOUT}", "--json")
    told = [json.loads(line) for line in out.splitlines()]
    assert [vm["vm"] for vm in told] == names and not [vm for vm in told if "error" in vm]


def test_many_units_take_turns(crowded):
    ctl, fake, fleet = crowded
    names = {f"u{i}.service" for i in range(50)}
    units = [f"net-vm/{name}" for name in names]
    out, _ = ctl("start", "service", *units)
    assert set(out.splitlines()) == {f"Started {name} on net-vm." for name in names}
    assert {request.ServiceName for _, request in fake.requests} == names
    ctl("wait", *units)
    assert {request.UnitName for request in fleet.requests} == names


@pytest.mark.parametrize("wrong", [["--interval=soon"], ["--interval=1ms"], ["--interval=infinity"], ["--limit=0"], ["x"]])
def test_top_takes_sensible_options(ctl, wrong):
    ctl("top", *wrong, code=2)


PATIENT = [f"--retry={SLOWNESS}"] if SLOWNESS > 1 else []


def test_what_is_registered_is_ensured(ctl, fake):
    assert ctl("test", "ensure", "demo.service", *PATIENT, called="givc-cli") == ("", "")
    ctl("test", "ensure", f"--retry={3 * SLOWNESS}", "demo.service", "--type", "9", "--vm", "net-vm", called="givc-cli")
    assert "registered but of wrong type" in ctl("test", "ensure", "demo.service", "--type=8", *PATIENT, code=1, called="givc-cli")[1]
    assert "registered but on wrong VM" in ctl("test", "ensure", "demo.service", "--vm=app-vm", *PATIENT, code=1, called="givc-cli")[1]
    assert "'no.service' not registered" in ctl("test", "ensure", "no.service", code=1, called="givc-cli")[1]
    ctl("test", "ensure", "demo.service", "--type=x", code=2)


def test_what_comes_in_time_is_ensured(ctl, fake):
    with running(ctl.start("test", "ensure", "late.service", "--retry=20")) as process:
        assert fake.entered.wait(TIMEOUT)
        fake.change(Added=item("late.service"))
        assert process.wait(TIMEOUT) == 0
