// The exporter, whole: one resource group behind an API Management service that exists already.
// Deployed by `azd up` or `az deployment sub create`: docs/deploy.md.
// Written so that pycep can read it (no lambdas, user functions, spread, imports): tests/infra checks every file.
targetScope = 'subscription'

@description('Name of this deployment, `dev` or `prod` for example: part of the resource group name and of the token in all names.')
@minLength(1)
@maxLength(32)
param environmentName string

// A diagnostic setting reaches Event Hubs in the region of the resource it is set on, no other.
@description('Region. It must be that of the API Management service, since a diagnostic setting streams within a region only.')
param location string

@description('Resource id of the existing API Management service; its resource group and subscription may be others than these. `az apim show --query id` tells it.')
@minLength(1)
param apimResourceId string

@description('Resource group to make or to use; empty: `rg-websocketlogs-<environmentName>`. The tags of one that exists are replaced.')
param resourceGroupName string = ''

@description('Tags of every resource, besides those that azd needs.')
param tags object = {}

@description('Partitions of the hub: the ceiling of parallel export, since one instance at a time reads each. The Standard tier never changes it: choose for the peak of years, one for each 1,000 records/s and at least 2. See docs/sizing.md.')
@minValue(1)
@maxValue(32)
param partitionCount int = 4

@description('Throughput units to begin with: each takes in 1 MB/s or 1,000 events/s, whichever comes first.')
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

@description('Redundancy of both storage accounts. ZRS outlives the loss of a zone; take LRS where the region has no zones.')
@allowed([
  'Standard_LRS'
  'Standard_ZRS'
  'Standard_GZRS'
])
param storageSku string = 'Standard_ZRS'

@description('Days that Parquet files are kept. Over 7: until then the exporter may still be publishing a file, and must not find it deleted.')
@minValue(8)
@maxValue(36500)
param parquetRetentionDays int = 365

@description('Days that JSON Lines files are kept.')
@minValue(8)
@maxValue(36500)
param jsonRetentionDays int = 365

@description('Days that dead letters are kept: the time there is to replay them.')
@minValue(8)
@maxValue(36500)
param deadLetterRetentionDays int = 90

@description('Days that telemetry is kept. The first 90 of Application Insights tables are included in the price of ingestion.')
@minValue(30)
@maxValue(730)
param telemetryRetentionDays int = 90

@description('Application settings that differ from their defaults, by name: { OUTPUT_FORMATS: \'parquet,json\' }. shared/settings.py tells them all.')
param settings object = {}

@description('Storage and Event Hubs reachable through private endpoints only, and the app in a virtual network. Whoever reads the output then needs a way into that network.')
param privateNetworking bool = false

@description('Address space of the virtual network; used with privateNetworking only.')
param virtualNetworkPrefix string = '10.100.0.0/24'

@description('Addresses of the app. A /26 carries more instances than a hub has partitions; /27 is the least.')
param appSubnetPrefix string = '10.100.0.0/26'

@description('Addresses of the private endpoints.')
param endpointSubnetPrefix string = '10.100.0.64/27'

@description('Resource ids of the action groups that alerts notify. Without any, alerts are seen in the portal only.')
param actionGroupIds array = []

@description('Alert thresholds that differ from their defaults, by name: modules/alerts.bicep tells them all.')
param alertThresholds object = {}

var token = toLower(uniqueString(subscription().id, environmentName, location))
var groupName = empty(resourceGroupName) ? 'rg-websocketlogs-${environmentName}' : resourceGroupName
var allTags = union(tags, { 'azd-env-name': environmentName })
var hubName = 'evh-websocketlogs'
var consumerGroupName = 'cg-exporter'
var outputContainer = 'websocket-logs'
var stateContainer = 'websocket-logs-state'
var packageContainer = 'app-package'

resource group 'Microsoft.Resources/resourceGroups@2024-11-01' = {
  name: groupName
  location: location
  tags: allTags
}

module identity 'modules/identity.bicep' = {
  name: 'identity'
  scope: group
  params: {
    name: 'id-${token}'
    location: location
    tags: allTags
  }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: {
    workspaceName: 'log-${token}'
    componentName: 'appi-${token}'
    location: location
    tags: allTags
    retentionDays: telemetryRetentionDays
    principalId: identity.outputs.principalId
  }
}

module network 'modules/network.bicep' = if (privateNetworking) {
  name: 'network'
  scope: group
  params: {
    name: 'vnet-${token}'
    location: location
    tags: allTags
    prefix: virtualNetworkPrefix
    appSubnetPrefix: appSubnetPrefix
    endpointSubnetPrefix: endpointSubnetPrefix
  }
}

