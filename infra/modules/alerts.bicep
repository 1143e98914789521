// The alerts. docs/operations.md says what to do for each.
import { AlertThresholds, Tags } from '../types.bicep'

@description('Prefix of the names of the rules.')
param prefix string
@description('Region of the log alert rules.')
param location string
@description('Tags of the rules.')
param tags Tags
@description('Workspace with the tables of the exporter.')
param workspaceId string
@description('Event Hubs namespace that the metric alerts watch.')
param namespaceId string
@description('Maximum throughput units of the namespace.')
param throughputUnits int
@description('Hours that the hub keeps events.')
param retentionHours int
@description('Action groups to notify.')
param actionGroupIds string[]
@description('Thresholds that differ from the defaults below.')
param thresholds AlertThresholds
@description('Address of docs/operations.md; each alert is a heading there.')
param runbookUrl string

// Starting points for about 100 records/s.
var limits = union(
  {
    lagEnvelopes: 50000
    lagMinutes: 15
    noCommitMinutes: 30
    retentionPercent: 85
    rejections: 100
    conflicts: 100
    failureMinutes: 10
    silentHours: 0
    throttledRequests: 0
  },
  thresholds
)

// In the order of docs/operations.md. Each query returns a row (subject, value) for each subject that fires.
var logAlerts = [
  { name: 'retention', severity: 0, query: loadTextContent('../alerts/retention.kql') }
  { name: 'no-commit', severity: 1, query: loadTextContent('../alerts/no-commit.kql') }
  { name: 'timer-silent', severity: 1, query: loadTextContent('../alerts/timer-silent.kql') }
  { name: 'functions-missing', severity: 1, query: loadTextContent('../alerts/functions-missing.kql') }
  { name: 'alarms', severity: 1, query: loadTextContent('../alerts/alarms.kql') }
  { name: 'integrity', severity: 1, query: loadTextContent('../alerts/integrity.kql') }
  { name: 'swap-pending', severity: 1, query: loadTextContent('../alerts/swap-pending.kql') }
  { name: 'lag-envelopes', severity: 2, query: loadTextContent('../alerts/lag-envelopes.kql') }
  { name: 'lag-minutes', severity: 2, query: loadTextContent('../alerts/lag-minutes.kql') }
  { name: 'failures', severity: 2, query: loadTextContent('../alerts/failures.kql') }
  { name: 'timeouts', severity: 2, query: loadTextContent('../alerts/timeouts.kql') }
  { name: 'gaps-new', severity: 2, query: loadTextContent('../alerts/gaps-new.kql') }
  { name: 'rejections', severity: 2, query: loadTextContent('../alerts/rejections.kql') }
  { name: 'nothing-arrives', severity: 2, query: loadTextContent('../alerts/nothing-arrives.kql') }
  { name: 'service-silent', severity: 2, query: loadTextContent('../alerts/service-silent.kql') }
  { name: 'compaction-silent', severity: 3, query: loadTextContent('../alerts/compaction-silent.kql') }
  { name: 'conflicts', severity: 3, query: loadTextContent('../alerts/conflicts.kql') }
]

// A rule has a fixed monthly price, so there is one for each severity, and its query applies the windows and
// thresholds. `isfuzzy` ignores tables that do not exist yet, and the empty table remains if all are ignored: a rule
// whose query fails for a week is disabled.
var thresholdLines = join(
  [
    'let lagEnvelopes = ${limits.lagEnvelopes};'
    'let lagMinutes = ${limits.lagMinutes};'
    'let noCommitWindow = ${limits.noCommitMinutes}m;'
    'let retentionHours = ${retentionHours}.0;'
    'let retentionPercent = ${limits.retentionPercent};'
    'let rejections = ${limits.rejections};'
    'let conflicts = ${limits.conflicts};'
    'let failureMinutes = ${limits.failureMinutes};'
    'let silentHours = ${limits.silentHours};'
    'let silentWindow = ${limits.silentHours}h;'
  ],
  '\n'
)

