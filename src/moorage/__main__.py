"""`python -m moorage` is `moorage`."""

import sys

from moorage.cli.program import main

if __name__ == "__main__":
    sys.exit(main())
