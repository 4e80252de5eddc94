"""Each of our own operations through boto3, which has learnt them from the model, by the table of `own_rows.py`.

The table is complete or the test fails, as in `test_every_operation.py`; every answer is held against the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError

import moorage.registry.operations  # noqa: F401  # registers what is built
from moorage.aws.operation import OPERATIONS

from ...conftest import knowing_all_services, running
from .conftest import Api, clients_of, root_of
from .operation_rows import ANEW, SAME
from .own_rows import ROWS
from .preparations import Parameters
from .test_every_operation import code_of

MODEL = knowing_all_services().get_service_model("moorage")
BUILT = sorted(name for service, name in OPERATIONS if service == "moorage")

PROVOKED = [
    (name, error)
    for name, row in ROWS.items()
    for error, provocation in row.errors.items()
    if not isinstance(provocation, str)
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Of a server that keeps for an hour what policies take."""
    with running(tmp_path_factory.mktemp("own"), "--undelete-hours", "1") as server:
        yield root_of(server, clients_of(server))


def call(api: Api, name: str, parameters: Parameters) -> Any:
    sent = {member: value for member, value in parameters.items() if value is not None}
    answer = getattr(api.moorage, xform_name(name))(**sent)
    return {member: value for member, value in answer.items() if member != "ResponseMetadata"}


def without_times(answer: Any) -> Any:
    """For which moment it was decided, or when it was put, differs; what it is does not."""
    if isinstance(answer, Mapping):
        later = ("evaluatedAt", "requestedAt")
        return {name: value for name, value in answer.items() if name not in later}
    return answer


def test_every_operation_of_the_model_is_built_and_has_a_row_with_every_error_that_it_declares() -> None:
    assert sorted(ROWS) == BUILT == sorted(MODEL.operation_names)
    for name, row in ROWS.items():
        model = MODEL.operation_model(name)
        declared = sorted(shape.name.removesuffix("Exception") for shape in model.error_shapes)
        assert sorted(row.errors) == declared, name
        assert (row.pages is not None) == ("nextToken" in model.input_shape.members), name
        assert row.again in (SAME, ANEW, *row.errors), name


def test_the_model_documents_every_operation_and_every_member() -> None:
    """It is what `aws moorage help` shows."""
    for name in MODEL.operation_names:
        model = MODEL.operation_model(name)
        assert model.documentation, name
        for shape in (model.input_shape, model.output_shape):
            for member, described in shape.members.items():
                assert described.documentation, f"{name}: {member}"


@pytest.mark.parametrize("name", ROWS)
def test_it_succeeds_and_its_repetition_gives_what_it_should(api: Api, name: str) -> None:
    row = ROWS[name]
    parameters = row.prepare(api)

    first = call(api, name, parameters)

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
        call(api, name, parameters)

    assert code_of(raised) == f"{error}Exception"
    assert isinstance(raised.value, getattr(api.moorage.exceptions, f"{error}Exception"))


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.pages])
def test_pages_of_one_are_what_one_page_is(api: Api, name: str) -> None:
    row = ROWS[name]
    parameters = row.prepare(api)
    whole = call(api, name, parameters)

    pages = list(
        api.moorage.get_paginator(xform_name(name)).paginate(**parameters, PaginationConfig={"PageSize": 1})
    )

    assert "nextToken" not in whole
    assert [len(page[row.pages]) for page in pages] == [1] * len(whole[row.pages])
    assert len(pages) >= 2
    assert [each for page in pages for each in page[row.pages]] == whole[row.pages]
    with pytest.raises(ClientError, match="Invalid token"):
        call(api, name, {**parameters, "maxResults": 1, "nextToken": "nonsense"})
