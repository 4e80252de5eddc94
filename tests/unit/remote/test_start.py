"""What asks nobody needs no client."""

import subprocess
import sys


def test_the_server_does_not_load_aiohttp_before_it_asks_somebody() -> None:
    probe = "import sys, moorage.server.app; sys.exit('aiohttp' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0
