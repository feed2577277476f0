# SPDX-License-Identifier: GPL-2.0-or-later
"""givc-admin under access rules: who may call what, and how a change of the rules comes into force."""

import os
import subprocess

import grpc
import pytest

from admin_fleet import TIMEOUT, Admin, Empty, Watcher, app, certificates, pb  # noqa: F401 (fixtures are used by their names)

ApplicationRequest = pb.msg("admin.ApplicationRequest")
ServiceRequest = pb.msg("admin.ServiceRequest")
StartVMRequest = pb.msg("admin.StartVMRequest")
HealthCheckRequest = pb.msg("grpc.health.v1.HealthCheckRequest")
TEXT = "cedar: permission denied by admin access control policy"

RULES = """
permit (principal == Source::"app-vm", action == Command::"RegisterService", resource == Module::"admin");
@id("look") permit (principal == Source::"gui-vm", action in [Command::"QueryList", Command::"Watch"], resource);
permit (principal, action, resource)
when { (principal == Source::"gui-vm") && resource == Module::"admin" && (action == Command::"StopService")
       && (context has "VmName" && (context.VmName == "app-vm")) };
@id("never") forbid (principal, action == Command::"Poweroff", resource);
permit (principal == Source::"net-vm", action, resource) when { context.Missing == 1 };
"""


@pytest.fixture
def rules(tmp_path):
    path = tmp_path / "rules.cedar"
    path.write_text(RULES)
    return path


@pytest.fixture
def admin(certificates, tmp_path, rules):
    with Admin(certificates, tmp_path, {"ACCESS_CONTROL": "true", "CEDAR_FILE": str(rules)}) as admin:
        yield admin


def denial(call, request=Empty()):
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=TIMEOUT)
    assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED, caught.value
    assert caught.value.details().startswith(TEXT + ": ")
    return caught.value.details()[len(TEXT) + 2 :]


def test_the_rules_decide_on_the_request(admin, app):
    stub = admin.stub()
    stub.QueryList(Empty(), timeout=TIMEOUT)
    stub.StopService(ServiceRequest(VmName="app-vm", ServiceName="clock.service"), timeout=TIMEOUT)
    said = denial(stub.StopService, ServiceRequest(VmName="hidden-vm", ServiceName="clock.service"))
    assert said == 'no rule permits it; policy2 at rules.cedar:4 would, when context.VmName == "app-vm"'
    said = denial(stub.StartVM, StartVMRequest(VmName="app-vm"))
    assert said.startswith("no rule permits it; policy1 (look) at rules.cedar:3 would, when action in [Command::")
    assert denial(stub.Poweroff) == "policy3 (never) at rules.cedar:7 forbids it"
    assert "hidden-vm" not in admin.log.split("Denied", 1)[1].split("\n")[0]


def test_streams_are_judged_when_they_open(admin):
    Watcher(admin)
    with pytest.raises(grpc.RpcError) as caught:
        next(admin.stub("app-vm").Watch(Empty(), timeout=TIMEOUT))
    assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED


def test_streams_are_judged_again_when_the_rules_change(admin, rules, app):
    watchers = {"gui-vm": Watcher(admin)}
    rules.write_text(RULES + 'permit (principal == Source::"net-vm", action, resource);')
    admin.expect_log("(?s)5 access rules.*6 access rules")
    watchers["net-vm"] = Watcher(admin, "net-vm")
    rules.write_text(RULES.replace("gui-vm", "net-vm"))
    assert watchers["gui-vm"].expect_end() == grpc.StatusCode.PERMISSION_DENIED
    admin.expect_log(r"Denied admin.AdminService/Watch for gui-vm, which was under way: no rule permits it")
    rules.write_text(RULES.replace("gui-vm", "net-vm") + 'forbid (principal, action == Command::"Watch", resource);')
    assert watchers["net-vm"].expect_end() == grpc.StatusCode.PERMISSION_DENIED
    admin.expect_log(r"Denied admin.AdminService/Watch for net-vm, which was under way: policy5 at rules.cedar:9 forbids it")
    rules.write_text(RULES)
    Watcher(admin).close()


def test_a_rule_that_fails_does_not_count(admin):
    assert "policy4 at rules.cedar:8 would, when context.Missing == 1" in denial(admin.stub("net-vm").QueryList)


def test_what_is_beside_the_contract_is_behind_the_rules_too(admin):
    with admin.channel() as channel:
        assert "no rule permits it" in denial(pb.stub(channel, "grpc.health.v1.Health").Check, HealthCheckRequest())


