# SPDX-License-Identifier: GPL-2.0-or-later
"""givc-admin against agents and clients made of grpcio: what it takes into its registry and from whom, what it passes
on, what its watchers hear, and what it remembers."""

import os
import shutil
import subprocess
import threading

import grpc
import pytest

from admin_fleet import (
    APPVM,
    DEAD,
    FAILED,
    HOST,
    RUNNING,
    STARTING,
    SYSVM,
    TIMEOUT,
    Admin,
    Agent,
    Empty,
    RegistryRequest,
    TransportConfig,
    Watcher,
    pb,
)
from patience import SLOWNESS

ServiceRequest = pb.msg("admin.ServiceRequest")
StartVMRequest = pb.msg("admin.StartVMRequest")
UnitStatusRequest = pb.msg("admin.UnitStatusRequest")

MEMBERS = ("admin-vm", "ghaf-host", "app-vm", "net-vm", "gui-vm", "bad-vm")
VM_UNIT = "microvm@app-vm.service"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Of members that all speak from 127.0.0.1, of one that should not, and of one without a name."""
    directory = tmp_path_factory.mktemp("certificates")

    def make(*arguments):
        subprocess.run([os.environ["MAKE_CERTS"], *arguments], check=True, stdin=subprocess.DEVNULL)

    make(directory, *(f"{member}=127.0.0.1" for member in MEMBERS), "far-vm=192.0.2.1")
    make("--no-dns", directory, "nameless=127.0.0.1")
    return directory


@pytest.fixture
def fleet(certificates, tmp_path):
    """A test's own copy of them, and its directory."""
    return shutil.copytree(certificates, tmp_path / "fleet")


@pytest.fixture
def admin(fleet):
    with Admin(fleet, fleet) as admin:
        yield admin


@pytest.fixture
def app(fleet, admin):
    """An agent with two services and an application, registered and connected."""
    with Agent(fleet, "app-vm") as agent:
        agent.set("clock.service", RUNNING)
        agent.set("sleeper.service", DEAD)
        agent.set("editor@0.service", RUNNING)
        watcher = Watcher(admin)
        agent.register(admin, APPVM, {"clock.service": 13, "sleeper.service": 13, "editor@0.service": 14})
        watcher.expect_entry("editor@0.service", Online=True)
        yield agent


@pytest.fixture
def host(fleet, admin):
    """The host's agent, with a VM that does not run."""
    with Agent(fleet, "ghaf-host") as agent:
        for unit in (VM_UNIT, "poweroff.target", "reboot.target", "suspend.target"):
            agent.set(unit, DEAD)
        watcher = Watcher(admin)
        agent.register(admin, HOST, {VM_UNIT: 11})
        watcher.expect_entry(VM_UNIT, Online=True)
        yield agent


def refusal(call, *arguments):
    """The code and message with which a call is refused; deployed clients find the latter in DebugInfo."""
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, timeout=TIMEOUT)
    details = [value for key, value in caught.value.trailing_metadata() if key == "grpc-status-details-bin"]
    assert not details or caught.value.details().encode() in details[0]
    return caught.value.code().name, caught.value.details()


def service(unit, vm="app-vm"):
    return ServiceRequest(ServiceName=unit, VmName=vm)


def test_what_is_registered_is_listed(admin, app):
    entries = admin.entries()
    clock = entries["clock.service"]
    assert (clock.Description, clock.VmStatus, clock.TrustLevel) == ("The clock.service", "Running", "Warning")
    assert (clock.VmType, clock.ServiceType, clock.VmName, clock.AgentName) == ("AppVM", "Svc", "app-vm", app.name)
    assert entries[app.name].ServiceType == "Mgr" and entries[app.name].Online
    assert entries["sleeper.service"].VmStatus == "PoweredOff"
    assert entries["editor@0.service"].ServiceType == "App"


