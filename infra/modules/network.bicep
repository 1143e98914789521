// The virtual network of a private deployment: a subnet for the app, one for the endpoints, and the DNS zones that
// resolve their names.
import { Tags } from '../types.bicep'

@description('Name of the virtual network.')
param name string
@description('Region of the network.')
param location string
@description('Tags of everything in it.')
param tags Tags
@description('Address space of the network.')
param prefix string
@description('Address range of the app.')
param appSubnetPrefix string
@description('Address range of the private endpoints.')
param endpointSubnetPrefix string
@description('Private DNS zone of Blob Storage.')
param blobZoneName string
@description('Private DNS zone of Event Hubs.')
param eventHubsZoneName string

// Without rules: it blocks only what the defaults block. Add yours here.
resource guard 'Microsoft.Network/networkSecurityGroups@2025-05-01' = {
  name: 'nsg-${name}'
  location: location
  tags: tags
}

resource network 'Microsoft.Network/virtualNetworks@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    addressSpace: {
      addressPrefixes: [
        prefix
      ]
    }
    // Declared here, not as separate resources, because a redeployment would otherwise remove them for a
    // moment.
    subnets: [
      {
        name: 'snet-app'
        properties: {
          addressPrefix: appSubnetPrefix
          networkSecurityGroup: {
            id: guard.id
          }
          // Flex Consumption requires this. Names of its subnets must not contain underscores.
          delegations: [
            {
              name: 'flex-consumption'
              properties: {
                serviceName: 'Microsoft.App/environments'
              }
            }
          ]
        }
      }
      {
        name: 'snet-endpoints'
        properties: {
          addressPrefix: endpointSubnetPrefix
          privateEndpointNetworkPolicies: 'Disabled'
          defaultOutboundAccess: false
          networkSecurityGroup: {
            id: guard.id
          }
        }
      }
    ]
  }
}

resource blobZone 'Microsoft.Network/privateDnsZones@2024-06-01' = {
  name: blobZoneName
  location: 'global'
  tags: tags
}

resource blobLink 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = {
  parent: blobZone
  name: name
  location: 'global'
  tags: tags
  properties: {
    registrationEnabled: false
    virtualNetwork: {
      id: network.id
    }
  }
}

resource eventsZone 'Microsoft.Network/privateDnsZones@2024-06-01' = {
  name: eventHubsZoneName
  location: 'global'
  tags: tags
}

resource eventsLink 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = {
  parent: eventsZone
  name: name
  location: 'global'
  tags: tags
  properties: {
    registrationEnabled: false
    virtualNetwork: {
      id: network.id
    }
  }
}
