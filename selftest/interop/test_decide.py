# SPDX-License-Identifier: GPL-2.0-or-later
"""AccessService.Decide of givc-admin, to grpcio and to givcctl: what its rules say of a call that nobody makes."""

import json
import os
import subprocess

import grpc
import pytest

from admin_fleet import APPVM, TIMEOUT, Admin, Agent, Watcher, pb
from test_access import admin, certificates, denial, rules  # noqa: F401 (fixtures are used by their names)

Question = pb.msg("access.DecideRequest")

MORE_RULES = """
permit (principal == Source::"gui-vm", action == Command::"Decide", resource) when { context.service like "*Service" };
permit (principal == Source::"net-vm", action == Command::"StartVM", resource) when { context.service == "AdminService" };
permit (principal, action == Command::"RegisterService", resource);
"""


@pytest.fixture
def more_rules(rules):  # noqa: F811
    rules.write_text(rules.read_text() + MORE_RULES)
    return rules


@pytest.fixture
def ask(more_rules, admin):  # noqa: F811
    stub = pb.stub(admin.channel(), "access.AccessService")

    def ask(principal, action, resource="admin", context=""):
        question = Question(Principal=principal, Action=action, Resource=resource, Context=context)
        return stub.Decide(question, timeout=TIMEOUT)

    return ask


def refusal(call, code):
    with pytest.raises(grpc.RpcError) as caught:
        call()
    assert caught.value.code() == code, caught.value
    return caught.value.details()


def test_what_the_rules_say_is_what_a_call_would_meet(ask, admin):  # noqa: F811
    said = ask("gui-vm", "StopService", context='{"VmName": "app-vm"}')
    assert said.Allowed and [(rule.Id, rule.Line) for rule in said.Reasons] == [("policy2", 4)]
    assert said.Reasons[0].File.endswith("/rules.cedar")
    said = ask("gui-vm", "StopService", context='{"VmName": "hidden-vm"}')
    assert not said.Allowed and not said.Reasons
    assert (said.Nearest[0].Policy.Id, said.Nearest[0].Condition) == ("policy2", 'context.VmName == "app-vm"')
    assert (said.Nearest[0].Line, said.Nearest[0].Met + 1) == (6, said.Nearest[0].Conditions)
    said = ask('Source::"gui-vm"', 'Command::"Poweroff"', 'Module::"admin"')
    assert not said.Allowed and [(rule.Id, rule.Name) for rule in said.Reasons] == [("policy3", "never")]
    assert said.Principal == 'Source::"gui-vm"'
    said = ask("net-vm", "QueryList")
    assert [error.Policy.Id for error in said.Errors] == ["policy4"] and "Missing" in said.Errors[0].Message
    assert "StopService" not in admin.log and "Denied" not in admin.log  # nothing was done, and nobody denied


def test_the_service_is_known_where_it_is_one(ask):
    assert ask("net-vm", "StartVM").Allowed
    assert not ask("net-vm", "StartVM", context='{"service": "Other"}').Allowed
    assert not ask("net-vm", "StartVM", resource="systemd").Allowed


NONSENSE = [
    ({"Principal": ""}, grpc.StatusCode.INVALID_ARGUMENT, "Principal: is missing"),
    ({"Action": 'Command::"x'}, grpc.StatusCode.INVALID_ARGUMENT, "Action:1:10: "),
    ({"Resource": "a" * 1025}, grpc.StatusCode.RESOURCE_EXHAUSTED, "Resource: is longer"),
    ({"Context": '{"a": '}, grpc.StatusCode.INVALID_ARGUMENT, "Context:1:"),
    ({"Context": "[]"}, grpc.StatusCode.INVALID_ARGUMENT, "Context: "),
    ({"Context": '{"a": "%s"}' % ("a" * 65536)}, grpc.StatusCode.RESOURCE_EXHAUSTED, "Context: more than"),
    ({"Context": '{"a": [%s1]}' % ("1," * 4096)}, grpc.StatusCode.RESOURCE_EXHAUSTED, "Context: has more values"),
    ({"Context": '{"a": %s1%s}' % ("[" * 1000, "]" * 1000)}, grpc.StatusCode.RESOURCE_EXHAUSTED, "is deeper"),
    ({"Context": '{"a": %s' % ("[" * 60000)}, grpc.StatusCode.INVALID_ARGUMENT, "Context:"),
]