def test_denials_are_logged_and_permits_when_asked_for(certificates, tmp_path, rules, admin):
    denial(admin.stub().Poweroff)
    admin.expect_log(r"Denied admin.AdminService/Poweroff for gui-vm: policy3 \(never\) at rules.cedar:7 forbids it")
    assert "Permitted" not in admin.log
    admin.stop()
    (tmp_path / "notify").unlink()
    environment = {"ACCESS_CONTROL": "true", "CEDAR_FILE": str(rules), "AUDIT_PERMITS": "true"}
    with Admin(certificates, tmp_path, environment) as audited:
        audited.stub().QueryList(Empty(), timeout=TIMEOUT)
        audited.expect_log(r"Permitted admin.AdminService/QueryList for gui-vm: policy1 \(look\) at rules.cedar:3")


def test_what_cannot_be_judged_is_denied_and_logged(admin):
    with pytest.raises(grpc.RpcError) as caught:
        admin.stub().StartApplication(ApplicationRequest(AppName="a", Args=["a"] * 4097), timeout=TIMEOUT)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    admin.expect_log(r"Denied admin.AdminService/StartApplication for gui-vm: the request has more fields than")


def test_rules_are_read_again_as_soon_as_they_are_written(admin, rules):
    stub = admin.stub()
    stub.QueryList(Empty(), timeout=TIMEOUT)
    rules.write_text('permit (principal == Source::"net-vm", action, resource);')
    admin.expect_log("1 access rules of .* are in force")
    denial(stub.QueryList)
    other = rules.with_name("other")
    other.write_text(RULES)
    other.rename(rules)
    admin.expect_log("(?s)5 access rules.*1 access rules.*5 access rules")
    stub.QueryList(Empty(), timeout=TIMEOUT)


def test_rules_behind_a_link_are_read_again_when_it_leads_elsewhere(certificates, tmp_path):
    for version, who in (("one", "gui-vm"), ("two", "net-vm")):
        (tmp_path / version).mkdir()
        (tmp_path / version / "rules.cedar").write_text(f'permit (principal == Source::"{who}", action, resource);')
    (tmp_path / "current").symlink_to("one")
    (tmp_path / "rules.cedar").symlink_to("current/rules.cedar")
    with Admin(certificates, tmp_path, {"ACCESS_CONTROL": "true", "CEDAR_FILE": str(tmp_path / "rules.cedar")}) as admin:
        admin.stub().QueryList(Empty(), timeout=TIMEOUT)
        (tmp_path / "next").symlink_to("two")
        (tmp_path / "next").rename(tmp_path / "current")
        admin.expect_log("(?s)rules of .* are in force.*rules of .* are in force")
        denial(admin.stub().QueryList)
        admin.stub("net-vm").QueryList(Empty(), timeout=TIMEOUT)


def test_rules_that_do_not_parse_leave_the_old_ones_in_force(admin, rules):
    rules.write_text(RULES + "\npermit (principal, action);")
    admin.expect_log(r"rules.cedar:10:26: found \) where .*\n.*stay so")
    admin.stub().QueryList(Empty(), timeout=TIMEOUT)
    denial(admin.stub().Poweroff)
    rules.unlink()
    admin.reload()
    admin.expect_log("rules.cedar: No such file")
    admin.stub().QueryList(Empty(), timeout=TIMEOUT)


@pytest.mark.parametrize(
    "arguments, rules_text, said",
    [
        (["--access-control"], None, "needs its rules"),
        (["--access-control", "--cedar-file=rules.cedar", "--use-tls=no"], "", "needs TLS"),
        (["--access-control", "--cedar-file=none.cedar"], None, "none.cedar: No such file"),
        (["--access-control", "--cedar-file=rules.cedar"], "permit (principal);", "rules.cedar:1:18: found )"),
        (["--access-control", "--cedar-file=rules.cedar", "--cedar-entities=rules.cedar"], "", "rules.cedar"),
    ],
)
def test_rules_that_are_asked_for_and_not_there_stop_the_daemon(certificates, tmp_path, arguments, rules_text, said):
    if rules_text is not None:
        (tmp_path / "rules.cedar").write_text(rules_text)
    member = certificates / "admin-vm"
    files = [f"--ca-cert={member}/ca-cert.pem", f"--host-cert={member}/cert.pem", f"--host-key={member}/key.pem"]
    run = subprocess.run(
        [os.environ["GIVC_ADMIN"], "--listen=127.0.0.1:0", *files, *arguments],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        timeout=TIMEOUT,
    )
    assert run.returncode != 0 and said in run.stderr
