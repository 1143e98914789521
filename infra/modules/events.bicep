// What API Management streams into, and the exporter reads: namespace, hub, consumer group.
param namespaceName string
param hubName string
param consumerGroupName string
param location string
param tags object
param partitionCount int
param throughputUnits int
param maximumThroughputUnits int
param retentionHours int
param private bool
param endpointSubnetId string
param zoneId string
param principalId string

// Azure Event Hubs Data Receiver: the trigger, its scaling, and the timer's questions how far each partition goes.
var receiverRole = 'a638d3c7-ab3a-418d-83e6-5f17a39d4fde'

resource namespace 'Microsoft.EventHub/namespaces@2026-01-01' = {
  name: namespaceName
  location: location
  tags: tags
  // Basic has neither consumer groups nor private endpoints, and keeps events for one day only.
  sku: {
    name: 'Standard'
    tier: 'Standard'
    capacity: throughputUnits
  }
  properties: {
    // What is refused for lack of throughput is lost: API Management has no store of its own.
    isAutoInflateEnabled: maximumThroughputUnits > throughputUnits
    maximumThroughputUnits: maximumThroughputUnits > throughputUnits ? maximumThroughputUnits : 0
    minimumTlsVersion: '1.2'
    kafkaEnabled: false
    // Azure Monitor writes with the key of the rule below; with local authentication off, delivery would stop.
    disableLocalAuth: false
    publicNetworkAccess: private ? 'Disabled' : 'Enabled'
  }
}

// Public access is disabled, not narrowed: without any IP or network rule, `Deny` lets everything in.
// Azure Monitor comes through the exception for trusted services, since it cannot use a private endpoint.
resource rules 'Microsoft.EventHub/namespaces/networkRuleSets@2026-01-01' = {
  parent: namespace
  name: 'default'
  properties: {
    publicNetworkAccess: private ? 'Disabled' : 'Enabled'
    defaultAction: private ? 'Deny' : 'Allow'
    trustedServiceAccessEnabled: true
    ipRules: []
    virtualNetworkRules: []
  }
}

resource hub 'Microsoft.EventHub/namespaces/eventhubs@2026-01-01' = {
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
resource consumerGroup 'Microsoft.EventHub/namespaces/eventhubs/consumergroups@2026-01-01' = {
  parent: hub
  name: consumerGroupName
}

// For operators: `redeliver` reads here what the exporter's group skipped, and the timer looks for the event that
// stops a partition. In the group above the trigger lets no second reader in.
resource operatorGroup 'Microsoft.EventHub/namespaces/eventhubs/consumergroups@2026-01-01' = {
  parent: hub
  name: 'operator'
}

// Diagnostic settings write with a rule of the namespace that has all three rights; a rule of the hub, or one
// that may only send, is refused. Nothing else uses this rule, and its keys appear nowhere.
resource rule 'Microsoft.EventHub/namespaces/authorizationRules@2026-01-01' = {
  parent: namespace
  name: 'diagnostic-setting'
  properties: {
    rights: [
      'Manage'
      'Send'
      'Listen'
    ]
  }
}

// Of the hub, not of its consumer group: asking for partition properties is a right on the hub.
resource receiver 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(hub.id, principalId, receiverRole)
  scope: hub
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', receiverRole)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

module endpoint 'private-endpoint.bicep' = if (private) {
  name: 'endpoint-${namespaceName}'
  params: {
    name: 'pep-${namespaceName}'
    location: location
    tags: tags
    targetId: namespace.id
    groupId: 'namespace'
    subnetId: endpointSubnetId
    zoneId: zoneId
  }
}

output namespaceId string = namespace.id
output authorizationRuleId string = rule.id
@description('Like `evhns-….servicebus.windows.net`, in every cloud.')
output hostName string = split(split(namespace.properties.serviceBusEndpoint, '/')[2], ':')[0]
