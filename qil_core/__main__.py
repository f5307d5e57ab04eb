"""`python -m qil_core` is the `qil` command."""

import sys

from .cli import main

sys.exit(main())
