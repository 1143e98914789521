// The Event Hubs namespace, if none is given.
import { Tags } from '../types.bicep'

@description('Name of the namespace.')
param name string
@description('Region of the namespace.')
param location string
@description('Tags of the namespace.')
param tags Tags
@description('Throughput units to begin with.')
param throughputUnits int
@description('Throughput units that auto-inflate may go up to.')
param maximumThroughputUnits int
@description('Whether the namespace is reachable through a private endpoint only.')
param private bool
@description('Subnet of the private endpoint; used with `private` only.')
param endpointSubnetId string
@description('Private DNS zone of Event Hubs; used with `private` only.')
param zoneId string

resource namespace 'Microsoft.EventHub/namespaces@2024-01-01' = {
  name: name
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
    // Azure Monitor writes with the key of a rule; with local authentication off, delivery would stop.
    disableLocalAuth: false
    publicNetworkAccess: private ? 'Disabled' : 'Enabled'
  }
}

// As the verified module has it: with public access disabled, no rules and no default action. Azure Monitor comes
// through the exception for trusted services, since it cannot use a private endpoint.
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
