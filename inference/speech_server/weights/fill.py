"""An empty `weights/NAME/` is filled once, by whichever node comes first; the others wait and say how far it is."""

from __future__ import annotations

from speech_server.weights.claim import Pace, take_or_wait
from speech_server.weights.download import download
from speech_server.weights.folder import WeightsFolder
from speech_server.weights.hubs import Source
from speech_server.weights.place import WeightsPlace
from speech_server.weights.progress import Progress
from speech_server.weights.push import send_all
from speech_server.weights.together import Stop


def fill(
    place: WeightsPlace, source: Source, folder: WeightsFolder, progress: Progress, stop: Stop, pace: Pace
) -> bool:
    """Whether this program filled it; then `folder` holds the weights too. When it returns, the place has a manifest.
    Raises TransferError, and StoppedError once `stop` is set.
    """
    claimed = take_or_wait(place, progress, stop, lambda: place.manifest() is not None, pace)
    if claimed is None:
        return False
    with claimed as holder:
        listed = download(source, folder, progress, stop)
        send_all(place, folder, listed, holder, progress, stop)
    return True
