from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import botocore
import msgspec
import pytest

from moorage.aws.shapes import SERVICES, load
from moorage.aws.shapes.ecr import AuthorizationData, DescribeImagesResponse, ImageDetail

ROOT = Path(__file__).resolve().parents[3]


def _generator() -> Any:
    spec = importlib.util.spec_from_file_location("dev_shapes", ROOT / "dev" / "shapes.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_modules_when_rendered_again_are_the_same() -> None:
    for path, text in _generator().render().items():
        noted = re.search(r"botocore (\S+);|Moorage's own service", path.read_text())
        assert noted, path
        if noted[1] not in (None, botocore.__version__):
            pytest.skip(f"made with botocore {noted[1]}")
        assert path.read_text() == text, f"{path.name}: run `make shapes`"


@pytest.mark.parametrize("name", SERVICES)
def test_service_table_when_compared_with_the_model_agrees(name: str) -> None:
    service, module = SERVICES[name], load(name)

    assert (service.name, service.version) == (module.SERVICE, module.VERSION)
    assert service.target == getattr(module, "TARGET_PREFIX", "")
    assert service.namespace == getattr(module, "XMLNS", "")


def test_operations_when_counted_are_all_of_the_model() -> None:
    counts = {name: len(load(name).OPERATIONS) for name in ("ecr", "ecr-public")}

    assert counts == {"ecr": 62, "ecr-public": 23}


def test_services_when_only_ecr_is_wanted_are_not_imported() -> None:
    code = (
        "import sys, moorage.aws.operation as o; o.find_operation('AmazonEC2ContainerRegistry_V20150921.PutImage');"
        "print([n for n in sys.modules if n.startswith('moorage.aws.shapes.') or n.startswith('botocore')])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "['moorage.aws.shapes.ecr']"


def test_response_when_encoded_omits_none_and_keeps_empty_lists() -> None:
    response = DescribeImagesResponse(image_details=[ImageDetail(repository_name="a", image_tags=[])])

    assert msgspec.json.encode(response) == b'{"imageDetails":[{"repositoryName":"a","imageTags":[]}]}'


def test_repr_when_members_are_secret_shows_none() -> None:
    assert "QVdTO" not in repr(AuthorizationData(authorization_token="QVdTOmFiYw=="))


def test_attributes_when_misspelt_or_changed_are_refused() -> None:
    detail = ImageDetail(repository_name="a")

    with pytest.raises(AttributeError):
        detail.repository_name = "b"  # type: ignore[misc]  # frozen: that is what is tested
    with pytest.raises(TypeError):
        ImageDetail(repositoryName="a")  # type: ignore[call-arg]  # the wire name is not the attribute
