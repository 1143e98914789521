"""The resources of a deployment have the names and values that the compiler evaluates."""

import ast
import re
from typing import Any

import pytest

from shared.output import layout
from shared.output.formats import FORMATS
from shared.settings import Settings
from shared.tables.registry import categories
from tests.infra.bicep import template
from tests.infra.snapshots import NAMES, ROOT, Resource, of_type, resources, settings, strings, the

# One for each type: the one that Microsoft's verified modules use (github.com/Azure/bicep-registry-modules,
# August 2026).
API_VERSIONS = {
    "Microsoft.Authorization/locks": "2020-05-01",
    "Microsoft.Authorization/roleAssignments": "2022-04-01",
    "Microsoft.EventHub/namespaces": "2024-01-01",
    "Microsoft.EventHub/namespaces/authorizationRules": "2024-01-01",
    "Microsoft.EventHub/namespaces/eventhubs": "2024-01-01",
    "Microsoft.EventHub/namespaces/eventhubs/consumergroups": "2024-01-01",
    "Microsoft.EventHub/namespaces/networkRuleSets": "2024-01-01",
    "Microsoft.Insights/actionGroups": "2023-01-01",
    "Microsoft.Insights/components": "2020-02-02",
    "Microsoft.Insights/diagnosticSettings": "2021-05-01-preview",  # there is no other
    "Microsoft.Insights/metricAlerts": "2018-03-01",
    # The module uses a preview version. This is the newest stable one, and has all that the rules need.
    "Microsoft.Insights/scheduledQueryRules": "2023-12-01",
    "Microsoft.Insights/workbooks": "2023-06-01",  # there is no module
    "Microsoft.ManagedIdentity/userAssignedIdentities": "2024-11-30",
    "Microsoft.Network/networkSecurityGroups": "2025-05-01",
    "Microsoft.Network/privateDnsZones": "2024-06-01",
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks": "2024-06-01",
    "Microsoft.Network/privateEndpoints": "2025-05-01",
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": "2025-05-01",
    "Microsoft.Network/virtualNetworks": "2025-05-01",
    "Microsoft.OperationalInsights/workspaces": "2025-07-01",
    "Microsoft.Resources/resourceGroups": "2025-04-01",
    "Microsoft.Storage/storageAccounts": "2025-06-01",
    "Microsoft.Storage/storageAccounts/blobServices": "2025-01-01",
    "Microsoft.Storage/storageAccounts/blobServices/containers": "2025-01-01",
    "Microsoft.Storage/storageAccounts/managementPolicies": "2025-06-01",
    "Microsoft.Web/serverfarms": "2025-03-01",
    "Microsoft.Web/sites": "2025-03-01",
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": "2025-03-01",
    "Microsoft.Web/sites/config": "2025-03-01",
}

ROLES = {
    "Azure Event Hubs Data Receiver": "a638d3c7-ab3a-418d-83e6-5f17a39d4fde",
    "Storage Blob Data Owner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "Storage Blob Data Contributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    "Storage Blob Data Reader": "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
    "Monitoring Metrics Publisher": "3913510d-42f4-4e42-8a64-420c390055eb",
}
# The roles of the app, and their scopes.
OF_THE_APP = {
    ("Azure Event Hubs Data Receiver", "/eventhubs/"),
    ("Storage Blob Data Owner", "/storageAccounts/sthost"),
    ("Storage Blob Data Contributor", "/containers/websocket-logs"),
    ("Storage Blob Data Contributor", "/containers/websocket-logs-dead-letters"),
    ("Monitoring Metrics Publisher", "/components/appi-"),
}
OF_THE_DEPLOYER = {
    ("Azure Event Hubs Data Receiver", "/eventhubs/"),
    ("Storage Blob Data Reader", "/containers/websocket-logs"),
    ("Storage Blob Data Reader", "/containers/websocket-logs-state"),
}
READING_DEAD_LETTERS = ("Storage Blob Data Reader", "/containers/websocket-logs-dead-letters")
ACCOUNTS = "Microsoft.Storage/storageAccounts"
DEPLOYER = "33333333-3333-3333-3333-333333333333"
COMPANY = "44444444-4444-4444-4444-444444444444"


