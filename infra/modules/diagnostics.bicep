// What makes API Management stream its WebSocket connection logs. Deployed into its resource group.
@description('Name of the diagnostic setting.')
param name string
@description('Name of the API Management service.')
param apimName string
@description('Authorization rule of the namespace that Azure Monitor writes with.')
param authorizationRuleId string
@description('Hub that the logs go to.')
param hubName string
@description('Categories to send, with commas between them: the setting EXPORT_CATEGORIES.')
param categories string

resource apim 'Microsoft.ApiManagement/service@2024-05-01' existing = {
  name: apimName
}

// These categories alone: the exporter skips all others, after they were paid for.
resource setting 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: name
  scope: apim
  properties: {
    eventHubAuthorizationRuleId: authorizationRuleId
    // Without a name, Azure Monitor makes a hub for the category, with settings of its own.
    eventHubName: hubName
    logs: [
      for category in split(categories, ','): {
        category: trim(category)
        enabled: true
      }
    ]
  }
}
