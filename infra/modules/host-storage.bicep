// The storage that the app lives on: the Functions host's own blobs and checkpoints, the deployed package, and
// the exporter's state. An account apart from the output: no lifecycle rule, versioning or soft delete may touch
// ledgers and checkpoints, and readers of the output get no access to them.
param name string
param location string
param tags object
param sku string
param stateContainer string
param packageContainer string
param private bool
param endpointSubnetId string
param zoneId string
param principalId string

// Storage Blob Data Owner: what the Functions host asks for on its own account.
var ownerRole = 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'

resource account 'Microsoft.Storage/storageAccounts@2026-04-01' = {
  // checkov:skip=CKV_AZURE_35: denied with parameter privateNetworking; without it every request needs a token of Entra ID
  // checkov:skip=CKV_AZURE_206: ZRS keeps a copy in each zone; ledgers are of use only beside their hub, which has one region
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

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2026-04-01' = {
  parent: account
  name: 'default'
  properties: {
    // Said, not left out: ledgers are overwritten with every commit, and each old one would be kept.
    isVersioningEnabled: false
    deleteRetentionPolicy: {
      enabled: false
    }
    containerDeleteRetentionPolicy: {
      enabled: false
    }
  }
}

resource state 'Microsoft.Storage/storageAccounts/blobServices/containers@2026-04-01' = {
  parent: blobs
  name: stateContainer
  properties: {
    publicAccess: 'None'
  }
}

resource package 'Microsoft.Storage/storageAccounts/blobServices/containers@2026-04-01' = {
  parent: blobs
  name: packageContainer
  properties: {
    publicAccess: 'None'
  }
}

resource owner 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, principalId, ownerRole)
  scope: account
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', ownerRole)
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
