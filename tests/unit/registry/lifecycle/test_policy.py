import json
import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.base.errors.requests import InvalidParameter
from moorage.registry.lifecycle.policy import compact, matches, parse

TAGS = st.text("ab*", max_size=6)


def rule(priority: int = 1, **changes: Any) -> dict[str, Any]:
    selection = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 5}
    return {"rulePriority": priority, "selection": selection, "action": {"type": "expire"}} | changes


def text_of(*rules: Any) -> str:
    return json.dumps({"rules": rules})


@given(pattern=TAGS, tag=st.text("ab", max_size=6))
def test_a_pattern_matches_as_the_regular_expression_does(pattern: str, tag: str) -> None:
    wanted = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), tag) is not None

    assert matches(pattern, tag) is wanted


def test_a_pattern_is_matched_in_linear_time() -> None:
    started = time.process_time()  # what else runs on the machine is not measured

    assert not matches("a*" * 4 + "b", "a" * 100_000)
    assert time.process_time() - started < 0.1


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_compacting_keeps_the_meaning_and_nothing_insignificant(document: Any) -> None:
    for shown in (json.dumps(document, indent=3), json.dumps(document, ensure_ascii=False, indent="\t")):
        assert json.loads(compact(shown)) == document
        assert (
            compact(shown)
            == json.dumps(document, separators=(",", ":"), ensure_ascii="\\u" in shown or shown.isascii())
            or json.loads(compact(shown)) == document
        )


def test_compacting_keeps_order_spelling_and_strings() -> None:
    assert compact('{ "b" : 1.50 ,\n "a": "x \\" y" }') == '{"b":1.50,"a":"x \\" y"}'


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["rules", "rulePriority", "selection", "action", "type", "tagStatus"])
                | st.text(),
                inner,
            )
        ),
    )
)
def test_any_document_is_a_policy_or_refused(document: Any) -> None:
    for text in (json.dumps(document), json.dumps({"rules": [document]}), text_of(rule(selection=document))):
        for with_extensions in (False, True):
            with pytest.raises(InvalidParameter, match="Lifecycle policy validation failure: "):
                parse(text, with_extensions=with_extensions)


def test_rules_come_in_order_of_priority() -> None:
    untagged = {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 5}

    policy = parse(text_of(rule(20), rule(3, selection=untagged)))

    assert [each.priority for each in policy.rules] == [3, 20]


def test_extensions_are_known_where_they_are_on() -> None:
    retained = {
        "rulePriority": 1,
        "selection": {"tagStatus": "tagged", "tagPatternList": ["v*"]},
        "moorage": {"retain": True},
    }
    pulled = rule(2, moorage={"expireByPull": True})
    pulled["selection"] = {
        "tagStatus": "any",
        "countType": "sinceImagePulled",
        "countUnit": "days",
        "countNumber": 5,
    }

    policy = parse(text_of(retained, pulled), with_extensions=True)

    assert [(each.action, each.count_type) for each in policy.rules] == [
        (None, None),
        ("expire", "sinceImagePulled"),
    ]
    for text in (text_of(retained), text_of(pulled)):
        with pytest.raises(InvalidParameter):
            parse(text)


@pytest.mark.parametrize(
    "wrong",
    [
        rule(moorage={}),
        rule(moorage={"retain": False}),
        rule(moorage={"retain": True}),
        rule(moorage={"expireByPull": True}),
        rule(moorage={"expireTag": True}),
        rule(moorage={"expireTag": True, "retain": True}),
        rule(moorage={"other": True}),
    ],
)
def test_a_wrong_extension_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidParameter):
        parse(text_of(wrong), with_extensions=True)
