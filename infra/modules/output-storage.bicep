// Where the files go. Deleted by age, folder by folder.
import { EncryptionKey, Principal, Tags } from '../types.bicep'

@description('Name of the storage account.')
param name string
@description('Region of the account.')
param location string
@description('Tags of the account.')
param tags Tags
@description('Key that the account is encrypted with; null: Microsoft\'s.')
param encryptionKey EncryptionKey?
@description('Redundancy of the account.')
param sku string
@description('Container of the files.')
param container string
@description('Container of the dead letters, which readers of the files have no access to.')
param deadLetterContainer string
@description('Days that Parquet files are kept.')
param parquetRetentionDays int
@description('Days that JSON Lines files are kept.')
param jsonRetentionDays int
@description('Days that dead letters are kept.')
param deadLetterRetentionDays int
@description('Whether a lock keeps the account from being deleted.')
param lock bool
@description('Whether the account is reachable through a private endpoint only.')
param private bool
@description('Subnet of the private endpoint; used with `private` only.')
param endpointSubnetId string
@description('Private DNS zone of Blob Storage; used with `private` only.')
param zoneId string
@description('Resource id of the identity that the app runs as: names of role assignments are made of it, so that what-if can predict them.')
param identityId string
@description('Object id of that identity.')
param principalId string
@description('Who may read, besides the app; empty: nobody.')
param readers Principal[]
@description('Who may read dead letters, besides the app.')
param deadLetterReaders Principal[]

var retention = [
  {
    name: 'parquet'
    folder: '${container}/parquet'
    days: parquetRetentionDays
  }
  {
    name: 'json'
    folder: '${container}/json'
    days: jsonRetentionDays
  }
  {
    name: 'deadletters'
    folder: '${deadLetterContainer}/_dead_letters'
    days: deadLetterRetentionDays
  }
  {
    name: 'olddeadletters'
    folder: '${container}/_dead_letters' // older versions put them there
    days: deadLetterRetentionDays
  }
]

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
    // Files are written once, so there are no versions to keep. A deletion by mistake can be undone for a week, and
    // until then whatever is deleted, by the rules below too, is paid for.
    isVersioningEnabled: false
    deleteRetentionPolicy: {
      enabled: true
      days: 7
    }
    containerDeleteRetentionPolicy: {
      enabled: true
      days: 7
    }
  }
}

resource files 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-01-01' = {
  parent: blobs
  name: container
  properties: {
    publicAccess: 'None'
  }
}

resource deadLetters 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-01-01' = {
  parent: blobs
  name: deadLetterContainer
  properties: {
    publicAccess: 'None'
  }
}

resource lifecycle 'Microsoft.Storage/storageAccounts/managementPolicies@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: [
        for one in retention: {
          name: 'delete${one.name}' // letters and digits only
          type: 'Lifecycle'
          enabled: true
          definition: {
            filters: {
              blobTypes: [
                'blockBlob'
              ]
              prefixMatch: [
                '${one.folder}/'
              ]
            }
            actions: {
              baseBlob: {
                delete: {
                  daysAfterModificationGreaterThan: one.days
                }
              }
            }
          }
        }
      ]
    }
  }
}

resource accountLock 'Microsoft.Authorization/locks@2020-05-01' = if (lock) {
  name: 'keep-output'
  scope: account
  properties: {
    level: 'CanNotDelete'
    notes: 'Holds exported logs. Remove this lock to delete them.'
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

@description('Address of its blobs.')
output blobUri string = account.properties.primaryEndpoints.blob
