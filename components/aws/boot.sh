# What the settings are for. The image has docker, the NVIDIA runtime and the AWS CLI.
set -euo pipefail
umask 022
# shellcheck disable=SC1091
. /etc/indextts2/node.env
read -r up _ < /proc/uptime

# The EBS volume gives about 120 MB/s; the local disk holds images and layers.
nvme=/opt/dlami/nvme
for _ in {1..30}; do
  if mountpoint -q "$nvme" || ! lsblk -ndo MODEL | grep -q 'Instance Storage'; then break; fi
  sleep 1
done
if mountpoint -q "$nvme"; then
  install -d -m 0711 "$nvme/docker"
  python3 - "$nvme/docker" <<'END_OF_FILE'
import json, pathlib, subprocess, sys
path = pathlib.Path("/etc/docker/daemon.json")
found = json.loads(path.read_text()) if path.exists() else {}
if found.get("data-root") != sys.argv[1]:
    path.write_text(json.dumps({**found, "data-root": sys.argv[1]}, indent=1))
    subprocess.run(["systemctl", "restart", "docker"], check=True)
END_OF_FILE
fi
if [[ -n $WEIGHTS ]]; then
  weights=/var/lib/indextts2/weights
  if mountpoint -q "$nvme"; then weights=$nvme/weights; fi
  install -d "$weights"
  chown "$SERVER_UID:$SERVER_UID" "$weights"
  echo "WEIGHTS_DIR=$weights" >> /etc/indextts2/node.env
fi

cat > /usr/local/lib/indextts2/imds.sh <<'END_OF_FILE'
# imds PATH: what the instance metadata service says of PATH; fails where it says nothing.
imds() {
  local token root=http://169.254.169.254/latest
  token=$(curl -sf -m 2 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$root/api/token") || return 1
  curl -sf -m 2 -H @- "$root/$1" <<<"X-aws-ec2-metadata-token: $token"
}
END_OF_FILE

cat > /usr/local/lib/indextts2/keys.sh <<'END_OF_FILE'
#!/bin/bash
# The clients' keys, by the instance's role, into memory. The server reads the file again when it changes.
set -euo pipefail
. /etc/indextts2/node.env
umask 077
install -d -m 0711 /run/indextts2
install -d -m 0500 -o "$SERVER_UID" -g "$SERVER_UID" /run/indextts2/keys
new=$(mktemp /run/indextts2/new-keys.XXXXXX)
trap 'rm -f "$new"' EXIT
aws secretsmanager get-secret-value --region "$REGION" --secret-id "$KEYS_SECRET" \
  --query SecretString --output text > "$new"
# A secret that is not a list of keys must not take the place of one that is.
python3 -c 'import json, sys
keys = json.load(open(sys.argv[1]))
sys.exit(not (isinstance(keys, dict) and keys))' "$new" 2>/dev/null || {
  echo "keys: the secret $KEYS_SECRET is not a JSON object with a key in it; the former keys stay" >&2
  exit 1
}
if cmp -s "$new" /run/indextts2/keys/keys.json; then exit 0; fi
chown "$SERVER_UID:$SERVER_UID" "$new"
chmod 0400 "$new"
mv -f "$new" /run/indextts2/keys/keys.json
echo "keys: changed"
END_OF_FILE

cat > /usr/local/lib/indextts2/login.sh <<'END_OF_FILE'
#!/bin/bash
# Logs docker in to the registry, by the instance's role.
set -euo pipefail
# What docker says of a login that worked is a warning about a file that is in memory here.
if ! said=$(aws ecr get-login-password --region "$REGION" |
  docker login --username AWS --password-stdin "$REGISTRY_HOST" 2>&1); then
  echo "login: no login to $REGISTRY_HOST: $said" >&2
  exit 1
fi
END_OF_FILE

@SCRIPTS@

cat > /usr/local/lib/indextts2/server.sh <<'END_OF_FILE'
#!/bin/bash
# The server until it ends. Its log goes to CloudWatch without ever holding it up.
set -euo pipefail
set -a
. /etc/indextts2/node.env
. /usr/local/lib/indextts2/imds.sh
id=$(imds meta-data/instance-id)
exec bash /usr/local/lib/indextts2/speech.sh "$id" --log-driver awslogs \
  --log-opt "awslogs-region=$REGION" --log-opt "awslogs-group=$LOG_GROUP" --log-opt "awslogs-stream=server/$id" \
  --log-opt mode=non-blocking --log-opt max-buffer-size=8m
END_OF_FILE

