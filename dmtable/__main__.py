"""`python -m dmtable` is the `dmtable` command."""

import sys

from dmtable.cli.main import main

sys.exit(main())
