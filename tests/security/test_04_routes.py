"""What a registry request does beyond its row of the table needs what that would need by itself."""

from __future__ import annotations

from .places import EMPTY, MANIFEST, Account, allow, grant, policy

LOG_IN = "ecr:GetAuthorizationToken"
OTHER = "sha256:ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356"
"""Of the content `3\\n`, which nobody has pushed."""


def test_a_layer_in_one_request_needs_all_that_its_parts_need(a: Account) -> None:
    """POST with a digest opens a session, fills it and ends it."""
    a.repository("routes/whole")
    begins = a.user(allow([LOG_IN, "ecr:InitiateLayerUpload"]), name="routes-begins").logged_in()
    whole = f"/v2/routes/whole/blobs/uploads/?digest={EMPTY}"

    assert begins.v2("POST", whole, b"{}").status == 403
    assert begins.v2("POST", "/v2/routes/whole/blobs/uploads/", b"").status == 202

    a.let("routes-begins", allow([LOG_IN, "ecr:InitiateLayerUpload", "ecr:CompleteLayerUpload"]))
    assert begins.v2("POST", whole, b"{}").status == 403

    every = ["ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload"]
    a.let("routes-begins", allow([LOG_IN, *every]))
    assert begins.v2("POST", whole, b"{}").status == 201


def test_ending_an_upload_with_content_needs_to_upload_it(a: Account) -> None:
    a.repository("routes/ends")
    ends = a.user(allow([LOG_IN, "ecr:InitiateLayerUpload", "ecr:CompleteLayerUpload"]), name="routes-ends")
    ends = ends.logged_in()
    begun = ends.v2("POST", "/v2/routes/ends/blobs/uploads/", b"")
    path = begun.headers["location"].partition("/v2/")[2]

    assert ends.v2("PUT", f"/v2/{path}?digest={EMPTY}", b"{}").status == 403


def test_25_a_mount_needs_to_read_the_source(a: Account) -> None:
    """Without, it is an upload like any other, which says nothing of the source."""
    for name in ("routes/source", "routes/target"):
        a.repository(name)
    a.image("routes/source")
    target = a.arn("routes/target")
    push = [LOG_IN, "ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload"]
    a.user(allow(LOG_IN), allow(push, target), name="routes-mounts")
    caller = a.key_of("routes-mounts").logged_in()

    def mount(source: str, digest: str = EMPTY) -> tuple[int, list[str]]:
        made = caller.v2("POST", f"/v2/routes/target/blobs/uploads/?mount={digest}&from={source}", b"")
        return made.status, sorted(made.headers)

    refused = mount("routes/source")
    assert refused[0] == 202
    assert mount("routes/missing") == mount("routes/source", OTHER) == refused

    a.let("routes-mounts", allow(LOG_IN), allow(push, target), allow("ecr:GetDownloadUrlForLayer"))
    assert mount("routes/source")[0] == 201
    assert mount("routes/source", OTHER)[0] == 202


def test_25_a_mount_from_a_repository_of_another_account_is_an_upload(a: Account, b: Account) -> None:
    a.repository("routes/foreign")
    a.image("routes/foreign")
    text = policy(grant({"AWS": b.id}, "ecr:*"))
    a.root.need("ecr.SetRepositoryPolicy", repositoryName="routes/foreign", policyText=text)
    b.repository("routes/own")

    made = b.root.v2(
        "POST", f"/v2/routes/own/blobs/uploads/?mount={EMPTY}&from=routes/foreign", b"", host=b.registry
    )

    assert made.status == 202


def test_the_catalog_names_only_what_may_be_described(a: Account) -> None:
    for name in ("routes/seen", "routes/unseen"):
        a.repository(name)
    caller = a.user(
        allow(LOG_IN), allow("ecr:DescribeRepositories", a.arn("routes/seen")), name="routes-lists"
    )

    listed = caller.logged_in().v2("GET", "/v2/_catalog")

    assert listed.status == 403 or listed.json["repositories"] == ["routes/seen"]


def test_a_tag_is_pushed_only_by_who_may_push_that_tag(a: Account) -> None:
    """Also as a second tag, by digest, and over the API."""
    a.repository("routes/tags")
    a.image("routes/tags", "dev-1")
    only_dev = {"Condition": {"StringLike": {"moorage:ImageTag": "dev-*"}}}
    caller = a.user(
        allow([LOG_IN, "ecr:BatchGetImage"]), allow("ecr:PutImage", **only_dev), name="routes-tags"
    )
    caller = caller.logged_in()
    kind = [("content-type", "application/vnd.oci.image.manifest.v1+json")]

    def put(reference: str) -> int:
        return caller.v2("PUT", f"/v2/routes/tags/manifests/{reference}", MANIFEST, headers=kind).status

    assert put("dev-2") == 201
    assert put("prod") == 403
    assert put("dev-3?tag=prod") == 201
    assert caller.v2("HEAD", "/v2/routes/tags/manifests/prod").status == 404
    text = MANIFEST.decode()
    members = {"repositoryName": "routes/tags", "imageManifest": text}
    assert caller.call("ecr.PutImage", **members, imageTag="prod").is_denied
    assert caller.call("ecr.PutImage", **members, imageTag="dev-4").status == 200
