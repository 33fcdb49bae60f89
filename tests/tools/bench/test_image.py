"""What `make bench` says of the image: from Docker's own words to rows, and where nothing can be measured."""

from __future__ import annotations

import json

import pytest

from tests.image.container_engine import ContainerEngineError
from tools.bench import image
from tools.bench.image_layers import MIB, Layer, layers, shipped, sizes

EMPTY = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
# Of a `cpu` image: settings, WORKDIR, the code, the packages, more settings, the base.
HISTORY = "0\n0\n0\n2712651\n295793855\n0\n190844240\n"
DIGESTS = json.dumps(["sha256:base", "sha256:packages", "sha256:code", EMPTY]) + "\n"

BASE, PACKAGES, CODE = Layer("base", 180 * MIB), Layer("packages", 280 * MIB), Layer("code", 5 * MIB // 2)
NEW_CODE = Layer("new code", CODE.size + 10)


class TestReading:
    def test_the_layers_from_the_top_without_what_holds_nothing(self) -> None:
        assert layers(HISTORY, DIGESTS) == [
            Layer("sha256:code", 2_712_651),
            Layer("sha256:packages", 295_793_855),
            Layer("sha256:base", 190_844_240),
        ]

    def test_sizes_alone(self) -> None:
        assert sizes(HISTORY) == [2_712_651, 295_793_855, 190_844_240]

    def test_answers_that_tell_of_different_layers_are_refused(self) -> None:
        with pytest.raises(ValueError, match="2 layers that hold something, but 3 steps"):
            layers(HISTORY, json.dumps(["sha256:base", "sha256:code"]))


class TestShipped:
    def test_what_is_there_is_known_by_its_content(self) -> None:
        assert shipped([CODE, PACKAGES, BASE], [NEW_CODE, PACKAGES, BASE]) == [NEW_CODE]
        assert shipped([CODE, PACKAGES, BASE], [CODE, PACKAGES, BASE]) == []

    def test_the_row_names_each_layer_and_its_share(self) -> None:
        before = [CODE, PACKAGES, BASE]
        row = image.shipped_row(before, [NEW_CODE, PACKAGES, BASE])
        assert row.figure == "code 2.50 MiB: 0.5% of the image"
        assert row.limit == "code alone, at most 3 MiB"
        new_packages = Layer("new packages", 281 * MIB)
        both = image.shipped_row(before, [NEW_CODE, new_packages, BASE])
        assert both.figure.startswith("code 2.50 MiB, packages 281 MiB: ")
        assert image.shipped_row(before, before).figure == "nothing: 0.0% of the image"


class TestSizes:
    def test_the_base_may_have_several_layers(self) -> None:
        rows = image.size_rows([CODE, PACKAGES, BASE, Layer("lower", 20 * MIB)])
        assert [row.figure for row in rows] == ["482 MiB", "2.50 MiB", "280 MiB", "200 MiB"]


class TestNotMeasured:
    def test_no_daemon_can_be_had(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(image, "why_not_here", lambda: "this is no Debian")
        monkeypatch.setattr(image, "install_packages", self.fail)
        assert image.measure()[0].figure == "not measured: this is no Debian"

    def test_packages_cannot_be_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(image, "why_not_here", lambda: None)
        monkeypatch.setattr(image, "install_packages", lambda: "apt-get update failed: no network")
        assert image.measure()[0].figure == "not measured: apt-get update failed: no network"

    @pytest.mark.parametrize("step", ["start", "build"])
    def test_the_daemon_or_a_build_fails(
        self, step: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        removed = []
        monkeypatch.setattr(image, "why_not_here", lambda: None)
        monkeypatch.setattr(image, "install_packages", lambda: None)
        monkeypatch.setattr(image.ContainerEngine, "start", self.fail if step == "start" else lambda _engine: None)
        monkeypatch.setattr(image.ContainerEngine, "build", self.fail)
        remove = image.ContainerEngine.remove
        monkeypatch.setattr(image.ContainerEngine, "remove", lambda engine: (removed.append(engine), remove(engine)))
        assert image.measure()[0].figure == "not measured: no space left on device"
        assert "step 1\nno space left on device" in capsys.readouterr().err
        assert not removed[0].folder.exists()

    @staticmethod
    def fail(*_arguments: object, **_options: object) -> None:
        raise ContainerEngineError("step 1\nno space left on device\n")
