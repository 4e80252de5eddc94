"""Which row of the table a path means, however the repository is called."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.base.errors.wire import MethodNotAllowed, NameInvalid, PathUnknown
from moorage.oci.routes import ROUTES, find_route

DIGEST = f"sha256:{'0' * 64}"
# Components that read like a part of the API.
COMPONENTS = [
    "a",
    "0",
    "manifests",
    "blobs",
    "uploads",
    "tags",
    "list",
    "referrers",
    "v2",
    "a__b",
    "a-b.c",
    "x--y",
]
NAMES = (
    st.lists(st.sampled_from(COMPONENTS), min_size=1, max_size=6)
    .map("/".join)
    .filter(lambda name: len(name) > 1)
)
REFERENCES = ["latest", "list", "uploads", "manifests", "tags", DIGEST, "a" * 128, "_x.y-z"]
KINDS = [
    ("GET", "manifests/{ref}", "manifest"),
    ("HEAD", "manifests/{ref}", "manifest"),
    ("PUT", "manifests/{ref}", "manifest"),
    ("DELETE", "manifests/{ref}", "manifest"),
    ("GET", f"blobs/{DIGEST}", "blob"),
    ("POST", "blobs/uploads/", "uploads"),
    ("POST", "blobs/uploads", "uploads"),
    ("PATCH", "blobs/uploads/{ref}", "upload"),
    ("PUT", "blobs/uploads/{ref}", "upload"),
    ("GET", "tags/list", "tags"),
    ("GET", f"referrers/{DIGEST}", "referrers"),
]


@given(NAMES, st.sampled_from(KINDS), st.sampled_from(REFERENCES), st.booleans())
@settings(deadline=None, derandomize=True, max_examples=500)
def test_find_route_of_any_name_gives_that_name(
    name: str, row: tuple[str, str, str], reference: str, is_escaped: bool
) -> None:
    method, tail, kind = row
    rest = tail.format(ref=reference)
    path = f"/v2/{name}/{rest}"

    route, target = find_route(method, quote(path, safe="/") if is_escaped else path)

    assert (route.kind, target.name) == (kind, name)
    if kind in ("blob", "manifest", "referrers", "upload"):
        assert target.reference == rest.rpartition("/")[2]


@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from([*COMPONENTS, "", "..", "%", "%2f", "%00", "A"]), max_size=7).map("/".join)
)
@settings(deadline=None, derandomize=True, max_examples=500)
def test_find_route_of_anything_finds_a_row_or_refuses(path: str) -> None:
    for method in ("GET", "POST", "HEAD", "X"):
        try:
            route, target = find_route(method, f"/v2/{path}")
        except (PathUnknown, MethodNotAllowed, NameInvalid):
            continue

        assert route in ROUTES
        assert ".." not in target.name.split("/")


@pytest.mark.parametrize("path", ["/v2", "/v2/", "/%76%32/"])
def test_find_route_of_the_root_is_the_ping(path: str) -> None:
    route, target = find_route("GET", path)

    assert (route.kind, route.actions, target.name) == ("ping", (), "")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1/",
        "/v2/a",
        "/v2/a/b",
        "/v2//tags/list",
        "/v2/tags/list",
        "/v2/aa/manifests/b/c",
        "/v2/aa/blobs/",
        "/v2x/",
    ],
)
def test_find_route_of_another_path_is_unknown(path: str) -> None:
    with pytest.raises(PathUnknown):
        find_route("GET", path)


@pytest.mark.parametrize(
    "name", ["A", "a", "a//b", "/a", "a/", "..", ".a", "a.", "a..b", "a___b", "é", "a\n", "a" * 257]
)
def test_find_route_of_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises((NameInvalid, PathUnknown)):
        find_route("GET", f"/v2/{quote(name)}/tags/list")


def test_find_route_of_a_method_that_is_not_there_lists_those_that_are() -> None:
    with pytest.raises(MethodNotAllowed) as error:
        find_route("POST", "/v2/aa/manifests/b")

    assert error.value.facts["allowed"] == "DELETE, GET, HEAD, PUT"


def test_every_row_but_ping_and_discovery_asks_for_an_action() -> None:
    open_to_all = {route.kind for route in ROUTES if not route.actions}

    assert open_to_all == {"ping", "discover"}
    assert all(action.startswith("ecr:") for route in ROUTES for action in route.actions)
