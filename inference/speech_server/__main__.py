"""`python -m speech_server`: the same as the `indextts2` command."""

import sys

from speech_server.cli import main

sys.exit(main())
