// What wakes somebody. docs/operations.md says of each what to do.
param prefix string
param location string
param tags object
param workspaceId string
param namespaceId string
param throughputUnits int
param actionGroupIds array
param thresholds object

// Starting points for some 100 records/s. Change those of your traffic with the parameter alertThresholds.
// (noCommitMinutes becomes a window of Azure Monitor: 5, 10, 15, 30 or 45.)
var limits = union({
  lagEnvelopes: 50000
  lagMinutes: 15
  noCommitMinutes: 30
  retentionHours: 24
  rejections: 100
  conflicts: 100
  failures: 20
  throttledRequests: 0
}, thresholds)

// `Minimum` over a window means all of it, so that one late report wakes nobody.
var logAlerts = [
  {
    name: 'lag-envelopes'
    severity: 2
    description: 'A partition has more envelopes waiting than the threshold, and had all the time.'
    query: loadTextContent('../alerts/lag-envelopes.kql')
    window: 'PT15M'
    aggregation: 'Minimum'
    column: 'value'
    dimension: 'partition'
    operator: 'GreaterThan'
    threshold: limits.lagEnvelopes
  }
  {
    name: 'lag-minutes'
    severity: 2
    description: 'What a partition has committed is older than the threshold, in minutes, and was all the time.'
    query: loadTextContent('../alerts/lag-minutes.kql')
    window: 'PT15M'
    aggregation: 'Minimum'
    column: 'value'
    dimension: 'partition'
    operator: 'GreaterThan'
    threshold: limits.lagMinutes
  }
  {
    name: 'retention'
    severity: 0
    description: 'In less than the threshold, in hours, the hub deletes events that were not exported.'
    query: loadTextContent('../alerts/retention.kql')
    window: 'PT15M'
    aggregation: 'Maximum'
    column: 'value'
    dimension: 'partition'
    operator: 'LessThan'
    threshold: limits.retentionHours
  }
  {
    name: 'no-commit'
    severity: 1
    description: 'Events wait, and nothing of their partition was committed for ${limits.noCommitMinutes} minutes.'
    query: loadTextContent('../alerts/no-commit.kql')
    window: 'PT${limits.noCommitMinutes}M'
    aggregation: 'Maximum'
    column: 'value'
    dimension: 'partition'
    operator: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'timer-silent'
    severity: 1
    description: 'No lag was reported for 30 minutes: the timer does not run, or the hub does not answer. Alerts on lag are blind.'
    query: loadTextContent('../alerts/timer-silent.kql')
    window: 'PT30M'
    aggregation: 'Count'
    column: ''
    dimension: ''
    operator: 'LessThan'
    threshold: 1
  }
  {
    name: 'compaction-silent'
    severity: 3
    description: 'No run of compact_logs succeeded for 2 hours: small files stay.'
    query: loadTextContent('../alerts/compaction-silent.kql')
    window: 'PT2H'
    aggregation: 'Count'
    column: ''
    dimension: ''
    operator: 'LessThan'
    threshold: 1
  }
  {
    name: 'rejections'
    severity: 2
    description: 'More records than the threshold went to the dead letters in 15 minutes, for one reason.'
    query: loadTextContent('../alerts/rejections.kql')
    window: 'PT15M'
    aggregation: 'Total'
    column: 'value'
    dimension: 'reason'
    operator: 'GreaterThan'
    threshold: limits.rejections
  }
  {
    name: 'conflicts'
    severity: 3
    description: 'More commits of a partition than the threshold were begun again in 15 minutes: two instances fight for it.'
    query: loadTextContent('../alerts/conflicts.kql')
    window: 'PT15M'
    aggregation: 'Total'
    column: 'value'
    dimension: 'partition'
    operator: 'GreaterThan'
    threshold: limits.conflicts
  }
  {
    name: 'integrity'
    severity: 1
    description: 'A ledger is missing or was rolled back, a file was lost, counts do not balance, connections were let go, or a swap of compaction does not end.'
    query: loadTextContent('../alerts/integrity.kql')
    window: 'PT15M'
    aggregation: 'Total'
    column: 'value'
    dimension: 'metric'
    operator: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'gaps-grew'
    severity: 2
    description: 'Sequence numbers were passed over: the hub deleted events before they were read.'
    query: loadTextContent('../alerts/gaps-grew.kql')
    window: 'PT1H'
    aggregation: 'Maximum'
    column: 'value'
    dimension: 'partition'
    operator: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'failures'
    severity: 2
    description: 'More invocations of a function than the threshold failed in 15 minutes. Failed exports are tried again for ever.'
    query: loadTextContent('../alerts/failures.kql')
    window: 'PT15M'
    aggregation: 'Total'
    column: 'value'
    dimension: 'functionName'
    operator: 'GreaterThan'
    threshold: limits.failures
  }
  {
    name: 'timeouts'
    severity: 2
    description: 'An invocation took longer than functionTimeout; its worker was restarted.'
    query: loadTextContent('../alerts/timeouts.kql')
    window: 'PT15M'
    aggregation: 'Total'
    column: 'value'
    dimension: ''
    operator: 'GreaterThan'
    threshold: 0
  }
]

// Of the namespace. A throughput unit takes in 1 MB/s or 1,000 events/s: 80 % of that, of all that the
// namespace may have, for five minutes. (Storage never fills up: beyond 84 GB per unit it is charged for, not refused.)
var metricAlerts = [
  {
    name: 'throttled'
    severity: 1
    description: 'The namespace refuses requests. What it refuses of API Management may be lost.'
    metric: 'ThrottledRequests'
    threshold: limits.throttledRequests
  }
  {
    name: 'ingress-bytes'
    severity: 2
    description: 'Incoming bytes are above 80 % of what the namespace can take in.'
    metric: 'IncomingBytes'
    threshold: throughputUnits * 240000000
  }
  {
    name: 'ingress-events'
    severity: 2
    description: 'Incoming events are above 80 % of what the namespace can take in.'
    metric: 'IncomingMessages'
    threshold: throughputUnits * 240000
  }
]

resource logRules 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = [for rule in logAlerts: {
  name: '${prefix}-${rule.name}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: '${prefix}-${rule.name}'
    description: rule.description
    severity: rule.severity
    enabled: true
    scopes: [
      workspaceId
    ]
    evaluationFrequency: 'PT5M'
    windowSize: rule.window
    autoMitigate: true
    // Azure Monitor knows the tables only after data came in: with validation, the first deployment fails.
    skipQueryValidation: true
    criteria: {
      allOf: [
        {
          criterionType: 'StaticThresholdCriterion'
          query: rule.query
          timeAggregation: rule.aggregation
          metricMeasureColumn: empty(rule.column) ? null : rule.column
          dimensions: empty(rule.dimension) ? [] : [
            {
              name: rule.dimension
              operator: 'Include'
              values: [
                '*'
              ]
            }
          ]
          operator: rule.operator
          threshold: rule.threshold
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
}]

resource metricRules 'Microsoft.Insights/metricAlerts@2018-03-01' = [for rule in metricAlerts: {
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
    actions: [for id in actionGroupIds: {
      actionGroupId: id
    }]
  }
}]