cat > /usr/local/lib/indextts2/drain.sh <<'END_OF_FILE'
#!/bin/bash
# When this instance is to go - the group shrinks or replaces it, or a spot notice came - lets the server finish what
# it speaks, and then tells the group that it need not wait.
set -uo pipefail
. /etc/indextts2/node.env
. /usr/local/lib/indextts2/imds.sh
until id=$(imds meta-data/instance-id); do sleep 1; done
noticed=""
drained=""
# drain REASON [SECONDS]: lets the server finish; with an end in sight it gives back at once what it will not finish
drain() {
  if [[ -n $drained ]]; then return; fi
  echo "drain: $1; the server finishes what it speaks"
  if [[ -n ${2:-} ]]; then
    timeout "$2" docker exec speech indextts2 node drain --stay --within "$2" --reason "$1" || true
  fi
  systemctl stop indextts2-server.service
  drained=yes
}
while :; do
  if [[ $(imds meta-data/autoscaling/target-lifecycle-state) == Terminated ]]; then
    drain "the group lets this instance go"
    if aws autoscaling complete-lifecycle-action --region "$REGION" --auto-scaling-group-name "$FLEET" \
      --lifecycle-hook-name "$HOOK" --instance-id "$id" --lifecycle-action-result CONTINUE; then
      echo "drain: done"
      exit 0
    fi
  elif imds meta-data/spot/instance-action > /dev/null; then
    # Two minutes are left. The group is told as well and takes the instance out of the load balancer first, which
    # loses no request; it is given a moment for it.
    noticed=${noticed:-$SECONDS}
    if ((SECONDS - noticed >= SPOT_GRACE_SECONDS)); then drain "a spot notice" "$SPOT_WORK_SECONDS"; fi
  fi
  sleep "$POLL_SECONDS"
done
END_OF_FILE

cat > /usr/local/lib/indextts2/report.py <<'END_OF_FILE'
#!/usr/bin/python3
"""Once a minute: how much this node has to do, for the group's scaling and alarms."""
import datetime, json, pathlib, subprocess, sys, time, urllib.request
run = pathlib.Path("/run/indextts2")
region, namespace, fleet, port = sys.argv[1:]
def get(path, headers=None):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers or {})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()
def ready():
    try:
        return bool(get("/readyz"))
    except OSError:
        return False
def launched():
    found = subprocess.run(["bash", "-c", ". /usr/local/lib/indextts2/imds.sh; imds dynamic/instance-identity/document"],
                           capture_output=True, check=True)
    text = json.loads(found.stdout)["pendingTime"].replace("Z", "+00:00")
    return datetime.datetime.fromisoformat(text).timestamp()
key = next(iter(json.loads((run / "keys/keys.json").read_text()).values()))
key = key if isinstance(key, str) else key["keys"][0]
try:
    text = get("/metrics", {"Authorization": f"Bearer {key}"})
except OSError:
    sys.exit(0)  # the server is not up yet, or drains
lines = [line.rsplit(" ", 1) for line in text.splitlines() if line and line[0] != "#"]
values = {name: float(value) for name, value in lines}
now = {"at": time.monotonic(), "spoken": values.get("speech_synthesis_seconds_total", 0.0),
       "calls": values.get("speech_real_time_factor_count", 0.0)}
state = run / "report.json"
was = json.loads(state.read_text()) if state.exists() else now
state.write_text(json.dumps(now))
spoken, calls, passed = (now[name] - was[name] for name in ("spoken", "calls", "at"))
# The counters move when a call ends; a call that lasts longer than a minute shows in the requests in flight.
busy = min(1.0, spoken / passed) if passed > 0 and spoken > 0 else float(
    values.get("speech_http_requests_in_flight", 0) > 0)
metrics = {"BusyFraction": busy, "WorkSeconds": values.get("speech_lane_expected_wait_seconds", 0.0)}
if spoken > 0 and calls > 0:
    metrics["ClipWorkSeconds"] = spoken / calls
# Not in memory: a restart of the instance is no cold start.
warm = pathlib.Path("/var/lib/indextts2-was-ready")
if not warm.exists() and ready():
    metrics["ColdStartSeconds"] = time.time() - launched()
data = [{"MetricName": name, "Value": value, "Dimensions": [{"Name": "Fleet", "Value": fleet}]}
        for name, value in metrics.items()]
subprocess.run(["aws", "cloudwatch", "put-metric-data", "--region", region, "--namespace", namespace,
                "--metric-data", json.dumps(data)], check=True)
if "ColdStartSeconds" in metrics:
    warm.touch()
