"""A long shell script in a short one: what is the same on every node of a cloud travels packed in its user data."""

from __future__ import annotations

import base64
import bz2

# Its alphabet has nothing that could end a Python text or a here document.
_UNPACK = """\
python3 - > /usr/local/lib/indextts2/boot.sh <<'END_OF_FILE'
import base64, bz2, sys
sys.stdout.buffer.write(bz2.decompress(base64.b85decode("{}")))
END_OF_FILE
exec bash /usr/local/lib/indextts2/boot.sh
"""


def packed(script: str) -> str:
    """A script that leaves `script` in /usr/local/lib/indextts2, which must be there, and goes on as it.

    By bz2, whose output has been the same for years: another zlib's is another, and a node's template must not change
    with the machine that deploys it.
    """
    return _UNPACK.format(base64.b85encode(bz2.compress(script.encode())).decode())
