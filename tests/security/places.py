"""Accounts, users, roles and sessions of a real server, made through its own operations or beside it."""

from __future__ import annotations

import asyncio
import json
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from moorage.access import downloads, paging, passwords, sessions
from moorage.access.epochs import Epochs
from moorage.access.identities import entity as entities
from moorage.access.identities.entity import Kind
from moorage.access.sessions import SessionRequest, Sessions
from moorage.base.clock import SECOND, system_clock
from moorage.keys.keyring import Keyring
from moorage.keys.root import read_root_key
from moorage.keys.tokens import Tokens
from moorage.store.db.connect import open_sqlite_beside
from moorage.store.db.sqlite import SqliteDatabase
from moorage.store.db.statements import Statements

from ..conftest import Server, plain_environment, running
from ..wire.api.conftest import Key
from .calling import REGION, Caller, Door, door_of

T = TypeVar("T")
PURPOSES = (downloads.PURPOSE, paging.PURPOSE, passwords.PURPOSE, sessions.PURPOSE)
EMPTY = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
"""Of the content `{}`."""
MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": EMPTY, "size": 2},
        "layers": [],
    }
).encode()


@dataclass(frozen=True)
class Beside:
    """What the server's process has too: its database and the keys that it seals tokens with."""

    db: SqliteDatabase
    tokens: Tokens
    epochs: Epochs


@dataclass(frozen=True)
class Account:
    """An account, its root, and who is made in it."""

    server: Server
    door: Door
    id: str
    root: Caller

    def user(self, *statements: Mapping[str, Any], name: str = "", **members: Any) -> Caller:
        """A new user with an inline policy of these statements."""
        name = name or f"user-{secrets.token_hex(6)}"
        self.root.need("iam.CreateUser", UserName=name, **members)
        if statements:
            self.let(name, *statements)
        return self.key_of(name)

    def let(self, user: str, *statements: Mapping[str, Any]) -> None:
        """These statements, in place of those before."""
        document = policy(*statements)
        self.root.need("iam.PutUserPolicy", UserName=user, PolicyName="own", PolicyDocument=document)

    def key_of(self, user: str) -> Caller:
        made = self.root.need("iam.CreateAccessKey", UserName=user)
        key = Key(made.element("AccessKeyId"), made.element("SecretAccessKey"))
        return Caller(self.door, key)

    def role(self, name: str, *statements: Mapping[str, Any], trust: Any = None, **members: Any) -> str:
        """Its ARN. `trust` is who may assume it, by default whoever the account lets."""
        principal = trust or {"AWS": self.id}
        document = trust_policy(principal) if not isinstance(trust, str) else trust
        self.root.need("iam.CreateRole", RoleName=name, AssumeRolePolicyDocument=document, **members)
        if statements:
            text = policy(*statements)
            self.root.need("iam.PutRolePolicy", RoleName=name, PolicyName="own", PolicyDocument=text)
        return f"arn:aws:iam::{self.id}:role/{name}"

    def session(
        self, kind: Kind, name: str, *narrowing: Mapping[str, Any], ago: int = 0, seconds: int = 3_600
    ) -> Caller:
        """A session of a user or role, issued beside the server `ago` seconds before now."""

        async def issue(beside: Beside) -> Caller:
            issued = system_clock() - ago * SECOND
            entity = await entities.need(beside.db, self.id, kind, name)
            made = await Sessions(beside.db, beside.tokens, beside.epochs, system_clock).issue(
                SessionRequest(
                    entity=entity,
                    account=self.id,
                    name="s",
                    seconds=seconds,
                    policy=policy(*narrowing) if narrowing else "",
                ),
                issued,
            )
            return Caller(self.door, Key(made.access_key_id, made.secret), made.token)

        return beside(self.server, issue)

    def repository(self, name: str, **members: Any) -> str:
        """Its ARN."""
        self.root.need("ecr.CreateRepository", repositoryName=name, **members)
        return self.arn(name)

    def image(self, repository: str, tag: str = "latest") -> str:
        """Push one whose config is `{}`, to a repository that is there; its digest."""
        path = f"/v2/{repository}"
        root = self.root.logged_in()
        assert (
            root.v2("POST", f"{path}/blobs/uploads/?digest={EMPTY}", b"{}", host=self.registry).status == 201
        )
        kind = ("content-type", "application/vnd.oci.image.manifest.v1+json")
        put = root.v2("PUT", f"{path}/manifests/{tag}", MANIFEST, host=self.registry, headers=[kind])
        assert put.status == 201, put
        return put.headers["docker-content-digest"]

    def arn(self, repository: str, region: str = REGION) -> str:
        return f"arn:aws:ecr:{region}:{self.id}:repository/{repository}"

    @property
    def registry(self) -> str:
        """What the registry of this account is called."""
        return f"{self.id}.dkr.ecr.{REGION}.amazonaws.com"


