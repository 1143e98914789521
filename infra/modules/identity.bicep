// Who the function app is. User-assigned, so that its roles exist before the app first starts, and outlive it.
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

@description('Object id that roles are given to.')
output principalId string = identity.properties.principalId
@description('Client id that the app asks for tokens with.')
output clientId string = identity.properties.clientId
