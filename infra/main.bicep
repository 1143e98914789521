// The whole exporter: one resource group next to existing API Management services.
// Deployed with `azd up` or `az deployment sub create` (docs/deploy.md).
targetScope = 'subscription'

import { AlertThresholds, EncryptionKey, RuleRight, Settings, StorageSku, Tags } from 'types.bicep'

@description('Name of this deployment, `dev` or `prod` for example: part of the resource group name and of the token in all names.')
@minLength(1)
@maxLength(32)
param environmentName string

// A diagnostic setting reaches only Event Hubs in the region of its resource.
@description('Region. It must be that of the API Management services, because a diagnostic setting streams only within its region.')
@metadata({
  azd: {
    type: 'location'
  }
})
param location string

@description('Resource id of the existing API Management service; its resource group and subscription may differ from these. Get it with `az apim show --query id`.')
param apimResourceId string = ''

@description('More API Management services of this region that stream into the same hub, in addition to or instead of apimResourceId.')
param apimResourceIds string[] = []

@description('Resource group to create or use. If empty: `rg-websocketlogs-<environmentName>`. The tags of an existing one are replaced.')
param resourceGroupName string = ''

@description('Tags of every resource, in addition to those that azd needs.')
param tags Tags = {}

@description('Partitions of the hub. Each is read by one instance at a time, so this limits parallel export. It cannot be changed in the Standard tier: plan for the peak of the coming years, with one for each 1,000 records/s and at least 2. See docs/sizing.md.')
@minValue(1)
@maxValue(32)
param partitionCount int = 4

@description('Throughput units. Each accepts 1 MB/s or 1,000 events/s, whichever limit is reached first. Before you deploy again, set this to the current value of the namespace: auto-inflate may have raised it, and a deployment would lower it again. With azd, a hook does this.')
@minValue(1)
@maxValue(40)
param throughputUnits int = 1

@description('Maximum throughput units of auto-inflate, which never lowers them. Choose more than throughputUnits, so that bursts are not rejected: API Management does not keep logs that the hub rejects.')
@minValue(1)
@maxValue(40)
param maximumThroughputUnits int = 4

@description('Hours that the hub keeps events, which is the time to repair a stopped exporter. 168 is the maximum of the Standard tier, at no extra cost up to 84 GB per throughput unit.')
@minValue(24)
@maxValue(168)
param eventRetentionHours int = 168

@description('Memory of an instance in MB. 2048 suits the default MEMORY_BUDGET, and 512 is too little for it. Use 4096 if single instances hold many partitions (docs/sizing.md).')
@allowed([
  512
  2048
  4096
])
param instanceMemoryMB int = 2048