def scope(assignment: Resource) -> str:
    """Returns the resource on which a role is assigned."""
    return assignment.id.removeprefix("[extensionResourceId('").split("/providers/Microsoft.Authorization/")[
        0
    ]


def roles(scenario: str, *, of_the_app: bool) -> set[tuple[str, str]]:
    """The role and the resource on which it is assigned."""
    names = {id_: name for name, id_ in ROLES.items()}
    return {
        (names[one.properties["roleDefinitionId"].rsplit("/", 1)[1]], scope(one))
        for one in of_type("Microsoft.Authorization/roleAssignments", scenario)
        if (one.properties["principalId"] != DEPLOYER) == of_the_app
    }


def fits(found: set[tuple[str, str]], expected: set[tuple[str, str]]) -> bool:
    return len(found) == len(expected) and all(
        any(
            role == wanted and (on.endswith(part) if "/containers/" in part else part in on)
            for role, on in found
        )
        for wanted, part in expected
    )


@pytest.mark.parametrize("scenario", NAMES)
def test_every_resource_has_the_checked_version_of_its_type(scenario: str) -> None:
    for one in resources(scenario):
        assert one.api_version == API_VERSIONS[one.type], one.type


def test_the_scenarios_deploy_every_type() -> None:
    assert {one.type for name in NAMES for one in resources(name)} == set(API_VERSIONS)


@pytest.mark.parametrize("scenario", NAMES)
def test_every_name_can_be_predicted(scenario: str) -> None:
    for one in resources(scenario):
        # (The suffix of Blob Storage names depends on the cloud.)
        for text in (one.name, one.id.removeprefix("[extensionResourceId(")):
            assert not text.startswith("[") or "environment().suffixes.storage" in text, text
            assert "reference(" not in text


@pytest.mark.parametrize("scenario", NAMES)
def test_the_app_has_only_the_roles_it_needs(scenario: str) -> None:
    found = roles(scenario, of_the_app=True)
    assert fits(found, OF_THE_APP), found


def test_the_deployer_can_get_read_access() -> None:
    assert not roles("default", of_the_app=False)
    found = roles("everything", of_the_app=False)
    assert fits(found, OF_THE_DEPLOYER | {READING_DEAD_LETTERS}), found


def test_output_readers_cannot_read_dead_letters_by_default() -> None:
    found = roles("private-network", of_the_app=False)
    assert fits(found, OF_THE_DEPLOYER), found


def test_the_security_page_names_the_roles() -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    for name, role in ROLES.items():
        assert name in page
        assert role in page


@pytest.mark.parametrize("scenario", NAMES)
def test_names_have_the_usual_abbreviations_and_fit(scenario: str) -> None:
    prefixes = {
        "Microsoft.ManagedIdentity/userAssignedIdentities": "id-",
        "Microsoft.OperationalInsights/workspaces": "log-",
        "Microsoft.Insights/components": "appi-",
        "Microsoft.Network/virtualNetworks": "vnet-",
        "Microsoft.EventHub/namespaces": "evhns-",
        "Microsoft.Web/serverfarms": "asp-",
        "Microsoft.Web/sites": "func-",
        "Microsoft.Insights/actionGroups": "ag-",
    }
    for one in resources(scenario):
        assert one.name.startswith(prefixes.get(one.type, "")), one.name
        if one.type == ACCOUNTS:
            assert re.fullmatch(r"st(host|out)[a-z0-9]{13}", one.name)


@pytest.mark.parametrize("scenario", NAMES)
def test_every_taggable_resource_has_tags(scenario: str) -> None:
    untagged = re.compile(
        r"/(roleAssignments|locks|diagnosticSettings)$|EventHub/namespaces/|storageAccounts/|Web/sites/"
        r"|privateDnsZoneGroups"
    )
    for one in resources(scenario):
        assert ("tags" in one.body) != bool(untagged.search(one.type)), one.id
    if scenario == "everything":
        assert {one.body["tags"]["owner"] for one in resources(scenario) if "tags" in one.body} == {
            "platform"
        }


