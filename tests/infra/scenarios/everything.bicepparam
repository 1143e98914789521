// Every option that makes or changes something, for three services in three places.
using '../../../infra/main.bicep'

param environmentName = 'prod'
param location = 'swedencentral'
param resourceGroupName = 'rg-exporter'
param apimResourceId = '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-apim/providers/Microsoft.ApiManagement/service/apim-one'
param apimResourceIds = [
  '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-apim/providers/Microsoft.ApiManagement/service/apim-two'
  '/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/rg-other/providers/Microsoft.ApiManagement/service/apim-three'
]
param tags = {
  owner: 'platform'
}
param partitionCount = 16
param throughputUnits = 6
param maximumThroughputUnits = 14
param eventRetentionHours = 24
param instanceMemoryMB = 4096
param maximumInstanceCount = 100
param storageSku = 'Standard_GZRS'
param parquetRetentionDays = 30
param jsonRetentionDays = 10
param deadLetterRetentionDays = 20
param telemetryRetentionDays = 30
param settings = {
  EXPORT_CATEGORIES: 'WebSocketConnectionLogs, GatewayLogs,GatewayLlmLogs'
  OUTPUT_FORMATS: 'parquet,json'
  OTEL_TRACES_SAMPLER: 'parentbased_traceidratio'
  OTEL_TRACES_SAMPLER_ARG: '0.1'
}
param vnetEnabled = true
param virtualNetworkPrefix = '10.1.0.0/24'
param appSubnetPrefix = '10.1.0.0/26'
param endpointSubnetPrefix = '10.1.0.64/27'
param hubName = 'websockets'
param diagnosticRuleRights = [
  'Send'
]
param deployerPrincipalId = '33333333-3333-3333-3333-333333333333'
param deployerPrincipalType = 'Group'
param deployerReadsDeadLetters = true
param lockOutput = true
param alertEmail = 'ops@example.com'
param actionGroupIds = [
  '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-ops/providers/Microsoft.Insights/actionGroups/ag-ops'
]
param alertThresholds = {
  lagEnvelopes: 1000
  lagMinutes: 5
  noCommitMinutes: 25
  retentionPercent: 50
  rejections: 0
  conflicts: 10
  failureMinutes: 5
  silentHours: 24
  throttledRequests: 5
}
param runbookUrl = 'https://wiki.example.com/exporter'
param otherWorkspaceIds = [
  '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-exporter-us/providers/Microsoft.OperationalInsights/workspaces/log-us'
]
param encryptionKey = {
  vaultUri: 'https://kv-company.vault.azure.net'
  keyName: 'storage'
  identityId: '/subscriptions/44444444-4444-4444-4444-444444444444/resourceGroups/rg-keys/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-storage-key'
}
