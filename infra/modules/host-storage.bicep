// The host's storage account: blobs and checkpoints of the Functions host, the deployed package, and the exporter's
// state. It is separate from the output account, because no lifecycle rule, versioning or soft delete may apply to
// ledgers and checkpoints, and readers of the output get no access to them.
import { EncryptionKey, Principal, Tags } from '../types.bicep'

@description('Name of the storage account.')
param name string
@description('Region of the account.')
param location string
@description('Tags of the account.')
param tags Tags
@description('Key for the encryption of the account; null for Microsoft\'s.')
param encryptionKey EncryptionKey?
@description('Redundancy of the account.')
param sku string
@description('Container of the ledgers.')
param stateContainer string
@description('Container of the deployed code.')
param packageContainer string
@description('Whether the account is reachable only through a private endpoint.')
param private bool
@description('Subnet of the private endpoint, used only with `private`.')
param endpointSubnetId string
@description('Private DNS zone of Blob Storage, used only with `private`.')
param zoneId string
@description('Resource id of the app\'s identity. Names of role assignments derive from it, so that what-if can predict them.')
param identityId string
@description('Object id of that identity.')
param principalId string
@description('Principals that may read, in addition to the app; may be empty.')
param readers Principal[]

// Storage Blob Data Owner, which the Functions host requires on its account.
var ownerRole = 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
// Storage Blob Data Reader.
var readerRole = '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1'

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: {
    name: sku
  }
  identity: encryptionKey == null
    ? null
    : {
        type: 'UserAssigned'
        userAssignedIdentities: {
          '${encryptionKey!.identityId}': {}
        }
      }
  properties: {
    encryption: {
      keySource: encryptionKey == null ? 'Microsoft.Storage' : 'Microsoft.Keyvault'
      identity: encryptionKey == null
        ? null
        : {
            userAssignedIdentity: encryptionKey!.identityId
          }
      keyvaultproperties: encryptionKey == null
        ? null
        : {
            keyvaulturi: encryptionKey!.vaultUri
            keyname: encryptionKey!.keyName
          }
      services: {
        blob: {
          enabled: true
        }
        file: {
          enabled: true
        }
      }
    }
    accessTier: 'Hot'
    supportsHttpsTrafficOnly: true
    minimumTlsVersion: 'TLS1_2'
    allowBlobPublicAccess: false
    // Host, deployment and exporter all use the identity.
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    allowCrossTenantReplication: false
    publicNetworkAccess: private ? 'Disabled' : 'Enabled'
    networkAcls: {
      defaultAction: private ? 'Deny' : 'Allow'
      bypass: 'None'
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-01-01' = {
  parent: account
  name: 'default'
  properties: {
    // Explicitly off: ledgers are overwritten with every commit, and each old one would be kept.
    isVersioningEnabled: false
    deleteRetentionPolicy: {
      enabled: false
    }
    containerDeleteRetentionPolicy: {
      enabled: false
    }
  }
}

resource state 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-01-01' = {
  parent: blobs
  name: stateContainer
  properties: {
    publicAccess: 'None'
  }
}

resource package 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-01-01' = {
  parent: blobs
  name: packageContainer
  properties: {
    publicAccess: 'None'
  }
}

resource owner 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, identityId, ownerRole)
  scope: account
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', ownerRole)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

// For `python -m shared status`, which reads ledgers.
resource stateReader 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for reader in readers: {
    name: guid(state.id, reader.key, readerRole)
    scope: state
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', readerRole)
      principalId: reader.id
      principalType: reader.type
    }
  }
]

module endpoint 'private-endpoint.bicep' = if (private) {
  params: {
    name: 'pep-${name}'
    location: location
    tags: tags
    targetId: account.id
    groupId: 'blob'
    subnetId: endpointSubnetId
    zoneId: zoneId
  }
}

@description('Blob address of the account.')
output blobUri string = account.properties.primaryEndpoints.blob
