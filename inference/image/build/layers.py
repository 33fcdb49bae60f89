"""Sort an environment's files into a folder for each of the image's layers.

    python -m image.build.layers VENV OUT NAME=PATTERN,... ... NAME

A package goes to the first layer of which a pattern fits its name, or a file of requirements (@FILE) lists it; all
else, the environment's own files too, to the last. Each layer's folder has the paths that the files had.
"""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from image.build.installed import normalised

_PINNED = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[^]]*\])?==", re.MULTILINE)


@dataclass(frozen=True)
class Layer:
    """Without patterns: what no other layer takes."""

    name: str
    patterns: tuple[str, ...]


def parse_layer(argument: str) -> Layer:
    """Raises OSError for a file of requirements that cannot be read, ValueError for one that lists nothing."""
    name, _, patterns = argument.partition("=")
    found: list[str] = []
    for pattern in filter(None, patterns.split(",")):
        found += listed(Path(pattern[1:]).read_text("utf-8")) if pattern.startswith("@") else [pattern]
    if patterns and not found:
        raise ValueError(f"{argument!r} lists no package")
    return Layer(name, tuple(found))


def listed(requirements: str) -> list[str]:
    """The names in a file of pinned requirements."""
    return [normalised(name) for name in _PINNED.findall(requirements)]


def layer_of(package: str, layers: Sequence[Layer]) -> Layer:
    """The layer that a package's files go to, the last one where none names it."""
    name = normalised(package)
    return next(
        (layer for layer in layers if any(fnmatchcase(name, pattern) for pattern in layer.patterns)), layers[-1]
    )


def sort_into_layers(venv: Path, out: Path, layers: Sequence[Layer]) -> None:
    """Moves everything. Raises ValueError for a layer that nothing goes to."""
    (site_packages,) = venv.glob("lib/python3*/site-packages")
    for distribution in importlib.metadata.distributions(path=[str(site_packages)]):
        layer = layer_of(distribution.name, layers)
        if layer == layers[-1]:
            continue
        for file in distribution.files or []:
            # normalised by hand: resolve() would follow links
            path = Path(_without_dots(str(distribution.locate_file(file))))
            # Packages may share a file, as those of a namespace do.
            if venv in path.parents and (path.is_symlink() or path.exists()):
                _move(path, out / layer.name)
    _remove_empty_folders(venv)
    target = out / layers[-1].name / str(venv.parent).lstrip("/")
    target.mkdir(parents=True, exist_ok=True)
    shutil.move(venv, target)
    for layer in layers:
        if not any((out / layer.name).glob("**/site-packages/*")):
            raise ValueError(f"no package goes to the layer {layer.name!r}")


def _without_dots(path: str) -> str:
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def _move(path: Path, to: Path) -> None:
    target = to / str(path).lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    path.rename(target)


def _remove_empty_folders(top: Path) -> None:
    for folder in sorted((path for path in top.rglob("*") if path.is_dir() and not path.is_symlink()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


if __name__ == "__main__":
    sort_into_layers(Path(sys.argv[1]), Path(sys.argv[2]), [parse_layer(argument) for argument in sys.argv[3:]])
