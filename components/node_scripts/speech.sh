#!/bin/bash
# speech.sh REPLICA LOG_OPTION...: the server until it ends; what docker does with its log is the cloud's to say.
set -euo pipefail
run=${RUN_DIR:-/run/indextts2}
mounts=(--volume "$run/keys:/run/indextts2/keys:ro")
if [[ -n ${WEIGHTS_DIR:-} ]]; then mounts+=(--volume "$WEIGHTS_DIR:/weights:ro"); fi
phases=$run/phases.json
if [[ -e $phases ]]; then mounts+=(--volume "$phases:/run/indextts2/phases.json:ro"); fi
docker run --detach --rm --init --name speech --gpus all \
  --read-only --cap-drop ALL --security-opt no-new-privileges --pids-limit 4096 \
  --user "$SERVER_UID:$SERVER_UID" \
  --tmpfs "/tmp:rw,nosuid,nodev,size=1g,mode=1777" \
  --tmpfs "/work:rw,nosuid,nodev,noexec,size=1g,mode=0700,uid=$SERVER_UID,gid=$SERVER_UID" \
  "${mounts[@]}" \
  --env-file /etc/indextts2/server.env --env "SPEECH_REPLICA=$1" \
  --publish "$SERVER_PORT:$SERVER_PORT" --stop-timeout "$STOP_SECONDS" \
  "${@:2}" \
  "$IMAGE"
exit "$(docker wait speech)"
