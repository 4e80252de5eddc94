"""`--access-log`: a line for each request, whatever answers it, and one line only."""

from __future__ import annotations

from pathlib import Path

from ...conftest import ecr_password, running
from .client import Wire, basic


def test_access_log_has_one_line_for_each_request_kept_or_not(tmp_path: Path) -> None:
    with running(tmp_path, "--access-log") as server:
        wire = Wire(server.host, basic("AWS", ecr_password(server.client("ecr"))))

        for _ in range(5):
            assert wire.ask("GET", "/v2/").status == 200
        assert wire.ask("GET", "/v2/no%0Aforged%20line/tags/list").status in (400, 404)
        wire.close()

    lines = server.log.read_text().splitlines()
    assert sum(" GET /v2/ 200 " in line for line in lines) == 5
    assert sum("/v2/no%0Aforged%20line/tags/list" in line for line in lines) == 1
    assert not any(line.startswith("forged") for line in lines)
