#!/bin/bash
# What brings the weights is a container, no child of the unit that asked for it, and outlives it: so it is ended here,
# after the unit. Not by a trap in weights.sh, whose commands systemd's stop of the unit would meet as well.
docker stop -t 10 weights > /dev/null 2>&1
docker rm -f weights > /dev/null 2>&1
exit 0
