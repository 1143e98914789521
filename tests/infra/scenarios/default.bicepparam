// Nothing but what is needed.
using '../../../infra/main.bicep'

param environmentName = 'dev'
param location = 'westeurope'
param apimResourceId = '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-apim/providers/Microsoft.ApiManagement/service/apim'
