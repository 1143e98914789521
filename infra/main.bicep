// The exporter, whole: one resource group beside API Management services that exist already.
// Deployed by `azd up` or `az deployment sub create`: docs/deploy.md.
targetScope = 'subscription'

import { AlertThresholds, EncryptionKey, RuleRight, Settings, StorageSku, Tags } from 'types.bicep'

@description('Name of this deployment, `dev` or `prod` for example: part of the resource group name and of the token in all names.')
@minLength(1)
@maxLength(32)
param environmentName string

// A diagnostic setting reaches Event Hubs in the region of the resource it is set on, no other.
@description('Region. It must be that of the API Management services, since a diagnostic setting streams within a region only.')
@metadata({
  azd: {
    type: 'location'
  }
})
param location string

@description('Resource id of the existing API Management service; its resource group and subscription may be others than these. `az apim show --query id` tells it.')
param apimResourceId string = ''

@description('More API Management services of this region that stream into the same hub; with or instead of apimResourceId.')
param apimResourceIds string[] = []

@description('Resource group to make or to use; empty: `rg-websocketlogs-<environmentName>`. The tags of one that exists are replaced.')
param resourceGroupName string = ''

@description('Tags of every resource, besides those that azd needs.')
param tags Tags = {}

@description('Partitions of the hub: the ceiling of parallel export, since one instance at a time reads each. The Standard tier never changes it: choose for the peak of years, one for each 1,000 records/s and at least 2. See docs/sizing.md.')
@minValue(1)
@maxValue(32)
param partitionCount int = 4

@description('Throughput units: each takes in 1 MB/s or 1,000 events/s, whichever comes first. Before you deploy again, set this to what the namespace has by then: auto-inflate may have raised it, and a deployment sets it back. The hook of azd does so by itself.')
@minValue(1)
@maxValue(40)
param throughputUnits int = 1

@description('Throughput units that auto-inflate may go up to. It never goes down by itself. Above throughputUnits, so that a burst is not refused: API Management does not keep what the hub refuses.')
@minValue(1)
@maxValue(40)
param maximumThroughputUnits int = 4

@description('Hours that the hub keeps events: the time there is to mend an exporter that has stopped. 168 is the most that the Standard tier has, and costs nothing more up to 84 GB per throughput unit.')
@minValue(24)
@maxValue(168)
param eventRetentionHours int = 168

@description('Memory of an instance. 2048 suits the default MEMORY_BUDGET. 512 is too little for it; take 4096 when single instances hold many partitions (docs/sizing.md).')
@allowed([
  512
  2048
  4096
])
param instanceMemoryMB int = 2048

