"""Who may call what: every operation and every route, by every kind of caller.

What is expected is worked out from the rules, not recorded: a policy with exactly the action of an operation lets it
pass, everything but that action does not, and who cannot prove who they are gets no further than that.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from .calling import Answer, Caller
from .operations import BUILT, FREE, KNOWN, TRUST, UNSIGNED, Asked, Named, routes
from .places import Account, Beside, Place, all_but, allow, beside, grant, policy

SIGNED = [named for named in KNOWN if str(named) not in UNSIGNED]
GOVERNED = [named for named in SIGNED if str(named) not in FREE | TRUST]
BUILT_AND_GOVERNED = [named for named in GOVERNED if named.is_built]
ROUTES = [asked for asked in routes("matrix/app") if asked.actions]
SHARED = "matrix/app"

ALSO = {"ecr.PutReplicationConfiguration": ["iam:CreateServiceLinkedRole"]}
"""What an operation does on the way, which its caller has to be allowed too."""

NO_SUCH_KEY = {"UnrecognizedClientException", "InvalidClientTokenId", "AuthFailure"}
EXPIRED = {"ExpiredTokenException", "ExpiredToken", "RequestExpired"}
UNSIGNED_CODES = {"MissingAuthenticationTokenException", "MissingAuthenticationToken", "AuthFailure"}


def ids(named: object) -> str:
    return str(named)


each_governed = pytest.mark.parametrize("named", GOVERNED, ids=ids)
each_built = pytest.mark.parametrize("named", BUILT_AND_GOVERNED, ids=ids)
each_route = pytest.mark.parametrize("asked", ROUTES, ids=ids)


@dataclass(frozen=True)
class People:
    """Of account A, where nothing else is said. `tried` has the policy that a test gives it."""

    tried: Caller
    tried_name: str
    powerless: Caller
    role_session: Caller
    expired: Caller
    ended: Caller
    switched_off: Caller
    deleted: Caller


@pytest.fixture(scope="module")
def people(place: Place) -> People:
    a = place.a
    tried = a.user(name="matrix-tried")
    a.role("matrix-role", allow("*"))
    a.repository(SHARED)
    switched_off = a.user(allow("*"), name="matrix-off")
    a.root.need(
        "iam.UpdateAccessKey", UserName="matrix-off", AccessKeyId=_id(switched_off), Status="Inactive"
    )
    return People(
        tried=tried,
        tried_name="matrix-tried",
        powerless=a.user(name="matrix-powerless"),
        role_session=a.session("role", "matrix-role"),
        expired=a.session("role", "matrix-role", ago=3_601),
        ended=_ended(a),
        switched_off=switched_off,
        deleted=_deleted(a),
    )


def _id(caller: Caller) -> str:
    assert caller.key is not None
    return caller.key.id


def _ended(a: Account) -> Caller:
    session = a.session("role", "matrix-role")

    async def end(opened: Beside) -> None:
        async with opened.epochs.changing(a.id) as tx:
            await tx.run("access.end_session", {"id": _id(session), "account": a.id, "until": 1 << 60})

    beside(a.server, end)
    return session


def _deleted(a: Account) -> Caller:
    """Somebody whose user is gone, and whose session outlives it."""
    a.user(name="matrix-deleted")
    session = a.session("user", "matrix-deleted")
    key_id = a.root.need("iam.ListAccessKeys", UserName="matrix-deleted").element("AccessKeyId")
    a.root.need("iam.DeleteAccessKey", UserName="matrix-deleted", AccessKeyId=key_id)
    a.root.need("iam.DeleteUser", UserName="matrix-deleted")
    return session


def refused(answer: Answer, named: Named) -> None:
    """For want of exactly that action."""
    assert answer.is_denied, answer
    assert f" is not authorized to perform: {named.action} " in answer.message, answer.message


def passed(answer: Answer) -> None:
    """Authorized; what is asked about need not be there."""
    assert not answer.is_denied, answer
    assert answer.status < 500 or answer.code == "UnsupportedOperationException", answer


# Operations


@each_built
def test_its_own_action_is_enough_for_an_operation(named: Named, a: Account, people: People) -> None:
    a.let(people.tried_name, allow([named.action, *ALSO.get(str(named), ())]))

    passed(people.tried.call(str(named), **named.request(a.id)))


@each_governed
def test_every_other_action_is_not(named: Named, a: Account, people: People) -> None:
    a.let(people.tried_name, all_but(named.action))

    refused(people.tried.call(str(named), **named.request(a.id)), named)


@each_governed
def test_who_has_no_policy_may_call_nothing(named: Named, a: Account, people: People) -> None:
    refused(people.powerless.call(str(named), **named.request(a.id)), named)


@pytest.mark.parametrize(
    "named", [named for named in BUILT_AND_GOVERNED if named.name != "CreateAccessKey"], ids=ids
)
def test_root_may_call_everything(named: Named, a: Account) -> None:
    passed(a.root.call(str(named), **named.request(a.id)))


@each_built
def test_a_session_of_a_role_may_call_what_the_role_may(named: Named, a: Account, people: People) -> None:
    passed(people.role_session.call(str(named), **named.request(a.id)))


@each_governed
def test_a_session_may_call_what_its_policy_leaves(named: Named, a: Account, people: People) -> None:
    request = named.request(a.id)

    refused(a.session("role", "matrix-role", all_but(named.action)).call(str(named), **request), named)
    if named.is_built:
        passed(a.session("role", "matrix-role", allow(named.action)).call(str(named), **request))


@pytest.mark.parametrize("named", SIGNED, ids=ids)
def test_who_cannot_prove_who_they_are_may_call_nothing(
    named: Named, a: Account, people: People, nobody: Caller
) -> None:
    request = named.request(a.id)

    for caller, codes in (
        (people.expired, EXPIRED),
        (people.ended, NO_SUCH_KEY),
        (people.switched_off, NO_SUCH_KEY),
        (people.deleted, NO_SUCH_KEY),
        (nobody, UNSIGNED_CODES),
    ):
        assert caller.call(str(named), **request).code in codes


OF_REGISTRIES = [named for named in BUILT_AND_GOVERNED if "registryId" in named.members]
CHANGES_WHAT_IS_TRIED = {"DeleteRepository", "DeleteRepositoryPolicy", "SetRepositoryPolicy"}
OF_A_REPOSITORY = [
    named
    for named in OF_REGISTRIES
    if "repositoryName" in named.members and named.name not in CHANGES_WHAT_IS_TRIED
]


@pytest.mark.parametrize("named", OF_REGISTRIES, ids=ids)
def test_another_account_may_do_nothing_in_a_registry(
    named: Named, a: Account, b: Account, people: People
) -> None:
    request = named.request(a.id, registryId=a.id)

    refused(b.root.call(str(named), **request), named)


@pytest.mark.parametrize("named", OF_A_REPOSITORY, ids=ids)
def test_another_account_may_do_what_a_repository_grants(
    named: Named, a: Account, b: Account, people: People
) -> None:
    request = named.request(a.id, registryId=a.id, repositoryName=SHARED)
    share(a, grant({"AWS": b.id}, named.action))
    passed(b.root.call(str(named), **request))

    share(a, {**grant({"AWS": b.id}, "*"), "Action": "ecr:DeleteRepository"})
    refused(b.root.call(str(named), **request), named)


def share(a: Account, *statements: object) -> None:
    a.root.need("ecr.SetRepositoryPolicy", repositoryName=SHARED, policyText=policy(*statements))  # type: ignore[arg-type]


# Routes


@each_route
def test_its_own_actions_are_enough_for_a_route(asked: Asked, a: Account, people: People) -> None:
    a.let(people.tried_name, allow(["ecr:GetAuthorizationToken", *asked.actions]))

    assert ask(people.tried, asked).status not in (401, 403)


@each_route
def test_every_other_action_is_not_for_a_route(asked: Asked, a: Account, people: People) -> None:
    for action in asked.actions:
        a.let(people.tried_name, all_but(action))
        answer = ask(people.tried, asked)

        assert answer.status == 403
        if asked.method != "HEAD":
            assert f"is not authorized to perform: {action} on resource: " in answer.message


@each_route
def test_who_has_a_password_and_nothing_else_may_use_no_route(
    asked: Asked, a: Account, people: People
) -> None:
    a.let(people.tried_name, allow("ecr:GetAuthorizationToken"))

    assert ask(people.tried, asked).status == 403


@each_route
def test_routes_of_sessions(asked: Asked, a: Account, people: People) -> None:
    assert ask(people.role_session, asked).status not in (401, 403)
    enough = a.session("role", "matrix-role", allow(["ecr:GetAuthorizationToken", *asked.actions]))
    assert ask(enough, asked).status not in (401, 403)
    lacking = a.session("role", "matrix-role", allow("ecr:GetAuthorizationToken"))
    assert ask(lacking, asked).status == 403


@each_route
def test_routes_of_another_account(asked: Asked, a: Account, b: Account, people: People) -> None:
    foreign = b.root.logged_in()
    a.root.call("ecr.DeleteRepositoryPolicy", repositoryName=SHARED)
    assert ask(foreign, asked, host=a.registry).status == 403
    if asked.path == "/v2/_catalog":
        return

    share(a, grant({"AWS": b.id}, list(asked.actions)))

    assert ask(foreign, asked, host=a.registry).status not in (401, 403)


@pytest.mark.parametrize("asked", routes(SHARED), ids=ids)
def test_routes_without_a_password(asked: Asked, people: People, nobody: Caller) -> None:
    answer = ask(nobody, asked)

    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Basic realm=")


def ask(caller: Caller, asked: Asked, host: str = "") -> Answer:
    return caller.v2(asked.method, asked.path, asked.body, host=host)


def test_nothing_is_built_that_is_not_tried() -> None:
    assert {str(named) for named in BUILT} <= {str(n) for n in BUILT_AND_GOVERNED} | FREE | TRUST | UNSIGNED
