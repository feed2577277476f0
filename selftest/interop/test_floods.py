# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls that givc-admin passes on to agents: one peer gets so many under way at once, and so many lines in the journal, and
others get theirs meanwhile."""

import threading

import grpc
import pytest

from admin_fleet import APPVM, HOST, TIMEOUT, Admin, Agent, Empty, Watcher, certificates, pb  # noqa: F401 (a fixture)


class Slow:
    """A service of an agent, whose methods answer when they are let."""

    def __init__(self):
        self.called = threading.Semaphore(0)
        self.go_on = threading.Event()

    def NotifyUser(self, request, context):
        return self._answer(pb.msg("notify.Status")())

    def Decide(self, request, context):
        return self._answer(pb.msg("access.DecideResponse")())

    def GetStats(self, request, context):
        return self._answer(pb.msg("stats.StatsResponse")())

    def RunCommand(self, requests, context):
        yield self._answer(pb.msg("exec.CommandResponse")(Finished=pb.msg("exec.FinishedEvent")()))

    def _answer(self, message):
        self.called.release()
        assert self.go_on.wait(TIMEOUT)
        return message


def notify(channel):
    request = pb.msg("admin.UserNotificationRequest")(VmName="app-vm", Notification=pb.msg("notify.UserNotification")(Title="hi"))
    return pb.stub(channel, "admin.AdminService").NotifyUser, request


def decide(channel):
    question = pb.msg("access.DecideRequest")(Principal="a", Action="b", Resource="c")
    return pb.stub(channel, "admin.FleetService").Decide, pb.msg("admin.DecideRequest")(VmName="app-vm", Request=question)


def get_stats(channel):
    return pb.stub(channel, "admin.AdminService").GetStats, pb.msg("admin.StatsRequest")(VmName="app-vm")


def list_generations(channel):
    return pb.stub(channel, "admin.AdminService").ListGenerations, Empty()


@pytest.fixture
def admin(certificates, tmp_path):  # noqa: F811
    with Admin(certificates, tmp_path) as admin:
        yield admin


@pytest.fixture
def slow(admin, certificates):  # noqa: F811
    slow, watcher = Slow(), Watcher(admin)
    names = ("notify.UserNotificationService", "access.AccessService", "stats.StatsService", "exec.Exec")
    services = {name: slow for name in names}
    with Agent(certificates, "app-vm", services=services) as vm, Agent(certificates, "admin-vm", services=services) as host:
        for agent, kind in ((host, HOST), (vm, APPVM)):
            agent.register(admin, kind)
            watcher.expect_entry(agent.name, Online=True)
        yield slow
        slow.go_on.set()


CALLS = [(notify, 24, "operations"), (decide, 24, "operations"), (get_stats, 128, "looks at VMs"), (list_generations, 8, "commands")]


@pytest.mark.parametrize("make, limit, what", CALLS, ids=["NotifyUser", "Decide", "GetStats", "ListGenerations"])
def test_one_peer_has_so_many_under_way_and_others_have_theirs(admin, slow, make, limit, what):
    call, request = make(admin.channel("net-vm"))
    under_way = [call.future(request, timeout=TIMEOUT) for _ in range(limit)]
    for _ in range(limit):
        assert slow.called.acquire(timeout=TIMEOUT)
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=TIMEOUT)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert caught.value.details() == f"too many {what} at a time: net-vm may have {limit} now"

    others_call, request = make(admin.channel("gui-vm"))
    others = others_call.future(request, timeout=TIMEOUT)
    assert slow.called.acquire(timeout=TIMEOUT)
    slow.go_on.set()
    for future in [*under_way, others]:
        end = future.exception(TIMEOUT)
        assert end is None or end.code() != grpc.StatusCode.RESOURCE_EXHAUSTED, end
    end = call.future(request, timeout=TIMEOUT).exception(TIMEOUT)
    assert end is None or end.code() != grpc.StatusCode.RESOURCE_EXHAUSTED, end


def test_a_flood_does_not_fill_the_journal(admin, slow):
    slow.go_on.set()
    call, request = notify(admin.channel("net-vm"))
    for _ in range(310):
        call(request, timeout=TIMEOUT)
    call, request = notify(admin.channel("gui-vm"))
    call(request, timeout=TIMEOUT)
    admin.expect_log("NotifyUser in app-vm for gui-vm: done")
    assert admin.log.count("NotifyUser in app-vm for net-vm: done") == 300
