// The Event Hubs namespace, unless an existing one is used.
import { Tags } from '../types.bicep'

@description('Name of the namespace.')
param name string
@description('Region of the namespace.')
param location string
@description('Tags of the namespace.')
param tags Tags
@description('Initial throughput units.')
param throughputUnits int
@description('Maximum throughput units of auto-inflate.')
param maximumThroughputUnits int
@description('Whether the namespace is reachable only through a private endpoint.')
param private bool
@description('Subnet of the private endpoint, used only with `private`.')
param endpointSubnetId string
@description('Private DNS zone of Event Hubs, used only with `private`.')
param zoneId string

resource namespace 'Microsoft.EventHub/namespaces@2024-01-01' = {
  name: name
  location: location
  tags: tags
  // Basic has neither consumer groups nor private endpoints, and keeps events for only one day.
  sku: {
    name: 'Standard'
    tier: 'Standard'
    capacity: throughputUnits
  }
  properties: {
    // Logs that are rejected for lack of throughput are lost, because API Management does not store them.
    isAutoInflateEnabled: maximumThroughputUnits > throughputUnits
    maximumThroughputUnits: maximumThroughputUnits > throughputUnits ? maximumThroughputUnits : 0
    minimumTlsVersion: '1.2'
    kafkaEnabled: false
    // Azure Monitor writes with the key of a rule; with local authentication off, delivery would stop.
    disableLocalAuth: false
    publicNetworkAccess: private ? 'Disabled' : 'Enabled'
  }
}

// Like Microsoft's verified module: with public access disabled, there are no rules and no default action. Azure
// Monitor uses the exception for trusted services, because it cannot use a private endpoint.
resource rules 'Microsoft.EventHub/namespaces/networkRuleSets@2024-01-01' = {
  parent: namespace
  name: 'default'
  properties: {
    publicNetworkAccess: private ? 'Disabled' : 'Enabled'
    defaultAction: private ? null : 'Allow'
    trustedServiceAccessEnabled: true
    ipRules: private ? null : []
    virtualNetworkRules: private ? null : []
  }
}

module endpoint 'private-endpoint.bicep' = if (private) {
  params: {
    name: 'pep-${name}'
    location: location
    tags: tags
    targetId: namespace.id
    groupId: 'namespace'
    subnetId: endpointSubnetId
    zoneId: zoneId
  }
}
