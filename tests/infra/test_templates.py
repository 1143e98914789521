import ast
import re
from collections import Counter
from typing import Any, get_args

import pytest

from shared.output import layout
from shared.policies import Format
from shared.settings import Settings
from tests.infra.templates import (
    FILES,
    INFRA,
    ROOT,
    modules,
    of_type,
    resources,
    strings,
    template,
    text,
    the,
    variable,
)

# One for each type, found in github.com/Azure/bicep-types-az (`generated/`) of 20 August 2026.
# Not the newest where that brings nothing. (From 2025-07-01 on, subnets have no way out by default.)
API_VERSIONS = {
    "Microsoft.ApiManagement/service": "2024-05-01",
    "Microsoft.Authorization/roleAssignments": "2022-04-01",
    "Microsoft.EventHub/namespaces": "2026-01-01",
    "Microsoft.EventHub/namespaces/authorizationRules": "2026-01-01",
    "Microsoft.EventHub/namespaces/eventhubs": "2026-01-01",
    "Microsoft.EventHub/namespaces/eventhubs/consumergroups": "2026-01-01",
    "Microsoft.EventHub/namespaces/networkRuleSets": "2026-01-01",
    "Microsoft.Insights/components": "2020-02-02",
    "Microsoft.Insights/diagnosticSettings": "2021-05-01-preview",  # there is no other
    "Microsoft.Insights/metricAlerts": "2018-03-01",
    "Microsoft.Insights/scheduledQueryRules": "2026-03-01",
    "Microsoft.Insights/workbooks": "2023-06-01",
    "Microsoft.ManagedIdentity/userAssignedIdentities": "2024-11-30",
    "Microsoft.Network/networkSecurityGroups": "2025-05-01",
    "Microsoft.Network/privateDnsZones": "2024-06-01",
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks": "2024-06-01",
    "Microsoft.Network/privateEndpoints": "2025-05-01",
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": "2025-05-01",
    "Microsoft.Network/virtualNetworks": "2025-05-01",
    "Microsoft.OperationalInsights/workspaces": "2025-07-01",
    "Microsoft.Resources/resourceGroups": "2024-11-01",
    "Microsoft.Storage/storageAccounts": "2026-04-01",
    "Microsoft.Storage/storageAccounts/blobServices": "2026-04-01",
    "Microsoft.Storage/storageAccounts/blobServices/containers": "2026-04-01",
    "Microsoft.Storage/storageAccounts/managementPolicies": "2026-04-01",
    "Microsoft.Web/serverfarms": "2025-03-01",
    "Microsoft.Web/sites": "2025-03-01",
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": "2025-03-01",
    "Microsoft.Web/sites/config": "2025-03-01",
}

