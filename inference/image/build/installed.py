"""What an image contains that others made: Python packages, Debian packages, and their licences."""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

_LICENCE_FILE = re.compile(r"(licen[cs]e|copying|notice|authors|eula)", re.IGNORECASE)
_LONGEST_NAME = 100  # what is longer in the field for a licence's name is the licence itself


@dataclass(frozen=True)
class Package:
    """`licences`: an SPDX expression alone, or names as the package gives them; none if it gives none.

    `sha256`: of the file that was downloaded; None for what came with the base image. `files`: texts of the licence.
    """

    kind: Literal["pypi", "deb"]
    name: str
    version: str
    licences: tuple[str, ...]
    is_expression: bool
    sha256: str | None
    home: str | None
    files: tuple[Path, ...]
    architecture: str | None = None


def python_packages(site_packages: Path, reports: Iterable[Path]) -> list[Package]:
    """By name. `reports`: what `pip install --report` wrote of every installation. Raises ValueError for a package
    that none of them tells of, and for one that is told of and not there.
    """
    downloads = {name: sha256 for report in reports for name, sha256 in _downloads(json.loads(report.read_text()))}
    distributions = {
        normalised(distribution.name): distribution
        for distribution in importlib.metadata.distributions(path=[str(site_packages)])
    }
    if downloads.keys() != distributions.keys():
        differing = ", ".join(sorted(downloads.keys() ^ distributions.keys()))
        raise ValueError(f"{site_packages} and pip's reports do not tell of the same packages: {differing}")
    return [_python_package(name, distributions[name], downloads[name]) for name in sorted(distributions)]


def debian_packages(status: Path, root: Path) -> list[Package]:
    """By name; empty where there is no `status` (/var/lib/dpkg/status). Licences are looked up below `root`."""
    if not status.exists():
        return []
    stanzas = (dict(_fields(stanza)) for stanza in status.read_text("utf-8").split("\n\n"))
    installed = [stanza for stanza in stanzas if stanza.get("Status") == "install ok installed"]
    return [_debian_package(stanza, root) for stanza in sorted(installed, key=lambda stanza: stanza["Package"])]


def normalised(name: str) -> str:
    """A Python package's name as an index compares it (https://packaging.python.org, "Name normalization")."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _downloads(report: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    # https://pip.pypa.io/en/stable/reference/installation-report/
    for item in report["install"]:
        name = normalised(item["metadata"]["name"])
        sha256 = item["download_info"].get("archive_info", {}).get("hashes", {}).get("sha256")
        if not sha256:
            raise ValueError(f"{name}: pip's report has no sha256 of it")
        yield name, sha256


def _python_package(name: str, distribution: importlib.metadata.Distribution, sha256: str) -> Package:
    metadata = distribution.metadata
    expression = _first(metadata, "License-Expression")
    named = _first(metadata, "License") or ""
    if "\n" in named or len(named) > _LONGEST_NAME or named.upper() == "UNKNOWN":
        named = ""
    classifiers = [
        text.rpartition(" :: ")[2] for text in metadata.get_all("Classifier") or [] if text.startswith("License :: ")
    ]
    licences = (expression,) if expression else (named,) if named else tuple(sorted(set(classifiers)))
    own = (file for file in distribution.files or [] if ".dist-info" in file.parts[0])
    found = (Path(str(distribution.locate_file(file))) for file in own if _LICENCE_FILE.search(file.name))
    addresses = [url.partition(", ")[2] for url in metadata.get_all("Project-URL") or []]
    home = _first(metadata, "Home-page") or next(iter(addresses), None)
    return Package(
        kind="pypi",
        name=name,
        version=distribution.version,
        licences=licences,
        is_expression=bool(expression),
        sha256=sha256,
        home=home,
        files=tuple(sorted(path for path in found if path.is_file())),
    )


def _first(metadata: importlib.metadata.PackageMetadata, name: str) -> str | None:
    return next(iter(metadata.get_all(name) or ()), None)


def _debian_package(stanza: Mapping[str, str], root: Path) -> Package:
    copyright_file = root / "usr/share/doc" / stanza["Package"] / "copyright"
    there = copyright_file.is_file()
    text = copyright_file.read_text("utf-8", errors="replace") if there else ""
    # https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/: other files have no names that can be read
    names = re.findall(r"^License: *(\S[^\n]*)$", text, re.MULTILINE) if text.startswith("Format:") else []
    return Package(
        kind="deb",
        name=stanza["Package"],
        version=stanza["Version"],
        licences=tuple(sorted({name.strip() for name in names})),
        is_expression=False,
        sha256=None,
        home=stanza.get("Homepage"),
        files=(copyright_file,) if there else (),
        architecture=stanza["Architecture"],
    )


def _fields(stanza: str) -> Iterable[tuple[str, str]]:
    for line in stanza.splitlines():
        if line[:1] not in (" ", "\t", ""):
            name, _, value = line.partition(":")
            yield name, value.strip()
