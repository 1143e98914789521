// What API Management streams into, and the exporter reads: hub, consumer group, and who may do what.
import { Principal, RuleRight } from '../types.bicep'

@description('Name of the namespace, which is there already.')
param namespaceName string
@description('Name of the hub.')
param hubName string
@description('Name of the rule that diagnostic settings write with.')
param ruleName string
@description('Consumer group of the exporter.')
param consumerGroupName string
@description('Partitions of the hub.')
param partitionCount int
@description('Hours that the hub keeps events.')
param retentionHours int
@description('Rights of the rule that diagnostic settings write with.')
param ruleRights RuleRight[]
@description('Resource id of the identity that the app runs as: names of role assignments are made of it, so that what-if can predict them.')
param identityId string
@description('Object id of that identity.')
param principalId string
@description('Who may read, besides the app.')
param readers Principal[]

// Azure Event Hubs Data Receiver: the trigger, its scaling, and the timer's questions how far each partition goes.
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

// Not `$Default`: whoever looks into the hub with a tool reads there, and a second reader in a consumer group
// takes partitions from the first.
resource consumerGroup 'Microsoft.EventHub/namespaces/eventhubs/consumergroups@2024-01-01' = {
  parent: hub
  name: consumerGroupName
}

// For operators: `redeliver` reads here what the exporter's group skipped, and the timer looks for the event that
// stops a partition. In the group above the trigger lets no second reader in.
resource operatorGroup 'Microsoft.EventHub/namespaces/eventhubs/consumergroups@2024-01-01' = {
  parent: hub
  name: 'operator'
}

// Diagnostic settings write with a rule of the namespace. Nothing else uses this one, and its keys appear nowhere.
resource rule 'Microsoft.EventHub/namespaces/authorizationRules@2024-01-01' = {
  parent: namespace
  name: ruleName
  properties: {
    rights: ruleRights
  }
}

// Of the hub, not of its consumer group: asking for partition properties is a right on the hub.
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

@description('Like `evhns-….servicebus.windows.net`, in every cloud.')
output hostName string = split(split(namespace.properties.serviceBusEndpoint, '/')[2], ':')[0]
