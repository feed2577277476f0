# SPDX-License-Identifier: GPL-2.0-or-later
"""givcctl auth: what rules in files decide, and how it is told."""

import json
import os
import subprocess

import pytest

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


def why(directory, *arguments, given="", code=0):
    run = subprocess.run(
        [os.environ["GIVCCTL"], "auth", "why", "--rules=rules.cedar", *arguments],
        cwd=directory,
        input=given,
        capture_output=True,
        text=True,
    )
    assert run.returncode == code, run.stderr
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
    run = subprocess.run(
        [os.environ["GIVCCTL"], "auth", "why", "--json", "--rules=rules.cedar", "--requests=-"],
        cwd=files,
        input=given,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 2 and "-:1: principal is not" in run.stderr and "-:2: principal:1:5: " in run.stderr
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
