# SPDX-License-Identifier: GPL-2.0-or-later
"""givcctl auth: what rules in files decide, and how it is told."""

import json
import os
import pathlib
import subprocess

import pytest

from patience import SLOWNESS

RULES = """
@id("app-vm only")
permit (principal, action, resource)
when { (principal == Source::"gui-vm") && resource == Module::"admin" && (action == Command::"StartApplication")
       && (context has "VmName" && (context.VmName == "app-vm")) };
permit (principal is Source in Group::"system", action == Command::"QueryList", resource);
forbid (principal, action == Command::"Poweroff", resource) unless { principal == Source::"ghaf-host" };
permit (principal, action, resource) when { context.n > 3 };
"""
ENTITIES = [{"uid": {"type": "Source", "id": "net-vm"}, "attrs": {}, "parents": [{"type": "Group", "id": "system"}]}]


@pytest.fixture
def files(tmp_path):
    (tmp_path / "rules.cedar").write_text(RULES)
    (tmp_path / "entities.json").write_text(json.dumps(ENTITIES))
    (tmp_path / "context.json").write_text('{"VmName": "app-vm"}')
    (tmp_path / "entity.json").write_text('{"__entity": {"type": "A", "id": "b"}}')
    (tmp_path / "nested.json").write_text('{"Vm": {"Name": "app-vm"}}')
    return tmp_path


def auth(verb, directory, *arguments, given="", code=0, timeout=None):
    run = subprocess.run(
        [os.environ["GIVCCTL"], "auth", verb, "--rules=rules.cedar", *arguments],
        cwd=directory,
        input=given,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert run.returncode == code, run.stdout + run.stderr
    return run


def why(directory, *arguments, given="", code=0):
    run = auth("why", directory, *arguments, given=given, code=code)
    return run.stderr if code else run.stdout


def test_who_is_permitted_is_told_by_which_rule(files):
    said = why(files, "--context=context.json", "gui-vm", "StartApplication", "admin")
    assert said.startswith('Source::"gui-vm" may Command::"StartApplication" on Module::"admin"\n')
    assert "permitted by policy0 (app-vm only) at rules.cedar:3\n" in said
    assert 'policy3 at rules.cedar:8 fails: there is no attribute "n"' in said
    assert "permitted by policy1" in why(files, "--entities=entities.json", "net-vm", "QueryList", "admin")


def test_who_is_not_is_told_what_is_missing(files):
    said = why(files, "gui-vm", "StartApplication", "admin")
    assert "may not" in said and "no policy permits it" in said
    assert "near: policy0 (app-vm only) at rules.cedar:3 meets 6 of its 8 conditions" in said
    assert 'not context has "VmName" at line 5, column 12' in said
    assert "forbidden by policy2 at rules.cedar:7" in why(files, "gui-vm", "Poweroff", "admin")


def test_rules_in_json_are_shown_as_text(files):
    rule = {
        "effect": "permit",
        "principal": {"op": "==", "entity": {"type": "Source", "id": "gui-vm"}},
        "action": {"op": "All"},
        "resource": {"op": "All"},
        "conditions": [{"kind": "when", "body": {"has": {"left": {"Var": "context"}, "attr": ["Vm", "Name"]}}}],
    }
    (files / "rules.json").write_text(json.dumps(rule))
    said = why(files, "--rules=rules.json", "gui-vm", "StartApplication", "admin")
    assert "near: policy0 at rules.json meets 3 of its 5 conditions, not context has Vm\n" in said
    said = why(files, "--rules=rules.json", "--context=nested.json", "net-vm", "StartApplication", "admin")
    assert 'meets 4 of its 5 conditions, not principal == Source::"gui-vm"\n' in said


def test_json_has_the_decision_and_ids(files):
    expected = {"decision": "allow", "reason": ["policy0"], "errors": ["policy3"]}
    said = why(files, "--json", "--context=context.json", "gui-vm", "StartApplication", "admin")
    assert json.loads(said) == expected


def test_many_requests_are_answered_a_line_each(files):
    requests = [
        {
            "principal": {"type": "Source", "id": "gui-vm"},
            "action": {"__entity": {"type": "Command", "id": "StartApplication"}},
            "resource": 'Module::"admin"',
            "context": {"VmName": "app-vm", "n": 1},
        },
        {"principal": "any", "action": "Any", "resource": "any", "context": {"n": 4}},
        {"principal": "any", "action": "Any", "resource": "any", "context": {"n": {"__extn": {"fn": "ip", "arg": "::"}}}},
    ]
    given = "\n".join(map(json.dumps, requests)) + "\n\n"
    answers = [json.loads(line) for line in why(files, "--json", "--requests=-", given=given).splitlines()]
    assert answers == [
        {"decision": "allow", "reason": ["policy0"], "errors": []},
        {"decision": "allow", "reason": ["policy3"], "errors": []},
        {"decision": "deny", "reason": [], "errors": ["policy3"]},
    ]


def test_a_line_that_is_no_request_does_not_keep_the_others_from_their_answer(files):
    given = '{"principal": 1}\n{"principal": "A::b", "action": "b", "resource": "c"}\n{"principal": "a", "action": "b", "resource": "c", "context": {"n": 9}}\n'
    run = auth("why", files, "--json", "--requests=-", given=given, code=2)
    assert "-:1: principal is not" in run.stderr and "-:2: principal:1:5: " in run.stderr
    assert json.loads(run.stdout)["decision"] == "allow"


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["a", "b"], "PRINCIPAL ACTION RESOURCE"),
        (["--requests=-", "a", "b", "c"], "--requests"),
        (["--rules=none.cedar", "a", "b", "c"], "none.cedar"),
        (["--entities=none.json", "a", "b", "c"], "none.json"),
        (["--entities=context.json", "a", "b", "c"], "context.json: an array"),
        (["--context=entities.json", "a", "b", "c"], "entities.json"),
        (["--context=entity.json", "a", "b", "c"], "entity.json: a record is expected, not an entity"),
        (["A::b", "b", "c"], "A::b:1:5:"),
    ],
)
def test_what_cannot_be_read_is_said(files, arguments, said):
    assert said in why(files, *arguments, code=2)