@description('Maximum instances of each function. At most one per partition is used. Some regions and tools reject values below 40, so 40 is the default; it reserves nothing.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('Redundancy of the storage accounts. If empty: ZRS, which survives the loss of a zone, or LRS if the region has no zones.')
param storageSku StorageSku | '' = ''

@description('Days that Parquet files are kept. Must be more than 7, because until then the exporter may still publish a file and must not find it deleted.')
@minValue(8)
@maxValue(36500)
param parquetRetentionDays int = 365

@description('Days that JSON Lines files are kept.')
@minValue(8)
@maxValue(36500)
param jsonRetentionDays int = 365

@description('Days that dead letters are kept and can be replayed. They hold original messages, in a separate container.')
@minValue(8)
@maxValue(36500)
param deadLetterRetentionDays int = 90

@description('Days that telemetry is kept. The first 90 of Application Insights tables are included in the price of ingestion.')
@minValue(30)
@maxValue(730)
param telemetryRetentionDays int = 90

@description('Application settings that differ from their defaults, by name: { OUTPUT_FORMATS: \'parquet,json\' }. docs/settings.md lists all of them.')
param settings Settings = {}

@description('Whether storage and Event Hubs are reachable only through private endpoints, with the app in a virtual network. Readers of the output then need access to that network.')
param vnetEnabled bool = false

@description('Address space of the virtual network. Used with vnetEnabled, unless existing subnets are set.')
param virtualNetworkPrefix string = '10.100.0.0/24'

@description('Address range of the app. A /26 has room for more instances than a hub has partitions; /27 is the minimum.')
param appSubnetPrefix string = '10.100.0.0/26'

@description('Address range of the private endpoints.')
param endpointSubnetPrefix string = '10.100.0.64/27'

@description('Resource id of an existing subnet for the app, delegated to Microsoft.App/environments, without an underscore in its name. Used with vnetEnabled and endpointSubnetId; no network is then created.')
param appSubnetId string = ''

@description('Resource id of an existing subnet for the private endpoints.')
param endpointSubnetId string = ''

@description('Resource id of the existing private DNS zone `privatelink.blob.…`, used with existing subnets. If empty, your own policy must register endpoints.')
param blobDnsZoneId string = ''

@description('Resource id of the existing private DNS zone `privatelink.servicebus.windows.net`, used in the same way.')
param eventHubsDnsZoneId string = ''

@description('Resource id of an existing Log Analytics workspace. If empty, one is created.')
param workspaceId string = ''

@description('Resource id of an existing Event Hubs namespace (Standard tier or above) in this region. If empty, one is created. You keep managing the throughput, network and local authentication of an existing one.')
param namespaceId string = ''

@description('Name of the hub. Deployments into the same namespace need different names.')
param hubName string = 'evh-websocketlogs'

@description('Resource id of an existing storage account for the output. If empty, one is created. You keep managing the retention, network and redundancy of an existing one.')
param outputStorageAccountId string = ''

@description('Rights of the authorization rule that diagnostic settings write with. Microsoft\'s page requires all three; there are reports that Send is enough if the setting names the hub. This is unverified, so the default is all three.')
param diagnosticRuleRights RuleRight[] = [
  'Manage'
  'Send'
  'Listen'
]

@description('Whether deployerPrincipalId may also read dead letters, which hold original messages. `audit`, `replay` and `redeliver` need this; queries, `status` and `report` do not.')
param deployerReadsDeadLetters bool = false

@description('Object id of the deployer, who gets reader roles on output, state and hub, for `python -m shared` and the queries in the documentation. If empty, nobody gets them.')
param deployerPrincipalId string = ''

@description('Kind of that principal.')
param deployerPrincipalType 'User' | 'Group' | 'ServicePrincipal' = 'User'

@description('Your own key for both storage accounts; without it, Microsoft\'s keys are used. The account of outputStorageAccountId keeps what its owner chose.')
param encryptionKey EncryptionKey?

@description('Whether a lock protects the output account from deletion, including by `azd down`.')
param lockOutput bool = false

@description('E-mail address for alerts, for which an action group is created. If empty, none is created.')
param alertEmail string = ''

@description('Resource ids of more action groups that alerts notify. Without any and without alertEmail, alerts appear only in the portal.')
param actionGroupIds string[] = []

@description('Alert thresholds that differ from their defaults.')
param alertThresholds AlertThresholds = {}

@description('Address at which your operators find docs/operations.md. Alerts link to it.')
param runbookUrl string = 'docs/operations.md'

@description('Workspaces of other deployments of the exporter, for example in other regions, that the workbook also shows.')
param otherWorkspaceIds string[] = []

var token = toLower(uniqueString(subscription().id, environmentName, location))
var groupName = empty(resourceGroupName) ? 'rg-websocketlogs-${environmentName}' : resourceGroupName
var allTags = union(tags, { 'azd-env-name': environmentName })
var consumerGroupName = 'cg-exporter'
var outputContainer = 'websocket-logs'
var deadLetterContainer = 'websocket-logs-dead-letters'
var stateContainer = 'websocket-logs-state'
var packageContainer = 'app-package'

var services = union(empty(apimResourceId) ? [] : [apimResourceId], apimResourceIds)
var streaming = empty(services)
  ? fail('Give apimResourceId (or apimResourceIds): the resource id of the API Management service, as `az apim show --query id` tells it.')
  : services

var maximumUnits = maximumThroughputUnits >= throughputUnits
  ? maximumThroughputUnits
  : fail('throughputUnits (${throughputUnits}) is above maximumThroughputUnits (${maximumThroughputUnits}): raise the maximum.')

// Either both subnets are set, or neither.
var ownNetwork = vnetEnabled && (empty(appSubnetId) == empty(endpointSubnetId)
  ? empty(appSubnetId)
  : fail('Give both appSubnetId and endpointSubnetId, or neither: then a network is made.'))

// A region that has zones for virtual machines has zone-redundant storage.
var zonesHere = pickZones('Microsoft.Compute', 'virtualMachines', location)
var sku = !empty(storageSku) ? storageSku : empty(zonesHere) ? 'Standard_LRS' : 'Standard_ZRS'

// Ids that are known before the deployment, so that `what-if` can predict names that derive from them.
var groupId = '${subscription().id}/resourceGroups/${groupName}'
var identityName = 'id-${token}'
var identityId = '${groupId}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${identityName}'
var componentName = 'appi-${token}'
var workspaceName = 'log-${token}'
var workspace = empty(workspaceId)
  ? '${groupId}/providers/Microsoft.OperationalInsights/workspaces/${workspaceName}'
  : workspaceId
var networkName = 'vnet-${token}'
var networkId = '${groupId}/providers/Microsoft.Network/virtualNetworks/${networkName}'
var appSubnet = !vnetEnabled ? '' : ownNetwork ? '${networkId}/subnets/snet-app' : appSubnetId
var endpointSubnet = !vnetEnabled ? '' : ownNetwork ? '${networkId}/subnets/snet-endpoints' : endpointSubnetId
var blobZoneName = 'privatelink.blob.${environment().suffixes.storage}'
var eventHubsZoneName = 'privatelink.servicebus.windows.net'
var blobZone = ownNetwork ? '${groupId}/providers/Microsoft.Network/privateDnsZones/${blobZoneName}' : blobDnsZoneId
var eventHubsZone = ownNetwork
  ? '${groupId}/providers/Microsoft.Network/privateDnsZones/${eventHubsZoneName}'
  : eventHubsDnsZoneId
var namespaceName = empty(namespaceId) ? 'evhns-${token}' : split(namespaceId, '/')[8]
var namespaceIdHere = empty(namespaceId)
  ? '${groupId}/providers/Microsoft.EventHub/namespaces/${namespaceName}'
  : namespaceId
var ruleName = 'diagnostic-setting-${hubName}'
var actionGroupName = 'ag-${token}'
var ownActionGroups = empty(alertEmail)
  ? []
  : ['${groupId}/providers/Microsoft.Insights/actionGroups/${actionGroupName}']

var readers = empty(deployerPrincipalId)
  ? []
  : [
      {
        key: deployerPrincipalId
        id: deployerPrincipalId
        type: deployerPrincipalType
      }
    ]

var deadLetterReaders = deployerReadsDeadLetters ? readers : []

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: groupName
  location: location
  tags: allTags
}

