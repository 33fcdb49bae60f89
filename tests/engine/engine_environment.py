"""An interpreter of its own for the `indextts2` engine, as an operator names one, with stand-ins for the model.

torch, transformers and the model's packages are the strict stand-ins of the engine's own tests; everything else is what
these tests run with.
"""

from __future__ import annotations

import sysconfig
import venv
from pathlib import Path

from tests.engine.pulumi_stack import ROOT
from tests.inference.indextts2.material import PACKAGES


def make_interpreter(folder: Path, *, stand_ins: bool = True, cuda: str | None = None) -> Path:
    """`stand_ins`: the engine's packages are there. `cuda`: the version of CUDA's libraries that torch is said to
    bring along.
    """
    venv.create(folder, symlinks=True, with_pip=False)
    (packages,) = (folder / "lib").glob("python*/site-packages")
    places = [sysconfig.get_path("purelib"), str(ROOT / "inference"), *([str(PACKAGES)] if stand_ins else [])]
    (packages / "places.pth").write_text("\n".join(places) + "\n")
    if cuda:
        information = packages / "nvidia_cuda_runtime_cu12-0.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: nvidia-cuda-runtime-cu12\nVersion: {cuda}\n"
        )
    return folder / "bin" / "python"
