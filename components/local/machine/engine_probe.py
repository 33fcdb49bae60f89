"""What an interpreter has of the `indextts2` engine, as JSON. `engine_probe.py VERSION WEIGHTS_FOLDER`

Run by the interpreter that is asked about, with nothing but itself on its path: only it can say what it would import.
"""

import json
import sys
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path

# Beside the engine's own package; speech_server is asked for its settings, because those are read first.
PACKAGES = ("torch", "transformers", "pydantic_settings", "uvicorn")


def main(version: str, folder: str) -> None:
    missing = [name for name in PACKAGES if find_spec(name) is None]
    weights, sizes = None, [0]
    try:
        # of that interpreter, which may have none
        from speech_server.engines.indextts2.packages import package_for  # noqa: PLC0415
        from speech_server.engines.indextts2.weights import WeightsError, check_weights, required_files  # noqa: PLC0415
    except ImportError:
        missing.append("speech_server")
    else:
        package = package_for(version, None)
        if find_spec(package.module.partition(".")[0]) is None:
            missing.append(package.name)
        try:
            check_weights(Path(folder), package.version)
        except WeightsError as error:
            weights = str(error)
        paths = [Path(folder) / name for name in required_files(package.version)]
        sizes = [path.stat().st_size for path in paths if path.is_file()] or [0]
    found = {"missing": missing, "cuda": cuda(), "weights": weights, "largest": max(sizes), "all": sum(sizes)}
    print(json.dumps(found))  # noqa: T201


def cuda() -> int | None:
    """The major version of the CUDA libraries that torch brings along; None where it brings none."""
    for distribution in distributions():
        name = (distribution.name or "").lower().replace("_", "-")
        major = distribution.version.partition(".")[0]
        if name.startswith("nvidia-cuda-runtime") and major.isdigit():
            return int(major)
    return None


if __name__ == "__main__":
    main(*sys.argv[1:])
