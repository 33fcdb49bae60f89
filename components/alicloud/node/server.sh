#!/bin/bash
# The server until it ends. Its log lies on the disk, in files of a size, and the log agent takes it from there: a log
# service that is away does not hold it up.
set -euo pipefail
id=$(python3 -c 'from node import cloud; print(cloud.metadata("instance-id"))')
mounts=(--volume "$RUN_DIR/keys:/run/indextts2/keys:ro")
if [[ -n ${WEIGHTS_DIR:-} ]]; then mounts+=(--volume "$WEIGHTS_DIR:/weights:ro"); fi
phases=$RUN_DIR/phases.json
if [[ -e $phases ]]; then mounts+=(--volume "$phases:/run/indextts2/phases.json:ro"); fi
docker run --detach --rm --init --name speech --gpus all \
  --read-only --cap-drop ALL --security-opt no-new-privileges --pids-limit 4096 \
  --user "$SERVER_UID:$SERVER_UID" \
  --tmpfs "/tmp:rw,nosuid,nodev,size=1g,mode=1777" \
  --tmpfs "/work:rw,nosuid,nodev,noexec,size=1g,mode=0700,uid=$SERVER_UID,gid=$SERVER_UID" \
  "${mounts[@]}" \
  --env-file /etc/indextts2/server.env --env "SPEECH_REPLICA=$id" \
  --publish "$SERVER_PORT:$SERVER_PORT" --stop-timeout "$STOP_SECONDS" \
  --log-driver json-file --log-opt max-size=50m --log-opt max-file=4 \
  "$IMAGE"
exit "$(docker wait speech)"
