"""How the image's packages are sorted into its layers."""

from __future__ import annotations

from pathlib import Path

import pytest

from image.build.layers import Layer, layer_of, listed, parse_layer, sort_into_layers

ROOT = Path(__file__).parents[2]
LAYERS = (Layer("torch", ("torch", "nvidia-*")), Layer("engine", ("numba",)), Layer("server", ()))


def install(venv: Path, name: str, *files: str) -> None:
    """Files are paths in the environment."""
    site_packages = venv / "lib/python3.12/site-packages"
    info = site_packages / f"{name}-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    record = [f"{name}-1.dist-info/METADATA,,", f"{name}-1.dist-info/RECORD,,", "not/there.pyc,,"]
    for file in files:
        (venv / file).parent.mkdir(parents=True, exist_ok=True)
        (venv / file).write_text(name)
        inside = file.removeprefix("lib/python3.12/site-packages/")
        record.append(f"{inside if inside != file else f'../../../{file}'},,")
    (info / "RECORD").write_text("\n".join(record))


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    venv = tmp_path / "opt/venv"
    site = "lib/python3.12/site-packages"
    install(venv, "torch", f"{site}/torch/a/x.py", "bin/torchrun")
    install(venv, "nvidia_cuda", f"{site}/nvidia/__init__.py", f"{site}/nvidia/cuda/l.so")
    install(venv, "nvidia_blas", f"{site}/nvidia/__init__.py", f"{site}/nvidia/blas/l.so")
    install(venv, "numba", f"{site}/numba/y.py")
    install(venv, "fastapi", f"{site}/fastapi/z.py")
    (venv / "bin/python").symlink_to("/usr/bin/python3")
    return venv


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


class TestSorting:
    def test_every_file_lies_in_one_layer_under_its_own_path(self, venv: Path, tmp_path: Path) -> None:
        before = files(tmp_path)
        out = tmp_path / "layers"
        sort_into_layers(venv, out, LAYERS)
        inside = str(tmp_path).lstrip("/")
        layers = {layer.name: files(out / layer.name / inside) for layer in LAYERS}
        site = "opt/venv/lib/python3.12/site-packages"
        assert {f"{site}/torch/a/x.py", "opt/venv/bin/torchrun", f"{site}/nvidia/blas/l.so"} < layers["torch"]
        assert f"{site}/numba/y.py" in layers["engine"]
        assert {f"{site}/fastapi/z.py", "opt/venv/bin/python"} < layers["server"]
        assert set.union(*layers.values()) == before
        assert sum(map(len, layers.values())) == len(before)
        assert not venv.exists()

    def test_no_empty_folder_is_left_in_another_layer(self, venv: Path, tmp_path: Path) -> None:
        sort_into_layers(venv, tmp_path / "layers", LAYERS)
        assert [path for path in (tmp_path / "layers").rglob("*") if path.is_dir() and not any(path.iterdir())] == []

    def test_a_layer_that_gets_nothing_is_a_mistake(self, venv: Path, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="no package goes to the layer 'other'"):
            sort_into_layers(venv, tmp_path / "layers", (Layer("other", ("no-such-*",)), LAYERS[-1]))


class TestLayerOf:
    @pytest.mark.parametrize(
        ("package", "layer"), [("torch", "torch"), ("nvidia_nccl_cu12", "torch"), ("torchaudio", "server")]
    )
    def test_names_are_compared_normalised_and_whole(self, package: str, layer: str) -> None:
        assert layer_of(package, LAYERS).name == layer


class TestArguments:
    def test_names_of_a_file_and_patterns(self, tmp_path: Path) -> None:
        file = tmp_path / "requirements.txt"
        file.write_text(
            "# numpy==1\nlibrosa==0.11 \\\n    --hash=sha256:00\nuvicorn[standard]==1 ; python_version > '3'\n"
        )
        assert parse_layer(f"engine=@{file},torch-*") == Layer("engine", ("librosa", "uvicorn", "torch-*"))

    def test_a_file_that_lists_nothing_is_a_mistake(self, tmp_path: Path) -> None:
        (tmp_path / "empty").write_text("# nothing\n")
        with pytest.raises(ValueError, match="lists no package"):
            parse_layer(f"engine=@{tmp_path / 'empty'}")

    def test_the_engines_own_files_are_read(self) -> None:
        names = listed((ROOT / "inference/requirements-indextts2.txt").read_text("utf-8"))
        assert {"torch", "indextts25-inference", "wetextprocessing", "nvidia-cudnn-cu12"} < set(names)
        assert not {"triton", "cdifflib", "unidic-lite"} & set(names)
