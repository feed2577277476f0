# SPDX-License-Identifier: GPL-2.0-or-later
"""givc-admin and a VM that has a certificate and means harm: what its agent says, and how often it comes."""

import json
import queue
import threading

import grpc
import pytest

from admin_fleet import (  # noqa: F401 (for the tests)
    APPVM,
    SYSVM,
    TIMEOUT,
    Admin,
    Agent,
    Watcher,
    certificates,
    pb,
)
from harness import peak_kib

ServiceRequest = pb.msg("admin.ServiceRequest")
TimezoneRequest = pb.msg("admin.TimezoneRequest")
LINE_BYTES = 4 * 1024 + 100  # of the journal's


def with_policies(directory, names):
    """The admin's environment: policies for app-vm; directory is of the image, and has its state."""
    (directory / "state").mkdir()
    policies = {name: {"vms": ["app-vm"]} for name in names}
    return {
        "POLICY_ADMIN": "true",
        "POLICY_CONFIG": json.dumps({"source": {"type": "none"}, "policies": policies}),
        "POLICY_STORE": str(directory),
        "STATE_DIRECTORY": str(directory / "state"),
    }


@pytest.fixture
def admin(certificates, tmp_path):  # noqa: F811
    with Admin(certificates, tmp_path, with_policies(tmp_path, ["absent"])) as admin:
        yield admin


def lines(admin, text):
    return [line for line in admin.log.splitlines() if text in line]


def test_no_word_of_an_agents_is_too_long_for_the_journal(certificates, admin):  # noqa: F811
    with Agent(certificates, "app-vm") as agent:
        agent.set("clock.service", ("inactive", "dead"), LoadState="x" * 3_000_000)
        agent.register(admin, APPVM)
        Watcher(admin).expect_entry(agent.name, Online=True)
        with pytest.raises(grpc.RpcError) as raised:
            request = ServiceRequest(VmName="app-vm", ServiceName="clock.service")
            admin.stub().StartService(request, timeout=TIMEOUT)
        assert raised.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert 'its load state is "unknown"' in raised.value.details()
        admin.expect_log("its load state is")
        assert max(len(line) for line in admin.log.splitlines()) < LINE_BYTES