def test_rules_that_do_not_parse_are_shown_where(files):
    (files / "rules.cedar").write_text("permit (principal, action, resource)\nwhen { context.a = 1 };")
    assert 'rules.cedar:2:18: "=" is no operator' in why(files, "a", "b", "c", code=2)


STARTS = {"principal": "gui-vm", "action": "StartApplication", "resource": "admin", "context": {"VmName": "app-vm"}}
EXPECTED = [
    {**STARTS, "expect": "allow", "by": "app-vm only"},
    {**STARTS, "expect": "allow", "by": ["policy0"]},
    {**STARTS, "principal": "net-vm", "expect": "deny", "by": []},
    {"principal": "gui-vm", "action": "Poweroff", "resource": "admin", "expect": "deny", "by": "policy2"},
]


def test_expectations_hold_from_an_array_and_from_lines(files):
    (files / "array.json").write_text(json.dumps(EXPECTED, indent=1))
    lines = "\n\n".join(map(json.dumps, EXPECTED))
    assert auth("test", files, "array.json", "-", given=lines).stdout == "8 passed, 0 failed\n"
    assert json.loads(auth("test", files, "--json", "-", given=lines).stdout) == {"passed": 4, "failed": 0, "failures": []}


def test_an_expectation_that_does_not_hold_is_told_of(files):
    wrong = [
        {**STARTS, "expect": "deny", "name": "no desktop"},
        {**STARTS, "principal": "net-vm", "expect": "allow"},
        {**STARTS, "expect": "allow", "by": ["app-vm only", "policy3"]},
        {**STARTS, "expect": "allow", "by": []},
        {**STARTS, "expect": "deny", "principal": "net-vm"},
    ]
    lines = "\n".join(map(json.dumps, wrong))
    said = auth("test", files, "-", given=lines, code=1).stdout.splitlines()
    assert said[0].startswith("-:1 (no desktop): expected deny, but permitted by policy0 (app-vm only) at rules.cedar:3")
    assert "policy3 at rules.cedar:8 fails" in said[0]
    assert said[1].startswith("-:2: expected allow, but no rule permits it; near: policy0 (app-vm only) at rules.cedar:3")
    assert said[2].startswith("-:3: expected allow by policy3, but permitted by policy0")
    assert said[3].startswith("-:4: expected allow by no rule, but permitted by policy0")
    assert said[4] == "1 passed, 4 failed" and len(said) == 5
    (files / "array.json").write_text(json.dumps(wrong))
    assert "array.json[1]: expected allow" in auth("test", files, "array.json", code=1).stdout
    told = json.loads(auth("test", files, "--json", "array.json", code=1).stdout)
    assert (told["passed"], told["failed"]) == (1, 4)
    first = {"where": "array.json[0]", "name": "no desktop", "expect": "deny"}
    assert told["failures"][0] == {**first, "decision": "allow", "reason": ["policy0"], "errors": ["policy3"]}