def test_changes_are_pushed(admin, app):
    watcher = Watcher(admin)
    app.set("clock.service", FAILED)
    watcher.expect("Updated", "clock.service", VmStatus="PoweredOff")
    app.set("clock.service", RUNNING)
    watcher.expect("Updated", "clock.service", VmStatus="Running")
    app.set("editor@0.service", DEAD)
    watcher.expect("Removed", "editor@0.service")


def test_registering_again_unchanged_is_silent(admin, app):
    watcher = Watcher(admin)
    stub = app.register(admin, APPVM, {"clock.service": 13})
    stub.RegisterService(app.request(APPVM), timeout=TIMEOUT)
    app.set("late.service", RUNNING)
    stub.RegisterService(RegistryRequest(Name="late.service", Parent=app.name, Type=13), timeout=TIMEOUT)
    assert watcher.expect("Added", "late.service") == []
    # It came without a state, which the admin then asks for.
    watcher.expect("Updated", "late.service", VmStatus="Running")


def test_a_lost_agent_is_offline_with_its_units_and_comes_back(admin, app):
    watcher = Watcher(admin)
    app.vanish()
    watcher.expect("Updated", "clock.service", Online=False, VmStatus="Running")
    assert refusal(admin.stub().StartService, service("sleeper.service"))[0] == "UNAVAILABLE"
    app.set("clock.service", DEAD)
    app.serve()
    watcher.expect("Updated", app.name, Online=True)
    watcher.expect("Updated", "clock.service", VmStatus="PoweredOff")
    assert "Removed" not in admin.log


def test_services_are_started_and_stopped(admin, app):
    stub = admin.stub()
    assert stub.StartService(service("sleeper.service"), timeout=TIMEOUT).registryId == app.name
    # Its StartUnit restarts: what runs is left alone.
    assert stub.StartService(service("sleeper.service"), timeout=TIMEOUT).registryId == app.name
    assert app.moves == [("StartUnit", "sleeper.service")]
    answer = stub.StopService(service("sleeper.service"), timeout=TIMEOUT)
    assert answer.CmdStatus == answer.AppStatus == "Command successful."
    status = stub.GetUnitStatus(UnitStatusRequest(VmName="app-vm", UnitName="sleeper.service"), timeout=TIMEOUT)
    assert (status.ActiveState, status.SubState) == DEAD


def test_refusals_name_the_reason(admin, app):
    stub = admin.stub()
    assert refusal(stub.StartService, service("none.service")) == (
        "NOT_FOUND",
        "agent givc-app-vm.service failed GetUnitStatus of none.service: error fetching unit status: none.service",
    )
    assert refusal(stub.StopService, service("clock.service", "no-vm"))[0] == "NOT_FOUND"
    assert refusal(stub.StartService, service("clock"))[0] == "INVALID_ARGUMENT"
    assert refusal(stub.StartService, service("clock.service", "../vm"))[0] == "INVALID_ARGUMENT"
    assert refusal(stub.StartVM, StartVMRequest(VmName="app-vm"))[0] == "FAILED_PRECONDITION"
    assert refusal(stub.Poweroff, Empty())[0] == "FAILED_PRECONDITION"
    assert refusal(stub.Wakeup, Empty())[0] == "UNIMPLEMENTED"


def test_deadlines_are_passed_on(admin, app):
    app.hanging = ("GetUnitStatus",)
    with pytest.raises(grpc.RpcError) as caught:
        admin.stub().StartService(service("clock.service"), timeout=0.5)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    app.hanging = ()
    admin.stub().StartService(service("clock.service"), timeout=TIMEOUT)


