"""Where weights come from first: a model hub's repositories, what its answers say about files, and their addresses.

Hugging Face and its mirrors: `/api/models/REPO/revision/REV?blobs=true` lists the files with their LFS sha256, or what
Git calls them, and `/REPO/resolve/COMMIT/PATH` has their bytes (huggingface_hub's hf_api.py and file_download.py).
ModelScope: `/api/v1/models/REPO/repo/files?Revision=REV&Recursive=true` lists them with their sha256, and
`/api/v1/models/REPO/repo?Revision=REV&FilePath=PATH` has their bytes (modelscope's hub/api.py and file_download.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from speech_server.weights.failure import Exit, TransferError

_DEFAULT_ENDPOINTS = {"hf": "https://huggingface.co", "modelscope": "https://www.modelscope.cn"}
_DEFAULT_REVISIONS = {"hf": "main", "modelscope": "master"}
_FORMS = "hf://OWNER/REPO[@REVISION][?endpoint=https://MIRROR] or modelscope://OWNER/REPO[@REVISION]"
_REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_FILE_BYTES = 64 << 30
_MAX_LICENCE_CHARS = 100


@dataclass(frozen=True)
class Hub:
    """`kind` is "hf" or "modelscope"; `endpoint` has no slash at its end."""

    kind: str
    endpoint: str


@dataclass(frozen=True)
class Source:
    """A repository of a hub at a revision: a commit, a tag or a branch."""

    hub: Hub
    repo: str
    revision: str


@dataclass(frozen=True)
class Listed:
    """A file as the hub's list has it: `size` in bytes, and its sha256, or if there is none the sha1 that Git names it
    by.
    """

    path: str
    size: int
    sha256: str | None
    git: str | None


@dataclass(frozen=True)
class Repo:
    """What a hub says of a repository: `revision` is a commit where the hub names one, so that all files are of one
    state.
    """

    source: Source
    revision: str
    licence: str
    files: Mapping[str, Listed]


def parse_source(url: str) -> Source:
    """Raises TransferError that says what would be right."""
    parts = urlsplit(url)
    repo, at, revision = f"{parts.netloc}{parts.path}".partition("@")
    query = parse_qsl(parts.query, keep_blank_values=True)
    unknown = [name for name, _ in query if name != "endpoint"]
    if parts.scheme not in _DEFAULT_ENDPOINTS or _REPO.fullmatch(repo) is None or ".." in repo:
        raise _settings(f"{url[:200]!a} is no repository of a hub; use {_FORMS}")
    if parts.fragment or unknown or len(query) > 1:
        raise _settings(f"{url[:200]!a} has a parameter that is unknown or given twice; use {_FORMS}")
    revision = revision if at else _DEFAULT_REVISIONS[parts.scheme]
    if _REVISION.fullmatch(revision) is None or ".." in revision:
        raise _settings(f"{revision[:100]!a} is no revision; use a commit, a tag or a branch")
    endpoint = dict(query).get("endpoint", _DEFAULT_ENDPOINTS[parts.scheme]).rstrip("/")
    address = urlsplit(endpoint)
    if address.scheme not in ("http", "https") or not address.hostname or address.query or address.username:
        raise _settings(f"endpoint must be like https://hub.example.com, not {endpoint[:100]!a}")
    return Source(Hub(parts.scheme, endpoint), repo, revision)


def list_urls(source: Source) -> tuple[str, str | None]:
    """Of the list of files, and of the page with the licence if the list has none."""
    hub = source.hub
    if hub.kind == "hf":
        return f"{hub.endpoint}/api/models/{source.repo}/revision/{quote(source.revision, safe='')}?blobs=true", None
    model = f"{hub.endpoint}/api/v1/models/{source.repo}"
    return f"{model}/repo/files?{urlencode({'Revision': source.revision, 'Recursive': 'true'})}", model


def file_url(repo: Repo, path: str) -> str:
    hub, name = repo.source.hub, repo.source.repo
    if hub.kind == "hf":
        return f"{hub.endpoint}/{name}/resolve/{quote(repo.revision, safe='')}/{quote(path)}"
    query = urlencode({"Revision": repo.revision, "FilePath": path})
    return f"{hub.endpoint}/api/v1/models/{name}/repo?{query}"


def page_url(source: Source) -> str:
    """The repository's address for people, and for a manifest."""
    folder = "" if source.hub.kind == "hf" else "models/"
    return f"{source.hub.endpoint}/{folder}{source.repo}"


def read_list(source: Source, answer: Any, licence_answer: Any) -> Repo:
    """From the hub's JSON. Raises TransferError if it is not what the hub's own client would understand."""
    try:
        if source.hub.kind == "hf":
            return _read_hugging_face(source, answer)
        return _read_modelscope(source, answer, licence_answer)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TransferError(
            Exit.CONTENT,
            f"{page_url(source)}: the hub's list of files cannot be read ({type(error).__name__}: "
            f"{ascii(str(error))[:100]}): is {source.hub.endpoint} such a hub?",
        ) from None


def _read_hugging_face(source: Source, answer: Any) -> Repo:
    commit = answer["sha"]
    if _COMMIT.fullmatch(commit) is None:
        raise ValueError("sha")
    files = {}
    for entry in answer["siblings"]:
        lfs = entry.get("lfs")
        size = _size(entry["size"] if lfs is None else lfs["size"])
        if lfs is None:
            listed = Listed(entry["rfilename"], size, None, _sum(entry["blobId"], _COMMIT))
        else:
            listed = Listed(entry["rfilename"], size, _sum(lfs["sha256"], _SHA256), None)
        files[listed.path] = listed
    card = answer.get("cardData") or {}
    return Repo(source, commit, _licence(card.get("license_name") or card.get("license")), files)


def _read_modelscope(source: Source, answer: Any, licence_answer: Any) -> Repo:
    if answer["Code"] != 200:
        raise ValueError("Code")
    files = {}
    for entry in answer["Data"]["Files"]:
        if entry["Type"] == "blob":
            listed = Listed(entry["Path"], _size(entry["Size"]), _sum(entry["Sha256"], _SHA256), None)
            files[listed.path] = listed
    return Repo(source, source.revision, _licence((licence_answer["Data"] or {}).get("License")), files)


def _size(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _MAX_FILE_BYTES:
        raise ValueError("size")
    return value


def _sum(value: Any, form: re.Pattern[str]) -> str:
    if form.fullmatch(value) is None:
        raise ValueError("sum")
    return value


def _licence(value: Any) -> str:
    text = value if isinstance(value, str) else ""
    return text[:_MAX_LICENCE_CHARS] if text.isprintable() else ""


def _settings(problem: str) -> TransferError:
    return TransferError(Exit.SETTINGS, problem)
