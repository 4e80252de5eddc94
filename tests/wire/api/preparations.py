"""What the operations of the private API need to succeed, and what is done to make them fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from .conftest import OCI_MANIFEST, Api
from .test_lifecycle import NEWEST, NOWHERE, preview_of
from .test_replication import configure, wait
from .test_settings import profile
from .test_upstream_rules import secret

Parameters = dict[str, Any]
Provocation = Parameters | Callable[[Api, Parameters], Parameters]
"""What is changed of the parameters of a success (None takes one away), after something was done or not."""

NO_REGISTRY = "registry.invalid"


def nothing(_: Api) -> Parameters:
    return {}


def given(**parameters: Any) -> Callable[[Api], Parameters]:
    return lambda _: dict(parameters)


def an_app(**parameters: Any) -> Callable[[Api], Parameters]:
    """A repository that takes images."""

    def prepare(api: Api) -> Parameters:
        if not api.ecr.describe_repositories()["repositories"]:
            api.layer(api.repository("app"))
        return {"repositoryName": "app", **parameters}

    return prepare


def images(*tags: str, **parameters: Any) -> Callable[[Api], Parameters]:
    def prepare(api: Api) -> Parameters:
        place = an_app()(api)
        for tag in tags:
            api.image("app", tag, note=tag)
        return {**place, **parameters}

    return prepare


def after(
    operation: str, prepare: Callable[[Api], Parameters], **parameters: Any
) -> Callable[[Api], Parameters]:
    """`operation` was called with what `prepare` answers; of that go on those that name the thing."""
    kept = ("repositoryName", "prefix", "ecrRepositoryPrefix", "principalArn")

    def prepared(api: Api) -> Parameters:
        sent = prepare(api)
        getattr(api.ecr, operation)(**sent)
        return {name: value for name, value in sent.items() if name in kept} | parameters

    return prepared


def upload(*parts: bytes, **parameters: Any) -> Callable[[Api], Parameters]:
    """An upload with `parts` in it."""

    def prepare(api: Api) -> Parameters:
        place = an_app()(api)
        place["uploadId"] = api.ecr.initiate_layer_upload(**place)["uploadId"]
        at = 0
        for part in parts:
            api.ecr.upload_layer_part(
                **place, partFirstByte=at, partLastByte=at + len(part) - 1, layerPartBlob=part
            )
            at += len(part)
        return {**place, **parameters}

    return prepare


def tagged(**parameters: Any) -> Callable[[Api], Parameters]:
    def prepare(api: Api) -> Parameters:
        api.repository("app", tags=[{"Key": "team", "Value": "a"}])
        return {"resourceArn": arn(api, "app"), **parameters}

    return prepare


def arn(api: Api, name: str) -> str:
    return f"arn:aws:ecr:{api.region}:{api.account}:repository/{name}"


def unknown_arn(api: Api, _: Parameters) -> Parameters:
    return {"resourceArn": arn(api, "nothing/here")}


def rules(*prefixes: str, **parameters: Any) -> Callable[[Api], Parameters]:
    """Pull-through cache rules of a registry that is nowhere."""

    def prepare(api: Api) -> Parameters:
        for prefix in prefixes:
            api.ecr.create_pull_through_cache_rule(
                ecrRepositoryPrefix=prefix, upstreamRegistryUrl=NO_REGISTRY
            )
        return dict(parameters)

    return prepare


def hub(api: Api) -> Parameters:
    rule = {"ecrRepositoryPrefix": "hub", "upstreamRegistryUrl": "registry-1.docker.io"}
    made = secret(api)
    api.ecr.create_pull_through_cache_rule(**rule, credentialArn=made)
    return {"ecrRepositoryPrefix": "hub", "credentialArn": made}


def dead_upstream(api: Api, _: Parameters) -> Parameters:
    rules("dead")(api)
    return {"repositoryName": "dead/app"}


def layer_kept_upstream(api: Api, _: Parameters) -> Parameters:
    """Another region gives the image, and not what it is made of."""
    source = api.in_region(f"far-{api.region}")
    images("1")(source)
    deny = {"Effect": "Deny", "Principal": "*", "Action": "ecr:GetDownloadUrlForLayer"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    source.ecr.set_repository_policy(repositoryName="app", policyText=policy)
    api.ecr.create_pull_through_cache_rule(
        ecrRepositoryPrefix="far", upstreamRegistryUrl=source.registry_host
    )
    api.ecr.batch_get_image(repositoryName="far/app", imageIds=[{"imageTag": "1"}])
    return {"repositoryName": "far/app"}


def lost_secret(api: Api, _: Parameters) -> Parameters:
    return {
        "upstreamRegistryUrl": "registry-1.docker.io",
        "credentialArn": (
            f"arn:aws:secretsmanager:{api.region}:{api.account}:secret:ecr-pullthroughcache/no-AbCdEf"
        ),
    }


def foreign_secret(api: Api, _: Parameters) -> Parameters:
    sent = lost_secret(api, {})
    return {**sent, "credentialArn": sent["credentialArn"].replace(api.region, "elsewhere-1")}


def only_secret(provocation: Callable[[Api, Parameters], Parameters]) -> Provocation:
    return lambda api, parameters: {"credentialArn": provocation(api, parameters)["credentialArn"]}


def itself(api: Api, _: Parameters) -> Parameters:
    return {"upstreamRegistryUrl": api.registry_host}


def template(prefix: str) -> Callable[[Api], Parameters]:
    return given(prefix=prefix, appliedFor=["CREATE_ON_PUSH"])


def templates(api: Api) -> Parameters:
    for prefix in ("one", "two"):
        api.ecr.create_repository_creation_template(**template(prefix)(api))
    return {}


def excluded(*names: str) -> Callable[[Api], Parameters]:
    def prepare(api: Api) -> Parameters:
        for name in names:
            api.ecr.register_pull_time_update_exclusion(**exclusion(api, name))
        return {}

    return prepare


def exclusion(api: Api, name: str = "scanner") -> Parameters:
    return {"principalArn": f"arn:aws:iam::{api.account}:role/{name}"}


def a_hundred_exclusions(api: Api, _: Parameters) -> Parameters:
    return excluded(*(f"scanner-{n}" for n in range(100)))(api)


def registry_policy(api: Api) -> Parameters:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::999999999999:root"},
        "Action": "ecr:ReplicateImage",
        "Resource": arn(api, "*"),
    }
    return {"policyText": json.dumps({"Version": "2012-10-17", "Statement": [statement]})}


def repository_policy(api: Api) -> Parameters:
    statement = {"Effect": "Allow", "Principal": "*", "Action": "ecr:ListImages"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    return an_app(policyText=policy)(api)


def signing(api: Api, region: str | None = None) -> Parameters:
    named = profile(api).replace(api.region, region or api.region)
    return {"signingConfiguration": {"rules": [{"signingProfileArn": named}]}}


def replication(api: Api, *regions: str) -> Parameters:
    destinations = [{"region": region, "registryId": api.account} for region in regions]
    return {"replicationConfiguration": {"rules": [{"destinations": destinations}]}}


def far(api: Api, number: int = 0) -> Parameters:
    return {"destination": {"region": f"far-{api.region}-{number}", "registryId": api.account}}


def replicated(api: Api) -> Parameters:
    """Images, and a destination that they are not at."""
    images("v1", "v2", "v3")(api)
    configure(api, *(far(api, number)["destination"]["region"] for number in range(10)))
    return far(api)


def backfills(number: int) -> Callable[[Api], list[str]]:
    def begun(api: Api) -> list[str]:
        replicated(api)
        return [
            api.ecr.start_replication_backfill(**far(api, each))["replicationBackfillId"]
            for each in range(number)
        ]

    return begun


def ended_backfills(number: int, *, is_named: bool) -> Callable[[Api], Parameters]:
    def prepare(api: Api) -> Parameters:
        begun = backfills(number)(api)
        for each in begun:
            wait(api, each)
        return {"replicationBackfillId": begun[0]} if is_named else {}

    return prepare


def last_backfill(api: Api) -> Parameters:
    """One that has others before it."""
    return {"replicationBackfillId": backfills(10)(api)[-1]}


def ended_backfill(api: Api, parameters: Parameters) -> Parameters:
    wait(api, parameters["replicationBackfillId"])
    return {}


def pushed(api: Api) -> Parameters:
    return an_app(imageManifest=api.manifest("one"), imageTag="v1")(api)


def pushed_before(api: Api, parameters: Parameters) -> Parameters:
    api.ecr.put_image(**parameters)
    return {}


def immutable_tag(api: Api, parameters: Parameters) -> Parameters:
    api.ecr.put_image(**parameters)
    api.ecr.put_image_tag_mutability(repositoryName="app", imageTagMutability="IMMUTABLE")
    return {"imageManifest": api.manifest("two")}


def of_missing_layer(api: Api, _: Parameters) -> Parameters:
    return {"imageManifest": api.manifest(layers={NOWHERE: 1})}


def of_missing_image(api: Api, _: Parameters) -> Parameters:
    child = {"mediaType": OCI_MANIFEST, "digest": NOWHERE, "size": 2}
    return {"imageManifest": api.index(manifests=[child])}


def referrers(api: Api) -> Parameters:
    subject = images("v1")(api)
    digest = api.ecr.describe_images(**subject)["imageDetails"][0]["imageDigest"]
    for note in ("one", "two"):
        named = {"mediaType": OCI_MANIFEST, "digest": digest, "size": 2}
        api.image("app", note=note, subject=named, artifactType="application/vnd.example.signature")
    return {**subject, "subjectId": {"imageDigest": digest}}


def layer_of_no_image(api: Api, _: Parameters) -> Parameters:
    return {"layerDigest": api.layer("app", b"of no image")}


def preview(api: Api) -> Parameters:
    place = images("v1", "v2", "v3")(api)
    api.ecr.start_lifecycle_policy_preview(**place, lifecyclePolicyText=NEWEST)
    preview_of(api, "app")
    return place


def enhanced(api: Api, _: Parameters) -> Parameters:
    api.ecr.put_registry_scanning_configuration(scanType="ENHANCED")
    return {}


def two_repositories(api: Api) -> Parameters:
    api.repository("one")
    api.repository("two")
    return {}


def made_before(operation: str) -> Provocation:
    def provoke(api: Api, parameters: Parameters) -> Parameters:
        getattr(api.ecr, operation)(**parameters)
        return {}

    return provoke


def many_tags() -> list[dict[str, str]]:
    return [{"Key": f"k{n}", "Value": ""} for n in range(51)]


def known_layer(api: Api) -> Parameters:
    api.layer("app", b"layer")
    return upload(b"layer")(api)
