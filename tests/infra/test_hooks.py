"""The hook that azd runs before provisioning, with stand-ins for az and azd."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.infra.snapshots import INFRA, ROOT

HOOK = INFRA / "hooks" / "preprovision.sh"
APIM = "/subscriptions/1/resourceGroups/rg/providers/Microsoft.ApiManagement/service/apim"
GIVEN = {"AZURE_ENV_NAME": "dev", "AZURE_LOCATION": "westeurope", "APIM_RESOURCE_ID": APIM}
AZ = """#!/bin/sh
case "$*" in
    "resource show --ids $KNOWN "*) printf '%s\\n%s\\n' "$REGION" "$SKU" ;;
    "eventhubs namespace list --resource-group rg-websocketlogs-dev "*) echo "$UNITS" ;;
    *) echo "ResourceNotFound" >&2; exit 3 ;;
esac
"""
AZD = '#!/bin/sh\necho "$*" >> "$SAID"\n'


def run(folder: Path, **variables: str) -> tuple[int, str, str]:
    """The exit status, the output, and the calls of azd."""
    for name, text in (("az", AZ), ("azd", AZD)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    told = folder / "told"
    answers = {"KNOWN": APIM, "REGION": "West Europe", "SKU": "Developer", "UNITS": "", "SAID": str(told)}
    done = subprocess.run(
        ["sh", HOOK],
        env={"PATH": f"{folder}:{os.environ['PATH']}"} | answers | GIVEN | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr, told.read_text() if told.exists() else ""


def test_a_service_in_the_region_passes_and_changes_nothing(tmp_path: Path) -> None:
    assert run(tmp_path) == (0, "", "")


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"APIM_RESOURCE_ID": ""}, "azd env set APIM_RESOURCE_ID"),
        ({"APIM_RESOURCE_ID": "apim"}, "is not the resource id"),
        ({"KNOWN": "another"}, "Cannot read"),
        ({"REGION": "Sweden Central"}, "azd env set AZURE_LOCATION swedencentral"),
        ({"SKU": "Consumption"}, "no resource logs"),
    ],
)
def test_impossible_parameters_are_refused_with_a_remedy(
    tmp_path: Path, variables: dict[str, str], says: str
) -> None:
    status, said, told = run(tmp_path, **variables)
    assert status == 1
    assert says in said
    assert told == ""


def test_units_raised_by_auto_inflate_are_kept(tmp_path: Path) -> None:
    status, said, told = run(tmp_path, UNITS="3")
    assert (status, told) == (0, "env set THROUGHPUT_UNITS 3\n"), said
    (tmp_path / "told").unlink()
    status, said, told = run(tmp_path, UNITS="9", THROUGHPUT_UNITS="2")
    assert told == "env set THROUGHPUT_UNITS 9\nenv set MAXIMUM_THROUGHPUT_UNITS 9\n"
    (tmp_path / "told").unlink()
    assert run(tmp_path, UNITS="3", THROUGHPUT_UNITS="5")[2] == ""


def test_azd_runs_the_hook_on_every_system() -> None:
    manifest = (ROOT / "azure.yaml").read_text()
    for name in ("preprovision.sh", "preprovision.ps1"):
        assert f"run: infra/hooks/{name}" in manifest
        assert (INFRA / "hooks" / name).exists()


def test_both_forms_of_the_hook_do_the_same() -> None:
    # The tests do not run PowerShell, but compare its commands with those of the shell script.
    words = (
        "az resource show --ids",
        "az eventhubs namespace list",
        "azd env set THROUGHPUT_UNITS",
        "Consumption",
    )
    for name in ("preprovision.sh", "preprovision.ps1"):
        text = (INFRA / "hooks" / name).read_text()
        assert [word for word in words if word not in text] == [], name