module identity 'modules/identity.bicep' = {
  scope: group
  params: {
    name: identityName
    location: location
    tags: allTags
  }
}

module monitoring 'modules/monitoring.bicep' = {
  scope: group
  params: {
    workspaceName: workspaceName
    existingWorkspaceId: workspaceId
    componentName: componentName
    location: location
    tags: allTags
    retentionDays: telemetryRetentionDays
    identityId: identityId
    principalId: identity.outputs.principalId
  }
}

module network 'modules/network.bicep' = if (ownNetwork) {
  scope: group
  params: {
    name: networkName
    location: location
    tags: allTags
    prefix: virtualNetworkPrefix
    appSubnetPrefix: appSubnetPrefix
    endpointSubnetPrefix: endpointSubnetPrefix
    blobZoneName: blobZoneName
    eventHubsZoneName: eventHubsZoneName
  }
}

module namespace 'modules/event-namespace.bicep' = if (empty(namespaceId)) {
  scope: group
  params: {
    name: namespaceName
    location: location
    tags: allTags
    throughputUnits: throughputUnits
    maximumThroughputUnits: maximumUnits
    private: vnetEnabled
    endpointSubnetId: endpointSubnet
    zoneId: eventHubsZone
  }
  dependsOn: [
    network
  ]
}

// In the resource group of the namespace, which may be an existing one.
module hub 'modules/event-hub.bicep' = {
  scope: resourceGroup(
    empty(namespaceId) ? subscription().subscriptionId : split(namespaceId, '/')[2],
    empty(namespaceId) ? groupName : split(namespaceId, '/')[4]
  )
  params: {
    namespaceName: namespaceName
    hubName: hubName
    ruleName: ruleName
    consumerGroupName: consumerGroupName
    partitionCount: partitionCount
    retentionHours: eventRetentionHours
    ruleRights: diagnosticRuleRights
    identityId: identityId
    principalId: identity.outputs.principalId
    readers: readers
  }
  dependsOn: [
    namespace
  ]
}

module hostStorage 'modules/host-storage.bicep' = {
  scope: group
  params: {
    name: 'sthost${token}'
    location: location
    tags: allTags
    sku: sku
    encryptionKey: encryptionKey
    stateContainer: stateContainer
    packageContainer: packageContainer
    private: vnetEnabled
    endpointSubnetId: endpointSubnet
    zoneId: blobZone
    identityId: identityId
    principalId: identity.outputs.principalId
    readers: readers
  }
  dependsOn: [
    network
  ]
}

module outputStorage 'modules/output-storage.bicep' = if (empty(outputStorageAccountId)) {
  scope: group
  params: {
    name: 'stout${token}'
    location: location
    tags: allTags
    sku: sku
    encryptionKey: encryptionKey
    container: outputContainer
    deadLetterContainer: deadLetterContainer
    parquetRetentionDays: parquetRetentionDays
    jsonRetentionDays: jsonRetentionDays
    deadLetterRetentionDays: deadLetterRetentionDays
    lock: lockOutput
    private: vnetEnabled
    endpointSubnetId: endpointSubnet
    zoneId: blobZone
    identityId: identityId
    principalId: identity.outputs.principalId
    readers: readers
    deadLetterReaders: deadLetterReaders
  }
  dependsOn: [
    network
  ]
}

