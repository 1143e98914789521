"""checkov finds nothing in the compiled templates; it cannot parse Bicep itself."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.infra.bicep import template
from tests.infra.snapshots import ROOT

CHECKOV = ROOT / ".venv-checkov" / "bin" / "checkov"

# The resources that it saw in all modules. If the number drops without a reason, it skips something.
SEEN = 47

# Checks that do not apply, by the beginning of a resource's name in the compiled template.
SKIPPED = {
    "CKV_AZURE_13": ("Microsoft.Web/sites", "no function listens; settings are no web configuration"),
    "CKV_AZURE_17": ("Microsoft.Web/sites", "no function listens, so there are no clients"),
    "CKV_AZURE_63": ("Microsoft.Web/sites", "no function listens; settings are no web configuration"),
    "CKV_AZURE_65": ("Microsoft.Web/sites", "no function listens; settings are no web configuration"),
    "CKV_AZURE_66": ("Microsoft.Web/sites", "no function listens; settings are no web configuration"),
    "CKV_AZURE_78": ("Microsoft.Web/sites", "Flex Consumption refuses the property ftpsState"),
    "CKV_AZURE_80": ("Microsoft.Web/sites", "application settings, not a web configuration"),
    "CKV_AZURE_88": ("Microsoft.Web/sites", "application settings, not a web configuration"),
    "CKV_AZURE_212": ("Microsoft.Web/", "instances start when events arrive; the hub holds these meanwhile"),
    "CKV_AZURE_213": ("Microsoft.Web/", "no function listens; alerts watch lag and commits instead"),
    "CKV_AZURE_222": ("Microsoft.Web/sites", "no function listens; code arrives with Entra ID only"),
    "CKV_AZURE_225": ("Microsoft.Web/", "when a zone fails, the hub holds events until another one works"),
    "CKV_AZURE_36": ("Microsoft.Storage/", "no service of Azure needs a way around the network rules"),
    "CKV_AZURE_43": (
        "Microsoft.Storage/",
        "names are expressions, and the tests of the snapshots check them",
    ),
    "CKV_AZURE_35": ("Microsoft.Storage/", "denied with vnetEnabled; otherwise every request needs a token"),
    "CKV_AZURE_206": ("Microsoft.Storage/", "another region is a choice, by parameter storageSku"),
}


def modules(template: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields the template and those of its nested deployments, with resources as a list.

    The compiler names resources by symbol; checkov reads the older form, a list.
    """
    found = template["resources"]
    resources = [
        one for one in (found.values() if isinstance(found, dict) else found) if not one.get("existing")
    ]
    deployments = [one for one in resources if one["type"] == "Microsoft.Resources/deployments"]
    for one in deployments:
        yield from modules(one["properties"]["template"])
    yield template | {"resources": [one for one in resources if one not in deployments]}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("checkov")
    for one in modules(template()):
        # A module that is used several times is looked at once.
        (folder / f"{one['metadata']['_generator']['templateHash']}.json").write_text(
            json.dumps(one, indent=1)
        )
    assert CHECKOV.exists(), "make .venv-checkov/ready"
    done = subprocess.run(
        [
            *(CHECKOV, "--directory", folder, "--framework", "arm", "--skip-download"),
            *("--quiet", "--compact", "--output", "json", "--skip-check", ",".join(SKIPPED)),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_checkov_finds_nothing_in_the_resources_that_it_sees(report: dict[str, Any]) -> None:
    failed = [f"{one['check_id']} {one['resource']}" for one in report["results"]["failed_checks"]]
    assert failed == []
    assert report["summary"]["parsing_errors"] == 0


def test_checkov_sees_every_resource(report: dict[str, Any]) -> None:
    assert report["summary"]["resource_count"] == SEEN


def test_every_skipped_check_has_a_reason() -> None:
    for check, (_, reason) in SKIPPED.items():
        assert len(reason.split()) > 4, check
