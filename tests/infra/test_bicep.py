"""The Bicep compiler accepts the templates, and the snapshots are what they would deploy."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.infra.bicep import SUBSCRIPTION, bicep, template
from tests.infra.snapshots import INFRA, NAMES, ROOT, SCENARIOS

FILES = sorted(
    path.relative_to(INFRA).as_posix() for path in INFRA.rglob("*.bicep*") if path.suffix != ".json"
)
APIM = (
    "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-apim"
    "/providers/Microsoft.ApiManagement/service/apim"
)
GIVEN = f"param environmentName = 'dev'\nparam location = 'westeurope'\nparam apimResourceId = '{APIM}'\n"


def snapshot(parameters: Path, mode: str) -> tuple[int, str]:
    done = bicep(
        *("snapshot", parameters, "--mode", mode),
        *("--subscription-id", SUBSCRIPTION, "--location", "westeurope"),
    )
    return done.returncode, done.stdout + done.stderr


def with_parameters(folder: Path, text: str) -> Path:
    """A parameters file beside a copy of the templates, which it names by a relative path."""
    shutil.copytree(INFRA, folder / "infra")
    file = folder / "infra" / "scenario.bicepparam"
    file.write_text(f"using 'main.bicep'\n{text}")
    return file


def test_the_templates_build_and_the_linter_finds_nothing() -> None:
    # It follows the modules. A rule is on, or off with a reason, in bicepconfig.json.
    for command in (("build", "--stdout"), ("lint",)):
        done = bicep(command[0], INFRA / "main.bicep", *command[1:])
        assert (done.returncode, done.stderr) == (0, ""), command


def test_the_documented_parameters_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APIM_RESOURCE_ID", APIM)
    done = bicep("build-params", INFRA / "az.bicepparam", "--stdout")
    assert (done.returncode, done.stderr) == (0, "")
    given = json.loads(json.loads(done.stdout)["parametersJson"])["parameters"]
    assert given["apimResourceId"]["value"] == APIM


def test_files_are_formatted(tmp_path: Path) -> None:
    copy = Path(shutil.copytree(INFRA, tmp_path / "infra"))
    for pattern in ("**/*.bicep", "**/*.bicepparam"):
        done = bicep("format", "--pattern", copy / pattern)
        assert done.returncode == 0, done.stderr
    for file in FILES:
        assert (copy / file).read_text() == (INFRA / file).read_text(), file


@pytest.mark.parametrize("scenario", NAMES)
def test_a_snapshot_matches_what_the_templates_would_deploy(scenario: str) -> None:
    """If the change is intended, see CONTRIBUTING.md."""
    if scenario == "documented":
        pytest.skip("below")
    status, said = snapshot(SCENARIOS / f"{scenario}.bicepparam", "validate")
    assert status == 0, said


def test_the_documented_parameters_match_their_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APIM_RESOURCE_ID", APIM)
    copy = Path(shutil.copytree(INFRA, tmp_path / "infra"))
    shutil.copy(SCENARIOS / "documented.snapshot.json", copy / "az.snapshot.json")
    status, said = snapshot(copy / "az.bicepparam", "validate")
    assert status == 0, said


def azd_parameters() -> dict[str, object]:
    """Of main.parameters.json, with its variables filled in as azd does where nothing else is set."""
    text = (INFRA / "main.parameters.json").read_text()
    required = {"AZURE_ENV_NAME": "dev", "AZURE_LOCATION": "westeurope", "APIM_RESOURCE_ID": APIM}
    filled = re.sub(r"\$\{(\w+)(?:=([^}]*))?\}", lambda found: required.get(found[1], found[2] or ""), text)
    return {name: one["value"] for name, one in json.loads(filled)["parameters"].items()}


def test_azd_passes_the_defaults(tmp_path: Path) -> None:
    # azd converts the text of a variable to the type that the template declares.
    words = {"true", "false"}
    lines = [
        f"param {name} = {value if value in words or str(value).isdigit() else repr(value)}\n"
        for name, value in azd_parameters().items()
    ]
    parameters = with_parameters(tmp_path, "".join(lines))
    status, said = snapshot(parameters, "overwrite")
    assert status == 0, said
    made = json.loads(parameters.with_name("scenario.snapshot.json").read_text())
    assert made == json.loads((SCENARIOS / "default.snapshot.json").read_text())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"{GIVEN}param throughputUnits = 8\n", "throughputUnits (8) is above maximumThroughputUnits (4)"),
        ("param environmentName = 'dev'\nparam location = 'westeurope'\n", "Give apimResourceId"),
        (
            f"{GIVEN}param vnetEnabled = true\nparam appSubnetId = 'x'\n",
            "Give both appSubnetId and endpointSubnetId",
        ),
    ],
    ids=["units", "no service", "one subnet"],
)
def test_contradictory_parameters_fail_at_once_with_a_sentence(tmp_path: Path, text: str, says: str) -> None:
    status, said = snapshot(with_parameters(tmp_path, text), "overwrite")
    assert status != 0
    assert says in said


def test_misspelled_names_and_wrong_types_fail_together(tmp_path: Path) -> None:
    settings = "param settings = {\n  OUTPUT_FORMAT: 'json'\n}\n"
    thresholds = "param alertThresholds = {\n  lagMinute: 5\n}\n"
    tags = "param tags = {\n  owner: 3\n}\n"
    status, said = snapshot(with_parameters(tmp_path, f"{GIVEN}{settings}{thresholds}{tags}"), "overwrite")
    assert status != 0
    for word in ("OUTPUT_FORMAT", "lagMinute", "string"):
        assert word in said


def test_every_linter_rule_is_on_or_has_a_reason() -> None:
    lines = (INFRA / "bicepconfig.json").read_text().splitlines()
    levels = {number: line for number, line in enumerate(lines) if '"level"' in line}
    assert len(levels) >= 43
    for number, line in levels.items():
        assert '"error"' in line or lines[number - 1].strip().startswith("//"), line


def test_every_parameter_has_a_description() -> None:
    for name, one in template()["parameters"].items():
        assert len(one["metadata"]["description"]) > 10, name


def test_the_documentation_says_how_snapshots_are_re_created() -> None:
    assert "make snapshots" in (ROOT / "CONTRIBUTING.md").read_text()
