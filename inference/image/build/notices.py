"""The notices of everything in an image that others made: who, under which terms, and where their text lies."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from image.build.installed import Package

_HEAD = """What this image contains beside the server's own code, made from what each package says of itself.
NOTICE beside this file tells what is to be known of some of them.
"""


def third_party_notices(packages: Iterable[Package], root: Path) -> str:
    """One paragraph a package. Files are named as they are found in the image, whose root is `root`."""
    return "\n".join([_HEAD, *(_paragraph(package, root) for package in packages)])


def _paragraph(package: Package, root: Path) -> str:
    kind = "Python package" if package.kind == "pypi" else "Debian package"
    lines = [f"{package.name} {package.version} ({kind})"]
    lines.append(f"    licence: {'; '.join(package.licences) or 'see its text'}")
    if package.home:
        lines.append(f"    home: {package.home}")
    lines += [f"    text: /{path.relative_to(root)}" for path in package.files]
    if not package.files:
        lines.append("    text: the package carries none")
    return "\n".join(lines) + "\n"