@pytest.mark.parametrize(
    "given, said",
    [
        ("", "there is no expectation in it"),
        ("[]", "there is no expectation in it"),
        ("[{]", "-:1:"),
        ("nonsense", "-:1:"),
        ("[1]", "-[0]: an object"),
        (json.dumps({**STARTS, "expect": "yes"}), 'expect is "allow" or "deny"'),
        (json.dumps({**STARTS, "expected": "deny"}), '"expected" is no member'),
        (json.dumps({**STARTS, "expect": "deny", "by": 1}), "by is a rule's id"),
        (json.dumps({**STARTS, "expect": "deny", "name": 1}), "name is a text"),
        (json.dumps({"expect": "deny"}), "principal is not"),
    ],
)
def test_what_is_no_expectation_is_no_success(files, given, said):
    assert said in auth("test", files, "-", given=given, code=2).stderr


def test_a_broken_expectation_does_not_keep_the_others_from_being_tested(files):
    run = auth("test", files, "-", given="{}\n" + json.dumps(EXPECTED[0]), code=2)
    assert run.stdout == "1 passed, 0 failed\n" and "-:1: " in run.stderr


def lint(directory, text, *arguments, code=1, timeout=None):
    (directory / "rules.cedar").write_text(text)
    return auth("lint", directory, *arguments, code=code, timeout=timeout).stdout.splitlines()


ADMIN = 'permit (principal == Source::"a", action == Command::"{}", resource == Module::"admin") {};'
ANY = 'permit (principal == Source::"a", action, resource) when {{ {} }};'


