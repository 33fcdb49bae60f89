"""The software bill of materials of an image: CycloneDX 1.6 in JSON (https://cyclonedx.org/docs/1.6/json/)."""

from __future__ import annotations

import json
import platform
import uuid
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from image.build.installed import Package

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://cyclonedx.org/schema/bom-1.6.schema.json")


def bill_of_materials(title: str, packages: Iterable[Package], system: Mapping[str, str]) -> dict[str, Any]:
    """Of an image called `title`; `system`: its /etc/os-release.

    The same contents give the same document: it has no time, and its serial number is made of what it says.
    """
    components = [_operating_system(system), _interpreter(), *(_component(package, system) for package in packages)]
    said = json.dumps([title, components], sort_keys=True)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, said)}",
        "version": 1,
        "metadata": {"component": {"type": "container", "bom-ref": "image", "name": title}},
        "components": components,
        "dependencies": [{"ref": "image", "dependsOn": sorted(part["bom-ref"] for part in components)}],
    }


def _operating_system(system: Mapping[str, str]) -> dict[str, Any]:
    name, version = system.get("ID", "linux"), system.get("VERSION_ID", "unknown")
    return {"type": "operating-system", "bom-ref": f"os:{name}@{version}", "name": name, "version": version}


def _interpreter() -> dict[str, Any]:
    version = platform.python_version()
    purl = f"pkg:generic/python@{version}"
    return {
        "type": "platform",
        "bom-ref": purl,
        "name": "python",
        "version": version,
        "purl": purl,
        "licenses": [{"license": {"id": "PSF-2.0"}}],
    }


def _component(package: Package, system: Mapping[str, str]) -> dict[str, Any]:
    purl = _purl(package, system)
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl,
        "name": package.name,
        "version": package.version,
        "purl": purl,
    }
    if package.is_expression:
        component["licenses"] = [{"expression": package.licences[0]}]
    elif package.licences:
        component["licenses"] = [{"license": {"name": name}} for name in package.licences]
    if package.sha256:
        component["hashes"] = [{"alg": "SHA-256", "content": package.sha256}]
    if package.home and urlsplit(package.home).scheme in ("http", "https"):
        component["externalReferences"] = [{"type": "website", "url": quote(package.home, safe=":/?#[]@!$&'()*+,;=%~")}]
    return component


def _purl(package: Package, system: Mapping[str, str]) -> str:
    # https://github.com/package-url/purl-spec
    version = quote(package.version, safe=".-_~")
    if package.kind == "pypi":
        return f"pkg:pypi/{package.name}@{version}"
    distribution = system.get("ID", "debian")
    distro = quote(f"{distribution}-{system.get('VERSION_ID', 'unknown')}", safe=".-_~")
    name = quote(package.name, safe=".-_~")
    return f"pkg:deb/{distribution}/{name}@{version}?arch={package.architecture}&distro={distro}"
