"""The template's promises, tested inside a generated service: whatever its package is called, here it is `service`."""

import importlib
import os
import sys

PACKAGE = os.environ["FLASK_APP"]

importlib.import_module(PACKAGE)
for name, module in list(sys.modules.items()):
    if name == PACKAGE or name.startswith(f"{PACKAGE}."):
        sys.modules[f"service{name.removeprefix(PACKAGE)}"] = module
