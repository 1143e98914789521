// Into what a company already has: network, zones, workspace, namespace, output account.
using '../../../infra/main.bicep'

param environmentName = 'prod'
param location = 'westeurope'
param apimResourceId = '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-apim/providers/Microsoft.ApiManagement/service/apim'
param vnetEnabled = true
param appSubnetId = '/subscriptions/44444444-4444-4444-4444-444444444444/resourceGroups/rg-network/providers/Microsoft.Network/virtualNetworks/vnet-spoke/subnets/snet-exporter'
param endpointSubnetId = '/subscriptions/44444444-4444-4444-4444-444444444444/resourceGroups/rg-network/providers/Microsoft.Network/virtualNetworks/vnet-spoke/subnets/snet-endpoints'
param blobDnsZoneId = '/subscriptions/44444444-4444-4444-4444-444444444444/resourceGroups/rg-dns/providers/Microsoft.Network/privateDnsZones/privatelink.blob.core.windows.net'
param eventHubsDnsZoneId = '/subscriptions/44444444-4444-4444-4444-444444444444/resourceGroups/rg-dns/providers/Microsoft.Network/privateDnsZones/privatelink.servicebus.windows.net'
param workspaceId = '/subscriptions/44444444-4444-4444-4444-444444444444/resourceGroups/rg-logs/providers/Microsoft.OperationalInsights/workspaces/log-company'
param namespaceId = '/subscriptions/44444444-4444-4444-4444-444444444444/resourceGroups/rg-events/providers/Microsoft.EventHub/namespaces/evhns-company'
param outputStorageAccountId = '/subscriptions/44444444-4444-4444-4444-444444444444/resourceGroups/rg-lake/providers/Microsoft.Storage/storageAccounts/stcompanylake'
