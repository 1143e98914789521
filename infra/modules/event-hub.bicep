// The hub into which API Management streams, its consumer groups and its role assignments.
import { Principal, RuleRight } from '../types.bicep'

@description('Name of the existing namespace.')
param namespaceName string
@description('Name of the hub.')
param hubName string
@description('Name of the rule with which diagnostic settings write.')
param ruleName string
@description('Consumer group of the exporter.')
param consumerGroupName string
@description('Partitions of the hub.')
param partitionCount int
@description('Hours that the hub keeps events.')
param retentionHours int
@description('Rights of the rule with which diagnostic settings write.')
param ruleRights RuleRight[]
@description('Resource id of the app\'s identity. Names of role assignments derive from it, so that what-if can predict them.')
param identityId string
@description('Object id of that identity.')
param principalId string
@description('Principals that may read, in addition to the app.')
param readers Principal[]

// Azure Event Hubs Data Receiver: for the trigger, its scaling, and the timer's queries of each partition's
// end.
var receiverRole = 'a638d3c7-ab3a-418d-83e6-5f17a39d4fde'

resource namespace 'Microsoft.EventHub/namespaces@2024-01-01' existing = {
  name: namespaceName
}

resource hub 'Microsoft.EventHub/namespaces/eventhubs@2024-01-01' = {
  parent: namespace
  name: hubName
  properties: {
    partitionCount: partitionCount
    retentionDescription: {
      cleanupPolicy: 'Delete'
      retentionTimeInHours: retentionHours
    }
  }
}

// Not `$Default`, because tools read there, and a second reader in a consumer group takes partitions from the first
// one.
resource consumerGroup 'Microsoft.EventHub/namespaces/eventhubs/consumergroups@2024-01-01' = {
  parent: hub
  name: consumerGroupName
}

// For operators: `redeliver` reads skipped events in this group, and the timer looks for the event that stops a
// partition. The trigger allows no second reader in the group above.
resource operatorGroup 'Microsoft.EventHub/namespaces/eventhubs/consumergroups@2024-01-01' = {
  parent: hub
  name: 'operator'
}

// Diagnostic settings write with a rule of the namespace. Nothing else uses it, and its keys appear nowhere.
resource rule 'Microsoft.EventHub/namespaces/authorizationRules@2024-01-01' = {
  parent: namespace
  name: ruleName
  properties: {
    rights: ruleRights
  }
}

// On the hub, not on its consumer group: querying partition properties requires a right on the hub.
resource receiver 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(hub.id, identityId, receiverRole)
  scope: hub
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', receiverRole)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

resource reader 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for one in readers: {
    name: guid(hub.id, one.key, receiverRole)
    scope: hub
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', receiverRole)
      principalId: one.id
      principalType: one.type
    }
  }
]

@description('Host name, such as `evhns-….servicebus.windows.net`, in every cloud.')
output hostName string = split(split(namespace.properties.serviceBusEndpoint, '/')[2], ':')[0]