def test_a_vm_is_started_once_and_awaited(admin, host):
    stub, watcher = admin.stub(), Watcher(admin)
    request = StartVMRequest(VmName="app-vm")
    assert stub.StartVM(request, timeout=TIMEOUT).registryId == "givc-app-vm.service"
    watcher.expect("Updated", VM_UNIT, VmStatus="Running")
    stub.StartVM(request, timeout=TIMEOUT)

    # Who comes while it boots waits for it, and begins nothing anew.
    for end, code in ((RUNNING, None), (FAILED, grpc.StatusCode.FAILED_PRECONDITION)):
        host.set(VM_UNIT, STARTING)
        watcher.expect("Updated", VM_UNIT, VmStatus="PoweredOff")
        host.forget_calls()  # on a slow machine, the turn before has asked more often
        pending = stub.StartVM.future(request, timeout=TIMEOUT)
        host.expect_call("GetUnitStatus", VM_UNIT)
        host.expect_call("GetUnitStatus", VM_UNIT)
        host.set(VM_UNIT, end)
        error = pending.exception(TIMEOUT)
        assert (error and error.code()) == code
        if end is RUNNING:  # an end that is heard of late would be taken for the next one's
            watcher.expect("Updated", VM_UNIT, VmStatus="Running")
    assert host.moves == [("StartUnit", VM_UNIT)]
    assert refusal(stub.StartVM, StartVMRequest(VmName="other-vm"))[0] == "NOT_FOUND"


def test_who_waits_hears_that_the_agent_is_lost(admin, host, app):
    host.set(VM_UNIT, STARTING)
    stub, watcher = admin.stub(), Watcher(admin)
    pending = stub.StartVM.future(StartVMRequest(VmName="app-vm"), timeout=TIMEOUT)
    host.expect_call("GetUnitStatus", VM_UNIT)
    host.expect_call("GetUnitStatus", VM_UNIT)
    host.vanish()
    assert pending.exception(TIMEOUT).code() == grpc.StatusCode.UNAVAILABLE
    watcher.expect("Updated", VM_UNIT, Online=False)
    host.serve()
    host.set(VM_UNIT, RUNNING)
    watcher.expect("Updated", VM_UNIT, VmStatus="Running")


def test_a_vm_that_goes_down_takes_its_agent_along(admin, host, app):
    host.set(VM_UNIT, RUNNING)
    watcher = Watcher(admin)
    host.set(VM_UNIT, FAILED)
    removed = watcher.expect("Removed", app.name)
    assert {"Removed clock.service", "Removed sleeper.service", "Removed editor@0.service"} <= set(removed)
    assert set(admin.entries()) == {host.name, VM_UNIT}
    admin.expect_log("Agent givc-app-vm.service .* has left the registry")


def test_the_host_is_switched_off(admin, host):
    stub = admin.stub()
    stub.Suspend(Empty(), timeout=TIMEOUT)
    host.expect_call("StartUnit", "suspend.target")
    # That the connection breaks is how it obeys.
    host.hanging = ("StartUnit",)
    pending = stub.Poweroff.future(Empty(), timeout=TIMEOUT)
    host.expect_call("StartUnit", "poweroff.target")
    host.vanish()
    pending.result(TIMEOUT)
    assert refusal(stub.Reboot, Empty())[0] == "UNAVAILABLE"


def test_an_agent_that_cannot_push_is_asked(fleet, admin):
    with Agent(fleet, "net-vm", watch=False) as agent:
        for unit in ("firewall.service", "portal@0.service"):
            agent.set(unit, RUNNING)
        watcher = Watcher(admin)
        agent.register(admin, SYSVM, {"firewall.service": 9, "portal@0.service": 10})
        agent.set("firewall.service", DEAD)
        watcher.expect("Updated", "firewall.service", VmStatus="PoweredOff")
        agent.forget("portal@0.service")
        watcher.expect("Removed", "portal@0.service")
        # Who waits for an application that ends hears of it, and it leaves as well.
        agent.set("portal@0.service", STARTING)
        request = RegistryRequest(Name="portal@0.service", Parent=agent.name, Type=10)
        agent.forget_calls()
        admin.stub("net-vm").RegisterService(request, timeout=TIMEOUT)
        pending = admin.stub().StartService.future(service("portal@0.service", "net-vm"), timeout=TIMEOUT)
        watcher.expect("Added", "portal@0.service")
        for _ in range(4):  # of which two, at most, are the admin's own
            agent.expect_call("GetUnitStatus", "portal@0.service")
        agent.set("portal@0.service", FAILED)
        watcher.expect("Removed", "portal@0.service")
        assert pending.exception(TIMEOUT).code() in (
            grpc.StatusCode.FAILED_PRECONDITION,
            grpc.StatusCode.UNAVAILABLE,
        )
        # It is connected and says nothing: a frozen VM.
        agent.hanging = ("GetUnitStatus",)
        watcher.expect("Updated", "firewall.service", Online=False)
        agent.hanging = ()
        watcher.expect("Updated", "firewall.service", Online=True)


