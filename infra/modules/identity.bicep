// The identity of the function app. User-assigned, so that its roles exist before the app starts and outlive
// it.
import { Tags } from '../types.bicep'

@description('Name of the identity.')
param name string
@description('Region of the identity.')
param location string
@description('Tags of the identity.')
param tags Tags

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location
  tags: tags
}

@description('Object id that receives roles.')
output principalId string = identity.properties.principalId
@description('Client id with which the app requests tokens.')
output clientId string = identity.properties.clientId
