#!/bin/sh
# Regenerates the snapshots of all scenarios. Review the difference, which is what a deployment would change.
set -eu
cd "$(dirname "$0")/../.."
: "${BICEP:=$(command -v bicep || echo "$HOME/.azure/bin/bicep")}"
export DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1
snapshot() {
    "$BICEP" snapshot "$1" --mode overwrite --location westeurope \
        --subscription-id 00000000-0000-0000-0000-000000000000
}
for parameters in tests/infra/scenarios/*.bicepparam; do snapshot "$parameters"; done
# The documented parameters, with the variable that they need.
APIM_RESOURCE_ID=/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-apim/providers/Microsoft.ApiManagement/service/apim
export APIM_RESOURCE_ID
snapshot infra/az.bicepparam
mv infra/az.snapshot.json tests/infra/scenarios/documented.snapshot.json
