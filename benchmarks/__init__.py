"""What the template and its service cost, measured side by side with a baseline: `make bench`."""

import sys
from pathlib import Path

# The servers and the load of the tests serve a measurement, too; these are the places that pytest looks in.
sys.path += [str(Path(__file__).resolve().parent.parent / name) for name in ("tests", "scripts")]
