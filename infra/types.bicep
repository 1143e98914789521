// The types of parameters: a misspelled name is an error before anything is deployed.

@export()
@description('Tags of resources.')
type Tags = {
  @description('Value of the tag.')
  *: string
}

@export()
@description('Rights of the authorization rule with which diagnostic settings write.')
type RuleRight = 'Manage' | 'Send' | 'Listen'

@export()
@description('Storage redundancy.')
type StorageSku = 'Standard_LRS' | 'Standard_ZRS' | 'Standard_GZRS'

@export()
@sealed()
@description('Application settings that may differ from their defaults; docs/settings.md explains them. All are strings.')
type Settings = {
  EXPORT_CATEGORIES: string?
  COLUMN_KEYS: string?
  OUTPUT_FORMATS: string?
  PARQUET_COMPRESSION: string?
  REDACT: string?
  HASH_COLUMNS: string?
  @description('A Key Vault reference, not the key itself.')
  HASH_KEY: string?
  DROP_COLUMNS: string?
  DEAD_LETTER_BODIES: string?
  RECORD_MAX_AGE: string?
  RECORD_MAX_LEAD: string?
  ENVELOPE_MAX_INFLATED: string?
  COMMIT_BYTES: string?
  MEMORY_BUDGET: string?
  WS_OPENING_EVENTS: string?
  WS_CLOSING_EVENTS: string?
  WS_GRACE: string?
  WS_IDLE_TIMEOUT: string?
  WS_QUIET_TIMEOUT: string?
  WS_LATE_WINDOW: string?
  WS_LOOKUP_STALENESS: string?
  COMPACT_ENABLED: string?
  COMPACT_QUIET: string?
  COMPACT_TARGET: string?
  DELTA_LOG: string?
  COMPACT_KEEP: string?
  PARQUET_RETENTION: string?
  OTEL_EXPORTER_OTLP_ENDPOINT: string?
  OTEL_METRICS_EXPORTER: string?
  @description('Share of request rows that are kept: `always_on`, or `parentbased_traceidratio` with the next setting. Metrics and log lines are never sampled.')
  OTEL_TRACES_SAMPLER: string?
  OTEL_TRACES_SAMPLER_ARG: string?
}

@export()
@sealed()
@description('Thresholds of the alerts; modules/alerts.bicep has the defaults, docs/operations.md explains the alerts.')
type AlertThresholds = {
  @description('Maximum number of envelopes that may wait in a partition for 15 minutes.')
  @minValue(1)
  lagEnvelopes: int?
  @description('Maximum age in minutes of the events that wait in a partition, for 15 minutes.')
  @minValue(1)
  lagMinutes: int?
  @description('Minutes without a commit while events are waiting.')
  @minValue(25)
  @maxValue(120)
  noCommitMinutes: int?
  @description('Maximum age of waiting events, in percent of eventRetentionHours.')
  @minValue(1)
  @maxValue(99)
  retentionPercent: int?
  @description('Maximum number of records rejected in 15 minutes for one reason.')
  @minValue(0)
  rejections: int?
  @description('Maximum number of commits of a partition that are retried in 15 minutes.')
  @minValue(0)
  conflicts: int?
  @description('Number of the last 15 minutes in which a function may fail.')
  @minValue(1)
  @maxValue(15)
  failureMinutes: int?
  @description('Hours without an event, of the hub or of one service, after which an alert fires; 0: never. For services that always have traffic.')
  @minValue(0)
  @maxValue(48)
  silentHours: int?
  @description('Maximum number of requests that the namespace may reject in 5 minutes.')
  @minValue(0)
  throttledRequests: int?
}

@export()
@sealed()
@description('A principal that gets a role on a resource.')
type Principal = {
  @description('An id that is known before the deployment, such as the resource id of an identity. Names of role assignments derive from it, so that what-if can predict them.')
  key: string
  @description('Object id in Entra ID.')
  id: string
  @description('Kind of the principal.')
  type: 'ServicePrincipal' | 'User' | 'Group'
}

@export()
@sealed()
@description('Your own key for the encryption of storage accounts, and the identity that may use it.')
type EncryptionKey = {
  @description('Address of the Key Vault, such as `https://<name>.vault.azure.net`. It needs soft delete and purge protection.')
  vaultUri: string
  @description('Name of the key. Its newest version is used, so that rotation needs no deployment.')
  keyName: string
  @description('Resource id of a user-assigned identity with the role Key Vault Crypto Service Encryption User on the key.')
  identityId: string
}
