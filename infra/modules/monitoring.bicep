// The destination of metrics and logs: an Application Insights component, and its workspace unless one
// exists.
import { Tags } from '../types.bicep'

@description('Name of the workspace to create.')
param workspaceName string
@description('Resource id of an existing workspace; if empty, one is created.')
param existingWorkspaceId string
@description('Name of the Application Insights component.')
param componentName string
@description('Region of both.')
param location string
@description('Tags of both.')
param tags Tags
@description('Days that telemetry is kept.')
param retentionDays int
@description('Resource id of the app\'s identity. Names of role assignments derive from it, so that what-if can predict them.')
param identityId string
@description('Object id of that identity.')
param principalId string

// Monitoring Metrics Publisher, to send telemetry but not to read it.
var publisherRole = '3913510d-42f4-4e42-8a64-420c390055eb'

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' = if (empty(existingWorkspaceId)) {
  name: workspaceName
  location: location
  tags: tags
  properties: {
    sku: {
      name: 'PerGB2018'
    }
    retentionInDays: retentionDays
    features: {
      // Shared keys of the workspace are off: all data arrives through Application Insights, with Entra ID.
      disableLocalAuth: true
      enableLogAccessUsingOnlyResourcePermissions: true
    }
  }
}

resource component 'Microsoft.Insights/components@2020-02-02' = {
  name: componentName
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: empty(existingWorkspaceId) ? workspace.id : existingWorkspaceId
    // The connection string in the app's settings contains an instrumentation key. With local authentication off, it is
    // an address, not a secret: telemetry without a token of the identity is rejected.
    DisableLocalAuth: true
  }
}

resource publisher 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(component.id, identityId, publisherRole)
  scope: component
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', publisherRole)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}
