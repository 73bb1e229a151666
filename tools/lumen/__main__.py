# SPDX-License-Identifier: BSD-2-Clause
"""python3 -m lumen"""

import sys

from lumen.cli import main

sys.exit(main(sys.argv[1:]))
