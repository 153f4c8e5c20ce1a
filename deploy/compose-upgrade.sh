#!/bin/sh
# Puts another version under a running Compose set-up, with a receiver that answers at every moment: builds the image, then
# replaces one receiver after the other, each only when the one before is ready, and then the rest.
#
#   ./compose-upgrade.sh                                        what compose.yaml describes
#   ./compose-upgrade.sh -f compose.yaml -f compose.sentinel.yaml
#
# It stops at the first that does not get ready; those behind it still run as they were. COMPOSE: what to call in the place
# of `docker compose`.
set -eu
cd "$(dirname "$0")"

compose() {
    ${COMPOSE:-docker compose} "$@"
}

compose "$@" build receiver-1
for receiver in receiver-1 receiver-2; do
    compose "$@" up --detach --no-build --no-deps --wait --wait-timeout 120 "$receiver"
done
compose "$@" up --detach --no-build --wait --wait-timeout 600
