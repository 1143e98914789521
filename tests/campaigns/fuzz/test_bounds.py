"""A body of any form takes at most 12 times the bytes that it may inflate to."""

import json
import subprocess
import sys
from itertools import batched
from pathlib import Path

import pytest

from tests.campaigns.fuzz.forms import FORMS, MIB
from tests.effort import FULL, effort

ROOT = Path(__file__).resolve().parents[3]
INFLATED = effort(8, 16)
TIMES = 12
PASS = {"typical", "typical_ids", "lines_of_envelopes", "minimal_half", "values_of_1000"}
"""What a real sender might write is exported, not rejected."""
SAMPLE = [
    *("lines_of_2", "lines_of_arrays", "integers_a_few", "typical_ids"),
    *("shapes_of_nothing", "keys_some", "rest_of_emoji_third", "properties_of_objects"),
]
"""One costly form of each kind; `make proof` measures all."""
MEASURED = [*FORMS] if FULL else SAMPLE
AT_ONCE = 10


@pytest.mark.parametrize("forms", [[*some] for some in batched(MEASURED, AT_ONCE, strict=False)])
def test_a_body_takes_at_most_12_times_its_inflated_limit(forms: list[str]) -> None:
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.campaigns.fuzz.forms", str(INFLATED), *forms],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = [json.loads(line) for line in run.stdout.splitlines()]
    assert [each["form"] for each in found] == forms
    times = {each["form"]: each["peak"] / (INFLATED * MIB) for each in found}
    assert {form: number for form, number in times.items() if number > TIMES} == {}
    assert not [each["form"] for each in found if each["form"] in PASS and each["rejected"]]