def test_no_word_of_an_agents_is_a_line_of_ours(certificates, admin):  # noqa: F811
    class Forger:
        def TimezoneSet(self, request, context):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no\nAgent givc-net-vm.service is lost\x1b[2J")

    with Agent(certificates, "app-vm", services={"locale.LocaleClient": Forger()}) as agent:
        agent.register(admin, APPVM)
        Watcher(admin).expect_entry(agent.name, Online=True)
        with pytest.raises(grpc.RpcError):
            admin.stub().SetTimezone(TimezoneRequest(Timezone="Europe/Helsinki"), timeout=TIMEOUT)
        admin.expect_log(r"no\\x0aAgent givc-net-vm.service is lost\\x1b\[2J")


def test_a_vm_that_is_another_every_time_is_told_of_a_few_times(certificates, admin):  # noqa: F811
    with Agent(certificates, "app-vm") as agent:
        stub = admin.stub("app-vm")
        with pytest.raises(grpc.RpcError) as raised:
            for i in range(100):
                stub.RegisterService(agent.request(SYSVM if i % 2 else APPVM), timeout=TIMEOUT)
        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert 1 < i < 10
        stub.RegisterService(agent.request(APPVM if i % 2 else SYSVM), timeout=TIMEOUT)  # what it is
        assert len(lines(admin, "has left the registry")) < 10


def test_a_vm_that_comes_again_and_refuses_all_is_told_of_so_often(certificates, admin):  # noqa: F811
    calls = queue.Queue()

    class Refuser:
        def TimezoneSet(self, request, context):
            calls.put(request)
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no")

    admin.stub().SetTimezone(TimezoneRequest(Timezone="Europe/Helsinki"), timeout=TIMEOUT)
    with Agent(certificates, "app-vm", services={"locale.LocaleClient": Refuser()}) as agent:
        for _ in range(100):
            with admin.channel("app-vm") as channel:
                stub = pb.stub(channel, "admin.AdminService")
                stub.RegisterService(agent.request(APPVM), timeout=TIMEOUT)
            calls.get(timeout=TIMEOUT)
        refused, absent = lines(admin, "could not be set in app-vm"), lines(admin, "The policy absent cannot be read")
        assert refused and absent and len(refused + absent) <= 66


def test_who_changes_settings_all_the_time_is_refused_and_others_are_not(admin):
    stub = admin.stub("app-vm")
    with pytest.raises(grpc.RpcError) as raised:
        for i in range(40):
            zone = "Europe/Helsinki" if i % 2 else "Europe/Berlin"
            stub.SetTimezone(TimezoneRequest(Timezone=zone), timeout=TIMEOUT)
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and i == 30
    admin.stub("net-vm").SetTimezone(TimezoneRequest(Timezone="UTC"), timeout=TIMEOUT)


def test_what_an_agent_does_not_read_is_its_callers(certificates, admin):  # noqa: F811
    """Of whom each has 10 MiB, and requests of less than 8 here."""
    name, hold = "notify.UserNotificationService", threading.Event()
    unread = grpc.stream_unary_rpc_method_handler(lambda requests, context: hold.wait(TIMEOUT))
    services = {name: grpc.method_handlers_generic_handler(name, {"NotifyUser": unread})}
    request = pb.msg("admin.UserNotificationRequest")(VmName="app-vm")
    request.Notification.Message = "x" * 900_000
    ended = queue.Queue()
    with Agent(certificates, "app-vm", services=services) as agent:
        stubs = [agent.register(admin, APPVM), *(admin.stub("app-vm") for _ in range(3))]
        Watcher(admin).expect_entry(agent.name, Online=True)
        for stub in stubs * 2:
            stub.NotifyUser.future(request, timeout=TIMEOUT).add_done_callback(ended.put)
        # When it is to be passed on, or while it comes.
        assert ended.get(timeout=TIMEOUT / 2).code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        hold.set()


def test_answers_that_do_not_end_are_not_kept_without_bounds(certificates, admin):  # noqa: F811
    """Of what is short on the wire and large in memory, an agent can make us keep one."""
    name, hold = "stats.StatsService", threading.Event()
    processes = pb.msg("stats.ProcessStats")(CpuProcesses=[{}] * 120_000)
    answer = pb.msg("stats.StatsResponse")(Process=processes).SerializeToString()

    def withhold(request, context):
        yield answer
        hold.wait(TIMEOUT)

    endless = grpc.unary_stream_rpc_method_handler(withhold)
    services = {name: grpc.method_handlers_generic_handler(name, {"GetStats": endless})}
    request = pb.msg("admin.StatsRequest")(VmName="app-vm")
    ended = queue.Queue()
    with Agent(certificates, "app-vm", services=services) as agent:
        stub = agent.register(admin, APPVM)
        Watcher(admin).expect_entry(agent.name, Online=True)
        for _ in range(40):
            stub.GetStats.future(request, timeout=TIMEOUT).add_done_callback(ended.put)
        for _ in range(39):
            assert ended.get(timeout=TIMEOUT / 2).code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert peak_kib(admin.pid) < 96 * 1024
        hold.set()
        assert ended.get(timeout=TIMEOUT).code() is grpc.StatusCode.OK
        assert len(stub.GetStats(request, timeout=TIMEOUT).Process.CpuProcesses) == 120_000


def test_policies_are_brought_a_few_at_a_time(certificates, tmp_path):  # noqa: F811
    """What an agent that reads nothing makes us hold: an open file, and as much as is sent ahead, for each."""
    names, name = [f"policy-{i}" for i in range(40)], "policyadmin.PolicyAdmin"
    for policy in names:
        (tmp_path / "data/vm-policies" / policy).mkdir(parents=True)
        (tmp_path / "data/vm-policies" / policy / "policy.bin").write_bytes(bytes(256 * 1024))
    begun, hold = queue.Queue(), threading.Event()

    def take(requests, context):
        begun.put(None)
        hold.wait(TIMEOUT)
        first, *_ = requests
        begun.put(pb.msg("policyadmin.StreamPolicyRequest").FromString(first).policy_name)
        return pb.msg("policyadmin.Status")(Status="Success").SerializeToString()

    services = {
        name: grpc.method_handlers_generic_handler(name, {"StreamPolicy": grpc.stream_unary_rpc_method_handler(take)})
    }
    with Admin(certificates, tmp_path, with_policies(tmp_path, names)) as admin:
        with Agent(certificates, "app-vm", services=services) as agent:
            agent.register(admin, APPVM)
            for _ in range(4):
                begun.get(timeout=TIMEOUT)
            with pytest.raises(queue.Empty):
                begun.get(timeout=1)
            hold.set()
            taken = set()
            while len(taken) < len(names):
                taken.add(begun.get(timeout=TIMEOUT))
                taken.discard(None)
            assert taken == set(names)
