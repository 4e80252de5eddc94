"""An upload belongs to who began it, in the repository where it was begun: for everybody else it is not there."""

from __future__ import annotations

import pytest

from .calling import Answer, Caller
from .places import EMPTY, Account, allow

PUSH = [
    "ecr:GetAuthorizationToken",
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload",
]
ABSENT = "11111111-2222-4333-8444-555555555555"


@pytest.fixture(scope="module")
def pushers(a: Account) -> tuple[Caller, Caller]:
    for name in ("uploads/one", "uploads/two"):
        a.repository(name)
    one, two = (a.user(allow(PUSH), name=f"uploads-{n}") for n in (1, 2))
    return one.logged_in(), two.logged_in()


def begun(caller: Caller, repository: str = "uploads/one") -> str:
    answer = caller.v2("POST", f"/v2/{repository}/blobs/uploads/", b"")
    assert answer.status == 202
    return answer.headers["docker-upload-uuid"]


def tries(caller: Caller, repository: str, upload: str) -> list[Answer]:
    path = f"/v2/{repository}/blobs/uploads/{upload}"
    return [
        caller.v2("GET", path),
        caller.v2("PATCH", path, b"{"),
        caller.v2("PUT", f"{path}?digest={EMPTY}", b"{}"),
        caller.v2("DELETE", path),
    ]


def plain(answer: Answer, upload: str) -> object:
    status, headers, body = answer.steady
    named = {name: value.replace(upload, "ID") for name, value in headers.items()}
    return status, named, body.replace(upload.encode(), b"ID")


def test_another_user_does_not_find_it(pushers: tuple[Caller, Caller]) -> None:
    one, two = pushers
    upload = begun(one)

    stolen = [plain(answer, upload) for answer in tries(two, "uploads/one", upload)]
    absent = [plain(answer, ABSENT) for answer in tries(two, "uploads/one", ABSENT)]

    assert stolen == absent
    assert {answer[0] for answer in stolen} == {404}  # type: ignore[index]
    assert one.v2("GET", f"/v2/uploads/one/blobs/uploads/{upload}").status == 204


def test_it_is_not_in_another_repository(pushers: tuple[Caller, Caller]) -> None:
    one, _ = pushers
    upload = begun(one)

    assert {answer.status for answer in tries(one, "uploads/two", upload)} == {404}
    assert one.v2("GET", f"/v2/uploads/one/blobs/uploads/{upload}").status == 204


def test_over_the_api_neither(pushers: tuple[Caller, Caller], a: Account) -> None:
    one, two = pushers
    upload = begun(one)
    place = {"repositoryName": "uploads/one", "uploadId": upload}
    part = {"partFirstByte": 0, "partLastByte": 1, "layerPartBlob": b"{}"}

    assert two.call("ecr.UploadLayerPart", **place, **part).code == "UploadNotFoundException"
    assert (
        two.call("ecr.CompleteLayerUpload", **place, layerDigests=[EMPTY]).code == "UploadNotFoundException"
    )
    assert a.root.call("ecr.UploadLayerPart", **place, **part).code == "UploadNotFoundException"
    assert one.call("ecr.UploadLayerPart", **place, **part).status == 200


def test_a_renewed_session_of_the_role_goes_on_another_role_does_not(a: Account) -> None:
    a.root.call("ecr.CreateRepository", repositoryName="uploads/roles")
    for name in ("uploads-ci", "uploads-other"):
        a.role(name, allow(PUSH))
    upload = begun(a.session("role", "uploads-ci"), "uploads/roles")
    path = f"/v2/uploads/roles/blobs/uploads/{upload}"

    assert a.session("role", "uploads-ci").v2("PATCH", path, b"{").status == 202
    assert a.session("role", "uploads-other").v2("PATCH", path, b"}").status == 404


def test_it_ends_with_its_repository(a: Account, pushers: tuple[Caller, Caller]) -> None:
    one, _ = pushers
    a.repository("uploads/gone")
    upload = begun(one, "uploads/gone")
    a.root.need("ecr.DeleteRepository", repositoryName="uploads/gone", force=True)
    assert {answer.status for answer in tries(one, "uploads/gone", upload)} == {404}

    a.repository("uploads/gone")
    assert {answer.status for answer in tries(one, "uploads/gone", upload)} == {404}


def test_it_ends_with_its_users_permission(a: Account) -> None:
    a.repository("uploads/lost")
    caller = a.user(allow(PUSH), name="uploads-lost").logged_in()
    upload = begun(caller, "uploads/lost")

    a.let("uploads-lost", allow("ecr:GetAuthorizationToken"))

    assert {answer.status for answer in tries(caller, "uploads/lost", upload)} == {403}
