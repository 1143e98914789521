// Parameters for `az deployment sub create` (docs/deploy.md); azd uses main.parameters.json. All others have defaults in
// main.bicep.
using './main.bicep'

param environmentName = readEnvironmentVariable('AZURE_ENV_NAME', 'dev')
param location = readEnvironmentVariable('AZURE_LOCATION', 'westeurope')
param apimResourceId = readEnvironmentVariable('APIM_RESOURCE_ID')

param tags = {
  workload: 'apim-websocket-log-exporter'
}

param partitionCount = 4
param throughputUnits = 1
param maximumThroughputUnits = 4
param instanceMemoryMB = 2048

param parquetRetentionDays = 365
param deadLetterRetentionDays = 90

param settings = {
  OUTPUT_FORMATS: 'parquet'
}

param vnetEnabled = false
param actionGroupIds = []
