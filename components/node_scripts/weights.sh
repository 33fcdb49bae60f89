#!/bin/bash
# The model's weights on this node's disk, whole and verified: from the bucket, which gets them first if it has none.
set -euo pipefail
if [[ -z ${WEIGHTS_DIR:-} ]]; then exit 0; fi
here=$(dirname "$0")
image=${WEIGHTS_IMAGE:-$IMAGE}
# What is lacking for a moment at a boot (the role's credentials, a way out) is there a little later.
for pause in 5 15 45 0; do
  docker rm -f weights > /dev/null 2>&1 || true
  if bash "$here/pull.sh" "$image" && docker run --rm --init --name weights --log-driver none \
    --read-only --cap-drop ALL --security-opt no-new-privileges --pids-limit 512 \
    --user "$SERVER_UID:$SERVER_UID" \
    --tmpfs "/tmp:rw,nosuid,nodev,noexec,size=256m,mode=1777" \
    --volume "$WEIGHTS_DIR:/weights" --env-file /etc/indextts2/weights.env --env NVIDIA_VISIBLE_DEVICES=void \
    --entrypoint python "$image" -m speech_server.node sync-weights; then
    bash "$here/phase.sh" weights "$SECONDS"
    exit 0
  fi
  sleep "$pause"
done
# A store that is away keeps no node from what lies on its disk; whether that still holds, the server sees itself.
if [[ -e $WEIGHTS_DIR/VERIFIED ]]; then
  echo "weights: the bucket was not asked; those of this disk, verified before, are used" >&2
  exit 0
fi
# The program's last line says why, and what to do; nothing may come after it.
exit 1
