"""The last check of the image's build: the `indextts2` engine is whole, and wants no network and no folder to write.

Run as the container's user, who may write nowhere in the image; a cache that is not found there would have to be made,
and fails. The network is refused by an audit hook: every connection and every look-up of a name.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

_NETWORK = frozenset({"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"})
# GPL programs of the server's process. The engine's process is to load none: the model's terms are other ones.
_NOT_OURS = frozenset({"av", "espeakng_loader"})


def main() -> None:
    """Raises whatever a package raises that is not there; RuntimeError for the rest."""
    sys.addaudithook(_refuse_network)
    importlib.import_module("speech_server.engines.indextts2.engine")
    importlib.import_module("indextts25.infer_v2_5")
    grammars = importlib.import_module("image.build.compile_grammars")
    grammars.check_compiled()
    grammars.main()
    importlib.import_module("indextts25.utils.ja_g2p").JapaneseG2PProcessor()
    if loaded := _NOT_OURS & {name.partition(".")[0] for name in sys.modules}:
        raise RuntimeError(f"the engine's process loads {', '.join(sorted(loaded))}")
    if not any(Path("/usr/share/licenses/IndexTTS2").iterdir()):
        raise RuntimeError("the model's terms are not in /usr/share/licenses/IndexTTS2")


def _refuse_network(event: str, _: object) -> None:
    if event in _NETWORK:
        raise RuntimeError(f"{event}: the engine is loaded without a network")


if __name__ == "__main__":
    main()
