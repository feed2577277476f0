# SPDX-License-Identifier: GPL-2.0-or-later
"""givc-admin, of which one allocation or one call on a socket fails: each in turn. Every call ends, the daemon lives and
serves, and no memory is lost.

GIVC_FAULTS_EACH=1 takes every point. Without it, where there are thousands, one in so many."""

import os
import pathlib
import signal
import subprocess
import sys

import grpc
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "interop"))

from admin_fleet import APPVM, RUNNING, TIMEOUT, Admin, Agent, Empty, Watcher, app, certificates, pb  # noqa: E402, F401
from faults import KINDS, Faults  # noqa: E402
from test_decisions import Decisions, Teller, Wish  # noqa: E402
from test_refusals import knock  # noqa: E402

Question = pb.msg("access.DecideRequest")
ServiceRequest = pb.msg("admin.ServiceRequest")
TimezoneRequest = pb.msg("admin.TimezoneRequest")
UnitStatusRequest = pb.msg("admin.UnitStatusRequest")
EACH = os.environ.get("GIVC_FAULTS_EACH") == "1"

# What libraries keep to their end, in blocks; faults by the hundred make it no more.
BLOCKS_KEPT = 24
# In a handshake, wolfSSL 5.5 itself loses a block of 72 bytes where one of some 13 allocations fails.
BLOCKS_LOST_IN_HANDSHAKES = 16


@pytest.fixture
def faults(tmp_path):
    return Faults(tmp_path / "faults")


@pytest.fixture
def admin(certificates, tmp_path, faults):
    environment = {**faults.environment, "STATE_DIRECTORY": str(tmp_path)}
    with Admin(certificates, tmp_path, environment) as admin:
        yield admin


def ends(call, *arguments):
    """The call ends, in whichever way but by its deadline."""
    try:
        call(*arguments, timeout=TIMEOUT)
    except grpc.RpcError as error:
        assert error.code() != grpc.StatusCode.DEADLINE_EXCEEDED, error


def calls(stub):
    """A bit of everything that the admin does for its callers."""
    ends(stub.QueryList, Empty())
    ends(stub.GetUnitStatus, UnitStatusRequest(VmName="app-vm", UnitName="clock.service"))
    ends(stub.StopService, ServiceRequest(ServiceName="clock.service", VmName="app-vm"))
    ends(stub.StartService, ServiceRequest(ServiceName="clock.service", VmName="app-vm"))
    ends(stub.SetTimezone, TimezoneRequest(Timezone="Europe/Helsinki"))
    ends(stub.GetUnitStatus, UnitStatusRequest(VmName="no-vm", UnitName="clock.service"))
    ends(stub.Poweroff, Empty())
    watch = stub.Watch(Empty(), timeout=TIMEOUT)
    try:
        next(watch)
    except grpc.RpcError as error:
        assert error.code() != grpc.StatusCode.DEADLINE_EXCEEDED, error
    watch.cancel()


def settle(admin):
    """All is as it was: the agent, which the admin may have lost, is connected again."""
    watcher = Watcher(admin)
    watcher.expect_entry("clock.service", Online=True)
    watcher.close()


