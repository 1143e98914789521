// The action group for `alertEmail`.
import { Tags } from '../types.bicep'

@description('Name of the group.')
param name string
@description('Tags of the group.')
param tags Tags
@description('E-mail address for alerts.')
param email string

resource group 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: name
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'wslogs' // at most 12 characters; text messages begin with it
    enabled: true
    emailReceivers: [
      {
        name: 'mail'
        emailAddress: email
        useCommonAlertSchema: true
      }
    ]
  }
}