@dataclass(frozen=True)
class Place:
    """A server with two accounts."""

    server: Server
    door: Door
    a: Account
    b: Account

    @property
    def nobody(self) -> Caller:
        return Caller(self.door, None)


@contextmanager
def a_place(folder: Path, *options: str) -> Iterator[Place]:
    with running(folder, "--login-failures", "0", *options) as server, door_of(server.host) as door:
        a = account_in(server, door, server.data / "credentials")
        yield Place(server, door, a, another_account(server, door))


def another_account(server: Server, door: Door) -> Account:
    program = Path(sys.executable).with_name("moorage")
    command = [program, "account", "create", "--data", server.data, "--json"]
    said = subprocess.run(
        command, check=True, capture_output=True, timeout=60, env=plain_environment()
    ).stdout
    return account_in(server, door, Path(json.loads(said)["credentials"]))


def account_in(server: Server, door: Door, credentials: Path) -> Account:
    lines = credentials.read_text().splitlines()
    keys = dict(line.split(" = ", 1) for line in lines if " = " in line)
    root = Caller(door, Key(keys["aws_access_key_id"], keys["aws_secret_access_key"]))
    id_ = root.need("sts.GetCallerIdentity").element("Account")
    return Account(server, door, id_, root)


def beside(server: Server, act: Callable[[Beside], Awaitable[T]]) -> T:
    """Do it with the database and keys of a running server."""

    async def over() -> T:
        async with _opened(server.data) as opened:
            return await act(opened)

    return asyncio.run(over())


@asynccontextmanager
async def _opened(data: Path) -> AsyncIterator[Beside]:
    db = open_sqlite_beside((data / "moorage.db").resolve(), Statements.discover())
    try:
        keys = Keyring(db, read_root_key(data / "root.key"), system_clock)
        yield Beside(db, Tokens(await keys.token_keys(PURPOSES)), Epochs(db))
    finally:
        await db.close()


def policy(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: str | list[str], resource: str | list[str] = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: str | list[str], resource: str | list[str] = "*", **more: Any) -> dict[str, Any]:
    return {**allow(action, resource, **more), "Effect": "Deny"}


def all_but(action: str) -> dict[str, Any]:
    return {"Effect": "Allow", "NotAction": action, "Resource": "*"}


def grant(principal: Any, action: str | list[str], **more: Any) -> dict[str, Any]:
    """In the policy of a repository."""
    return {"Effect": "Allow", "Principal": principal, "Action": action, **more}


def trust_policy(principal: Any, action: str = "sts:AssumeRole", **more: Any) -> str:
    return policy(grant(principal, action, **more))


def assumed(caller: Caller, role: str, **members: Any) -> Caller:
    """A session through AssumeRole."""
    made = caller.need("sts.AssumeRole", RoleArn=role, **{"RoleSessionName": "run-1", **members})
    key = Key(made.element("AccessKeyId"), made.element("SecretAccessKey"))
    return replace(caller, key=key, token=made.element("SessionToken"), password="")