def points(faults, scenario, at_most):
    """Runs it once unharmed, then with one failure more for each point: their kinds and numbers."""
    for kind in KINDS:
        begin = faults.seen(kind)
        scenario()
        n = faults.seen(kind) - begin
        assert n > 0
        for nth in range(1, n + 1, 1 if EACH else max(1, n // at_most)):
            faults.fail(kind, nth)
            try:
                scenario()
            except AssertionError as error:
                raise AssertionError(f"{kind} {nth} of {n}") from error
            finally:
                faults.rest()
            yield kind, nth


@pytest.mark.parametrize("connected", [True, False], ids=["on a connection", "with a new one"])
def test_one_failure_breaks_nothing_else(admin, app, faults, connected):
    standing = admin.stub()

    def scenario():
        if connected:
            calls(standing)
            return
        with admin.channel() as channel:
            calls(pb.stub(channel, "admin.AdminService"))

    for _ in points(faults, scenario, 60):
        settle(admin)
        standing.QueryList(Empty(), timeout=TIMEOUT, wait_for_ready=True)  # over a new connection, if it has come to that
    assert admin.stop() == 0
    assert faults.in_use <= BLOCKS_KEPT + (BLOCKS_LOST_IN_HANDSHAKES if EACH and not connected else 0)


def decide_and_watch(admin, stub, admin_stub, teller):
    """What the rules decide is asked for and watched, while the admin and an agent deny something, and both refuse somebody."""
    ends(stub.Decide, Question(Principal="gui-vm", Action="StartVM", Resource="admin", Context='{"VmName": "app-vm"}'))
    watch = stub.WatchDecisions(Wish(Permits=True, Refusals=True), timeout=TIMEOUT)
    try:
        assert next(watch).Source.VmName == "admin-vm"
        teller.deny()
        teller.refuse(Claimed="net-vm", Reason="expired")
        knock(admin, "127.0.0.9", in_clear=True)  # which is told, as the next, up to so many in a minute
        ends(admin_stub.Poweroff, Empty())
    except grpc.RpcError as error:
        assert error.code() != grpc.StatusCode.DEADLINE_EXCEEDED, error
    watch.cancel()


def test_decisions_are_told_after_a_failure(certificates, tmp_path, faults):  # noqa: F811
    rules, teller = tmp_path / "rules.cedar", Teller()
    rules.write_text('permit (principal, action, resource) unless { action == Command::"Poweroff" };')
    environment = {**faults.environment, "ACCESS_CONTROL": "true", "CEDAR_FILE": str(rules)}
    with Admin(certificates, tmp_path, environment) as admin:
        with Agent(certificates, "app-vm", services={"access.AccessService": teller}) as agent:
            agent.set("clock.service", RUNNING)
            agent.register(admin, APPVM, {"clock.service": 13})
            settle(admin)
            stub, admin_stub = pb.stub(admin.channel(), "access.AccessService"), admin.stub()
            for _ in points(faults, lambda: decide_and_watch(admin, stub, admin_stub, teller), 60):
                settle(admin)
                watch = Decisions(admin)
                while watch.source()[::2] != ("app-vm", True):
                    pass
                teller.deny(Reason="after all")
                while watch.decision().Reason != "after all":
                    pass
                watch.close()
            assert admin.stop() == 0
    assert faults.in_use <= BLOCKS_KEPT


# Runs a program that finds the wish to end when it has come to serving: SIGTERM waits for it.
TO_ITS_END = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
os.kill(os.getpid(), signal.SIGTERM)
os.environ["LD_PRELOAD"] = sys.argv[1]
os.execv(sys.argv[2], sys.argv[2:])
"""


def test_a_start_succeeds_or_says_why_not(certificates, tmp_path, faults):
    member = certificates / "admin-vm"
    command = [
        "/usr/bin/python3",
        "-c",
        TO_ITS_END,
        faults.library,
        os.environ["GIVC_ADMIN"],
        f"--listen={tmp_path}/socket",
        f"--ca-cert={member}/ca-cert.pem",
        f"--host-cert={member}/cert.pem",
        f"--host-key={member}/key.pem",
        f"--state-directory={tmp_path}",
    ]
    environment = {**os.environ, "GIVC_FAULTS": str(faults.path)}

    def start():
        run = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, timeout=TIMEOUT)
        # Reading one file of the kernel's, libgcrypt knows no other way out than abort().
        its_own = run.returncode == -signal.SIGABRT and "in libgcrypt" in run.stderr
        assert run.returncode >= 0 or its_own, f"killed by signal {-run.returncode}: {run.stderr}"
        assert run.returncode == 0 or run.stderr, "it ended without a word"
        return run.returncode

    assert start() == 0
    assert list(points(faults, start, 200))