module events 'modules/events.bicep' = {
  name: 'events'
  scope: group
  params: {
    namespaceName: 'evhns-${token}'
    hubName: hubName
    consumerGroupName: consumerGroupName
    location: location
    tags: allTags
    partitionCount: partitionCount
    throughputUnits: throughputUnits
    maximumThroughputUnits: maximumThroughputUnits
    retentionHours: eventRetentionHours
    private: privateNetworking
    endpointSubnetId: privateNetworking ? network!.outputs.endpointSubnetId : ''
    zoneId: privateNetworking ? network!.outputs.eventsZoneId : ''
    principalId: identity.outputs.principalId
  }
}

module hostStorage 'modules/host-storage.bicep' = {
  name: 'host-storage'
  scope: group
  params: {
    name: 'sthost${token}'
    location: location
    tags: allTags
    sku: storageSku
    stateContainer: stateContainer
    packageContainer: packageContainer
    private: privateNetworking
    endpointSubnetId: privateNetworking ? network!.outputs.endpointSubnetId : ''
    zoneId: privateNetworking ? network!.outputs.blobZoneId : ''
    principalId: identity.outputs.principalId
  }
}

module outputStorage 'modules/output-storage.bicep' = {
  name: 'output-storage'
  scope: group
  params: {
    name: 'stout${token}'
    location: location
    tags: allTags
    sku: storageSku
    container: outputContainer
    parquetRetentionDays: parquetRetentionDays
    jsonRetentionDays: jsonRetentionDays
    deadLetterRetentionDays: deadLetterRetentionDays
    private: privateNetworking
    endpointSubnetId: privateNetworking ? network!.outputs.endpointSubnetId : ''
    zoneId: privateNetworking ? network!.outputs.blobZoneId : ''
    principalId: identity.outputs.principalId
  }
}

module app 'modules/app.bicep' = {
  name: 'app'
  scope: group
  params: {
    planName: 'asp-${token}'
    name: 'func-${token}'
    location: location
    tags: union(allTags, { 'azd-service-name': 'exporter' })
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    componentName: monitoring.outputs.componentName
    hostBlobUri: hostStorage.outputs.blobUri
    packageContainer: packageContainer
    stateContainer: stateContainer
    outputBlobUri: outputStorage.outputs.blobUri
    outputContainer: outputContainer
    eventsHostName: events.outputs.hostName
    hubName: hubName
    consumerGroupName: consumerGroupName
    retentionHours: eventRetentionHours
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    settings: settings
    appSubnetId: privateNetworking ? network!.outputs.appSubnetId : ''
  }
}

// Deployed where API Management is: a diagnostic setting is a part of the resource that it is set on.
module diagnostics 'modules/diagnostics.bicep' = {
  name: 'websocketlogs-${token}'
  scope: resourceGroup(split(apimResourceId, '/')[2], split(apimResourceId, '/')[4])
  params: {
    name: 'websocketlogs-${token}'
    apimName: split(apimResourceId, '/')[8]
    authorizationRuleId: events.outputs.authorizationRuleId
    hubName: hubName
  }
}

module alerts 'modules/alerts.bicep' = {
  name: 'alerts'
  scope: group
  params: {
    prefix: 'websocketlogs-${environmentName}'
    location: location
    tags: allTags
    workspaceId: monitoring.outputs.workspaceId
    namespaceId: events.outputs.namespaceId
    throughputUnits: max(throughputUnits, maximumThroughputUnits)
    actionGroupIds: actionGroupIds
    thresholds: alertThresholds
  }
}

module workbook 'modules/workbook.bicep' = {
  name: 'workbook'
  scope: group
  params: {
    displayName: 'WebSocket log exporter (${environmentName})'
    location: location
    tags: allTags
    workspaceId: monitoring.outputs.workspaceId
  }
}

@description('azd and the deployment of code need it.')
output AZURE_RESOURCE_GROUP string = group.name
@description('Where `azd deploy` or `func azure functionapp publish` put the code.')
output FUNCTION_APP_NAME string = app.outputs.name
@description('Where readers find the files: account and container.')
output OUTPUT_BLOB_URI string = outputStorage.outputs.blobUri
output OUTPUT_CONTAINER string = outputContainer
@description('Where the ledgers are: for `python -m shared`.')
output STATE_BLOB_URI string = hostStorage.outputs.blobUri
output STATE_CONTAINER string = stateContainer
@description('Where API Management streams to.')
output EVENT_HUBS_HOST_NAME string = events.outputs.hostName
output EVENT_HUB_NAME string = hubName
@description('Grant this identity nothing more: docs/security.md lists what it has.')
output IDENTITY_CLIENT_ID string = identity.outputs.clientId
@description('Where the metrics are.')
output WORKSPACE_ID string = monitoring.outputs.workspaceId
