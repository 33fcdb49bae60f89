#!/bin/bash
# The server until it ends. Its log lies on the disk, in files of a size, and the log agent takes it from there: a log
# service that is away does not hold it up.
set -euo pipefail
id=$(python3 -c 'from node import cloud; print(cloud.metadata("instance-id"))')
exec bash "$(dirname "$0")/speech.sh" "$id" --log-driver json-file --log-opt max-size=50m --log-opt max-file=4