@pytest.mark.parametrize(
    "rule, said",
    [
        (ANY.format('principal == Source::"b"'), '1:60: policy0: principal == Source::"b" is never met together with'),
        (ANY.format('action == Command::"Watch" && action in [Command::"QueryList"]'), "is never met together with"),
        (ANY.format('[Command::"Watch", Command::"QueryList"].contains(action) && action == Command::"StartVM"'), "never met"),
        (ANY.format('context has n && context.n == 1 && context.n > 3'), "context.n > 3 is never met together with context.n"),
        (ANY.format('context has "VmName"') [:-1] + ' unless { context has "VmName" };', "is asked for and ruled out"),
        (ANY.format('1 == 2'), "1 == 2 is never true"),
        (ANY.format('context has "VmName" && !true'), "true is never false"),
        (ANY.format('"a" < 1'), '"a" < 1 always fails: < compares two longs'),
        (ANY.format('context has "VmName" || "a" < 1'), '"a" < 1 always fails'),
        (ANY.format('ip("1.2.3.4").isIpv4(1)'), "always fails: isIpv4 takes another number of arguments"),
        (ANY.format('ip("nonsense").isIpv4()'), "always fails"),
        (ANY.format('principal like "a"'), "always fails: like takes a string, not an entity"),
        (ANY.format('context.service == "AdminServise"'), "of a service AdminServise; there is AdminService"),
        (ANY.format('context has "Vm_Name"'), "context has no Vm_Name: "),
        (ADMIN.format("StartVm", ""), "1:45: policy0: there is no method StartVm; there is StartVM"),
        (ADMIN.format("StartUnit", ""), "the rule never applies: StartUnit is a method of systemd"),
        (ADMIN.format("StartApplication", 'when { context has "VMName" }'), "context has no VMName: StartApplication has VmName"),
        (ADMIN.format("RegisterService", "when { context.Transport.Nane == \"a\" }"), "context has no Nane: RegisterService has "),
        (ADMIN.format("StartVM", 'when { context.VmName > 3 }'), "context.VmName > 3 always fails"),
        ('permit (principal, action in [Command::"Watch", Command::"Wach"], resource);', "1:49: policy0: there is no method Wach"),
        ('permit (principal, action, resource == Module::"amdin");', "there is no module amdin; there is admin"),
        ('permit (principal, action, resource == Module::"exec") when { context has x };', "are a stream, of which it has service"),
        ('permit (principal, action == Command::"NotifyUser", resource == Module::"notify") when { context.Urgency == "CRITICL" };', 'never "CRITICL"; it may be CRITICAL'),
    ],
)
def test_what_is_wrong_with_a_rule_is_found(files, rule, said):
    found = lint(files, rule)
    assert len(found) == 1 and found[0].startswith("rules.cedar:1:") and said in found[0], found


def test_rules_that_add_nothing_are_found(files):
    rules = """@id("never a") forbid (principal == Source::"a", action, resource);
        permit (principal, action == Command::"Watch", resource) when { principal == Source::"a" };
        permit (principal == Source::"b", action, resource == Module::"admin");
        permit (principal == Source::"b", action == Command::"Watch", resource == Module::"admin") when { context has "x" };
        @id("one") permit (principal, action, resource) when { principal.a > 1 };
        @id("two") permit (principal, action, resource) when { principal.a > 1 };
        forbid (principal == Source::"a", action, resource);"""
    found = "\n".join(lint(files, rules))
    assert "rules.cedar:2:9: policy1: the rule never counts: policy0 (never a) at line 1 forbids all that it permits" in found
    assert "policy3: the rule adds nothing: policy2 at line 3 permits all of it" in found
    assert "policy5 (two): the rule adds nothing: it is the same as policy4 (one) at line 5" in found
    assert "policy6: the rule adds nothing: policy0 (never a) at line 1 forbids all of it" in found


def test_what_is_quoted_of_a_rule_is_shown_and_not_obeyed(files):
    rule = '@id("a\u202e\\0b") ' + ANY.format('"\u202e\x9b" == 1')
    assert lint(files, rule) == [
        r'rules.cedar:1:73: policy0 (a\xe2\x80\xae\x00b): "\xe2\x80\xae\xc2\x9b" == 1 is never true: the rule never applies'
    ]


@pytest.mark.parametrize("letters", range(4))
def test_what_is_cut_short_ends_with_a_whole_character(files, letters):
    name = "a" * letters + "\u20ac" * 40
    (found,) = lint(files, ADMIN.format(name, ""))
    assert found.endswith(f"there is no method {name[: letters + (80 - letters) // 3]}")
    (found,) = lint(files, ANY.format(f'1 == "{name}"'))
    assert "\\x" not in found and "\u20ac is never true" in found


