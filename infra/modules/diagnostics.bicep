// The diagnostic setting that streams WebSocket connection logs. Deployed into the group of API Management.
@description('Name of the diagnostic setting.')
param name string
@description('Name of the API Management service.')
param apimName string
@description('Authorization rule of the namespace with which Azure Monitor writes.')
param authorizationRuleId string
@description('Hub that receives the logs.')
param hubName string
@description('Categories to send, separated by commas: the setting EXPORT_CATEGORIES.')
param categories string

resource apim 'Microsoft.ApiManagement/service@2024-05-01' existing = {
  name: apimName
}

// Only these categories: you would pay for others, and the exporter would skip them.
resource setting 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: name
  scope: apim
  properties: {
    eventHubAuthorizationRuleId: authorizationRuleId
    // Without a name, Azure Monitor creates a hub for each category, with its own settings.
    eventHubName: hubName
    logs: [
      for category in split(categories, ','): {
        category: trim(category)
        enabled: true
      }
    ]
  }
}
