// The virtual network of a private deployment: a subnet for the app, one for the endpoints, and the zones in
// which their names resolve.
import { Tags } from '../types.bicep'

@description('Name of the virtual network.')
param name string
@description('Region of the network.')
param location string
@description('Tags of everything in it.')
param tags Tags
@description('Its address space.')
param prefix string
@description('Addresses of the app.')
param appSubnetPrefix string
@description('Addresses of the private endpoints.')
param endpointSubnetPrefix string
@description('Private DNS zone of Blob Storage.')
param blobZoneName string
@description('Private DNS zone of Event Hubs.')
param eventHubsZoneName string

// Without rules of its own: it blocks what the defaults block, and is the place for yours.
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
    // Here, not as resources of their own: a redeployment would otherwise remove them for a moment.
    subnets: [
      {
        name: 'snet-app'
        properties: {
          addressPrefix: appSubnetPrefix
          networkSecurityGroup: {
            id: guard.id
          }
          // What Flex Consumption demands. Names of its subnets must not contain underscores.
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
