"""Run the command line: `python -m tfgan_zoo` is equal to `tfgan-zoo`."""

import sys

from tfgan_zoo.cli import main

sys.exit(main())
