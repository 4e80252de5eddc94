"""Which statements match, where they stand, and which keys are missing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.access.policies.compile import compile_policy
from moorage.access.policies.decide import Asked, PolicySet, decide
from moorage.access.policies.explain import Position, explain, keys_read, spans
from moorage.access.policies.syntax import read

from .asking import ACCOUNT, FOREIGN_USER, REPOSITORY, USER, named, policy, statement, text_of
from .test_properties import questions, sets

ASKED = Asked(USER, "ecr:PutImage", REPOSITORY, ACCOUNT, {})


def test_spans_are_counted_as_in_amazon_s_example_of_the_command_line() -> None:
    text = (
        '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"dynamodb:*","Resource":"*",'
        '"Condition":{"DateGreaterThan":{"aws:CurrentTime":"2018-08-16T12:00:00Z"}}}}'
    )

    assert spans(text) == [(Position(1, 38), Position(1, 167))]


def test_spans_of_several_lines_elements_and_spellings() -> None:
    text = (
        ' \n{"Id" : "Statement", "Version":"2012-10-17" ,\r\n\t"\\u0053tatement" : [\n'
        '  {"Sid": "}]\\"{"} ,{\n}\n] , "Unread": 1}'
    )

    assert spans(text) == [(Position(4, 4), Position(4, 19)), (Position(4, 22), Position(5, 2))]


@given(
    st.lists(st.dictionaries(st.text('"{}[]\n', max_size=3), st.integers()), max_size=4),
    st.sampled_from([None, 1, "\t"]),
)
@settings(deadline=None, derandomize=True, max_examples=200)
def test_spans_enclose_each_statement(statements: list[dict[str, int]], indent: Any) -> None:
    text = json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=indent)
    lines = text.split("\n")

    def at(place: Position) -> int:
        return sum(len(line) + 1 for line in lines[: place.line - 1]) + place.column - 1

    assert [json.loads(text[at(start) - 1 : at(end)]) for start, end in spans(text)] == statements


def test_explain_tells_every_statement_that_matches_by_layer() -> None:
    identity = policy(
        statement(Sid="Other", action="s3:*"),
        statement(Sid="Push"),
        statement(Sid="False", Condition={"Bool": {"x:k": "true"}}),
        source="mine",
    )
    resource = policy(
        named({"AWS": ACCOUNT}, Sid="Ours"), named({"AWS": FOREIGN_USER.arn}, Sid="Theirs"), kind="repository"
    )
    policies = PolicySet(
        (identity,), boundary=(policy(statement(Sid="All", action="*")),), resource=(resource,)
    )

    explanation = explain(ASKED, policies)

    assert [(one.layer, one.sid) for one in explanation.matched] == [
        ("identity", "Push"),
        ("boundary", "All"),
        ("resource", "Ours"),
    ]
    assert explanation.matched[0].source == "mine"
    assert [one.sid for one in explanation.determining] == ["Push", "Ours"]
    assert explanation.allowed_by_boundary is True
    assert explanation.allowed_by_organization is None


def test_explain_tells_which_condition_is_in_the_way() -> None:
    both = {"StringLike": {"x:B": ["a", "b"]}, "Bool": {"x:k": "true"}, "Null": {"x:none": "true"}}
    mine = policy(
        statement(Sid="Elsewhere", resource="arn:aws:ecr:*:*:repository/other", Condition=both),
        statement("Deny", Sid="Both", Condition=both),
        source="mine",
    )
    others = policy(named({"AWS": FOREIGN_USER.arn}, Sid="Theirs", Condition=both), kind="repository")

    explanation = explain(ASKED, PolicySet((mine,), resource=(others,)))

    assert not explanation.matched
    assert [(one.statement.source, one.statement.sid, one.conditions) for one in explanation.unmet] == [
        ("mine", "Both", ("Bool x:k", "StringLike x:B"))
    ]


def test_explain_of_a_denial_determines_what_denies_only() -> None:
    policies = PolicySet(
        (policy(statement(Sid="A"), statement("Deny", Sid="D1"), statement("Deny", Sid="D2")),)
    )

    explanation = explain(ASKED, policies)

    assert [one.sid for one in explanation.matched] == ["A", "D1", "D2"]
    assert [one.sid for one in explanation.determining] == ["D1", "D2"]


def test_explain_of_what_nothing_allows_determines_nothing() -> None:
    policies = PolicySet(
        (policy(statement(Sid="A")),),
        boundary=(policy(statement(action="s3:*")),),
        scps=(
            (policy(statement(action="*"), kind="scp"),),
            (policy(statement("Deny", action="s3:*"), kind="scp"),),
        ),
    )

    explanation = explain(ASKED, policies)

    assert not explanation.determining
    assert (explanation.allowed_by_boundary, explanation.allowed_by_organization) == (False, False)


def test_explain_tells_the_keys_of_identity_and_resource_policies_that_the_request_lacks() -> None:
    tagged = policy(
        statement(Condition={"StringEquals": {"aws:ResourceTag/Team": "${aws:PrincipalTag/Team}"}})
    )
    home = policy(
        named("*", Resource="arn:aws:ecr:*:*:repository/${aws:username, 'x'}/${*}"), kind="repository"
    )
    organization = policy(statement(Condition={"Null": {"aws:PrincipalOrgID": "false"}}), kind="scp")
    asked = Asked(USER, "ecr:PutImage", REPOSITORY, ACCOUNT, {"aws:resourcetag/team": "red"})

    explanation = explain(asked, PolicySet((tagged,), resource=(home,), scps=((organization,),)))

    assert explanation.missing == ("aws:PrincipalTag/Team", "aws:username")


def test_keys_read_are_as_written_once_each_in_order() -> None:
    text = text_of(
        statement(
            resource=["*", "arn:aws:ecr:*:*:${aws:userid}"],
            Condition={"StringLike": {"x:B": "${aws:UserName}", "x:a": "${*}"}, "Null": {"X:b": "true"}},
        )
    )

    assert keys_read(read(text)) == ["x:B", "x:a", "aws:userid", "aws:UserName"]


def test_keys_read_of_2008_has_no_variables() -> None:
    assert keys_read(read(text_of(statement(resource="arn:aws:ecr:*:*:${a:b}"), version="2008-10-17"))) == []


@pytest.mark.parametrize("kind", ["trust", "repository"])
def test_explain_names_the_layer_of_a_trust_policy(kind: Any) -> None:
    compiled = compile_policy(text_of(named("*", action="*")), kind)

    assert [one.layer for one in explain(ASKED, PolicySet(resource=(compiled,))).matched] == [
        "trust" if kind == "trust" else "resource"
    ]


@given(questions, sets)
@settings(deadline=None, derandomize=True, max_examples=200)
def test_explain_decides_as_decide_does_and_names_its_statement(asked: Asked, policies: PolicySet) -> None:
    explanation = explain(asked, policies)

    assert explanation.decision == decide(asked, policies)
    if explanation.decision.explicit:
        assert any(
            one.effect == "Deny" and one.layer == explanation.decision.layer for one in explanation.matched
        )
