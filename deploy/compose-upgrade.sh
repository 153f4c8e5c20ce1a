#!/bin/sh
# Puts another version under a running Compose set-up, with a receiver that answers at every moment: builds the image, then
# replaces one receiver after the other, each only when the balancer reaches the one before, then workers, registrar and
# console.
#
#   ./compose-upgrade.sh                                        what compose.yaml describes
#   ./compose-upgrade.sh -f compose.yaml -f compose.sentinel.yaml
#
# It stops at the first that does not get ready; those behind it still run as they were. Balancer, store and monitoring are
# left alone: an edited nginx.conf is taken up by `docker compose exec balancer nginx -s reload`, and `docker compose up
# --detach SERVICE` replaces one of them. COMPOSE: what to call in the place of `docker compose`.
set -eu
cd "$(dirname "$0")"

compose() {
    ${COMPOSE:-docker compose} "$@"
}

compose "$@" build receiver-1
for receiver in receiver-1 receiver-2; do
    compose "$@" up --detach --no-build --no-deps --wait --wait-timeout 120 "$receiver"
    # It has its address, but perhaps another hardware address, which its neighbours learn within seconds.
    tries=0
    until compose "$@" exec -T balancer wget -q -T 2 -O /dev/null "http://$receiver:8000/readyz"; do
        tries=$((tries + 1))
        if [ "$tries" -ge 60 ]; then
            echo "compose-upgrade: the balancer does not reach $receiver; the other receiver runs as it was" >&2
            exit 1
        fi
        sleep 1
    done
done
compose "$@" up --detach --no-build --no-deps --wait --wait-timeout 120 worker watch console
