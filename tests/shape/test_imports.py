"""The import contracts of `.importlinter`: floors, slices, pure rules, backends, drivers, no cycles."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_imports_keep_the_contracts() -> None:
    lint_imports = Path(sys.executable).with_name("lint-imports")

    done = subprocess.run([lint_imports, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


def test_every_command_starts_without_what_only_the_server_needs() -> None:
    """Each word of `moorage` would pay for it: compiling policies alone takes as long as the rest."""
    assert loaded_by("moorage.cli.program").isdisjoint(
        {"moorage.access.call", "moorage.access.policies.compile", "moorage.registry.images.find", "uvicorn"}
    )


def test_the_server_opens_its_ports_before_it_loads_what_its_first_answers_do_not_need() -> None:
    loaded = loaded_by("moorage.cli.serve")

    assert "moorage.server.pipeline" in loaded
    assert loaded.isdisjoint(
        {
            "cryptography.x509",
            "moorage.access.operations",
            "moorage.aws.shapes.iam",
            "moorage.registry.lifecycle.job",
            "moorage.registry.operations",
            "moorage.registry.replication.job",
            "moorage.server.background",
            "tomllib",
            "yoyo",
        }
    )


def loaded_by(module: str) -> set[str]:
    probe = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return set(done.stdout.split())
