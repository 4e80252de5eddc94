"""What holds of the whole authorizer over what is stored: random users, policies, tags, and changes in between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moorage.access.authorize import allows
from moorage.access.authorizer import Authorizer, Circumstances
from moorage.access.grants import StoredGrants, registry_arn
from moorage.access.identities import entity as entities
from moorage.access.identities import tags as identity_tags
from moorage.access.identities.entity import Entity
from moorage.access.organization import Organization
from moorage.access.principals import Principal, Session, principal_of
from moorage.base.clock import HOUR
from moorage.base.http import Arrival
from moorage.store.db.api import Transaction

from ..registry.registry import ACCOUNT, REGION, MemoryRegistry, memory_registry

random = settings(
    deadline=None,
    derandomize=True,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

OTHER = "210987654321"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/bound"
REPOSITORIES = [f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}" for name in ("app", "team/app")]
USER_ARN = f"arn:aws:iam::{ACCOUNT}:user/alice"
RESOURCES = [*REPOSITORIES, USER_ARN, "*"]
ACTIONS = ["ecr:PutImage", "ecr:CreateRepository", "iam:CreateUser"]

# Documents

VALUES = {
    "aws:CurrentTime": ["1970-02-15T00:00:00Z"],
    "aws:PrincipalTag/team": ["red", "blue"],
    "aws:RequestTag/team": ["red", "blue"],
    "aws:RequestedRegion": [REGION, "away-1"],
    "aws:ResourceTag/team": ["red", "blue", "${aws:PrincipalTag/team}"],
    "aws:SecureTransport": ["true"],
    "aws:SourceIp": ["192.0.2.0/24"],
    "aws:TagKeys": ["team"],
    "aws:UserAgent": ["docker*"],
    "aws:username": ["alice", "bob"],
    "iam:PermissionsBoundary": [BOUNDARY],
    "moorage:ImageTag": ["dev-*", "prod"],
}
OPERATORS = {
    "aws:CurrentTime": ["DateLessThan", "DateGreaterThan"],
    "aws:SecureTransport": ["Bool"],
    "aws:SourceIp": ["IpAddress", "NotIpAddress"],
    "aws:TagKeys": ["ForAnyValue:StringEquals", "ForAllValues:StringEquals"],
}
TEXT_OPERATORS = ["StringEquals", "StringNotEquals", "StringLike", "StringNotLikeIfExists"]


@st.composite
def conditions(draw: st.DrawFn) -> dict[str, Any]:
    key = draw(st.sampled_from(sorted(VALUES)))
    if draw(st.integers(0, 5)) == 0:
        return {"Null": {key: draw(st.sampled_from(["true", "false"]))}}
    operator = draw(st.sampled_from(OPERATORS.get(key, TEXT_OPERATORS)))
    return {operator: {key: draw(st.sampled_from(VALUES[key]))}}


@st.composite
def statements(draw: st.DrawFn, effect: str = "", principals: Sequence[Any] = ()) -> dict[str, Any]:
    statement = {
        "Effect": effect or draw(st.sampled_from(["Allow", "Allow", "Allow", "Deny"])),
        "Action": draw(st.sampled_from(["*", "*", "ecr:*", *ACTIONS])),
        "Resource": draw(st.sampled_from(["*", "*", REPOSITORIES[0], f"{REPOSITORIES[1][:-3]}*"])),
    }
    if principals:
        statement["Principal"] = draw(st.sampled_from(principals))
    if draw(st.booleans()):
        statement["Condition"] = draw(conditions())
    return statement


Tree = list[dict[str, Any]]


def document(tree: Tree) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": tree})


trees = st.lists(statements(), min_size=1, max_size=3)
PRINCIPALS = ["*", {"AWS": ACCOUNT}, {"AWS": OTHER}, {"AWS": USER_ARN}]
resource_trees = st.lists(statements(principals=PRINCIPALS), min_size=1, max_size=2)

# Questions


@dataclass(frozen=True)
class Question:
    who: str
    action: str
    resource: str
    around: Circumstances
    context: Mapping[str, str | tuple[str, ...]]


arounds = st.builds(
    Circumstances,
    arrival=st.builds(
        Arrival,
        address=st.sampled_from(["192.0.2.7", "198.51.100.7"]),
        secure=st.booleans(),
    ),
    endpoint=st.none(),
    region=st.sampled_from([REGION, REGION, "away-1"]),
    now=st.sampled_from([1_000 * HOUR, 1_500 * HOUR]),
    user_agent=st.sampled_from(["docker/1", "", "curl/8"]),
)
contexts = st.sampled_from(
    [
        {},
        {},
        {"moorage:imagetag": "dev-1"},
        {"moorage:imagetag": "prod"},
        {"aws:requesttag/team": "red", "aws:tagkeys": ("team",)},
        {"aws:requesttag/team": "blue", "aws:tagkeys": ("team",)},
        {"aws:requesttag/team": "red", "aws:tagkeys": ("team",), "moorage:imagetag": "dev-1"},
        {"iam:permissionsboundary": BOUNDARY},
    ]
)
CALLERS = ["alice", "bob", "role", "narrowed", "stranger"]
questions = st.builds(
    Question,
    who=st.sampled_from(CALLERS),
    action=st.sampled_from(ACTIONS),
    resource=st.sampled_from(RESOURCES),
    around=arounds,
    context=contexts,
)


# What is stored


class World:
    """Users, a role and a stranger in a registry in memory; each change goes through the epoch of its account."""

    def __init__(self, runner: asyncio.Runner, registry: MemoryRegistry) -> None:
        self.runner, self.registry = runner, registry
        self.entities: dict[str, Entity] = {}
        self.principals: dict[str, Principal] = {}
        self.sessions = 0

    def change(self, account: str, query: str, **values: Any) -> None:
        async def over() -> None:
            async with self.registry.services.epochs.changing(account) as tx:
                await tx.run(query, values)

        self.runner.run(over())

    def put(self, who: str, name: str, tree: Tree) -> None:
        owner = self.entities[who]
        self.change(
            owner.account,
            "identities.put_inline",
            principal=owner.id,
            name=name,
            document=document(tree),
        )

    def put_on_resource(self, arn: str, tree: Tree) -> None:
        self.change(ACCOUNT, "access.set_resource_policy", arn=arn, policy=document(tree), now=0)

    def clear(self) -> None:
        """As at the beginning: no policies, tags, members or boundaries."""

        async def over() -> None:
            changing = self.registry.services.epochs.changing
            async with changing(OTHER):
                pass
            async with changing(ACCOUNT) as tx:
                for owner in self.entities.values():
                    for name in ("one", "two"):
                        await tx.run("identities.delete_inline", {"principal": owner.id, "name": name})
                    await tx.run("identities.clear_tags", {"owner": owner.id})
                    await tx.run("identities.set_boundary", {"id": owner.id, "boundary": ""})
                for arn in (*REPOSITORIES, registry_arn(ACCOUNT, REGION)):
                    await tx.run("access.clear_resource_policy", {"arn": arn})
                    await tx.run("repositories.clear_tags", {"arn": arn})
                group = {"user": self.entities["alice"].id, "group": self.entities["group"].id}
                await tx.run("identities.remove_member", group)

        self.runner.run(over())
        self.narrow("role", "role", None)
        self.narrow("role", "narrowed", [])

    def narrow(self, who: str, name: str, tree: Tree | None) -> None:
        """A new session of a user or role, as sessions are: with a key of its own."""
        self.sessions += 1
        policy = document(tree) if tree is not None else ""
        now = self.registry.now
        session = Session("s", now, now + HOUR, policy=policy)
        self.principals[name] = principal_of(self.entities[who], f"ASIA{self.sessions:016}", session)

    def is_allowed(self, question: Question, authorizer: Authorizer | None = None) -> bool:
        """As the stages of a call ask, or by an authorizer that remembers nothing yet."""
        principal = self.principals[question.who]
        if authorizer is None:
            call = replace(self.registry.call, principal=principal, around=question.around, account=ACCOUNT)
            asked = allows(call, question.action, question.resource, question.context)
            return self.runner.run(asked)
        decision = authorizer.decide(
            principal, question.action, question.resource, ACCOUNT, question.around, question.context
        )
        return self.runner.run(decision).allowed

    def is_allowed_afresh(self, question: Question) -> bool:
        epochs = self.registry.services.epochs
        stored = StoredGrants(self.registry.db, epochs, Organization())
        return self.is_allowed(question, Authorizer(stored, epochs))


@contextmanager
def a_world() -> Iterator[World]:
    with asyncio.Runner() as runner:
        opened = memory_registry()
        world = World(runner, runner.run(opened.__aenter__()))
        try:
            runner.run(_fill(world))
            for who in ("alice", "bob", "stranger"):
                world.principals[who] = principal_of(world.entities[who], f"AKIA{who.upper():A<16}", None)
            yield world
        finally:
            runner.run(opened.__aexit__(None, None, None))


async def _fill(world: World) -> None:
    registry = world.registry
    async with registry.db.transaction() as tx:
        for account in (ACCOUNT, OTHER):
            await tx.run("access.insert_account", {"id": account, "created": 0})
        for who in ("alice", "bob"):
            world.entities[who] = await entities.insert(tx, ACCOUNT, "user", who, registry.now)
        world.entities["group"] = await entities.insert(tx, ACCOUNT, "group", "builders", registry.now)
        world.entities["role"] = await entities.insert(tx, ACCOUNT, "role", "deploy", registry.now)
        world.entities["stranger"] = await entities.insert(tx, OTHER, "user", "alice", registry.now)
        await _insert_boundary(tx)


async def _insert_boundary(tx: Transaction) -> None:
    named = {"name": "bound", "folded": "bound", "id": "ANPABOUND", "path": "/", "description": ""}
    await tx.run("identities.insert_policy", {"arn": BOUNDARY, "account": ACCOUNT, "created": 0, **named})
    everything = document([{"Effect": "Allow", "Action": "*", "Resource": "*"}])
    await tx.run(
        "identities.insert_version", {"policy": BOUNDARY, "version": 1, "document": everything, "created": 0}
    )


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with a_world() as world:
        yield world


# Changes


def tag(world: World, data: st.DataObject) -> None:
    async def over() -> None:
        who = data.draw(st.sampled_from(["alice", "bob", "role"]))
        async with world.registry.services.epochs.changing(ACCOUNT) as tx:
            team = data.draw(st.sampled_from(["red", "blue"]))
            await identity_tags.add(tx, world.entities[who].id, [("Team", team)])

    world.runner.run(over())


def tag_repository(world: World, data: st.DataObject) -> None:
    arn, team = data.draw(st.sampled_from(REPOSITORIES)), data.draw(st.sampled_from(["red", "blue"]))
    world.change(ACCOUNT, "repositories.set_tag", arn=arn, key="team", value=team)


def put_policy(world: World, data: st.DataObject) -> None:
    who = data.draw(st.sampled_from(["alice", "bob", "group", "role", "stranger"]))
    world.put(who, data.draw(st.sampled_from(["one", "two"])), data.draw(trees))


def put_resource_policy(world: World, data: st.DataObject) -> None:
    arn = data.draw(st.sampled_from([*REPOSITORIES, registry_arn(ACCOUNT, REGION)]))
    world.put_on_resource(arn, data.draw(resource_trees))


def begin_session(world: World, data: st.DataObject) -> None:
    world.narrow("role", "narrowed", data.draw(trees))


def join_or_leave(world: World, data: st.DataObject) -> None:
    query = data.draw(st.sampled_from(["identities.add_member", "identities.remove_member"]))
    world.change(ACCOUNT, query, user=world.entities["alice"].id, group=world.entities["group"].id)


def bound(world: World, data: st.DataObject) -> None:
    who = world.entities[data.draw(st.sampled_from(["alice", "role"]))]
    policy = data.draw(st.sampled_from([BOUNDARY, ""]))
    world.change(ACCOUNT, "identities.set_boundary", id=who.id, boundary=policy)


def rewrite_boundary(world: World, data: st.DataObject) -> None:
    async def over() -> None:
        async with world.registry.services.epochs.changing(ACCOUNT) as tx:
            version = {"policy": BOUNDARY, "version": 1}
            await tx.run("identities.delete_version", version)
            text = document(data.draw(trees))
            await tx.run("identities.insert_version", {**version, "document": text, "created": 0})

    world.runner.run(over())


CHANGES = [
    tag,
    tag_repository,
    put_policy,
    put_policy,
    put_resource_policy,
    begin_session,
    join_or_leave,
    bound,
    rewrite_boundary,
]


EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
limited = st.builds(
    lambda statement, condition: statement | {"Condition": condition}, statements(), conditions()
)


@given(data=st.data())
@random
def test_what_is_remembered_is_what_would_be_decided_afresh(world: World, data: st.DataObject) -> None:
    """The memory reaches no further than what the policies read: address, TLS, region, time, tags, and the rest."""
    world.clear()
    question = data.draw(questions)
    who = question.who if question.who != "narrowed" else "role"
    world.put(who, "one", [data.draw(st.sampled_from([EVERYTHING, {**EVERYTHING, "Action": "s3:*"}]))])
    world.put(who, "two", data.draw(st.lists(limited, min_size=1, max_size=2)))
    for _ in range(3):
        for _ in range(6):
            asked = replace(question, around=data.draw(arounds), context=data.draw(contexts))
            assert world.is_allowed(asked) == world.is_allowed_afresh(asked)
        data.draw(st.sampled_from(CHANGES))(world, data)


@pytest.mark.parametrize(
    ("operator", "key", "value", "after"),
    [
        ("Bool", "aws:SecureTransport", "true", {"arrival": Arrival(secure=True)}),
        ("DateGreaterThan", "aws:CurrentTime", "1971-01-01T00:00:00Z", {"now": 9_000 * HOUR}),
        ("IpAddress", "aws:SourceIp", "192.0.2.1", {"arrival": Arrival(address="192.0.2.1")}),
        ("StringEquals", "aws:Referer", "x", {"referer": "x"}),
        ("StringEquals", "aws:RequestTag/team", "x", {"context": {"aws:requesttag/team": "x"}}),
        ("StringEquals", "aws:RequestedRegion", "away-1", {"region": "away-1"}),
        ("StringEquals", "aws:UserAgent", "x", {"user_agent": "x"}),
        ("StringEquals", "iam:PermissionsBoundary", "x", {"context": {"iam:permissionsboundary": "x"}}),
        ("StringEquals", "moorage:ImageTag", "x", {"context": {"moorage:imagetag": "x"}}),
        ("StringEquals", "s3:Unheard", "x", {"context": {"s3:unheard": "x"}}),
    ],
)
def test_a_denial_holds_although_the_same_was_allowed_without_what_it_asks_for(
    world: World, operator: str, key: str, value: str, after: dict[str, Any]
) -> None:
    world.clear()
    deny = {**EVERYTHING, "Effect": "Deny", "Condition": {operator: {key: value}}}
    world.put("alice", "one", [EVERYTHING, deny])

    def is_allowed(**given_: Any) -> bool:
        context = given_.pop("context", {})
        around = replace(Circumstances(Arrival(), None, REGION, 0), **given_)
        return world.is_allowed(Question("alice", "ecr:CreateRepository", REPOSITORIES[0], around, context))

    for _ in range(2):
        assert is_allowed()
        assert not is_allowed(**after)


@given(data=st.data())
@random
def test_a_tag_that_is_not_asked_for_changes_nothing(world: World, data: st.DataObject) -> None:
    world.clear()
    data.draw(st.sampled_from(CHANGES))(world, data)
    question = replace(data.draw(questions), context={})
    world.is_allowed(question)
    principal = world.principals[question.who]
    authorizer = world.registry.services.authorizer

    if authorizer.asks_for_tag(principal, question.action, question.resource, question.around):
        return

    for name in ("dev-1", "prod"):
        tagged = replace(question, context={"moorage:imagetag": name})
        assert world.is_allowed_afresh(tagged) == world.is_allowed_afresh(question)


@given(question=questions, data=st.data())
@random
def test_a_session_policy_never_widens(world: World, question: Question, data: st.DataObject) -> None:
    world.clear()
    put_policy(world, data)
    put_resource_policy(world, data)
    begin_session(world, data)
    whole, narrowed = replace(question, who="role"), replace(question, who="narrowed")

    assert world.is_allowed(whole) or not world.is_allowed(narrowed)


@given(question=questions, tree=trees, deny=statements("Deny"), data=st.data())
@random
def test_another_deny_never_allows(
    world: World, question: Question, tree: Tree, deny: dict[str, Any], data: st.DataObject
) -> None:
    world.clear()
    who = data.draw(st.sampled_from(["alice", "group", "role"]))
    world.put(who, "one", tree)
    before = world.is_allowed(question)

    world.put(who, "one", [*tree, deny])

    assert before or not world.is_allowed(question)


@given(question=questions, one=trees, two=trees, data=st.data())
@random
def test_neither_the_order_of_statements_nor_that_of_policies_matters(
    world: World, question: Question, one: Tree, two: Tree, data: st.DataObject
) -> None:
    world.clear()
    who = data.draw(st.sampled_from(["alice", "role"]))
    world.put(who, "one", one)
    world.put(who, "two", two)
    before = world.is_allowed(question)

    world.put(who, "one", data.draw(st.permutations(two)))
    world.put(who, "two", data.draw(st.permutations(one)))
    assert world.is_allowed(question) == before

    world.put(who, "one", [*two, *one])
    world.put(who, "two", [*two, *one])
    assert world.is_allowed(question) == before


@given(question=questions, data=st.data())
@random
def test_what_is_refused_in_one_account_is_not_granted_by_another_alone(
    world: World, question: Question, data: st.DataObject
) -> None:
    """A stranger needs both: with no policy of the own account nothing that the registry says helps."""
    world.clear()
    put_resource_policy(world, data)
    none = document([{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}])
    for name in ("one", "two"):
        stranger = world.entities["stranger"]
        world.change(OTHER, "identities.put_inline", principal=stranger.id, name=name, document=none)

    assert not world.is_allowed(replace(question, who="stranger"))


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["*", "Allow", "ecr:*"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Effect", "Action", "Condition", "StringEquals", "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(question=questions, statement=statements(), key=st.text(max_size=8), value=json_values, data=st.data())
@random
def test_whatever_is_stored_as_a_policy_there_is_a_decision_and_it_is_the_same_again(
    world: World, question: Question, statement: dict[str, Any], key: str, value: Any, data: st.DataObject
) -> None:
    """What nobody can read refuses; it never ends the request otherwise."""
    world.clear()
    element = data.draw(st.sampled_from([*statement, key]))
    broken: Any = data.draw(
        st.sampled_from([value, [value], [{**statement, element: value}], {**statement, element: value}])
    )
    world.put("alice", "one", [EVERYTHING])
    world.put("alice", "two", broken)
    world.put_on_resource(REPOSITORIES[0], broken)

    once = world.is_allowed(question)

    assert once == world.is_allowed(question) == world.is_allowed_afresh(question)