def test_nobody_registers_what_is_anothers(admin, host, app):
    stub = admin.stub("bad-vm")

    def transport(name, address="127.0.0.1"):
        return TransportConfig(Protocol="tcp", Address=address, Port="9000", Name=name)

    def own(**fields):
        parent = "microvm@bad-vm.service"
        return RegistryRequest(
            **{"Name": "givc-bad-vm.service", "Parent": parent, "Type": APPVM, "Transport": transport("bad-vm"), **fields}
        )

    for request in (
        own(Name="givc-app-vm.service", Parent=VM_UNIT),
        own(Transport=transport("app-vm")),
        own(Transport=transport("bad-vm", "127.0.0.2")),
        own(Type=HOST),
        own(Type=4),
    ):
        assert refusal(stub.RegisterService, request)[0] == "PERMISSION_DENIED"
    admin.expect_log("Refused registration by bad-vm")
    stub.RegisterService(own(), timeout=TIMEOUT)
    for name, parent, kind, code in (
        ("x.service", app.name, 13, "PERMISSION_DENIED"),
        (VM_UNIT, "givc-bad-vm.service", 11, "PERMISSION_DENIED"),
        ("microvm@new-vm.service", "givc-bad-vm.service", 13, "PERMISSION_DENIED"),
        ("x.service", "givc-bad-vm.service", 9, "PERMISSION_DENIED"),
        ("clock.service", "givc-bad-vm.service", 13, "ALREADY_EXISTS"),
    ):
        request = RegistryRequest(Name=name, Parent=parent, Type=kind)
        assert refusal(stub.RegisterService, request)[0] == code
    assert admin.entries()["clock.service"].VmName == "app-vm"


def test_what_kind_of_vm_it_is_the_host_says(fleet, admin):
    """Whoever comes first."""
    with Agent(fleet, "app-vm") as app, Agent(fleet, "ghaf-host") as host:
        app.set("clock.service", RUNNING)
        host.set(VM_UNIT, RUNNING)
        watcher = Watcher(admin)
        stub = app.register(admin, 8, {"clock.service": 9})
        watcher.expect_entry("clock.service", Online=True)
        host.register(admin, HOST, {VM_UNIT: 11})
        watcher.expect("Removed", app.name)
        admin.expect_log("app-vm had registered as SysVM, but the host has microvm@app-vm.service as AppVM")
        # Its connection was closed, by which an agent knows that it has to come again.
        code, message = refusal(stub.RegisterService, app.request(8))
        if code == "UNAVAILABLE":
            code, message = refusal(admin.stub("app-vm").RegisterService, app.request(8))
        assert code == "PERMISSION_DENIED" and "the host has it as AppVM" in message
        app.register(admin, APPVM, {"clock.service": 13})
        watcher.expect_entry("clock.service", Online=True)


