"""`python -m lmmr1` is `lmmr1`."""

import sys

from lmmr1.cli import main

if __name__ == "__main__":
    sys.exit(main())
