# What an instance does at its first boot. Running it again changes nothing.
set -euo pipefail
umask 022
install -d /etc/indextts2 /usr/local/lib/indextts2

cat > /etc/indextts2/node.env <<'END_OF_FILE'
@NODE_ENV@
END_OF_FILE
cat > /etc/indextts2/server.env <<'END_OF_FILE'
@SERVER_ENV@
END_OF_FILE
cat > /etc/indextts2/weights.env <<'END_OF_FILE'
@WEIGHTS_ENV@
END_OF_FILE
