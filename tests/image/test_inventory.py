"""What the image's build writes down of its contents: packages, licences, bill of materials, notices."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from image.build.installed import Package, debian_packages, normalised, python_packages
from image.build.notices import third_party_notices
from image.build.sbom import bill_of_materials

SYSTEM = {"ID": "debian", "VERSION_ID": "12"}
SHA256 = "a" * 64


def add_python_package(site_packages: Path, name: str, version: str, metadata: str = "", licence: str = "") -> None:
    folder = site_packages / f"{name.replace('-', '_')}-{version}.dist-info"
    (folder / "licenses").mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{metadata}")
    record = f"{folder.name}/METADATA,,\n"
    if licence:
        (folder / "licenses/LICENSE.txt").write_text(licence)
        record += f"{folder.name}/licenses/LICENSE.txt,,\n"
    (folder / "RECORD").write_text(record)


def report(tmp_path: Path, *names: str, hashes: object = None) -> Path:
    """As `pip install --report` writes it, as far as it is read."""
    items = [
        {
            "metadata": {"name": name},
            "download_info": {"archive_info": {"hashes": {"sha256": SHA256} if hashes is None else hashes}},
        }
        for name in names
    ]
    file = tmp_path / "report.json"
    file.write_text(json.dumps({"version": "1", "install": items}))
    return file


class TestPythonPackages:
    def test_the_expression_comes_before_older_fields(self, tmp_path: Path) -> None:
        add_python_package(tmp_path, "One", "1.0", "License-Expression: MIT OR Apache-2.0\nLicense: whatever\n", "text")
        (package,) = python_packages(tmp_path, [report(tmp_path, "one")])
        assert (package.licences, package.is_expression) == (("MIT OR Apache-2.0",), True)
        assert (package.name, package.version, package.sha256) == ("one", "1.0", SHA256)
        assert [file.read_text() for file in package.files] == ["text"]

    def test_a_licence_written_into_the_field_is_no_name(self, tmp_path: Path) -> None:
        metadata = (
            f"License: {'Permission is hereby granted ' * 5}\nClassifier: License :: OSI Approved :: MIT License\n"
        )
        add_python_package(tmp_path, "one", "1.0", metadata)
        (package,) = python_packages(tmp_path, [report(tmp_path, "one")])
        assert (package.licences, package.is_expression) == (("MIT License",), False)

    def test_without_any(self, tmp_path: Path) -> None:
        add_python_package(tmp_path, "one", "1.0", "License: UNKNOWN\n")
        assert python_packages(tmp_path, [report(tmp_path, "one")])[0].licences == ()

    @pytest.mark.parametrize("reported", [(), ("one", "two")])
    def test_what_pip_did_not_report_or_is_not_there(self, tmp_path: Path, reported: tuple[str, ...]) -> None:
        add_python_package(tmp_path, "one", "1.0")
        with pytest.raises(ValueError, match=r"do not tell of the same packages: (one|two)$"):
            python_packages(tmp_path, [report(tmp_path, *reported)])

    def test_a_download_without_its_sum(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="one: pip's report has no sha256"):
            python_packages(tmp_path, [report(tmp_path, "one", hashes={})])

    def test_names_are_compared_as_an_index_does(self) -> None:
        assert normalised("Ruamel.yaml_clib") == "ruamel-yaml-clib"


class TestDebianPackages:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        (tmp_path / "status").write_text(
            "Package: zlib1g\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:1.2.13\nHomepage: http://zlib.net/\n"
            "Description: compression\n more of it\n\n"
            "Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n\n"
            "Package: base-files\nStatus: install ok installed\nArchitecture: amd64\nVersion: 12.4+deb12u5\n"
        )
        for name, text in (
            ("zlib1g", "Format: https://example\n\nFiles: *\nLicense: Zlib\n text\n\nFiles: x\nLicense: GPL-2+\n"),
            ("base-files", "This is the Debian package.\nLicense: none of the format's\n"),
        ):
            (tmp_path / "usr/share/doc" / name).mkdir(parents=True)
            (tmp_path / "usr/share/doc" / name / "copyright").write_text(text)
        return tmp_path

    def test_what_is_installed_and_its_licences(self, root: Path) -> None:
        base, zlib = debian_packages(root / "status", root)
        assert (base.name, base.version, base.licences) == ("base-files", "12.4+deb12u5", ())
        assert (zlib.name, zlib.version, zlib.licences) == ("zlib1g", "1:1.2.13", ("GPL-2+", "Zlib"))
        assert zlib.files == (root / "usr/share/doc/zlib1g/copyright",)

    def test_a_base_without_them(self, tmp_path: Path) -> None:
        assert debian_packages(tmp_path / "status", tmp_path) == []


def package(**fields: object) -> Package:
    given: dict[str, object] = {
        "kind": "pypi",
        "name": "one",
        "version": "1.0",
        "licences": ("MIT",),
        "is_expression": True,
        "sha256": SHA256,
        "home": "https://example.org/a b",
        "files": (),
    }
    return Package(**{**given, **fields})  # type: ignore[arg-type]


class TestBillOfMaterials:
    def test_a_python_package(self) -> None:
        component = bill_of_materials("image", [package()], SYSTEM)["components"][-1]
        assert component == {
            "type": "library",
            "bom-ref": "pkg:pypi/one@1.0",
            "name": "one",
            "version": "1.0",
            "purl": "pkg:pypi/one@1.0",
            "licenses": [{"expression": "MIT"}],
            "hashes": [{"alg": "SHA-256", "content": SHA256}],
            "externalReferences": [{"type": "website", "url": "https://example.org/a%20b"}],
        }

    def test_a_debian_package(self) -> None:
        fields = {"kind": "deb", "name": "g++", "version": "1:2~a+b", "architecture": "amd64", "sha256": None}
        given = package(**fields, licences=("GPL-2+", "MIT"), is_expression=False, home="javascript:x")
        component = bill_of_materials("image", [given], SYSTEM)["components"][-1]
        assert component["purl"] == "pkg:deb/debian/g%2B%2B@1%3A2~a%2Bb?arch=amd64&distro=debian-12"
        assert component["licenses"] == [{"license": {"name": "GPL-2+"}}, {"license": {"name": "MIT"}}]
        assert not component.keys() & {"hashes", "externalReferences"}

    def test_the_same_contents_give_the_same_document_and_others_another(self) -> None:
        first, same = (bill_of_materials("image", [package()], SYSTEM) for _ in range(2))
        assert first == same
        other = bill_of_materials("image", [package(version="1.1")], SYSTEM)
        assert other["serialNumber"] != first["serialNumber"]

    def test_everything_is_a_part_of_the_image(self) -> None:
        sbom = bill_of_materials("image", [package(), package(name="two")], SYSTEM)
        parts = {component["bom-ref"] for component in sbom["components"]}
        assert {"os:debian@12", "pkg:pypi/one@1.0", "pkg:pypi/two@1.0"} < parts
        assert sbom["dependencies"] == [{"ref": "image", "dependsOn": sorted(parts)}]


class TestNotices:
    def test_who_which_terms_and_where_their_text_lies(self, tmp_path: Path) -> None:
        given = package(files=(tmp_path / "opt/LICENSE",), home=None)
        assert third_party_notices([given], tmp_path).endswith(
            "\none 1.0 (Python package)\n    licence: MIT\n    text: /opt/LICENSE\n"
        )

    def test_a_package_that_carries_no_text_is_told(self, tmp_path: Path) -> None:
        assert "    text: the package carries none\n" in third_party_notices([package()], tmp_path)
