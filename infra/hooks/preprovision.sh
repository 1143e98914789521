#!/bin/sh
# Runs before azd creates anything: checks the API Management service, and keeps the current throughput
# units.
set -eu

fail() {
    echo "$1" >&2
    exit 1
}

case "${APIM_RESOURCE_ID:-}" in
    /subscriptions/*/resourceGroups/*/providers/Microsoft.ApiManagement/service/*) ;;
    "") fail "Set the API Management service: azd env set APIM_RESOURCE_ID \$(az apim show -g GROUP -n NAME --query id -o tsv)" ;;
    *) fail "APIM_RESOURCE_ID is not the resource id of an API Management service: $APIM_RESOURCE_ID" ;;
esac

service=$(az resource show --ids "$APIM_RESOURCE_ID" --query "[location, sku.name]" --output tsv) ||
    fail "Cannot read $APIM_RESOURCE_ID: sign in with az login, and check the id."
region=$(echo "$service" | sed -n 1p | tr -d ' ' | tr '[:upper:]' '[:lower:]')
sku=$(echo "$service" | sed -n 2p)

[ "$region" = "${AZURE_LOCATION:-}" ] ||
    fail "AZURE_LOCATION is ${AZURE_LOCATION:-not set}, and the service is in $region: a diagnostic setting reaches Event Hubs only in its own region. Run: azd env set AZURE_LOCATION $region"
[ "$sku" != Consumption ] ||
    fail "The service has the Consumption tier, which has no WebSocket APIs and no resource logs."

# Auto-inflate may have raised the units; a deployment with fewer would throttle API Management and lose its
# logs.
group=${AZURE_RESOURCE_GROUP:-rg-websocketlogs-$AZURE_ENV_NAME}
units=$(az eventhubs namespace list --resource-group "$group" --query "max([].sku.capacity)" --output tsv 2>/dev/null || true)
if [ -n "$units" ] && [ "$units" -gt "${THROUGHPUT_UNITS:-1}" ]; then
    echo "The namespace has $units throughput units, which are kept."
    azd env set THROUGHPUT_UNITS "$units"
    [ "$units" -le "${MAXIMUM_THROUGHPUT_UNITS:-4}" ] || azd env set MAXIMUM_THROUGHPUT_UNITS "$units"
fi
