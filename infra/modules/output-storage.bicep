// The storage account for the files. Lifecycle rules delete them by age and folder.
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
@description('Container of the files.')
param container string
@description('Container of the dead letters, to which readers of the files have no access.')
param deadLetterContainer string
@description('Days that Parquet files are kept.')
param parquetRetentionDays int
@description('Days that JSON Lines files are kept.')
param jsonRetentionDays int
@description('Days that dead letters are kept.')
param deadLetterRetentionDays int
@description('Whether a lock protects the account from deletion.')
param lock bool
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
@description('Principals that may read dead letters, in addition to the app.')
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
    // Files are written once, so there are no versions to keep. An accidental deletion can be undone for a week; during
    // that time, deleted files (also those that the rules below delete) are billed.
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

@description('Blob address of the account.')
output blobUri string = account.properties.primaryEndpoints.blob
