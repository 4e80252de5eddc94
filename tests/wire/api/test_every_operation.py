"""Every operation of the private API, by the table of `operation_rows.py`.

The table is complete or the test fails: there is a row for each operation that is built, and in the row each error that
the service model declares is provoked or has a reason why it does not happen. Every answer is held against the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import botocore.session
import pytest
from botocore import xform_name
from botocore.exceptions import ClientError

import moorage.registry.operations  # noqa: F401  # registers what is built
from moorage.aws.operation import OPERATIONS

from .conftest import Api
from .operation_rows import ANEW, ROWS, SAME
from .preparations import Parameters

MODEL = botocore.session.Session().get_service_model("ecr")
BUILT = sorted(name for service, name in OPERATIONS if service == "ecr")

RACES = {"LifecyclePolicyPreviewInProgress", "ReplicationBackfillInProgress"}
"""What is true only until the work behind an answer is done: the call is repeated until it comes too early."""


def call(api: Api, name: str, parameters: Parameters) -> Any:
    answer = getattr(api.ecr, xform_name(name))(
        **{member: value for member, value in parameters.items() if value is not None}
    )
    return {member: value for member, value in answer.items() if member != "ResponseMetadata"}


def call_again(api: Api, name: str, parameters: Parameters, times: int) -> None:
    for _ in range(times):
        call(api, name, parameters)


def code_of(raised: pytest.ExceptionInfo[ClientError]) -> str:
    return str(raised.value.response["Error"]["Code"])


def without_times(answer: Any) -> Any:
    """When something was changed differs; what it is does not."""
    if isinstance(answer, Mapping):
        return {name: without_times(value) for name, value in answer.items() if name != "updatedAt"}
    return answer


PROVOKED = [
    (name, error)
    for name, row in ROWS.items()
    for error, provocation in row.errors.items()
    if not isinstance(provocation, str)
]


def test_every_operation_that_is_built_has_a_row_with_every_error_that_it_declares() -> None:
    assert sorted(ROWS) == BUILT
    for name, row in ROWS.items():
        model = MODEL.operation_model(name)
        declared = sorted(shape.name.removesuffix("Exception") for shape in model.error_shapes)
        assert sorted(row.errors) == declared, name
        assert (row.pages is not None) == ("nextToken" in model.input_shape.members), name
        assert row.again in (SAME, ANEW, *row.errors), name


@pytest.mark.parametrize("name", ROWS)
def test_it_succeeds_and_its_repetition_gives_what_it_should(api: Api, name: str) -> None:
    row = ROWS[name]
    parameters = row.prepare(api)

    first = call(api, name, parameters)

    row.settle(api, first)
    if row.again not in (SAME, ANEW):
        with pytest.raises(ClientError) as raised:
            call(api, name, parameters)
        assert code_of(raised) == f"{row.again}Exception"
        return
    second = call(api, name, parameters)
    assert (without_times(second) == without_times(first)) == (row.again == SAME)


@pytest.mark.parametrize(("name", "error"), PROVOKED)
def test_it_fails_with_each_error_that_it_declares(api: Api, name: str, error: str) -> None:
    row = ROWS[name]
    parameters = row.prepare(api)
    provocation = row.errors[error]
    assert not isinstance(provocation, str)
    parameters |= provocation(api, parameters) if callable(provocation) else provocation

    with pytest.raises(ClientError) as raised:
        call_again(api, name, parameters, 100 if error in RACES else 1)

    assert code_of(raised) == f"{error}Exception"
    assert isinstance(raised.value, getattr(api.ecr.exceptions, f"{error}Exception"))


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.pages])
def test_pages_of_one_are_what_one_page_is(api: Api, name: str) -> None:
    row = ROWS[name]
    parameters = row.prepare(api)
    whole = call(api, name, parameters)

    listed: list[Any] = []
    token = None
    while True:
        page = call(api, name, {**parameters, "maxResults": 1, "nextToken": token})
        assert len(page[row.pages]) == 1
        listed += page[row.pages]
        token = page.get("nextToken")
        if token is None:
            break
    method = xform_name(name)

    assert "nextToken" not in whole
    assert len(listed) >= 2
    assert listed == whole[row.pages]
    if api.ecr.can_paginate(method):
        paginator = api.ecr.get_paginator(method)
        pages = list(paginator.paginate(**parameters, PaginationConfig={"PageSize": 1}))
        assert [each for page in pages for each in page[row.pages]] == listed
