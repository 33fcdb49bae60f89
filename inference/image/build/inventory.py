"""Write an image's bill of materials, its third-party notices, and the terms that must go with it.

    python -m image.build.inventory TITLE STATUS SITE_PACKAGES OUT REPORT...

OUT gets usr/share/sbom/speech-server.cdx.json and usr/share/licenses/...; STATUS is dpkg's list of what
the image will have of Debian, REPORT what `pip install --report` wrote.
Packages are told of as they will lie in the image, so this runs before they are moved. No network.
"""

from __future__ import annotations

import json
import platform
import shutil
import sys
from pathlib import Path

from image.build.installed import Package, debian_packages, python_packages
from image.build.notices import third_party_notices
from image.build.sbom import bill_of_materials

ROOT = Path("/")
# The agreement goes with every copy of the model's code: https://github.com/index-tts/index-tts/blob/main/LICENSE, 2.2
MODEL_PACKAGES = ("indextts25-inference", "indextts")


def main(title: str, status: str, site_packages: str, out: str, *reports: str) -> None:
    """Raises ValueError where what is installed is not what pip reported, or the model comes without its terms."""
    python = python_packages(Path(site_packages), map(Path, reports))
    packages = [*python, *debian_packages(Path(status), ROOT)]
    sbom = bill_of_materials(title, packages, platform.freedesktop_os_release())
    folder = Path(out, "usr/share/sbom")
    folder.mkdir(parents=True)
    (folder / "speech-server.cdx.json").write_text(json.dumps(sbom, ensure_ascii=False, indent=1) + "\n", "utf-8")
    licences = Path(out, "usr/share/licenses")
    licences.mkdir(parents=True)
    (licences / "THIRD-PARTY").write_text(third_party_notices(packages, ROOT), "utf-8")
    for package in python:
        if package.name in MODEL_PACKAGES:
            _copy_terms(package, licences / "IndexTTS2")


def _copy_terms(package: Package, folder: Path) -> None:
    if not package.files:
        raise ValueError(f"{package.name} {package.version} carries no licence: its terms must go with every copy")
    folder.mkdir()
    for file in package.files:
        shutil.copyfile(file, folder / file.name)


if __name__ == "__main__":
    main(*sys.argv[1:])
