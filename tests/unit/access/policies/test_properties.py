"""What holds of every decision, whatever the policies: written as Amazon's guide promises it, tried at random."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moorage.access.policies.compile import Policy, compile_policy
from moorage.access.policies.decide import Asked, Caller, PolicySet, decide
from moorage.access.policies.document import MalformedPolicy, parse
from moorage.access.policies.syntax import Kind

from .asking import ACCOUNT, ANONYMOUS, FEDERATED, FOREIGN_USER, ROOT, SERVICE, SESSION, USER, text_of

many = settings(
    deadline=None, derandomize=True, max_examples=200, suppress_health_check=[HealthCheck.too_slow]
)

ACTIONS = ["ecr:PutImage", "ecr:BatchGetImage", "s3:GetObject"]
NAMES = ["a", "b", "team/a", "*"]
KEYS = ["aws:principaltag/x", "aws:username", "x:many"]
VALUES = ["a", "b", "*", "", "true", "10", "10.0.0.1", "arn:aws:iam::111111111111:role/r", "2026-01-01"]
OPERATORS = [
    "StringEquals",
    "StringNotEquals",
    "StringLike",
    "StringNotLikeIfExists",
    "ForAnyValue:StringEquals",
    "ForAnyValue:StringNotEqualsIfExists",
    "ForAllValues:StringLike",
    "NumericLessThan",
    "NumericNotEquals",
    "DateLessThan",
    "Bool",
    "IpAddress",
    "NotIpAddress",
    "ArnLike",
    "ArnNotLike",
    "Null",
    "StringFuzzy",
]


def arn(name: str) -> str:
    return f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/{name}"


action_patterns = st.sampled_from([*ACTIONS, "*", "ecr:*", "ecr:put*", "ECR:B*", "s3:?etObject"])
resource_patterns = st.sampled_from(
    [
        "*",
        *map(arn, ["*", "a", "b", "team/*", "?", "${aws:username}", "${aws:principaltag/x, 'b'}*"]),
        "arn:aws:ecr",
    ]
)
value_patterns = st.sampled_from(
    [*VALUES, "a*", "?", "${aws:username}", "${aws:PrincipalTag/x}", "10.0.0.0/8"]
)
principals = st.sampled_from(
    [
        "*",
        {"AWS": ACCOUNT},
        {"AWS": [USER.arn, SESSION.role_arn]},
        {"AWS": [SESSION.arn, FEDERATED.arn]},
        {"AWS": [FOREIGN_USER.arn, FOREIGN_USER.account]},
        {"Service": SERVICE.service},
    ]
)


def listed(strategy: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return strategy | st.lists(strategy, min_size=1, max_size=3)


conditions = st.dictionaries(
    st.sampled_from(OPERATORS),
    st.dictionaries(st.sampled_from(KEYS), listed(value_patterns), min_size=1, max_size=2),
    max_size=2,
) | st.just({})


@st.composite
def statements(draw: st.DrawFn, effect: str | None = None, names_principal: bool = False) -> dict[str, Any]:
    tree = {
        "Effect": effect or draw(st.sampled_from(["Allow", "Allow", "Deny"])),
        draw(st.sampled_from(["Action", "Action", "NotAction"])): draw(listed(action_patterns)),
        draw(st.sampled_from(["Resource", "Resource", "NotResource"])): draw(listed(resource_patterns)),
        "Condition": draw(conditions),
    }
    if names_principal:
        tree[draw(st.sampled_from(["Principal", "Principal", "NotPrincipal"]))] = draw(principals)
    return tree


def open_to_all(names_principal: bool) -> dict[str, Any]:
    """Without one now and then, next to nothing would be allowed."""
    tree = {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {}}
    return {**tree, "Principal": "*"} if names_principal else tree


def trees(names_principal: bool = False) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(statements(names_principal=names_principal), max_size=3) | st.just(
        [open_to_all(names_principal)]
    )


def compiled(tree: list[dict[str, Any]], kind: Kind = "identity") -> Policy:
    return compile_policy(text_of(*tree), kind)


def policies(kind: Kind = "identity", names_principal: bool = False) -> st.SearchStrategy[tuple[Policy, ...]]:
    one = trees(names_principal).map(lambda tree: compiled(tree, kind))
    return st.lists(one, min_size=1, max_size=2).map(tuple) | st.just(())


sets = st.builds(
    PolicySet,
    identity=policies(),
    boundary=st.none() | policies(),
    session=st.none() | policies(),
    resource=policies("repository", names_principal=True),
    scps=st.just(()) | st.lists(policies("scp"), min_size=1, max_size=2).map(tuple),
    rcps=st.just(()) | st.lists(policies("rcp", names_principal=True), max_size=1).map(tuple),
    endpoint=st.none() | policies("endpoint", names_principal=True),
    resource_must_allow=st.sampled_from([False, False, True]),
)
callers: st.SearchStrategy[Caller] = st.sampled_from(
    [USER, SESSION, ROOT, FEDERATED, FOREIGN_USER, ANONYMOUS, SERVICE, replace(USER, has_boundary=True)]
)
contexts = st.dictionaries(
    st.sampled_from(KEYS), st.sampled_from(VALUES) | st.lists(st.sampled_from(VALUES), max_size=2).map(tuple)
)
questions = st.builds(
    Asked,
    caller=callers,
    action=st.sampled_from(ACTIONS),
    resource=st.sampled_from([*map(arn, NAMES), "*"]),
    resource_account=st.just(ACCOUNT),
    context=contexts,
)
LAYERS = ["identity", "boundary", "session", "resource", "endpoint"]


@given(questions, sets, st.data())
@many
def test_adding_a_deny_never_allows_more(asked: Asked, given_: PolicySet, data: st.DataObject) -> None:
    layer = data.draw(st.sampled_from(LAYERS))
    names_principal = layer in ("resource", "endpoint")
    kind: Kind = "repository" if names_principal else "identity"
    deny = compiled([data.draw(statements("Deny", names_principal))], kind)
    before = getattr(given_, layer)
    more = replace(given_, **{layer: (*(before or ()), deny)})

    # An empty tuple allows nothing, as nothing but denials does; where there was no layer, there is a new limit.
    assert (
        decide(asked, given_).allowed
        or not decide(asked, more).allowed
        or _is_new_session(layer, before, asked)
    )


def _is_new_session(layer: str, before: Any, asked: Asked) -> bool:
    return layer == "session" and before is None and asked.caller.kind == "federated"


@given(questions, sets, statements("Allow"))
@many
def test_adding_an_allow_to_identity_policies_never_refuses_more(
    asked: Asked, given_: PolicySet, tree: dict[str, Any]
) -> None:
    more = replace(given_, identity=(*given_.identity, compiled([tree])))

    assert decide(asked, more).allowed or not decide(asked, given_).allowed


@given(questions, sets)
@many
def test_removing_boundary_or_session_policy_never_refuses_more(asked: Asked, given_: PolicySet) -> None:
    free = replace(given_, boundary=None)
    if asked.caller.kind != "federated":
        free = replace(free, session=None)

    assert decide(asked, free).allowed or not decide(asked, given_).allowed


@given(questions, sets, policies())
@many
def test_a_session_policy_never_widens(asked: Asked, given_: PolicySet, session: tuple[Policy, ...]) -> None:
    if asked.caller.kind == "federated":
        return
    narrowed = replace(given_, session=session)

    assert decide(asked, replace(given_, session=None)).allowed or not decide(asked, narrowed).allowed


@given(questions, sets, policies("scp"), policies("endpoint", names_principal=True))
@many
def test_a_further_gate_never_widens(
    asked: Asked, given_: PolicySet, scp: tuple[Policy, ...], endpoint: tuple[Policy, ...]
) -> None:
    gated = replace(given_, scps=(*given_.scps, scp), endpoint=endpoint)
    if decide(asked, gated).allowed:
        assert decide(asked, replace(given_, endpoint=None)).allowed


@given(questions, trees(), trees(names_principal=True), st.randoms(use_true_random=False))
@many
def test_order_of_statements_policies_and_values_never_matters(
    asked: Asked, identity: list[dict[str, Any]], resource: list[dict[str, Any]], random: Any
) -> None:
    def shuffled(tree: Any) -> Any:
        if isinstance(tree, list):
            items = [shuffled(item) for item in tree]
            random.shuffle(items)
            return items
        if isinstance(tree, dict):
            pairs = [(key, shuffled(value)) for key, value in tree.items()]
            random.shuffle(pairs)
            return dict(pairs)
        return tree

    plain = PolicySet((compiled(identity),), resource=(compiled(resource, "repository"),))
    split = PolicySet(
        tuple(compiled([tree]) for tree in shuffled(identity)),
        resource=tuple(compiled([tree], "repository") for tree in shuffled(resource)),
    )

    one, other = decide(asked, plain), decide(asked, split)
    assert (one.allowed, one.explicit, one.layer) == (other.allowed, other.explicit, other.layer)


@given(questions, trees())
@many
def test_a_value_and_a_list_of_it_are_the_same(asked: Asked, tree: list[dict[str, Any]]) -> None:
    def wrapped(one: Any, name: str = "") -> Any:
        if isinstance(one, dict):
            return {key: wrapped(value, key) for key, value in one.items()}
        if isinstance(one, str) and name not in ("Effect", "Sid"):
            return [one]
        return one

    lists = [wrapped(one) for one in tree]

    assert decide(asked, PolicySet((compiled(tree),))) == decide(asked, PolicySet((compiled(lists),)))


@given(questions, trees(), trees(names_principal=True))
@many
def test_letter_case_of_actions_and_keys_never_matters(
    asked: Asked, identity: list[dict[str, Any]], resource: list[dict[str, Any]]
) -> None:
    def shouted(tree: dict[str, Any]) -> dict[str, Any]:
        found = dict(tree)
        for name in ("Action", "NotAction"):
            if name in tree:
                found[name] = json.loads(json.dumps(tree[name]).upper())
        found["Condition"] = {
            operator.upper(): {key.upper(): values for key, values in keys.items()}
            for operator, keys in tree["Condition"].items()
        }
        return found

    plain = PolicySet((compiled(identity),), resource=(compiled(resource, "repository"),))
    loud = PolicySet(
        (compiled([shouted(tree) for tree in identity]),),
        resource=(compiled([shouted(tree) for tree in resource], "repository"),),
    )

    assert decide(asked, plain) == decide(replace(asked, action=asked.action.swapcase()), loud)


@given(
    st.text("ab*?$", min_size=1, max_size=4),
    st.text("ab*?$", min_size=1, max_size=4),
    st.text("ab", max_size=2),
)
@many
def test_a_variable_is_its_value_and_never_a_wildcard(value: str, name: str, end: str) -> None:
    def is_allowed(pattern: str, in_resource: bool) -> bool:
        tree: dict[str, Any] = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        if in_resource:
            tree["Resource"] = arn(pattern)
        else:
            tree["Condition"] = {"StringLike": {"x:name": pattern}}
        context = {"aws:principaltag/x": value, "x:name": name + end}
        asked = Asked(USER, "ecr:PutImage", arn(name + end), ACCOUNT, context)
        return decide(asked, PolicySet((compiled([tree]),))).allowed

    for in_resource in (True, False):
        by_variable = is_allowed("${aws:PrincipalTag/x}" + end, in_resource)
        assert by_variable is (value == name)
        if not set(value) & set("*?$"):
            assert by_variable is is_allowed(value + end, in_resource)


@given(questions, sets)
@many
def test_a_decision_is_the_same_each_time_and_reads_no_key_that_it_does_not_tell(
    asked: Asked, given_: PolicySet
) -> None:
    decision = decide(asked, given_)
    told = {key: value for key, value in asked.context.items() if key in given_.reads}

    assert decide(asked, given_) == decision
    assert decide(replace(asked, context=told), given_) == decision


json_trees = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | action_patterns
    | value_patterns,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "Version",
                    "Statement",
                    "Effect",
                    "Action",
                    "Resource",
                    "Condition",
                    "Principal",
                    "AWS",
                    "Null",
                ]
            )
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
KINDS: st.SearchStrategy[Kind] = st.sampled_from(["identity", "trust", "repository", "rcp"])


@given(
    json_trees | st.builds(lambda tree: {"Statement": [tree]}, statements() | json_trees), KINDS, questions
)
@many
def test_parse_of_anything_is_a_policy_or_refused(tree: Any, kind: Kind, asked: Asked) -> None:
    text = json.dumps(tree)
    if (reason := reason_against(text, kind)) is None:
        decide(asked, PolicySet(identity=(compile_policy(text, kind),)))
    assert reason != ""
    try:
        stored = compile_policy(text, kind)
    except MalformedPolicy:
        return
    decide(asked, PolicySet(identity=(stored,), resource=(stored,)))


@given(st.text(max_size=60) | st.text('{}[]":,${}*?\\u0 ae', max_size=60), KINDS)
@many
def test_parse_of_any_text_is_a_policy_or_refused(text: str, kind: Kind) -> None:
    for written in (text, json.dumps({"Statement": {"Effect": "Allow", "Action": text, "Resource": text}})):
        assert len(reason_against(written, kind) or "") < 1_000


def reason_against(text: str, kind: Kind) -> str | None:
    try:
        parse(text, kind)
    except MalformedPolicy as refused:
        return str(refused)
    return None