@pytest.mark.parametrize("scenario", NAMES)
def test_no_template_reads_a_key(scenario: str) -> None:
    for one in resources(scenario):
        for text in strings(one.body):
            assert not re.search(
                r"list(Keys|AccountSas|ServiceSas|Secrets)|AccountKey|SharedAccessKey=", text
            )


@pytest.mark.parametrize("scenario", NAMES)
def test_storage_is_closed_to_keys_old_tls_and_anonymous_readers(scenario: str) -> None:
    for one in of_type(ACCOUNTS, scenario):
        assert one.properties["minimumTlsVersion"] == "TLS1_2"
        assert one.properties["supportsHttpsTrafficOnly"] is True
        assert one.properties["allowBlobPublicAccess"] is False
        assert one.properties["allowSharedKeyAccess"] is False
    containers = of_type(f"{ACCOUNTS}/blobServices/containers", scenario)
    assert sorted(one.name.split("/")[2] for one in containers) == [
        *("app-package", "websocket-logs", "websocket-logs-dead-letters", "websocket-logs-state")
    ]
    assert all(one.properties["publicAccess"] == "None" for one in containers)


def test_both_accounts_use_the_given_encryption_key() -> None:
    for account in of_type(ACCOUNTS, "default"):
        assert account.properties["encryption"]["keySource"] == "Microsoft.Storage"
    accounts = of_type(ACCOUNTS, "everything")
    assert len(accounts) == 2
    for account in accounts:
        encryption = account.properties["encryption"]
        assert encryption["keySource"] == "Microsoft.Keyvault"
        # Without a version, a rotated key is used without a deployment.
        assert encryption["keyvaultproperties"] == {
            "keyvaulturi": "https://kv-company.vault.azure.net",
            "keyname": "storage",
        }
        assert encryption["identity"]["userAssignedIdentity"].endswith("/id-storage-key")
        assert encryption["services"]["blob"]["enabled"] is True


def test_telemetry_needs_a_token() -> None:
    assert the("Microsoft.Insights/components").properties["DisableLocalAuth"] is True
    workspace = the("Microsoft.OperationalInsights/workspaces")
    assert workspace.properties["features"]["disableLocalAuth"] is True


@pytest.mark.parametrize("scenario", NAMES)
def test_nothing_deletes_or_keeps_versions_of_the_state(scenario: str) -> None:
    blobs = the(f"{ACCOUNTS}/blobServices", scenario, "sthost").properties
    assert blobs["isVersioningEnabled"] is False
    assert blobs["deleteRetentionPolicy"] == blobs["containerDeleteRetentionPolicy"] == {"enabled": False}
    for policy in of_type(f"{ACCOUNTS}/managementPolicies", scenario):
        assert policy.name.startswith("stout")


def test_folders_are_kept_longer_than_any_open_commit() -> None:
    rules = the(f"{ACCOUNTS}/managementPolicies", "everything").properties["policy"]["rules"]
    days = {}
    for rule in rules:
        (prefix,) = rule["definition"]["filters"]["prefixMatch"]
        actions = rule["definition"]["actions"]
        assert set(actions) == {"baseBlob"}
        days[prefix] = actions["baseBlob"]["delete"]["daysAfterModificationGreaterThan"]
    written = [layout.folder(one, "table", "2026-11-20", "10") for one in FORMATS]
    folders = {name.split("/")[0] for name in [*written, layout.dead_letter_folder(0)]}
    letters = layout.dead_letter_folder(0).split("/")[0]
    assert {f"websocket-logs/{folder}/" for folder in folders} == set(days) - {
        f"websocket-logs-dead-letters/{letters}/"
    }
    assert days == {
        "websocket-logs/parquet/": 30,
        "websocket-logs/json/": 10,
        "websocket-logs/_dead_letters/": 20,  # where older versions placed them
        "websocket-logs-dead-letters/_dead_letters/": 20,
    }