# What the identity may do, and on what: file, scope -> built-in role.
ROLES = {
    ("modules/events.bicep", "hub"): (
        "Azure Event Hubs Data Receiver",
        "a638d3c7-ab3a-418d-83e6-5f17a39d4fde",
    ),
    ("modules/host-storage.bicep", "account"): (
        "Storage Blob Data Owner",
        "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    ),
    ("modules/output-storage.bicep", "files"): (
        "Storage Blob Data Contributor",
        "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    ),
    ("modules/monitoring.bicep", "component"): (
        "Monitoring Metrics Publisher",
        "3913510d-42f4-4e42-8a64-420c390055eb",
    ),
}

DECLARATION = re.compile(r"^\s*(param|var|resource|module|output) (\w+)", re.MULTILINE)
SECTIONS = {
    "param": "parameters",
    "var": "variables",
    "resource": "resources",
    "module": "modules",
    "output": "outputs",
}


def keys(value: Any) -> Counter[str]:
    match value:
        case dict():
            return sum((keys(one) for one in value.values()), Counter(name.strip("'") for name in value))
        case list():
            return sum((keys(one) for one in value), Counter[str]())
    return Counter()


@pytest.mark.parametrize("file", FILES)
def test_the_parser_reads_every_declaration(file: str) -> None:
    parsed = template(file)
    read = {(kind, name) for kind, section in SECTIONS.items() for name in parsed.get(section, {})}
    assert read == set(DECLARATION.findall(text(file)))


@pytest.mark.parametrize("file", FILES)
def test_the_parser_reads_every_property(file: str) -> None:
    written = Counter(re.findall(r"^ +'?([\w.]+)'?: ", text(file), re.MULTILINE))
    assert not written - keys(template(file))


@pytest.mark.parametrize("file", FILES)
def test_every_parameter_and_variable_is_used(file: str) -> None:
    source = re.sub(r"^ +\w+: |//.*", "", text(file), flags=re.MULTILINE)
    for name in [*template(file).get("parameters", {}), *template(file).get("variables", {})]:
        assert len(re.findall(rf"\b{name}\b", source)) > 1, name


def test_every_module_gets_what_it_declares_and_nothing_else() -> None:
    for file in FILES:
        for module in modules(file).values():
            path = (INFRA / file).parent.joinpath(module["path"]).relative_to(INFRA).as_posix()
            declared = template(path)["parameters"]
            assert set(module["params"]) == {
                name for name, one in declared.items() if one["default"] is None or name in module["params"]
            }, path


def test_every_output_of_a_module_that_is_used_exists() -> None:
    for symbol, name in re.findall(r"\b(\w+)!?\.outputs\.(\w+)", text("main.bicep")):
        assert name in template(modules("main.bicep")[symbol]["path"])["outputs"], f"{symbol}.{name}"


def test_every_resource_has_the_version_that_its_type_was_checked_with() -> None:
    assert {(one.type, one.api_version) for one in resources()} == set(API_VERSIONS.items())


def test_the_parameters_file_fits_the_template() -> None:
    source = re.sub(r"//.*", "", text("main.bicepparam"))
    assert "using './main.bicep'" in source
    given = dict(re.findall(r"^param (\w+) = (.+)$", source, re.MULTILINE))
    declared = template("main.bicep")["parameters"]
    required = {name for name, one in declared.items() if one["default"] is None}
    assert required <= set(given) <= set(declared)
    kinds = {
        r"'|readEnvironmentVariable": "string",
        r"\d": "int",
        "true|false": "bool",
        "{": "object",
        r"\[": "array",
    }
    for name, value in given.items():
        (kind,) = (kind for start, kind in kinds.items() if re.match(start, value))
        assert declared[name]["type"] == kind, name


def test_every_parameter_of_the_deployment_is_explained() -> None:
    for name, one in template("main.bicep")["parameters"].items():
        assert any(decorator["type"] == "description" for decorator in one["decorators"]), name


def test_the_identity_has_exactly_the_roles_it_needs_each_on_one_resource() -> None:
    found = {}
    for one in of_type("Microsoft.Authorization/roleAssignments"):
        (role,) = {name for name in strings(one.properties["roleDefinitionId"]) if name.endswith("Role")}
        assert one.properties["principalType"] == "ServicePrincipal"
        assert one.properties["principalId"] == "principalId"
        found[one.file, one.body["scope"]] = variable(one.file, role)
    assert found == {where: role for where, (_, role) in ROLES.items()}
    for module in modules("main.bicep").values():
        if "principalId" in module["params"]:
            assert set(strings(module["params"]["principalId"])) >= {"identity", "principalId"}


def test_the_security_page_names_the_roles() -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    for name, role in ROLES.values():
        assert name in page
        assert role in page


def test_names_have_the_usual_abbreviations_and_the_token() -> None:
    named = {symbol: one["params"] for symbol, one in modules("main.bicep").items()}
    assert {
        "identity": named["identity"]["name"],
        "workspace": named["monitoring"]["workspaceName"],
        "component": named["monitoring"]["componentName"],
        "network": named["network"]["name"],
        "namespace": named["events"]["namespaceName"],
        "plan": named["app"]["planName"],
        "app": named["app"]["name"],
        "host": named["hostStorage"]["name"],
        "output": named["outputStorage"]["name"],
    } == {
        "identity": "id-${token}",
        "workspace": "log-${token}",
        "component": "appi-${token}",
        "network": "vnet-${token}",
        "namespace": "evhns-${token}",
        "plan": "asp-${token}",
        "app": "func-${token}",
        "host": "sthost${token}",
        "output": "stout${token}",
    }
    # Names of storage accounts: 3 to 24 lower-case letters and digits; uniqueString has 13.
    for module in ("hostStorage", "outputStorage"):
        name = named[module]["name"].replace("${token}", "a" * 13)
        assert re.fullmatch(r"[a-z0-9]{3,24}", name)


def test_everything_that_can_have_tags_has_them() -> None:
    untagged = {
        *("Microsoft.Authorization/roleAssignments", "Microsoft.Insights/diagnosticSettings"),
        *(type_ for type_ in API_VERSIONS if type_.startswith("Microsoft.EventHub/namespaces/")),
        *(type_ for type_ in API_VERSIONS if type_.startswith("Microsoft.Storage/storageAccounts/")),
        *(type_ for type_ in API_VERSIONS if type_.startswith("Microsoft.Web/sites/")),
        "Microsoft.Network/privateEndpoints/privateDnsZoneGroups",
    }
    for one in resources():
        assert ("tags" in one.body) != (one.type in untagged or one.existing), f"{one.file} {one.symbol}"


def test_no_output_carries_a_secret() -> None:
    for file in FILES:
        for name, one in template(file).get("outputs", {}).items():
            said = " ".join([name, *strings(one["value"])]).lower()
            assert not re.search(r"list\w*\(|listkeys|connectionstring|key|secret|password|sas\b", said), name


def test_no_template_asks_for_a_key() -> None:
    for file in FILES:
        source = re.sub(r"//.*", "", text(file))
        assert not re.search(
            r"list(Keys|AccountSas|ServiceSas|Secrets)|AccountKey|SharedAccessKey", source, re.IGNORECASE
        )


def test_storage_is_closed_to_keys_old_tls_and_anonymous_readers() -> None:
    accounts = of_type("Microsoft.Storage/storageAccounts")
    assert len(accounts) == 2
    for one in accounts:
        assert one.properties["minimumTlsVersion"] == "TLS1_2"
        assert one.properties["supportsHttpsTrafficOnly"] is True
        assert one.properties["allowBlobPublicAccess"] is False
        assert one.properties["allowSharedKeyAccess"] is False
    containers = of_type("Microsoft.Storage/storageAccounts/blobServices/containers")
    assert {one.symbol for one in containers} == {"state", "package", "files"}
    assert all(one.properties["publicAccess"] == "None" for one in containers)


def test_telemetry_needs_a_token() -> None:
    component = the("Microsoft.Insights/components", "component")
    assert component.properties["DisableLocalAuth"] is True
    workspace = the("Microsoft.OperationalInsights/workspaces", "workspace")
    assert workspace.properties["features"]["disableLocalAuth"] is True


def test_nothing_deletes_or_keeps_versions_of_the_state() -> None:
    state = the("Microsoft.Storage/storageAccounts/blobServices/containers", "state")
    here = [one for one in resources() if one.file == state.file]
    assert not [one for one in here if one.type.endswith("managementPolicies")]
    (blobs,) = (one for one in here if one.type.endswith("blobServices"))
    assert blobs.properties["isVersioningEnabled"] is False
    assert blobs.properties["deleteRetentionPolicy"] == {"enabled": False}
    assert blobs.properties["containerDeleteRetentionPolicy"] == {"enabled": False}


def test_every_folder_of_the_output_has_a_retention_longer_than_a_commit_may_be_open() -> None:
    (policy,) = of_type("Microsoft.Storage/storageAccounts/managementPolicies")
    assert policy.file == "modules/output-storage.bicep"
    folders = {one["folder"]: one["days"] for one in variable(policy.file, "retention")}
    written = [layout.folder(one, "table", "2026-11-20", "10") for one in get_args(Format)]
    assert {name.split("/")[0] for name in [*written, layout.dead_letter_folder(0)]} == set(folders)
    rule = policy.properties["policy"]["rules"]["config"]["definition"]
    assert rule["filters"]["prefixMatch"] == ["${container}/${one.folder}/"]
    assert set(rule["actions"]) == {"baseBlob"}
    for parameter in folders.values():
        decorators = template("main.bicep")["parameters"][parameter]["decorators"]
        (least,) = (one["argument"] for one in decorators if one["type"] == "min_value")
        assert int(least) > 7, parameter


def test_the_namespace_takes_only_tls_1_2_and_keeps_the_key_that_azure_monitor_needs() -> None:
    namespace = the("Microsoft.EventHub/namespaces", "namespace")
    assert namespace.properties["minimumTlsVersion"] == "1.2"
    assert namespace.properties["disableLocalAuth"] is False
    (rule,) = of_type("Microsoft.EventHub/namespaces/authorizationRules")
    assert set(rule.properties["rights"]) == {"Manage", "Send", "Listen"}


def test_the_exporter_reads_in_a_consumer_group_of_its_own() -> None:
    groups = of_type("Microsoft.EventHub/namespaces/eventhubs/consumergroups")
    operators = Settings.model_fields["EVENT_HUB_OPERATOR_CONSUMER_GROUP"].default
    assert [group.body["name"] for group in groups] == ["consumerGroupName", operators]
    assert {group.body["parent"] for group in groups} == {"hub"}
    assert variable("main.bicep", "consumerGroupName") != "$Default"


def test_api_management_streams_the_one_category_to_the_hub() -> None:
    (setting,) = of_type("Microsoft.Insights/diagnosticSettings")
    assert setting.properties["logs"] == [{"category": "WebSocketConnectionLogs", "enabled": True}]
    assert setting.properties["eventHubName"] == "hubName"
    assert setting.properties["eventHubAuthorizationRuleId"] == "authorizationRuleId"
    (apim,) = (one for one in resources() if one.type == "Microsoft.ApiManagement/service")
    assert apim.existing
    assert setting.body["scope"] == apim.symbol
    # Wherever it is: subscription, resource group and name come from its id.
    module = modules("main.bicep")["diagnostics"]
    assert "apimResourceId" in set(strings(module["scope"]))
    assert "apimResourceId" in set(strings(module["params"]["apimName"]))


def test_private_networking_closes_every_store_and_opens_a_private_way_in() -> None:
    closed = {
        one.file: one.properties["publicNetworkAccess"]
        for one in [*of_type("Microsoft.Storage/storageAccounts"), *of_type("Microsoft.EventHub/namespaces")]
    }
    ways = {"modules/events.bicep": "namespace"} | dict.fromkeys(
        ("modules/host-storage.bicep", "modules/output-storage.bicep"), "blob"
    )
    assert set(closed) == set(ways)
    for file, access in closed.items():
        operands = access["operator"]["operands"]
        assert operands == {"condition": "private", "true_value": "Disabled", "false_value": "Enabled"}
        endpoint = modules(file)["endpoint"]
        assert template(file)["modules"]["endpoint"]["config"]["condition"] == "private"
        assert endpoint["params"]["groupId"] == ways[file]
    (rules,) = of_type("Microsoft.EventHub/namespaces/networkRuleSets")
    assert rules.properties["trustedServiceAccessEnabled"] is True
    app = the("Microsoft.Web/sites", "app")
    assert "appSubnetId" in set(strings(app.properties["virtualNetworkSubnetId"]))
    (network,) = of_type("Microsoft.Network/virtualNetworks")
    subnets = {one["name"]: one["properties"] for one in network.properties["subnets"]}
    assert subnets["snet-app"]["delegations"][0]["properties"]["serviceName"] == "Microsoft.App/environments"


def test_the_app_runs_the_python_of_this_repository_with_one_identity() -> None:
    app = the("Microsoft.Web/sites", "app")
    config = app.properties["functionAppConfig"]
    assert config["runtime"] == {"name": "python", "version": (ROOT / ".python-version").read_text().strip()}
    assert config["deployment"]["storage"]["type"] == "blobContainer"
    assert config["deployment"]["storage"]["authentication"]["type"] == "UserAssignedIdentity"
    assert set(config["scaleAndConcurrency"]) == {"maximumInstanceCount", "instanceMemoryMB"}
    assert app.body["identity"]["type"] == "UserAssigned"
    plan = the("Microsoft.Web/serverfarms", "plan")
    assert plan.body["sku"] == {"tier": "FlexConsumption", "name": "FC1"}
    assert plan.properties["reserved"] is True


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


def test_the_app_asks_flex_consumption_for_nothing_it_refuses() -> None:
    app = the("Microsoft.Web/sites", "app")
    assert not REFUSED & (set(app.properties["siteConfig"]) | set(app.properties))
    for part in ("connections", "defaults", "platform"):
        assert not [name for name in variable(app.file, part) if MOVED.match(name)]


def test_the_app_takes_only_https_and_no_passwords() -> None:
    app = the("Microsoft.Web/sites", "app")
    assert app.properties["httpsOnly"] is True
    site = app.properties["siteConfig"]
    assert site["minTlsVersion"] == site["scmMinTlsVersion"] == "1.2"
    publishing = of_type("Microsoft.Web/sites/basicPublishingCredentialsPolicies")
    assert {one.body["name"]: one.properties["allow"] for one in publishing} == {"ftp": False, "scm": False}


def test_every_function_has_what_its_trigger_needs() -> None:
    settings = {
        name
        for part in ("connections", "defaults", "platform")
        for name in variable("modules/app.bicep", part)
    }
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
        given = {one.arg: ast.literal_eval(one.value) for one in trigger.keywords if one.arg}
        referenced = {setting for value in given.values() for setting in re.findall(r"%(\w+)%", str(value))}
        assert referenced <= settings, name
        match kind:
            case "event_hub_message_trigger":
                # The host authenticates with these. Checkpoints and the timer's lease need the storage below.
                connection = given["connection"]
                needs = {
                    f"{connection}__{part}" for part in ("fullyQualifiedNamespace", "credential", "clientId")
                }
                assert needs <= settings
                assert given["consumer_group"] == "%EVENT_HUB_CONSUMER_GROUP%"
            case "timer_trigger":
                assert given["schedule"]
            case _:
                pytest.fail(f"{name}: nothing is known of what {kind} needs")
        needs = {f"AzureWebJobsStorage__{part}" for part in ("blobServiceUri", "credential", "clientId")}
        assert needs <= settings
