"""Runs the function app with its clock set ahead by the number of seconds in the file CLOCK_AHEAD.

An hour is compacted once it is over and quiet, which would take too long. `SkewedStack` copies this file to a
folder as the `function_app.py` that its hosts run.
"""

import os
import time
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

AHEAD = Path(os.environ["CLOCK_AHEAD"])
APP = Path(os.environ["APP"])

_of_this_machine = time.time_ns


def _ahead() -> int:
    return _of_this_machine() + int(AHEAD.read_text()) * 1_000_000_000


time.time_ns = _ahead
_spec = spec_from_file_location("app", APP)
assert _spec
assert _spec.loader
_app = module_from_spec(_spec)
_spec.loader.exec_module(_app)
app = _app.app
