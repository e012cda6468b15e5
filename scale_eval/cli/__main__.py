"""Run the command line as ``python -m scale_eval.cli``.

Python then looks for every module in the current folder first, which may hold anything. It comes
last here; it stays, since this package itself may be found there.
"""

import os
import sys

if not sys.flags.safe_path and sys.path and sys.path[0] in ("", os.getcwd()):  # noqa: PTH109
    sys.path.append(sys.path.pop(0))

from scale_eval.cli import main as main

if __name__ == "__main__":
    main()
