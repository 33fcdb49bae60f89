#!/bin/bash
# prepare.sh LOGIN...: what the server needs on this node, its image and the weights, as far as they are not here; both
# at once where the weights have an image of their own. LOGIN logs docker in; it runs where an image is lacking.
set -uo pipefail
here=$(dirname "$0")
run=${RUN_DIR:-/run/indextts2}
docker rm -f speech > /dev/null 2>&1
export DOCKER_CONFIG=$run/docker
install -d -m 0711 "$run"
install -d -m 0700 "$DOCKER_CONFIG"
for needed in "$IMAGE" ${WEIGHTS_IMAGE:+"$WEIGHTS_IMAGE"}; do
  if [[ -n $REGISTRY_HOST ]] && ! docker image inspect "$needed" > /dev/null 2>&1; then
    "$@" || exit 1
    break
  fi
done
if [[ -z ${WEIGHTS_IMAGE:-} ]]; then
  bash "$here/pull.sh" "$IMAGE" image || exit 1
  exec bash "$here/weights.sh"
fi
said=$run/pull.log
# What is wrong with it is told at once, for the weights may take long.
bash -c '"$@" 2> "$0" || { cat "$0" >&2; exit 1; }' "$said" bash "$here/pull.sh" "$IMAGE" image &
pull=$!
weights=0
bash "$here/weights.sh" || weights=$?
# Neither is stopped because the other failed: the next try finds what it brought. The last line is the failing one's, so
# the pull's is told again.
if ! wait "$pull"; then
  cat "$said" >&2
  exit 1
fi
exit "$weights"
