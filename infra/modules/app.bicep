// The function app: Flex Consumption, Python 3.13, code from a container, one identity for all access.
import { Settings, Tags } from '../types.bicep'

@description('Name of the plan.')
param planName string
@description('Name of the function app.')
param name string
@description('Region of the app.')
param location string
@description('Tags of the app and its plan.')
param tags Tags
@description('Resource id of the app\'s identity.')
param identityId string
@description('Client id of that identity.')
param identityClientId string
@description('Application Insights component.')
param componentName string
@description('Blob address of the host\'s storage account.')
param hostBlobUri string
@description('Container of the deployed code.')
param packageContainer string
@description('Container of the ledgers.')
param stateContainer string
@description('Blob address of the output account.')
param outputBlobUri string
@description('Container of the files.')
param outputContainer string
@description('Container of the dead letters, in the same account.')
param deadLetterContainer string
@description('Host name of the namespace.')
param eventsHostName string
@description('Name of the hub.')
param hubName string
@description('Consumer group of the exporter.')
param consumerGroupName string
@description('Hours that the hub keeps events.')
param retentionHours int
@description('Days after which lifecycle rules delete Parquet files; 0 if the template creates no such rule.')
param parquetRetentionDays int
@description('Memory of an instance, MB.')
param instanceMemoryMB int
@description('Maximum instances of each function.')
param maximumInstanceCount int
@description('Settings that differ from the defaults below.')
param settings Settings
@description('Subnet of the app; empty if there is none.')
param appSubnetId string

// Addresses of all services. Each connection uses an identity instead of a key.
var connections = {
  EventHubConnection__fullyQualifiedNamespace: eventsHostName
  EventHubConnection__credential: 'managedidentity'
  EventHubConnection__clientId: identityClientId
  EVENT_HUB_NAME: hubName
  EVENT_HUB_CONSUMER_GROUP: consumerGroupName
  EVENT_HUB_RETENTION: 'PT${retentionHours}H'
  OutputStorage__blobServiceUri: outputBlobUri
  OutputStorage__clientId: identityClientId
  OUTPUT_CONTAINER: outputContainer
  DEAD_LETTER_CONTAINER: deadLetterContainer
  StateStorage__blobServiceUri: hostBlobUri
  StateStorage__clientId: identityClientId
  STATE_CONTAINER: stateContainer
}

// The defaults of the settings, listed here so that they can be seen and changed in the portal.
var defaults = {
  EVENT_HUB_OPERATOR_CONSUMER_GROUP: 'operator'
  EXPORT_CATEGORIES: 'WebSocketConnectionLogs'
  OUTPUT_FORMATS: 'parquet'
  PARQUET_COMPRESSION: 'snappy'
  REDACT: 'credentials'
  DEAD_LETTER_BODIES: 'raw'
  RECORD_MAX_AGE: 'P7D'
  RECORD_MAX_LEAD: '01:00:00'
  ENVELOPE_MAX_INFLATED: '67108864'
  COMMIT_BYTES: '33554432'
  MEMORY_BUDGET: '67108864'
  WS_OPENING_EVENTS: 'ConnectionOpened,ConnectionEstablished,ConnectionStarted,Connected,Opened,Open,Handshake'
  WS_CLOSING_EVENTS: 'ConnectionClosed,ConnectionTerminated,ConnectionEnded,ConnectionFailed,ConnectionAborted,Disconnected,Closed,Close,Terminated,Failed,Aborted'
  WS_GRACE: '00:15:00'
  WS_IDLE_TIMEOUT: '24:00:00'
  WS_QUIET_TIMEOUT: '01:00:00'
  WS_LATE_WINDOW: '06:00:00'
  WS_LOOKUP_STALENESS: '00:00:05'
  COMPACT_ENABLED: 'true'
  COMPACT_QUIET: '01:00:00'
  COMPACT_TARGET: '134217728'
  DELTA_LOG: 'false'
  COMPACT_KEEP: '00:00:00'
  PARQUET_RETENTION: 'P${parquetRetentionDays}D'
  // OpenTelemetry reads this in the host and in the app; samplingSettings in host.json has no effect.
  OTEL_TRACES_SAMPLER: 'always_on'
}

// Settings of the platform. It uses only blobs: checkpoints, leases of the timer, host keys. (Without a table service,
// the host keeps no diagnostic events, and logs that once.)
var platform = {
  AzureWebJobsStorage__blobServiceUri: hostBlobUri
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identityClientId
  AzureWebJobsDisableHomepage: 'true'
  APPLICATIONINSIGHTS_CONNECTION_STRING: component.properties.ConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
  // The app sends its own log lines, so the host must not send them again (docs/telemetry.md).
  PYTHON_ENABLE_OPENTELEMETRY: 'true'
}

resource component 'Microsoft.Insights/components@2020-02-02' existing = {
  name: componentName
}

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    tier: 'FlexConsumption'
    name: 'FC1'
  }
  properties: {
    reserved: true // Linux
  }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: name
  location: location
  tags: tags
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    // Always open: no function listens, and code arrives at the deployment endpoint, only with Entra ID.
    publicNetworkAccess: 'Enabled'
    virtualNetworkSubnetId: empty(appSubnetId) ? null : appSubnetId
    // Only properties that Flex Consumption accepts: it rejects alwaysOn, ftpsState, linuxFxVersion and
    // similar ones.
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      http20Enabled: true
      remoteDebuggingEnabled: false
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${hostBlobUri}${packageContainer}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: {
        name: 'python'
        version: '3.13'
      }
      // Each function scales on separate instances, up to the maximum. None is kept ready, because events can wait in
      // the hub during a start of a few seconds. (docs/sizing.md explains `alwaysReady`.)
      scaleAndConcurrency: {
        maximumInstanceCount: maximumInstanceCount
        instanceMemoryMB: instanceMemoryMB
      }
    }
  }
}

resource appSettings 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: app
  name: 'appsettings'
  properties: union(defaults, settings, connections, platform)
}

// Publishing with a password, the older method, is off.
resource ftp 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: app
  name: 'ftp'
  properties: {
    allow: false
  }
}

resource scm 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: app
  name: 'scm'
  properties: {
    allow: false
  }
}

@description('Name of the function app.')
output name string = app.name
