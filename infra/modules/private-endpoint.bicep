// A private endpoint of one resource in the virtual network, and its name there.
import { Tags } from '../types.bicep'

@description('Name of the endpoint.')
param name string
@description('Region of the endpoint.')
param location string
@description('Tags of the endpoint.')
param tags Tags
@description('Resource that the endpoint connects to.')
param targetId string
@description('Part of that resource, such as `blob`.')
param groupId string
@description('Subnet of the endpoint.')
param subnetId string
@description('Private DNS zone that registers its name; if empty, your own policy must register it.')
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