@pytest.mark.parametrize("kind", ["parquet", "json", "deadLetter"])
def test_a_retention_shorter_than_an_open_commit_is_refused(kind: str) -> None:
    assert template()["parameters"][f"{kind}RetentionDays"]["minValue"] > 7


def test_the_namespace_requires_tls_and_keeps_azure_monitors_key() -> None:
    namespace = the("Microsoft.EventHub/namespaces").properties
    assert namespace["minimumTlsVersion"] == "1.2"
    assert namespace["disableLocalAuth"] is False
    assert namespace["isAutoInflateEnabled"] is True
    assert namespace["maximumThroughputUnits"] == 4
    rule = the("Microsoft.EventHub/namespaces/authorizationRules")
    assert set(rule.properties["rights"]) == {"Manage", "Send", "Listen"}
    rule = the("Microsoft.EventHub/namespaces/authorizationRules", "everything")
    assert rule.properties["rights"] == ["Send"]


@pytest.mark.parametrize("scenario", NAMES)
def test_the_exporter_has_its_own_consumer_group(scenario: str) -> None:
    groups = of_type("Microsoft.EventHub/namespaces/eventhubs/consumergroups", scenario)
    used = [
        settings(scenario)[name] for name in ("EVENT_HUB_CONSUMER_GROUP", "EVENT_HUB_OPERATOR_CONSUMER_GROUP")
    ]
    assert [group.name.split("/")[2] for group in groups] == used
    assert "$Default" not in used
    hub = the("Microsoft.EventHub/namespaces/eventhubs", scenario)
    assert hub.name.split("/")[1] == settings(scenario)["EVENT_HUB_NAME"]
    hours = hub.properties["retentionDescription"]["retentionTimeInHours"]
    assert settings(scenario)["EVENT_HUB_RETENTION"] == f"PT{hours}H"


@pytest.mark.parametrize("scenario", NAMES)
def test_every_service_streams_the_exported_categories_to_the_hub(scenario: str) -> None:
    found = of_type("Microsoft.Insights/diagnosticSettings", scenario)
    assert len(found) == (3 if scenario == "everything" else 1)
    rule = the("Microsoft.EventHub/namespaces/authorizationRules", scenario)
    exported = [name.strip() for name in settings(scenario)["EXPORT_CATEGORIES"].split(",")]
    default = Settings.model_fields["EXPORT_CATEGORIES"].default
    assert exported == [*(categories() if scenario == "everything" else default)]
    for one in found:
        assert one.properties["logs"] == [{"category": name, "enabled": True} for name in exported]
        assert one.properties["eventHubName"] == settings(scenario)["EVENT_HUB_NAME"]
        assert one.properties["eventHubAuthorizationRuleId"] == rule.id
        assert "/Microsoft.ApiManagement/service/" in one.id
    if scenario == "everything":  # across resource groups and subscriptions
        assert len({one.group for one in found}) == 2


def test_private_networking_allows_only_private_access_to_stores() -> None:
    for scenario in ("private-network", "everything"):
        closed = [*of_type(ACCOUNTS, scenario), *of_type("Microsoft.EventHub/namespaces", scenario)]
        assert {one.properties["publicNetworkAccess"] for one in closed} == {"Disabled"}
        endpoints = of_type("Microsoft.Network/privateEndpoints", scenario)
        targets = {
            one.properties["privateLinkServiceConnections"][0]["properties"]["privateLinkServiceId"]
            for one in endpoints
        }
        assert targets == {one.id for one in closed}
        assert len(of_type("Microsoft.Network/privateEndpoints/privateDnsZoneGroups", scenario)) == 3
        rules = the("Microsoft.EventHub/namespaces/networkRuleSets", scenario).properties
        assert rules["trustedServiceAccessEnabled"] is True
        assert rules["publicNetworkAccess"] == "Disabled"
        assert rules["defaultAction"] is rules["ipRules"] is None
        subnets = {
            one["name"]: one["properties"]
            for one in the("Microsoft.Network/virtualNetworks", scenario).properties["subnets"]
        }
        (delegation,) = subnets["snet-app"]["delegations"]
        assert delegation["properties"]["serviceName"] == "Microsoft.App/environments"
        network = the("Microsoft.Network/virtualNetworks", scenario)
        app = the("Microsoft.Web/sites", scenario).properties
        assert app["virtualNetworkSubnetId"] == f"{network.id}/subnets/snet-app"
    opened = [*of_type(ACCOUNTS), *of_type("Microsoft.EventHub/namespaces")]
    assert {one.properties["publicNetworkAccess"] for one in opened} == {"Enabled"}