def test_a_rule_of_which_little_is_right_is_found_wrong_in_time(files):
    names = ",".join(f'Command::"c{i}"' for i in range(20000))
    assert len(lint(files, f"permit (principal, action in [{names}], resource);", timeout=30 * SLOWNESS)) == 64


def test_many_rules_are_looked_at_in_time(files):
    rule = 'permit (principal == Source::"vm{}", action == Command::"StartVM", resource == Module::"admin");\n'
    rules = "".join(rule.format(i) for i in range(16000))
    (found,) = lint(files, rules + rule.format(7), timeout=30 * SLOWNESS)
    assert "policy16000: the rule adds nothing: policy7 at line 8 permits all of it" in found


def test_what_takes_too_many_steps_is_let_be(files):
    """What stands before has is looked at again for each name behind it."""
    deep = "context"
    for _ in range(9):
        deep = f"(if {deep} has a.b.c.d then context else context)"
    (found,) = lint(files, ANY.format(f"{deep} has x") * 10 + ANY.format("1 == 2"), timeout=30 * SLOWNESS)
    assert "policy10: 1 == 2 is never true" in found


CLEAN = [
    RULES.replace("context.n > 3", 'context has "VmName" && context.VmName like "*-vm"'),
    'permit (principal, action, resource == Module::"grpc") when { context.service == "health.v1.Health" };',
    'permit (principal == User::"a", action == Action::"view", resource) when { context.anything == 3 };',
    'permit (principal, action in [Command::"StartVM", Command::"QueryList"], resource) when { context has "VmName" };',
    """permit (principal, action, resource == Module::"admin")
    when { (action == Command::"StartVM" && context.VmName == "a") || (action == Command::"GetUnitStatus" && context.UnitName == "b") };""",
    """permit (principal, action, resource) when { if principal == Source::"a" then action == Command::"StartApplication" else false }
    unless { context has "VmName" && !(context.VmName == "x") };""",
    'permit (principal, action, resource) when { ["a", "b"].contains(context.service) || [Source::"a"].contains(principal) };',
    'permit (principal == ?principal, action == Command::"Watch", resource);',
    'permit (principal, action == Command::"Watch", resource); forbid (principal, action, resource) unless { principal == Source::"a" };',
    'permit (principal, action == Command::"NotifyUser", resource == Module::"notify") when { context.Urgency == "LOW" };',
    'permit (principal, action, resource) when { principal == Source::"a" || principal == Source::"b" } unless { principal == Source::"b" };',
]


@pytest.mark.parametrize("rules", CLEAN)
def test_rules_that_are_right_are_let_be(files, rules):
    assert lint(files, rules, "--entities=entities.json", code=0) == []


def test_the_rules_of_the_examples_are_right(files):
    example = pathlib.Path(__file__).parents[2] / "contrib/examples/rules.cedar"
    assert lint(files, example.read_text(), code=0) == []


def test_entities_make_groups_known(files):
    group = [{"uid": {"type": "Command", "id": "Watch"}, "attrs": {}, "parents": [{"type": "Command", "id": "looking"}]}]
    (files / "groups.json").write_text(json.dumps(group))
    rule = 'permit (principal, action in Command::"looking", resource);'
    assert lint(files, rule, "--entities=groups.json", code=0) == []
    assert "no method looking" in lint(files, rule)[0]


def test_findings_in_json(files):
    (found,) = json.loads("".join(lint(files, '@id("x")\n ' + ADMIN.format("StartVm", ""), "--json")))
    assert (found["file"], found["line"], found["column"], found["rule"], found["id"]) == ("rules.cedar", 2, 46, "policy0", "x")
    rule = json.dumps({"effect": "permit", "principal": {"op": "All"}, "action": {"op": "==", "entity": {"type": "Command", "id": "StartVm"}}, "resource": {"op": "All"}, "conditions": []})
    assert lint(files, rule) == ["rules.cedar: policy0: there is no method StartVm; there is StartVM"]