@description('Instances of each function at most. Never more than partitions are used. Some regions and tools refuse less than 40, so that is the default: it reserves nothing.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('Redundancy of the storage accounts. Empty: ZRS, which outlives the loss of a zone, or LRS where the region has no zones.')
param storageSku StorageSku | '' = ''

@description('Days that Parquet files are kept. Over 7: until then the exporter may still be publishing a file, and must not find it deleted.')
@minValue(8)
@maxValue(36500)
param parquetRetentionDays int = 365

@description('Days that JSON Lines files are kept.')
@minValue(8)
@maxValue(36500)
param jsonRetentionDays int = 365

@description('Days that dead letters are kept: the time there is to replay them. They hold what was sent, in a container of their own.')
@minValue(8)
@maxValue(36500)
param deadLetterRetentionDays int = 90

@description('Days that telemetry is kept. The first 90 of Application Insights tables are included in the price of ingestion.')
@minValue(30)
@maxValue(730)
param telemetryRetentionDays int = 90

@description('Application settings that differ from their defaults, by name: { OUTPUT_FORMATS: \'parquet,json\' }. shared/settings.py tells them all.')
param settings Settings = {}

@description('Storage and Event Hubs reachable through private endpoints only, and the app in a virtual network. Whoever reads the output then needs a way into that network.')
param vnetEnabled bool = false

@description('Address space of the virtual network; used with vnetEnabled, unless subnets are given.')
param virtualNetworkPrefix string = '10.100.0.0/24'

@description('Addresses of the app. A /26 carries more instances than a hub has partitions; /27 is the least.')
param appSubnetPrefix string = '10.100.0.0/26'

@description('Addresses of the private endpoints.')
param endpointSubnetPrefix string = '10.100.0.64/27'

@description('Resource id of an existing subnet for the app, delegated to Microsoft.App/environments, without an underscore in its name. Used with vnetEnabled and endpointSubnetId: no network is then made.')
param appSubnetId string = ''

@description('Resource id of an existing subnet for the private endpoints.')
param endpointSubnetId string = ''

@description('Resource id of the existing private DNS zone `privatelink.blob.…`, used with existing subnets. Empty: a policy of the company registers endpoints.')
param blobDnsZoneId string = ''

@description('Resource id of the existing private DNS zone `privatelink.servicebus.windows.net`, likewise.')
param eventHubsDnsZoneId string = ''

@description('Resource id of an existing Log Analytics workspace; empty: one is made.')
param workspaceId string = ''

@description('Resource id of an existing Event Hubs namespace (Standard tier or above) in this region; empty: one is made. Its throughput, network and local authentication are then its owner\'s.')
param namespaceId string = ''

@description('Name of the hub; another one for each deployment into the same namespace.')
param hubName string = 'evh-websocketlogs'

@description('Resource id of an existing storage account for the output; empty: one is made. Its retention, network and redundancy are then its owner\'s.')
param outputStorageAccountId string = ''

@description('Rights of the authorization rule that diagnostic settings write with. Microsoft\'s page asks for all three; there are reports that Send is enough where the hub is named. Unverified here, so the default is all.')
param diagnosticRuleRights RuleRight[] = [
  'Manage'
  'Send'
  'Listen'
]

@description('Whether deployerPrincipalId may read dead letters too, which hold messages as they were sent. `audit`, `replay` and `redeliver` need it; queries, `status` and `report` do not.')
param deployerReadsDeadLetters bool = false

@description('Object id of whoever deploys; gets reader roles on output, state and hub, for `python -m shared` and the queries of the README. Empty: nobody.')
param deployerPrincipalId string = ''

@description('Kind of that principal.')
param deployerPrincipalType 'User' | 'Group' | 'ServicePrincipal' = 'User'

@description('Your own key for both storage accounts; without it, Microsoft\'s keys are used. The account of outputStorageAccountId keeps what its owner chose.')
param encryptionKey EncryptionKey?

@description('Whether a lock keeps the output account from being deleted, also by `azd down`.')
param lockOutput bool = false

@description('Address that alerts are mailed to; makes an action group. Empty: none.')
param alertEmail string = ''

@description('Resource ids of more action groups that alerts notify. Without any and without alertEmail, alerts are seen in the portal only.')
param actionGroupIds string[] = []

@description('Alert thresholds that differ from their defaults.')
param alertThresholds AlertThresholds = {}

@description('Address of docs/operations.md, where your people find it: alerts link to it.')
param runbookUrl string = 'docs/operations.md'

@description('Workspaces of other deployments of the exporter, one for each region for example, that the workbook shows, too.')
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

// Both subnets are given, or neither.
var ownNetwork = vnetEnabled && (empty(appSubnetId) == empty(endpointSubnetId)
  ? empty(appSubnetId)
  : fail('Give both appSubnetId and endpointSubnetId, or neither: then a network is made.'))

// A region that has zones for virtual machines has zone-redundant storage.
var zonesHere = pickZones('Microsoft.Compute', 'virtualMachines', location)
var sku = !empty(storageSku) ? storageSku : empty(zonesHere) ? 'Standard_LRS' : 'Standard_ZRS'

// Ids that are known before the deployment, so that `what-if` can predict what is named after them.
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

// In the group of the namespace, which may be a company's.
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

// Deployed where each API Management service is: a diagnostic setting is a part of the resource that it is set on.
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

@description('azd and the deployment of code need it.')
output AZURE_RESOURCE_GROUP string = group.name
@description('Where `azd deploy` or `func azure functionapp publish` put the code.')
output FUNCTION_APP_NAME string = app.outputs.name
@description('Where readers find the files: account and container.')
output OUTPUT_BLOB_URI string = outputBlobUri
@description('Container of the files.')
output OUTPUT_CONTAINER string = outputContainer
@description('Container of the dead letters, in the same account.')
output DEAD_LETTER_CONTAINER string = deadLetterContainer
@description('Where the ledgers are: for `python -m shared`.')
output STATE_BLOB_URI string = hostStorage.outputs.blobUri
@description('Container of the ledgers.')
output STATE_CONTAINER string = stateContainer
@description('Where API Management streams to.')
output EVENT_HUBS_HOST_NAME string = hub.outputs.hostName
@description('Hub that API Management streams to.')
output EVENT_HUB_NAME string = hubName
@description('Grant this identity nothing more: docs/security.md lists what it has.')
output IDENTITY_CLIENT_ID string = identity.outputs.clientId
@description('Where the metrics are.')
output WORKSPACE_ID string = workspace
