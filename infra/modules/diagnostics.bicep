// What makes API Management stream its WebSocket connection logs. Deployed into its resource group.
param name string
param apimName string
param authorizationRuleId string
param hubName string

resource apim 'Microsoft.ApiManagement/service@2024-05-01' existing = {
  name: apimName
}

// This one category: the exporter skips all others, after they were paid for.
resource setting 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: name
  scope: apim
  properties: {
    eventHubAuthorizationRuleId: authorizationRuleId
    // Without a name, Azure Monitor makes a hub for the category, with settings of its own.
    eventHubName: hubName
    logs: [
      {
        category: 'WebSocketConnectionLogs'
        enabled: true
      }
    ]
  }
}
