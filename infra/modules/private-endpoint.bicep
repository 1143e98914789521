// A way into one resource from the virtual network, and the name under which it is found there.
import { Tags } from '../types.bicep'

@description('Name of the endpoint.')
param name string
@description('Region of the endpoint.')
param location string
@description('Tags of the endpoint.')
param tags Tags
@description('Resource that it leads to.')
param targetId string
@description('Part of that resource, `blob` for example.')
param groupId string
@description('Subnet that it is in.')
param subnetId string
@description('Private DNS zone that its name is registered in; empty: a policy of the company registers it.')
param zoneId string

resource endpoint 'Microsoft.Network/privateEndpoints@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    subnet: {
      id: subnetId
    }
    privateLinkServiceConnections: [
      {
        name: name
        properties: {
          privateLinkServiceId: targetId
          groupIds: [
            groupId
          ]
        }
      }
    ]
  }
}

resource zones 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2025-05-01' = if (!empty(zoneId)) {
  parent: endpoint
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [
      {
        name: groupId
        properties: {
          privateDnsZoneId: zoneId
        }
      }
    ]
  }
}
