# SPDX-License-Identifier: BSD-2-Clause
"""python3 -m lumen"""

import sys

from lumen.cli import main
from lumen.session import terminated_like_an_exception

with terminated_like_an_exception():
    sys.exit(main(sys.argv[1:]))
