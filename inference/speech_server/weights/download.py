"""From a hub to a folder: one stream a file, several files at once, each with the sum that the hub publishes.

A file that breaks off is continued, in this run or the next.
"""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path

from speech_server.engines.indextts2.weights import weights_problems
from speech_server.weights.failure import Exit, TransferError, disk_failure
from speech_server.weights.folder import WeightsFolder
from speech_server.weights.hub_client import HubClient
from speech_server.weights.hub_files import Wanted, auxiliary_sources, model_version, wanted_files
from speech_server.weights.hubs import Repo, Source, file_url, page_url
from speech_server.weights.manifest import PART_BYTES, File, Manifest, Origin, encode
from speech_server.weights.progress import Progress
from speech_server.weights.sums import Summing, Sums
from speech_server.weights.together import Stop, check_stop, run_together

_FILES_AT_ONCE = 6
_READ_BYTES = 4 << 20


def download(source: Source, folder: WeightsFolder, progress: Progress, stop: Stop) -> Manifest:
    """When it returns, the folder holds the repository's weights and the auxiliary models, verified. Raises
    TransferError, and StoppedError once `stop` is set.
    """
    client = HubClient(source.hub)
    try:
        main = client.repo(source, stop)
        version = model_version(main)
        auxiliary = {name: client.repo(one, stop) for name, one in auxiliary_sources(source.hub, version).items()}
        wanted = wanted_files(main, auxiliary, version)
        with folder.locked(progress.say, stop):
            folder.check_space((one.path, one.listed.size) for one in wanted)
            progress.begin("download", sum(one.listed.size for one in wanted))
            files = _download_all(wanted, [main, *auxiliary.values()], client, folder, progress, stop)
            listed = Manifest(version, PART_BYTES, _origins([main, *auxiliary.values()]), files)
            problems = weights_problems(folder.path, version)
            if problems:
                raise TransferError(Exit.CONTENT, f"{page_url(source)} has no usable weights: {'; '.join(problems)}")
            data = encode(listed)
            folder.begin(data, listed)
            folder.finish(data, durable=True)
            progress.end()
            return listed
    finally:
        client.close()


def _origins(repos: list[Repo]) -> tuple[Origin, ...]:
    return tuple(Origin(page_url(repo.source), repo.revision, repo.licence) for repo in repos)


def _download_all(
    wanted: tuple[Wanted, ...],
    repos: list[Repo],
    client: HubClient,
    folder: WeightsFolder,
    progress: Progress,
    stop: Stop,
) -> tuple[File, ...]:
    folder.unmark()
    work = deque(sorted(wanted, key=lambda one: -one.listed.size))
    files: list[File] = []

    def run(inner: Stop) -> None:
        while True:
            check_stop(inner)
            try:
                one = work.popleft()
            except IndexError:
                return
            sums = _download(one, client, folder, progress, inner)
            folder.settle(one.path)
            files.append(File(one.path, sums.size, sums.sha256, sums.parts, repos.index(one.repo)))

    run_together(_FILES_AT_ONCE, run, stop)
    return tuple(sorted(files, key=lambda file: file.path))


def _download(one: Wanted, client: HubClient, folder: WeightsFolder, progress: Progress, stop: Stop) -> Sums:
    """The file in its partial place. What was there is kept if all of it together has the right sum."""
    path = folder.partial(one.path)
    try:
        sums = _continue(one, path, client, progress, stop)
        if not _is_right(sums, one):
            progress.moved(-sums.size)
            path.unlink()
            sums = _continue(one, path, client, progress, stop)
    except OSError as error:
        raise disk_failure(error, path) from None
    if not _is_right(sums, one):
        raise TransferError(
            Exit.CONTENT,
            f"{one.path}: what {file_url(one.repo, one.listed.path)} sends has not the sum that the hub publishes for "
            "it: try again, or take another mirror",
        )
    return sums


def _continue(one: Wanted, path: Path, client: HubClient, progress: Progress, stop: Stop) -> Sums:
    size = one.listed.size
    git_size = None if one.listed.git is None else size
    summing = Summing(git_size)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    with os.fdopen(handle, "r+b") as file:
        if path.stat().st_size > size:
            file.truncate(0)
        while data := file.read(_READ_BYTES):
            check_stop(stop)
            summing.update(data)
            progress.found(len(data))
        at = summing.size
        for offset, data in client.bytes_from(file_url(one.repo, one.listed.path), at, size, stop):
            if offset < summing.size:
                progress.moved(-summing.size)
                file.seek(0)
                file.truncate(0)
                summing = Summing(git_size)
            file.write(data)
            summing.update(data)
            progress.moved(len(data))
    return summing.finish()


def _is_right(sums: Sums, one: Wanted) -> bool:
    listed = one.listed
    right = sums.sha256 == listed.sha256 if listed.git is None else sums.git == listed.git
    return right and sums.size == listed.size
