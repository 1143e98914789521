# Runs before azd creates anything: checks the API Management service, and keeps the current throughput units.
$ErrorActionPreference = 'Stop'

$id = $env:APIM_RESOURCE_ID
if (-not $id) {
    throw 'Set the API Management service: azd env set APIM_RESOURCE_ID (az apim show -g GROUP -n NAME --query id -o tsv)'
}
if ($id -notmatch '^/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.ApiManagement/service/[^/]+$') {
    throw "APIM_RESOURCE_ID is not the resource id of an API Management service: $id"
}

$service = az resource show --ids $id --query '[location, sku.name]' --output tsv
if ($LASTEXITCODE) { throw "Cannot read ${id}: sign in with az login, and check the id." }
$region = $service[0].Replace(' ', '').ToLowerInvariant()

if ($region -ne $env:AZURE_LOCATION) {
    throw "AZURE_LOCATION is $env:AZURE_LOCATION, and the service is in ${region}: a diagnostic setting reaches Event Hubs only in its own region. Run: azd env set AZURE_LOCATION $region"
}
if ($service[1] -eq 'Consumption') {
    throw 'The service has the Consumption tier, which has no WebSocket APIs and no resource logs.'
}

# Auto-inflate may have raised the units; a deployment with fewer would throttle API Management and lose its logs.
$group = if ($env:AZURE_RESOURCE_GROUP) { $env:AZURE_RESOURCE_GROUP } else { "rg-websocketlogs-$env:AZURE_ENV_NAME" }
$units = az eventhubs namespace list --resource-group $group --query 'max([].sku.capacity)' --output tsv 2>$null
$given = if ($env:THROUGHPUT_UNITS) { [int]$env:THROUGHPUT_UNITS } else { 1 }
$maximum = if ($env:MAXIMUM_THROUGHPUT_UNITS) { [int]$env:MAXIMUM_THROUGHPUT_UNITS } else { 4 }
if ($units -and [int]$units -gt $given) {
    Write-Output "The namespace has $units throughput units, which are kept."
    azd env set THROUGHPUT_UNITS $units
    if ([int]$units -gt $maximum) { azd env set MAXIMUM_THROUGHPUT_UNITS $units }
}
exit 0
