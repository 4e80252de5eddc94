"""docs/api says what is built and what is missing: it is generated, and this is how it stays true."""

import runpy
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_pages_are_as_generated() -> None:
    for path, text in runpy.run_path(str(ROOT / "dev" / "api_docs.py"))["render"]().items():
        assert path.read_text() == text, f"{path.relative_to(ROOT)} is behind: run `python dev/api_docs.py`"


def test_the_runtime_does_not_load_botocore() -> None:
    probe = "import sys, moorage.server.app; sys.exit(any(name.startswith('boto') for name in sys.modules))"

    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0
