import re
from pathlib import Path

from shared.metrics import ATTRIBUTES, METRICS

DOCS = Path(__file__).resolve().parents[2] / "docs" / "telemetry.md"


def test_names_are_dotted_lower_case_and_unique() -> None:
    found = [metric.name for metric in METRICS]
    assert len(set(found)) == len(found)
    for metric in METRICS:
        assert re.fullmatch(r"websocketlogs(\.[a-z]+)+", metric.name)
        assert set(metric.attributes) <= ATTRIBUTES.keys()
        assert metric.meaning.endswith(".")


def test_the_documentation_lists_every_declared_metric() -> None:
    rows = "".join(
        f"| `{one.name}` | {one.kind} | {one.unit} | {', '.join(one.attributes)} | {one.meaning} |\n"
        for one in METRICS
    )
    assert rows in DOCS.read_text(), f"docs/telemetry.md must say:\n{rows}"
    for name, meaning in ATTRIBUTES.items():
        assert f"- `{name}`: {meaning}\n" in DOCS.read_text()
