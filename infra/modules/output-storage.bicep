// Where the files go. Deleted by age, folder by folder.
param name string
param location string
param tags object
param sku string
param container string
param parquetRetentionDays int
param jsonRetentionDays int
param deadLetterRetentionDays int
param private bool
param endpointSubnetId string
param zoneId string
param principalId string

// Storage Blob Data Contributor.
var contributorRole = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'

var retention = [
  {
    folder: 'parquet'
    days: parquetRetentionDays
  }
  {
    folder: 'json'
    days: jsonRetentionDays
  }
  {
    folder: '_dead_letters'
    days: deadLetterRetentionDays
  }
]

resource account 'Microsoft.Storage/storageAccounts@2026-04-01' = {
  // checkov:skip=CKV_AZURE_35: denied with parameter privateNetworking; without it every request needs a token of Entra ID
  // checkov:skip=CKV_AZURE_206: ZRS keeps a copy in each zone; another region is a choice, by parameter storageSku
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: {
    name: sku
  }
  properties: {
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

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2026-04-01' = {
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

resource files 'Microsoft.Storage/storageAccounts/blobServices/containers@2026-04-01' = {
  parent: blobs
  name: container
  properties: {
    publicAccess: 'None'
  }
}

resource lifecycle 'Microsoft.Storage/storageAccounts/managementPolicies@2026-04-01' = {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: [for one in retention: {
        name: 'delete${replace(one.folder, '_', '')}' // letters and digits only
        type: 'Lifecycle'
        enabled: true
        definition: {
          filters: {
            blobTypes: [
              'blockBlob'
            ]
            prefixMatch: [
              '${container}/${one.folder}/'
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
      }]
    }
  }
}

// Of the container, not of the account: the app makes no containers. It lists, reads, writes and deletes blobs.
resource contributor 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(files.id, principalId, contributorRole)
  scope: files
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', contributorRole)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

module endpoint 'private-endpoint.bicep' = if (private) {
  name: 'endpoint-${name}'
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

output blobUri string = account.properties.primaryEndpoints.blob
