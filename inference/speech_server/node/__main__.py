"""`python -m speech_server.node COMMAND`: the same as `indextts2 node COMMAND`, for programs on the node."""

import sys

from speech_server.cli import main

sys.exit(main(["node", *sys.argv[1:]]))