END_OF_FILE
chmod 0755 /usr/local/lib/indextts2/*

# The start so far: from the order to the kernel, from there to this script, and in it until docker has its disk.
up=${up%.*}
bash /usr/local/lib/indextts2/phase.sh boot "$up"
bash /usr/local/lib/indextts2/phase.sh driver "$SECONDS"
# shellcheck disable=SC1091
. /usr/local/lib/indextts2/imds.sh
if ordered=$(imds dynamic/instance-identity/document | python3 -c 'import json, sys
print(json.load(sys.stdin)["pendingTime"])' 2> /dev/null); then
  waited=$(($(date +%s) - up - SECONDS - $(date -d "$ordered" +%s)))
  bash /usr/local/lib/indextts2/phase.sh instance "$((waited > 0 ? waited : 0))"
fi

cat > /etc/indextts2/agent.json <<END_OF_FILE
{"agent": {"metrics_collection_interval": 60, "omit_hostname": true, "run_as_user": "root"},
 "metrics": {"namespace": "$NAMESPACE", "aggregation_dimensions": [["Fleet"]], "metrics_collected": {"nvidia_gpu": {
  "measurement": ["utilization_gpu", "memory_used", "memory_total", "temperature_gpu"],
  "append_dimensions": {"Fleet": "$FLEET"}}}},
 "logs": {"logs_collected": {"files": {"collect_list": [
  {"file_path": "/var/log/indextts2.log", "log_group_name": "$LOG_GROUP", "log_stream_name": "node/{instance_id}"},
  {"file_path": "/var/log/cloud-init-output.log", "log_group_name": "$LOG_GROUP",
   "log_stream_name": "boot/{instance_id}"}]}}}}
END_OF_FILE
agent=/opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl
if [[ -x $agent ]]; then
  "$agent" -a fetch-config -m ec2 -s -c file:/etc/indextts2/agent.json || echo "the CloudWatch agent did not start" >&2
else
  echo "this image has no CloudWatch agent: no GPU metrics, no node logs" >&2
fi

# unit NAME DESCRIPTION < the rest of the unit
unit() {
  { printf '[Unit]\nDescription=IndexTTS2 %s\n' "$2"; cat; } > "/etc/systemd/system/indextts2-$1"
}
log=StandardOutput=append:/var/log/indextts2.log
unit keys.service "keys" <<END_OF_FILE
[Service]
Type=oneshot
ExecStart=/usr/local/lib/indextts2/keys.sh
$log
StandardError=inherit
END_OF_FILE
unit keys.timer "keys, every 30 s" <<END_OF_FILE
[Timer]
OnActiveSec=30
OnUnitActiveSec=30
AccuracySec=1
[Install]
WantedBy=timers.target
END_OF_FILE
unit report.service "report" <<END_OF_FILE
[Service]
Type=oneshot
ExecStart=/usr/local/lib/indextts2/report.py $REGION $NAMESPACE $FLEET $SERVER_PORT
$log
StandardError=inherit
END_OF_FILE
unit report.timer "report, every minute" <<END_OF_FILE
[Timer]
OnActiveSec=60
OnUnitActiveSec=60
AccuracySec=1
[Install]
WantedBy=timers.target
END_OF_FILE
unit server.service "speech server" <<END_OF_FILE
Requires=docker.service
After=docker.service network-online.target
StartLimitIntervalSec=900
StartLimitBurst=20
[Service]
ExecStartPre=/bin/bash -c '/usr/local/lib/indextts2/keys.sh || test -s /run/indextts2/keys/keys.json'
ExecStartPre=/bin/bash -c 'set -a; . /etc/indextts2/node.env; exec /usr/local/lib/indextts2/prepare.sh /usr/local/lib/indextts2/login.sh'
ExecStart=/usr/local/lib/indextts2/server.sh
ExecStop=/usr/bin/docker stop -t $STOP_SECONDS speech
ExecStopPost=/usr/local/lib/indextts2/end_weights.sh
TimeoutStartSec=$START_SECONDS
TimeoutStopSec=$((STOP_SECONDS + 30))
Restart=always
RestartSec=5
$log
StandardError=inherit
[Install]
WantedBy=multi-user.target
END_OF_FILE
unit drain.service "drainer" <<END_OF_FILE
[Service]
ExecStart=/usr/local/lib/indextts2/drain.sh
Restart=on-failure
RestartSec=5
$log
StandardError=inherit
[Install]
WantedBy=multi-user.target
END_OF_FILE
systemctl daemon-reload
systemctl enable --now indextts2-drain.service indextts2-keys.timer indextts2-report.timer
systemctl enable --now --no-block indextts2-server.service