def test_nonsense_is_refused(more_rules, admin):  # noqa: F811
    stub = pb.stub(admin.channel(), "access.AccessService")
    for fields, code, said in NONSENSE:
        question = Question(**{"Principal": "gui-vm", "Action": "StartVM", "Resource": "admin", **fields})
        assert said in refusal(lambda: stub.Decide(question, timeout=TIMEOUT), code)


def test_who_may_ask_is_for_the_rules_to_say(more_rules, admin):  # noqa: F811
    question = Question(Principal="gui-vm", Action="StartVM", Resource="admin")
    assert "no rule permits it" in denial(pb.stub(admin.channel("app-vm"), "access.AccessService").Decide, question)


def test_without_rules_it_is_said_that_there_are_none(certificates, tmp_path):  # noqa: F811
    with Admin(certificates, tmp_path) as admin:  # noqa: F811
        stub = pb.stub(admin.channel(), "access.AccessService")
        question = Question(Principal="gui-vm", Action="StartVM", Resource="admin")
        said = refusal(lambda: stub.Decide(question, timeout=TIMEOUT), grpc.StatusCode.FAILED_PRECONDITION)
        assert said.startswith("access control is off")


class Decider:
    """AccessService of an agent."""

    def Decide(self, request, context):
        rule = pb.msg("access.Policy")(Id="policy7", Name="of\033[1m " + request.Principal, File="/r.cedar", Line=3)
        return pb.msg("access.DecideResponse")(
            Principal=request.Principal, Action=request.Action, Resource=request.Resource, Allowed=True, Reasons=[rule]
        )


@pytest.fixture
def why(certificates, more_rules, admin):  # noqa: F811
    """givcctl auth why, as gui-vm, of the admin."""
    member = certificates / "gui-vm"
    options = [f"--port={admin.port}", "--addr=127.0.0.1"]
    options += [f"--cacert={member}/ca-cert.pem", f"--cert={member}/cert.pem", f"--key={member}/key.pem"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIVC_")}

    def why(*arguments, code=0):
        command = [os.environ["GIVCCTL"], *options, "auth", "why", *arguments]
        run = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, env=environment)
        assert run.returncode == code, run.stdout + run.stderr
        return run.stderr if code else run.stdout

    return why


def test_givcctl_asks_the_admin(why, tmp_path):
    (tmp_path / "context.json").write_text('{"VmName": "hidden-vm"}')
    said = why("gui-vm", "StopService", "admin", f"--context={tmp_path}/context.json")
    assert said.startswith('Source::"gui-vm" may not Command::"StopService" on Module::"admin"\n  no policy permits it\n  near: ')
    assert 'rules.cedar:4 meets 7 of its 8 conditions, not context.VmName == "app-vm" at line 6, column 37\n' in said
    said = json.loads(why("--json", "gui-vm", "Poweroff", "admin"))
    assert said == {"decision": "deny", "reason": ["policy3"], "errors": []}
    assert "Action:1:1" in why("gui-vm", "::", "admin", code=1)


def test_givcctl_asks_an_agent_through_the_admin(why, admin, certificates):  # noqa: F811
    with Agent(certificates, "app-vm", services={"access.AccessService": Decider()}) as agent:
        watcher = Watcher(admin)
        agent.register(admin, APPVM)
        watcher.expect_entry(agent.name, Online=True)
        assert why("--vm=app-vm", "x", "y", "z") == "x may y on z\n  permitted by policy7 (of\\x1b[1m x) at /r.cedar:3\n"
    with Agent(certificates, "net-vm") as old:
        old.register(admin, APPVM)
        watcher.expect_entry(old.name, Online=True)
        assert "Decide is not offered by net-vm" in why("--vm=net-vm", "x", "y", "z", code=1)


def test_what_givcctl_does_not_ask(why):
    for arguments, said in [
        (["--entities=e", "a", "b", "c"], "a daemon decides by its own entities, and takes none from who asks"),
        (["--entities=e", "--vm=app-vm", "a", "b", "c"], "a daemon decides by its own entities"),
        (["--requests=r"], "a daemon is asked one thing at a time"),
        (["--rules=r", "--vm=app-vm", "a", "b", "c"], "either --rules=FILE, or --vm=VM"),
        (["a", "b"], "either PRINCIPAL ACTION RESOURCE"),
        (["a", "b", "c", "--context=/nonexistent"], "cannot read /nonexistent"),
        (["--vm=a b", "a", "b", "c"], "a b"),
    ]:
        assert said in why(*arguments, code=2)
