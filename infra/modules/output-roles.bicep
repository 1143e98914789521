// The roles on a container, not on the account: the app writes, and others read.
import { Principal } from '../types.bicep'

@description('Name of the storage account.')
param accountName string
@description('Container of the files.')
param container string
@description('Resource id of the app\'s identity. Names of role assignments derive from it, so that what-if can predict them.')
param identityId string
@description('Object id of that identity.')
param principalId string
@description('Principals that may read, in addition to the app.')
param readers Principal[]

// Storage Blob Data Contributor.
var contributorRole = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
// Storage Blob Data Reader.
var readerRole = '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1'

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: accountName

  resource blobs 'blobServices@2025-01-01' existing = {
    name: 'default'

    resource files 'containers@2025-01-01' existing = {
      name: container
    }
  }
}

// The app creates no containers. It lists, reads, writes and deletes blobs.
resource contributor 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account::blobs::files.id, identityId, contributorRole)
  scope: account::blobs::files
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', contributorRole)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

resource reader 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for one in readers: {
    name: guid(account::blobs::files.id, one.key, readerRole)
    scope: account::blobs::files
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', readerRole)
      principalId: one.id
      principalType: one.type
    }
  }
]