def test_existing_resources_are_used_and_not_changed() -> None:
    made = resources("existing-resources")
    types = {one.type for one in made}
    assert not types & {
        *("Microsoft.OperationalInsights/workspaces", "Microsoft.EventHub/namespaces"),
        *("Microsoft.EventHub/namespaces/networkRuleSets", f"{ACCOUNTS}/managementPolicies"),
        *("Microsoft.Network/virtualNetworks", "Microsoft.Network/privateDnsZones"),
    }
    there = {one.type for one in made if COMPANY in one.group}
    assert there == {
        *("Microsoft.EventHub/namespaces/eventhubs", "Microsoft.EventHub/namespaces/authorizationRules"),
        "Microsoft.EventHub/namespaces/eventhubs/consumergroups",
        *("Microsoft.Authorization/roleAssignments", f"{ACCOUNTS}/blobServices/containers"),
    }
    component = the("Microsoft.Insights/components", "existing-resources")
    assert component.properties["WorkspaceResourceId"].endswith("/log-company")
    (account,) = of_type(ACCOUNTS, "existing-resources")
    assert account.name.startswith("sthost")
    (group,) = of_type("Microsoft.Network/privateEndpoints/privateDnsZoneGroups", "existing-resources")
    assert COMPANY in str(group.properties)
    assert not of_type("Microsoft.Network/privateEndpoints/privateDnsZoneGroups", "existing-network")
    assert len(of_type("Microsoft.Network/privateEndpoints", "existing-network")) == 3


def test_only_the_output_can_have_a_lock() -> None:
    lock = the("Microsoft.Authorization/locks", "everything")
    assert "/storageAccounts/stout" in lock.id
    assert lock.properties["level"] == "CanNotDelete"
    assert not of_type("Microsoft.Authorization/locks")


def test_an_email_address_creates_an_action_group_for_all_rules() -> None:
    group = the("Microsoft.Insights/actionGroups", "everything")
    assert group.properties["emailReceivers"][0]["emailAddress"] == "ops@example.com"
    for one in of_type("Microsoft.Insights/scheduledQueryRules", "everything"):
        notified = one.properties["actions"]["actionGroups"]
        assert [id_.rsplit("/", 1)[1] for id_ in notified] == [group.name, "ag-ops"]
    for one in of_type("Microsoft.Insights/metricAlerts", "everything"):
        assert len(one.properties["actions"]) == 2
    for one in of_type("Microsoft.Insights/scheduledQueryRules"):
        assert one.properties["actions"]["actionGroups"] == []


def test_a_region_without_zones_gets_lrs_unless_chosen_otherwise() -> None:
    for one in of_type(ACCOUNTS):
        sku = one.body["sku"]["name"]
        assert sku.startswith("[if(empty(pickZones(")
        assert sku.endswith("'Standard_LRS', 'Standard_ZRS')]")
    assert {one.body["sku"]["name"] for one in of_type(ACCOUNTS, "everything")} == {"Standard_GZRS"}


