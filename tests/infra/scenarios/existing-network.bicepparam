// Existing subnets alone; a policy of the company registers the private endpoints.
using '../../../infra/main.bicep'

param environmentName = 'prod'
param location = 'westeurope'
param apimResourceId = '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-apim/providers/Microsoft.ApiManagement/service/apim'
param vnetEnabled = true
param appSubnetId = '/subscriptions/44444444-4444-4444-4444-444444444444/resourceGroups/rg-network/providers/Microsoft.Network/virtualNetworks/vnet-spoke/subnets/snet-exporter'
param endpointSubnetId = '/subscriptions/44444444-4444-4444-4444-444444444444/resourceGroups/rg-network/providers/Microsoft.Network/virtualNetworks/vnet-spoke/subnets/snet-endpoints'
