// The virtual network of a private deployment: a subnet for the app, one for the endpoints, and the zones in
// which their names resolve.
param name string
param location string
param tags object
param prefix string
param appSubnetPrefix string
param endpointSubnetPrefix string

var blobZoneName = 'privatelink.blob.${environment().suffixes.storage}'
var eventsZoneName = 'privatelink.servicebus.windows.net'

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
  name: eventsZoneName
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

output appSubnetId string = '${network.id}/subnets/snet-app'
output endpointSubnetId string = '${network.id}/subnets/snet-endpoints'
output blobZoneId string = blobZone.id
output eventsZoneId string = eventsZone.id
