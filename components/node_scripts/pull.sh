#!/bin/bash
# pull.sh IMAGE [PHASE]: an image by its digest, unless it is here. What it says is why not, and nothing else.
set -euo pipefail
if docker image inspect "$1" > /dev/null 2>&1; then exit 0; fi
docker pull --quiet "$1" > /dev/null
if [[ -n ${2:-} ]]; then bash "$(dirname "$0")/phase.sh" "$2" "$SECONDS"; fi