def test_certificates_that_do_not_fit_their_holder_are_refused(admin):
    message = "IP 127.0.0.1 not in certificate SAN"
    assert refusal(admin.stub("far-vm").QueryList, Empty()) == ("PERMISSION_DENIED", message)
    admin.expect_log(f"Refused certificate of far-vm .*{message}")
    message = "certificate has no DNS name"
    assert refusal(admin.stub("nameless").QueryList, Empty()) == ("UNAUTHENTICATED", message)
    admin.expect_log(f"Refused certificate of 127.0.0.1 .*{message}")


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_restart_forgets_nothing(admin, host, app, end):
    host.set(VM_UNIT, RUNNING)
    before = admin.entries()
    getattr(admin, end)()
    # What happens meanwhile is found out.
    app.set("clock.service", DEAD)
    admin.start()
    watcher = Watcher(admin)
    assert watcher.initial.keys() == before.keys()
    watcher.expect_entry("clock.service", VmStatus="PoweredOff")
    app.set("clock.service", RUNNING)
    watcher.expect("Updated", "clock.service", VmStatus="Running")


def test_a_vm_that_went_down_unseen_is_noticed(admin, host, app):
    watcher = Watcher(admin)
    host.set(VM_UNIT, RUNNING)
    watcher.expect("Updated", VM_UNIT, VmStatus="Running")
    admin.kill()
    host.set(VM_UNIT, DEAD)
    admin.start()
    watcher = Watcher(admin)
    if app.name in watcher.initial:
        watcher.expect("Removed", app.name)
    assert set(admin.entries()) == {host.name, VM_UNIT}


@pytest.mark.skipif(SLOWNESS > 1, reason="under valgrind, the admin is too slow for anyone to keep up with it")
def test_a_slow_watcher_is_ended_and_others_are_not_held_up(admin, app):
    slow = admin.stub("net-vm").Watch(Empty(), timeout=TIMEOUT)
    next(slow)
    watcher = Watcher(admin)

    def make_noise():
        for _ in range(4000):
            for state in (DEAD, RUNNING):
                app.set("clock.service", state, Description="x" * 150)
        app.set("sleeper.service", RUNNING)

    threading.Thread(target=make_noise, daemon=True).start()
    assert len(watcher.expect("Updated", "sleeper.service")) >= 8000
    with pytest.raises(grpc.RpcError) as caught:
        for _ in slow:
            pass
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_one_peer_gets_so_many_watches(admin):
    """The next one is refused, and the journal says so; others watch; and with room, so does it again."""
    stub = admin.stub("net-vm")
    watches = [stub.Watch(Empty(), timeout=TIMEOUT) for _ in range(16)]
    for watch in watches:
        next(watch)
    with pytest.raises(grpc.RpcError) as caught:
        next(stub.Watch(Empty(), timeout=TIMEOUT))
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert caught.value.details() == "too many watchers at a time: net-vm may have 16 now"
    admin.expect_log("net-vm takes too much: it has 16 watchers, may have 16 while others have 0")
    Watcher(admin)
    watches[0].cancel()
    next(stub.Watch(Empty(), timeout=TIMEOUT))


def test_a_broken_certificate_on_reload_changes_nothing(admin, fleet):
    path = fleet / "admin-vm" / "cert.pem"
    good = path.read_bytes()
    path.write_bytes(b"-----BEGIN CERTIFICATE-----\n")
    admin.reload()
    admin.expect_log("cert.pem.*\n.*stay those of before")
    admin.entries()
    path.write_bytes(good)
    admin.reload()
    admin.expect_log("read again")
    admin.entries()


def test_stopping_ends_watches(fleet):
    with Admin(fleet, fleet) as admin:
        watcher = Watcher(admin)
        assert admin.stop() == 0
        assert watcher.expect_end() == grpc.StatusCode.UNAVAILABLE


def run(*arguments, **environment):
    return subprocess.run(
        [os.environ["GIVC_ADMIN"], *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def test_what_is_not_offered_is_not_pretended():
    for result in (run("--access-control"), run("--access-control", "true"), run(ACCESS_CONTROL="true")):
        assert result.returncode == 64 and "access control" in result.stderr
    assert run("--use-tls=perhaps").returncode == 64
    assert run("--use-tls", "true").returncode == 64  # and no certificate
    assert run("--version").stdout.startswith("givc-admin ")
    assert "--access-control" in run("--help").stdout
    assert "Nothing to listen on" in run("--use-tls", "false", "--access-control", "false").stderr
