# What the settings are for.
set -euo pipefail
umask 022
lib=/usr/local/lib/indextts2
install -d "$lib/node" /var/log/indextts2

@PROGRAMS@
chmod 0755 "$lib"/node/*.sh
set -a
# shellcheck disable=SC1091
. /etc/indextts2/node.env
set +a
install -d -m 0711 "$RUN_DIR"
if [[ -n $WEIGHTS_DIR ]]; then
  install -d "$WEIGHTS_DIR"
  chown "$SERVER_UID:$SERVER_UID" "$WEIGHTS_DIR"
fi

# The start so far: from the kernel to here. When the instance was ordered nothing here tells.
read -r up _ < /proc/uptime
bash "$lib/node/phase.sh" boot "${up%.*}"

# The GPU system image has the driver; whether it has docker and NVIDIA's runtime depends on its date.
have() { command -v "$1" > /dev/null; }
if ! have docker || ! have nvidia-ctk; then
  export DEBIAN_FRONTEND=noninteractive
  for _ in {1..10}; do if apt-get -q update; then break; fi; sleep 6; done
  have docker || apt-get -q -y install docker.io
  have nvidia-ctk || apt-get -q -y install nvidia-container-toolkit || {
    echo "this image has no nvidia-container-toolkit, and its package sources have none; set systemImage" >&2
    exit 1
  }
fi
if ! docker info --format '{{json .Runtimes}}' | grep -q '"nvidia"'; then
  nvidia-ctk runtime configure --runtime=docker
  systemctl restart docker
fi

bash "$lib/node/phase.sh" driver "$SECONDS"

# Without its agents a node still speaks; it lacks GPU figures, or its log stays on it.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# agent NAME ADDRESS ARGUMENT...: runs the installer there
agent() {
  if curl -sSf --retry 5 -m 120 -o "$work/$1.sh" "https://$2" && bash "$work/$1.sh" "${@:3}" > "$work/$1.log" 2>&1; then
    return
  fi
  echo "the $1 agent was not installed" >&2
  tail -n 5 "$work/$1.log" >&2 || true
}
if [[ ! -x /usr/local/cloudmonitor/bin/argusagent ]]; then
  agent cloudmonitor "cms-agent-$REGION.oss-$REGION-internal.aliyuncs.com/Argus/agent_install_ecs-1.7.sh"
fi
install -d /etc/ilogtail
echo "$FLEET" > /etc/ilogtail/user_defined_id
if [[ ! -d /usr/local/ilogtail ]]; then
  store=aliyun-observability-release-$REGION.oss-$REGION-internal.aliyuncs.com
  agent log "$store/loongcollector/linux64/latest/loongcollector.sh" install "$REGION-internal"
fi

# unit NAME DESCRIPTION < the rest of the unit
unit() {
  { printf '[Unit]\nDescription=IndexTTS2 %s\n' "$2"; cat; } > "/etc/systemd/system/indextts2-$1"
}
service="EnvironmentFile=/etc/indextts2/node.env
Environment=PYTHONPATH=$lib
StandardOutput=append:/var/log/indextts2/node.log
StandardError=inherit"
keys="/usr/bin/python3 -m node.keys"
ready="/usr/bin/install -d -m 0500 -o $SERVER_UID -g $SERVER_UID $RUN_DIR/keys"
unit keys.service "keys" <<END_OF_FILE
[Service]
Type=oneshot
$service
ExecStartPre=$ready
ExecStart=$keys
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
$service
ExecStart=/usr/bin/python3 -m node.report
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
$service
ExecStartPre=$ready
ExecStartPre=/bin/bash -c '$keys || test -s $KEYS_FILE'
ExecStartPre=$lib/node/prepare.sh /usr/bin/python3 -m node.registry
ExecStart=$lib/node/server.sh
ExecStop=/usr/bin/docker stop -t $STOP_SECONDS speech
ExecStopPost=$lib/node/end_weights.sh
TimeoutStartSec=$START_SECONDS
TimeoutStopSec=$((STOP_SECONDS + 30))
Restart=always
RestartSec=5
[Install]
WantedBy=multi-user.target
END_OF_FILE
unit lifecycle.service "coming and going" <<END_OF_FILE
[Service]
$service
ExecStart=/usr/bin/python3 -m node.lifecycle
Restart=on-failure
RestartSec=5
[Install]
WantedBy=multi-user.target
END_OF_FILE
systemctl daemon-reload
systemctl enable --now indextts2-lifecycle.service indextts2-keys.timer indextts2-report.timer
systemctl enable --now --no-block indextts2-server.service
