"""Both conformance suites of the OCI distribution specification, unmodified: the release's and the newest.

The release's is the last of its kind (ginkgo) that the Go module proxy serves, of 2023-11: v1.1.1 has no version there.
"""

from __future__ import annotations

import xml.etree.ElementTree as XML
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from ...conftest import Need, Server, ecr_password, plain_environment, run_client, running

REPOSITORIES = ("conformance/one", "conformance/two")
API_COUNT = 28

# Cases of the release's suite that stand for the other way of what is tested: a registry filled beforehand, one that
# refuses to mount, one that does not find a blob to mount by itself.
ALTERNATIVES = (
    "Cross-mounting of nonexistent blob should yield session id",
    "Cross-mounting without from, and automatic content discovery disabled should return a 202",
    "Get tag name from environment",
    "Populate registry with test tags (no push)",
)

# The newest suite: what its `dev` version turns on, and the two that it leaves off.
SWITCHES = {
    "OCI_API_BLOBS_DIGEST_HEADER": "true",
    "OCI_API_BLOBS_UPLOAD_CANCEL": "true",
    "OCI_API_MANIFESTS_DIGEST_HEADER": "true",
    "OCI_API_MANIFESTS_TAG_PARAM": "true",
    "OCI_DATA_SPARSE": "true",
    "OCI_TLS": "disabled",
    "OCI_VERSION": "dev",
}


@pytest.fixture
def lenient(tmp_path: Path) -> Iterator[Server]:
    """A server with both repositories that takes manifests whose layers are missing, which ECR refuses."""
    with running(tmp_path, "--allow-missing-references") as server:
        ecr = server.client("ecr")
        for name in REPOSITORIES:
            ecr.create_repository(repositoryName=name)
        yield server


def test_release_suite_when_all_four_workflows_run_has_no_failure(
    lenient: Server, need: Need, tmp_path: Path
) -> None:
    settings = {
        "OCI_AUTOMATIC_CROSSMOUNT": "1",
        "OCI_CROSSMOUNT_NAMESPACE": REPOSITORIES[1],
        "OCI_NAMESPACE": REPOSITORIES[0],
        "OCI_REPORT_DIR": str(tmp_path),
        "OCI_ROOT_URL": lenient.endpoint,
        "OCI_TEST_CONTENT_DISCOVERY": "1",
        "OCI_TEST_CONTENT_MANAGEMENT": "1",
        "OCI_TEST_PULL": "1",
        "OCI_TEST_PUSH": "1",
    }

    said = _run(need("oci-conformance-1.1"), lenient, settings, tmp_path)

    outcomes = _outcomes(tmp_path / "junit.xml")
    skipped = {name for name in outcomes["skipped"] if not name.endswith(ALTERNATIVES)}
    assert not outcomes["failure"], said[-8000:]
    assert not outcomes["error"], said[-8000:]
    assert not skipped
    assert len(outcomes["passed"]) >= 75


def test_newest_suite_when_everything_is_on_has_no_failure_and_no_skip(
    lenient: Server, need: Need, tmp_path: Path
) -> None:
    settings = SWITCHES | {
        "OCI_REGISTRY": lenient.host,
        "OCI_REPO1": REPOSITORIES[0],
        "OCI_REPO2": REPOSITORIES[1],
        "OCI_RESULTS_DIR": str(tmp_path),
    }

    said = _run(need("oci-conformance-head"), lenient, settings, tmp_path)

    outcomes = _outcomes(tmp_path / "junit.xml")
    assert set(outcomes) == {"passed"}, said[-8000:]
    assert len(outcomes["passed"]) >= 830
    apis, _, data = (tmp_path / "results.yaml").read_text().partition("\napis:\n")[2].partition("\ndata:\n")
    results = [line.rpartition(": ")[2] for line in (apis + "\n" + data).splitlines() if ": " in line]
    assert len(apis.splitlines()) == API_COUNT
    assert set(results) == {"Pass"}, said[-8000:]


def _run(program: str, server: Server, settings: Mapping[str, str], folder: Path) -> str:
    credentials = {"OCI_PASSWORD": ecr_password(server.client("ecr")), "OCI_USERNAME": "AWS"}
    environment = plain_environment() | credentials | dict(settings)
    return run_client(["sh", "-c", '"$0" || true', program], env=environment, cwd=folder, timeout=600)


def _outcomes(report: Path) -> defaultdict[str, list[str]]:
    """The names of a JUnit report's test cases by what became of them."""
    names: defaultdict[str, list[str]] = defaultdict(list)
    for case in XML.parse(report).iter("testcase"):
        ends = (child.tag for child in case if child.tag in ("error", "failure", "skipped"))
        names[next(ends, "passed")].append(case.get("name", ""))
    return names
