#!/bin/bash
# The image by its digest, unless it is here.
set -euo pipefail
docker rm -f speech > /dev/null 2>&1 || true
if docker image inspect "$IMAGE" > /dev/null 2>&1; then exit 0; fi
export DOCKER_CONFIG=$RUN_DIR/docker
install -d -m 0700 "$DOCKER_CONFIG"
if [[ -n $REGISTRY_HOST ]]; then python3 -m node.registry; fi
docker pull --quiet "$IMAGE"
bash "$(dirname "$0")/phase.sh" image "$SECONDS"