@pytest.mark.parametrize("scenario", NAMES)
def test_the_app_runs_this_repositorys_python_with_one_identity(scenario: str) -> None:
    app = the("Microsoft.Web/sites", scenario)
    config = app.properties["functionAppConfig"]
    assert config["runtime"] == {"name": "python", "version": (ROOT / ".python-version").read_text().strip()}
    assert config["deployment"]["storage"]["type"] == "blobContainer"
    assert config["deployment"]["storage"]["authentication"]["type"] == "UserAssignedIdentity"
    identity = the("Microsoft.ManagedIdentity/userAssignedIdentities", scenario)
    assert app.body["identity"] == {
        "type": "UserAssigned",
        "userAssignedIdentities": {identity.id: {}},
    }
    plan = the("Microsoft.Web/serverfarms", scenario)
    assert plan.body["sku"] == {"tier": "FlexConsumption", "name": "FC1"}
    assert plan.properties["reserved"] is True
    scale = config["scaleAndConcurrency"]
    expected = (100, 4096) if scenario == "everything" else (40, 2048)
    assert (scale["maximumInstanceCount"], scale["instanceMemoryMB"]) == expected


# What a Flex Consumption site is refused for (ARM error 51021), of all that is usual for other plans:
# github.com/Azure/terraform-azurerm-avm-res-web-site, pull request 345 and issue 360.
REFUSED = {
    *("alwaysOn", "ftpsState", "linuxFxVersion", "windowsFxVersion", "netFrameworkVersion"),
    *("use32BitWorkerProcess", "preWarmedInstanceCount", "functionAppScaleLimit"),
    *("functionsRuntimeScaleMonitoringEnabled", "vnetRouteAllEnabled"),
}

# Application settings that Flex Consumption moved or dropped: "Flex Consumption plan deprecations" in
# learn.microsoft.com/azure/azure-functions/functions-app-settings.
MOVED = re.compile(r"FUNCTIONS_(EXTENSION|WORKER|MAX_HTTP)|WEBSITE_|ENABLE_ORYX_BUILD|SCM_DO_BUILD")


@pytest.mark.parametrize("scenario", NAMES)
def test_the_app_uses_only_what_flex_consumption_supports(scenario: str) -> None:
    app = the("Microsoft.Web/sites", scenario)
    assert not REFUSED & (set(app.properties["siteConfig"]) | set(app.properties))
    assert not [name for name in settings(scenario) if MOVED.match(name)]


def test_the_app_accepts_only_https_and_no_passwords() -> None:
    app = the("Microsoft.Web/sites").properties
    assert app["httpsOnly"] is True
    assert app["siteConfig"]["minTlsVersion"] == app["siteConfig"]["scmMinTlsVersion"] == "1.2"
    publishing = of_type("Microsoft.Web/sites/basicPublishingCredentialsPolicies")
    assert {one.name.split("/")[1]: one.properties["allow"] for one in publishing} == {
        "ftp": False,
        "scm": False,
    }


def test_every_function_has_what_its_trigger_needs() -> None:
    given_settings = set(settings())
    functions = {
        node.name: [one for one in node.decorator_list if isinstance(one, ast.Call)]
        for node in ast.parse((ROOT / "function_app.py").read_text()).body
        if isinstance(node, ast.FunctionDef) and node.decorator_list
    }
    assert functions
    for name, decorators in functions.items():
        kinds = {ast.unparse(one.func).removeprefix("app."): one for one in decorators}
        kinds.pop("retry", None)
        ((kind, trigger),) = kinds.items()
        given: dict[str, Any] = {one.arg: ast.literal_eval(one.value) for one in trigger.keywords if one.arg}
        referenced = {setting for value in given.values() for setting in re.findall(r"%(\w+)%", str(value))}
        assert referenced <= given_settings, name
        match kind:
            case "event_hub_message_trigger":
                # The host authenticates with these. Checkpoints and the timer's lease need the storage below.
                connection = given["connection"]
                needs = {
                    f"{connection}__{part}" for part in ("fullyQualifiedNamespace", "credential", "clientId")
                }
                assert needs <= given_settings
                assert given["consumer_group"] == "%EVENT_HUB_CONSUMER_GROUP%"
            case "timer_trigger":
                assert given["schedule"]
            case _:
                pytest.fail(f"{name}: nothing is known of what {kind} needs")
        needs = {f"AzureWebJobsStorage__{part}" for part in ("blobServiceUri", "credential", "clientId")}
        assert needs <= given_settings