var severities = [
  { severity: 0, says: 'Data will soon be lost.' }
  { severity: 1, says: 'The exporter has stopped, or has a problem that it cannot repair.' }
  { severity: 2, says: 'The exporter is falling behind, failing, or rejecting records.' }
  { severity: 3, says: 'No data is at risk. Investigate during the day.' }
]

var logRules = map(severities, rule => {
  severity: rule.severity
  description: '${rule.says} Alerts: ${join(map(filter(logAlerts, alert => alert.severity == rule.severity), alert => alert.name), ', ')}. What to do: ${runbookUrl}'
  query: '${thresholdLines}\nunion isfuzzy=true\n(datatable(alert: string, subject: string, value: real) []),\n${join(map(filter(logAlerts, alert => alert.severity == rule.severity), alert => '(\n${alert.query}| extend alert = \'${alert.name}\'\n)'), ',\n')}\n| project TimeGenerated = now(), alert, subject, value, page = strcat(\'${runbookUrl}#\', alert)\n'
})

// Metric alerts of the namespace: 80 % of what all its throughput units accept (1 MB/s or 1,000 events/s each) for five
// minutes. (Storage never fills up: beyond 84 GB per unit, it is billed, not rejected.)
var metricAlerts = [
  {
    name: 'throttled'
    severity: 1
    description: 'The namespace refuses requests. Logs of API Management that it refuses may be lost.'
    metric: 'ThrottledRequests'
    threshold: limits.throttledRequests
  }
  {
    name: 'ingress-bytes'
    severity: 2
    description: 'Incoming bytes are above 80 % of what the namespace can accept.'
    metric: 'IncomingBytes'
    threshold: throughputUnits * 240000000
  }
  {
    name: 'ingress-events'
    severity: 2
    description: 'Incoming events are above 80 % of what the namespace can accept.'
    metric: 'IncomingMessages'
    threshold: throughputUnits * 240000
  }
]

resource logRule 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for rule in logRules: {
    name: '${prefix}-severity-${rule.severity}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: '${prefix}-severity-${rule.severity}'
      description: rule.description
      severity: rule.severity
      enabled: true
      scopes: [
        workspaceId
      ]
      evaluationFrequency: 'PT5M'
      // Longer than every window in the queries, which limit the time range themselves.
      windowSize: 'PT2H'
      overrideQueryTimeRange: limits.silentHours > 2 ? 'P2D' : null
      autoMitigate: true
      // The tables exist only after the first data arrives: with validation, the first deployment would
      // fail.
      skipQueryValidation: true
      criteria: {
        allOf: [
          {
            query: rule.query
            // Every row has a value above 0: it fires, and the notification shows the value.
            timeAggregation: 'Maximum'
            metricMeasureColumn: 'value'
            operator: 'GreaterThan'
            threshold: 0
            dimensions: [
              for name in ['alert', 'subject', 'page']: {
                name: name
                operator: 'Include'
                values: ['*']
              }
            ]
            failingPeriods: {
              numberOfEvaluationPeriods: 1
              minFailingPeriodsToAlert: 1
            }
          }
        ]
      }
      actions: {
        actionGroups: actionGroupIds
      }
    }
  }
]

resource metricRule 'Microsoft.Insights/metricAlerts@2018-03-01' = [
  for rule in metricAlerts: {
    name: '${prefix}-${rule.name}'
    location: 'global'
    tags: tags
    properties: {
      description: rule.description
      severity: rule.severity
      enabled: true
      scopes: [
        namespaceId
      ]
      evaluationFrequency: 'PT1M'
      windowSize: 'PT5M'
      autoMitigate: true
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            name: rule.name
            criterionType: 'StaticThresholdCriterion'
            metricNamespace: 'Microsoft.EventHub/namespaces'
            metricName: rule.metric
            timeAggregation: 'Total'
            operator: 'GreaterThan'
            threshold: rule.threshold
          }
        ]
      }
      actions: [
        for id in actionGroupIds: {
          #disable-next-line use-resource-id-functions // this is a resource id; the linter does not look into loops
          actionGroupId: id
        }
      ]
    }
  }
]
