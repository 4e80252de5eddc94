"""Access that is taken back is gone at the next request (12, 53): for keys, passwords, URLs, sessions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from moorage.access import revocation
from moorage.base.clock import system_clock

from ..conftest import until
from .calling import Answer, Caller
from .places import EMPTY, Account, Beside, allow, assumed, beside

REFUSED = {401, 403}


@pytest.fixture(scope="module")
def repository(a: Account) -> str:
    a.repository("revoked/app")
    a.image("revoked/app")
    return "revoked/app"


class Holder:
    """Somebody with all that can be held: a key or session, a password made with it, a download URL."""

    def __init__(self, caller: Caller, repository: str) -> None:
        self.caller = caller.logged_in()
        self.repository = repository
        url = caller.need("ecr.GetDownloadUrlForLayer", repositoryName=repository, layerDigest=EMPTY)
        self.path = "/_layers/" + url.json["downloadUrl"].rpartition("/")[2]

    def tries(self) -> list[int]:
        """Statuses at the API, the registry and the download URL; the last is of the answers that are kept."""
        blob = f"/v2/{self.repository}/blobs/{EMPTY}"
        answers: list[Answer] = [
            self.caller.call("ecr.DescribeRepositories"),
            self.caller.v2("GET", blob),
            self.caller.v2("HEAD", blob),
            self.caller.door.ask("GET", self.path, [("host", self.caller.door.host)]),
        ]
        return [answer.status for answer in answers]

    def is_let_in(self) -> bool:
        return self.tries() == [200] * 4 and self.tries() == [200] * 4

    def is_refused(self) -> bool:
        api, *registry = self.tries()
        return api in (400, *REFUSED) and set(registry) <= REFUSED


def key_id(caller: Caller) -> str:
    assert caller.key is not None
    return caller.key.id


def test_a_key_that_is_switched_off(a: Account, repository: str) -> None:
    caller = a.user(allow("*"), name="revoked-off")
    holder = Holder(caller, repository)
    assert holder.is_let_in()
    key = {"UserName": "revoked-off", "AccessKeyId": key_id(caller)}

    a.root.need("iam.UpdateAccessKey", **key, Status="Inactive")
    assert holder.is_refused()

    a.root.need("iam.UpdateAccessKey", **key, Status="Active")
    assert holder.is_let_in()


def test_a_key_that_is_deleted(a: Account, repository: str) -> None:
    caller = a.user(allow("*"), name="revoked-key")
    holder = Holder(caller, repository)
    assert holder.is_let_in()

    a.root.need("iam.DeleteAccessKey", UserName="revoked-key", AccessKeyId=key_id(caller))

    assert holder.is_refused()


def test_another_key_of_the_user_goes_on(a: Account, repository: str) -> None:
    one = a.user(allow("*"), name="revoked-two")
    two = Holder(a.key_of("revoked-two"), repository)

    a.root.need("iam.DeleteAccessKey", UserName="revoked-two", AccessKeyId=key_id(one))

    assert two.is_let_in()


def test_a_user_that_is_deleted_takes_its_sessions_along(a: Account, repository: str) -> None:
    caller = a.user(allow("*"), name="revoked-user")
    made = caller.need("sts.GetSessionToken")
    assert made.status == 200
    holder = Holder(a.session("user", "revoked-user"), repository)
    assert holder.is_let_in()

    a.root.need("iam.DeleteAccessKey", UserName="revoked-user", AccessKeyId=key_id(caller))
    a.root.need("iam.DeleteUserPolicy", UserName="revoked-user", PolicyName="own")
    a.root.need("iam.DeleteUser", UserName="revoked-user")
    assert holder.is_refused()

    a.user(allow("*"), name="revoked-user")
    assert holder.is_refused()


def test_a_policy_that_is_taken_away(a: Account, repository: str) -> None:
    holder = Holder(a.user(allow("*"), name="revoked-policy"), repository)
    assert holder.is_let_in()

    a.let("revoked-policy", allow("s3:*"))

    assert holder.tries() == [400, 403, 403, 403]


def test_the_session_policy_of_a_password_goes_on_with_it(a: Account, repository: str) -> None:
    a.role("revoked-narrow", allow("*"))
    allowed = allow(["ecr:GetAuthorizationToken", "ecr:BatchGetImage"])
    session = a.session("role", "revoked-narrow", allowed).logged_in()

    assert session.v2("GET", f"/v2/{repository}/blobs/{EMPTY}").status == 403
    assert session.v2("GET", f"/v2/{repository}/manifests/none").status == 404


def test_sessions_of_a_role_that_are_ended(a: Account, repository: str) -> None:
    role = a.role("revoked-role", allow("*"))
    user = a.user(allow("sts:AssumeRole"), name="revoked-assumer")
    holder = Holder(assumed(user, role), repository)
    assert holder.is_let_in()

    async def end(opened: Beside) -> None:
        await revocation.end_sessions(
            opened.db, opened.epochs, a.id, "role", "revoked-role", system_clock() + 1
        )

    beside(a.server, end)
    settle(holder)
    assert holder.is_refused()
    assert Holder(assumed(user, role), repository).is_let_in()


def test_one_session_that_is_ended(a: Account, repository: str) -> None:
    a.role("revoked-one", allow("*"))
    one, two = (Holder(a.session("role", "revoked-one"), repository) for _ in range(2))
    assert one.is_let_in()

    async def end(opened: Beside) -> None:
        await revocation.end_session(opened.epochs, [a.id], key_id(one.caller), system_clock())

    beside(a.server, end)
    settle(one)
    assert one.is_refused()
    assert two.is_let_in()


def settle(holder: Holder) -> None:
    """Other processes are heard of within seconds (decisions: several looks a second)."""
    for _ in until(5, "still let in"):
        if holder.is_refused():
            return


def test_a_key_with_a_token_of_nobody(a: Account) -> None:
    assert replace(a.root, token="x" * 64).call("sts.GetCallerIdentity").code == "InvalidClientTokenId"
