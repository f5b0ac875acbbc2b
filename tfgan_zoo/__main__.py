"""python -m tfgan_zoo: the same as the command tfgan-zoo."""

import sys

from tfgan_zoo.cli import main

sys.exit(main())
