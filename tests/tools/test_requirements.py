"""The pinned files agree with each other, are whole, and name no place to download from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.tools.conftest import ROOT

PINNED = [
    *sorted(ROOT.glob("requirements*.txt")),
    *sorted((ROOT / "inference").glob("requirements*.txt")),
    ROOT / "tools" / "pulumi" / "go-toolchain.txt",
]
# In the image of the `indextts2` engine and nowhere else
OF_THE_MODEL = ("requirements-indextts2.txt", "requirements-indextts2-source.txt")
_PIN = re.compile(
    r"^(?P<name>[a-z0-9-]+)(?:\[[a-z,-]+\])?==(?P<version>[^ ]+)(?: ; (?P<marker>.*?))? \\$", re.MULTILINE
)


def _pins(file: Path) -> set[tuple[str, str]]:
    return {(match["name"], match["version"]) for match in _PIN.finditer(file.read_text())}


@pytest.mark.parametrize("file", PINNED, ids=lambda file: str(file.relative_to(ROOT)))
class TestPinned:
    def test_every_requirement_has_a_version_and_a_hash(self, file: Path) -> None:
        text = re.sub(r"\\\n\s+--hash=sha256:[0-9a-f]{64}", " \\\\", file.read_text())
        lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
        assert lines
        assert [line for line in lines if not re.fullmatch(r"[^ ]+==[^ ]+.*\\.*", line)] == []

    def test_no_address(self, file: Path) -> None:
        text = file.read_text()
        assert "://" not in text
        assert "index-url" not in text
        assert "find-links" not in text

    def test_the_source_is_beside_it(self, file: Path) -> None:
        assert file.with_suffix(".in").is_file()


class TestAgreement:
    def test_one_environment_satisfies_all(self) -> None:
        """`make test` installs dev, `make up` then local into the same environment."""
        dev = _pins(ROOT / "requirements-dev.txt")
        assert len(dev) > 50
        for file in PINNED:
            if file.name not in ("go-toolchain.txt", *OF_THE_MODEL):
                assert _pins(file) - dev == set(), file.name

    def test_the_engines_image_has_what_the_server_is_tested_with(self) -> None:
        """Nothing of the model is installed here; what both have is of the same versions."""
        dev = _pins(ROOT / "requirements-dev.txt")
        engine = {pin for file in OF_THE_MODEL for pin in _pins(ROOT / "inference" / file)}
        both = {name for name, _ in dev} & {name for name, _ in engine}
        assert "numpy" in both
        assert {pin for pin in engine if pin[0] in both} - dev == set()


class TestGoModules:
    @pytest.mark.parametrize("module", ["cli", "python-host"])
    def test_every_module_has_a_sum(self, module: str) -> None:
        folder = ROOT / "tools" / "pulumi" / module
        required = set(re.findall(r"^\t([^ ]+) (v[^ ]+)", (folder / "go.mod").read_text(), re.MULTILINE))
        summed = set(re.findall(r"^([^ ]+) (v[^ /]+)(?:/go\.mod)? h1:", (folder / "go.sum").read_text(), re.MULTILINE))
        replaced = {pair for pair in required if pair[0] == "github.com/atotto/clipboard"}
        assert required - replaced <= summed