module existingOutput 'modules/existing-output.bicep' = if (!empty(outputStorageAccountId)) {
  scope: resourceGroup(
    empty(outputStorageAccountId) ? subscription().subscriptionId : split(outputStorageAccountId, '/')[2],
    empty(outputStorageAccountId) ? groupName : split(outputStorageAccountId, '/')[4]
  )
  params: {
    name: empty(outputStorageAccountId) ? 'unused' : split(outputStorageAccountId, '/')[8]
    container: outputContainer
    deadLetterContainer: deadLetterContainer
    identityId: identityId
    principalId: identity.outputs.principalId
    readers: readers
    deadLetterReaders: deadLetterReaders
  }
}

var outputBlobUri = empty(outputStorageAccountId) ? outputStorage!.outputs.blobUri : existingOutput!.outputs.blobUri

module app 'modules/app.bicep' = {
  scope: group
  params: {
    planName: 'asp-${token}'
    name: 'func-${token}'
    location: location
    tags: union(allTags, { 'azd-service-name': 'exporter' })
    identityId: identityId
    identityClientId: identity.outputs.clientId
    componentName: componentName
    hostBlobUri: hostStorage.outputs.blobUri
    packageContainer: packageContainer
    stateContainer: stateContainer
    outputBlobUri: outputBlobUri
    outputContainer: outputContainer
    deadLetterContainer: deadLetterContainer
    eventsHostName: hub.outputs.hostName
    hubName: hubName
    consumerGroupName: consumerGroupName
    retentionHours: eventRetentionHours
    parquetRetentionDays: empty(outputStorageAccountId) ? parquetRetentionDays : 0
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    settings: settings
    appSubnetId: appSubnet
  }
  dependsOn: [
    monitoring
    network
  ]
}

// Deployed into the group of each API Management service: a diagnostic setting is part of its resource.
module diagnostics 'modules/diagnostics.bicep' = [
  for service in streaming: {
    scope: resourceGroup(split(service, '/')[2], split(service, '/')[4])
    params: {
      name: 'websocketlogs-${token}'
      apimName: split(service, '/')[8]
      authorizationRuleId: '${namespaceIdHere}/authorizationRules/${ruleName}'
      hubName: hubName
      categories: settings.?EXPORT_CATEGORIES ?? 'WebSocketConnectionLogs'
    }
    dependsOn: [
      hub
    ]
  }
]

module actionGroup 'modules/action-group.bicep' = if (!empty(alertEmail)) {
  scope: group
  params: {
    name: actionGroupName
    tags: allTags
    email: alertEmail
  }
}

module alerts 'modules/alerts.bicep' = {
  scope: group
  params: {
    prefix: 'websocketlogs-${environmentName}'
    location: location
    tags: allTags
    workspaceId: workspace
    namespaceId: empty(namespaceId)
      ? '${groupId}/providers/Microsoft.EventHub/namespaces/${namespaceName}'
      : namespaceId
    throughputUnits: maximumUnits
    retentionHours: eventRetentionHours
    actionGroupIds: union(ownActionGroups, actionGroupIds)
    thresholds: alertThresholds
    runbookUrl: runbookUrl
  }
  dependsOn: [
    monitoring
    namespace
    actionGroup
  ]
}

module workbook 'modules/workbook.bicep' = {
  scope: group
  params: {
    displayName: 'WebSocket log exporter (${environmentName})'
    location: location
    tags: allTags
    workspaceId: workspace
    otherWorkspaceIds: otherWorkspaceIds
  }
  dependsOn: [
    monitoring
  ]
}

@description('Name of the function app, which azd and the deployment of code need.')
output AZURE_RESOURCE_GROUP string = group.name
@description('Where `azd deploy` or `func azure functionapp publish` deploys the code.')
output FUNCTION_APP_NAME string = app.outputs.name
@description('Address of the files: account and container.')
output OUTPUT_BLOB_URI string = outputBlobUri
@description('Container of the files.')
output OUTPUT_CONTAINER string = outputContainer
@description('Container of the dead letters, in the same account.')
output DEAD_LETTER_CONTAINER string = deadLetterContainer
@description('Location of the ledgers, for `python -m shared`.')
output STATE_BLOB_URI string = hostStorage.outputs.blobUri
@description('Container of the ledgers.')
output STATE_CONTAINER string = stateContainer
@description('Namespace to which API Management streams.')
output EVENT_HUBS_HOST_NAME string = hub.outputs.hostName
@description('Hub to which API Management streams.')
output EVENT_HUB_NAME string = hubName
@description('The identity of the app. Do not grant it more roles than docs/security.md lists.')
output IDENTITY_CLIENT_ID string = identity.outputs.clientId
@description('Location of the metrics.')
output WORKSPACE_ID string = workspace
