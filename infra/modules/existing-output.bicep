// Containers for the files in an existing account, whose retention, network and lock are not managed here.
import { Principal } from '../types.bicep'

@description('Name of the storage account.')
param name string
@description('Container of the files.')
param container string
@description('Container of the dead letters, to which readers of the files have no access.')
param deadLetterContainer string
@description('Resource id of the app\'s identity. Names of role assignments derive from it, so that what-if can predict them.')
param identityId string
@description('Object id of that identity.')
param principalId string
@description('Principals that may read, in addition to the app.')
param readers Principal[]
@description('Principals that may read dead letters, in addition to the app.')
param deadLetterReaders Principal[]

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: name

  resource blobs 'blobServices@2025-01-01' existing = {
    name: 'default'
  }
}

resource files 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-01-01' = {
  parent: account::blobs
  name: container
  properties: {
    publicAccess: 'None'
  }
}

resource deadLetters 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-01-01' = {
  parent: account::blobs
  name: deadLetterContainer
  properties: {
    publicAccess: 'None'
  }
}

module roles 'output-roles.bicep' = {
  params: {
    accountName: account.name
    container: files.name
    identityId: identityId
    principalId: principalId
    readers: readers
  }
}

module deadLetterRoles 'output-roles.bicep' = {
  params: {
    accountName: account.name
    container: deadLetters.name
    identityId: identityId
    principalId: principalId
    readers: deadLetterReaders
  }
}

@description('Blob address of the account.')
output blobUri string = account.properties.primaryEndpoints.blob
