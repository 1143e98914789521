"""The function app that APP names, with a planner that some messages break (tests/breaking_planner.py)."""

import os
from importlib.util import module_from_spec, spec_from_file_location

from shared.export.exporter import Exporter
from shared.policies import ChildLimits

spec = spec_from_file_location("real_app", os.environ["APP"])
assert spec
assert spec.loader
real = module_from_spec(spec)
spec.loader.exec_module(real)
exporter = Exporter(
    real.store,
    real.config.export_policy,
    real.config.MEMORY_BUDGET,
    real.now,
    real.new_id,
    limits=ChildLimits(cpu=5, memory=256 << 20),
    planner="tests.breaking_planner:make",
)
vars(real)["exporter"] = exporter
app = real.app
