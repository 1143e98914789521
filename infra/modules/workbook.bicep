// The workbook: throughput, lag, rejections, connections.
import { Tags } from '../types.bicep'

@description('Title of the workbook.')
param displayName string
@description('Region of the workbook.')
param location string
@description('Tags of the workbook.')
param tags Tags
@description('Workspace that the workbook belongs to.')
param workspaceId string
@description('Workspaces of other deployments, for example in other regions, that the workbook also shows.')
param otherWorkspaceIds string[]

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(workspaceId, 'workbook')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: displayName
    category: 'workbook'
    sourceId: workspaceId
    serializedData: replace(
      loadTextContent('../workbook.json'),
      '"__WORKSPACE_ID__"',
      join(map(union([workspaceId], otherWorkspaceIds), id => '"${id}"'), ', ')
    )
  }
}
