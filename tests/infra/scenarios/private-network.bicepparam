// A network of its own, and somebody who reads the output.
using '../../../infra/main.bicep'

param environmentName = 'dev'
param location = 'westeurope'
param apimResourceId = '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-apim/providers/Microsoft.ApiManagement/service/apim'
param vnetEnabled = true
param deployerPrincipalId = '33333333-3333-3333-3333-333333333333'
