"""`make bench-gpu`: speed and memory of IndexTTS2 on this machine's GPU, in each precision that it really has.

    --weights FOLDER   the trained weights of --version; without it full-size random ones are made, which are as fast
    --tiny --cpu       a self-check without a GPU: small random weights, figures that mean nothing
    --plain-text       without WeTextProcessing, where it cannot be installed

The last lines are a table for docs/engine.md. Status 2: nothing to measure here, and why.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "inference")]

from speech_server.engines.indextts2.packages import PACKAGES, Package, package_for  # noqa: E402 - see the line above
from speech_server.engines.indextts2.precision import Capability, PrecisionError, check_tf32, choose_precision  # noqa: E402
from tools.bench_gpu import plain_text  # noqa: E402
from tools.bench_gpu.measure import measure  # noqa: E402
from tools.bench_gpu.random_weights import FULL, TINY, write_v2, write_v25  # noqa: E402
from tools.bench_gpu.report import Figures, from_json, table, to_json  # noqa: E402

NOTHING_TO_MEASURE = 2
TF32 = "fp32 with TF32"  # in the table
GIGABYTE = 1 << 30
FULL_WEIGHTS_BYTES = 9 * GIGABYTE


def main() -> int:
    arguments = _arguments()
    if arguments.plain_text:
        plain_text.install()
    if arguments.one is not None:
        print(_measured(arguments))
        return 0
    package = package_for(arguments.version, arguments.package)
    problem = _problem(package, arguments.cpu)
    if problem:
        print(f"bench-gpu: {problem}", file=sys.stderr)
        return NOTHING_TO_MEASURE
    precisions = _precisions(package, arguments.cpu)
    print(_machine(arguments.cpu), flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-gpu-", dir=arguments.scratch) as scratch:
        if arguments.weights is None:
            arguments.weights = Path(scratch) / "weights"
            _write_weights(package, arguments.weights, arguments.tiny)
            arguments.random = True
        rows = [row for precision in precisions if (row := _in_a_process(arguments, precision)) is not None]
    if not rows:
        return 1
    print(f"\n{table(rows)}")
    return 0 if len(rows) == len(precisions) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "make bench-gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    versions = sorted({package.version for package in PACKAGES})
    parser.add_argument("--version", choices=versions, default="2.5")
    parser.add_argument("--package", choices=sorted({package.name for package in PACKAGES}))
    parser.add_argument("--weights", type=Path, metavar="FOLDER")
    parser.add_argument("--segments", type=int, default=8, help="of the long text (default: %(default)s)")
    parser.add_argument("--generation", default="{}", help="SPEECH_ENGINE_GENERATION, as JSON")
    parser.add_argument("--tiny", action="store_true", help="small random weights")
    parser.add_argument("--cpu", action="store_true", help="without a GPU")
    parser.add_argument("--plain-text", action="store_true", help="texts are not normalised")
    parser.add_argument("--scratch", type=Path, metavar="FOLDER", help="where random weights lie meanwhile")
    # what the processes are started with that measure one precision each
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--random", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    try:
        package_for(arguments.version, arguments.package)
    except ValueError as error:
        parser.error(str(error))
    if arguments.segments < 1:
        parser.error(f"--segments must be at least 1, not {arguments.segments}")
    if arguments.weights is not None and not arguments.weights.is_dir():
        parser.error(f"--weights: {str(arguments.weights)!r} is no folder that can be seen here")
    if arguments.cpu and not arguments.tiny and arguments.weights is None and arguments.one is None:
        parser.error("--cpu: full-size weights take hours on a CPU: add --tiny")
    return arguments


def _problem(package: Package, cpu: bool) -> str:
    """Why nothing can be measured here; empty if it can."""
    for module in ("torch", package.module.partition(".")[0]):
        if importlib.util.find_spec(module) is None:
            return (
                f"{module} is not installed in {sys.executable}: `make bench-gpu` installs what "
                "inference/requirements-indextts2.in names; index-tts as its last lines say"
            )
    torch: Any = importlib.import_module("torch")
    if cpu or torch.cuda.is_available():
        return ""
    built = torch.version.cuda
    return (
        f"torch {torch.__version__} {f'(CUDA {built})' if built else '(built without CUDA)'} finds no NVIDIA GPU: "
        "see that `nvidia-smi` works here, or check the tool itself with ARGS='--tiny --cpu'"
    )


def _precisions(package: Package, cpu: bool) -> list[str]:
    """Those that the package can do and the card does not only emulate."""
    torch: Any = importlib.import_module("torch")
    capability = None if cpu else tuple(torch.cuda.get_device_capability(0))
    found: list[str] = [precision for precision in package.flags if _is_real(precision, package, capability)]
    try:
        check_tf32(capability)
    except PrecisionError as error:
        print(f"{TF32} is left out: {error}", flush=True)
        return found
    return [*found, TF32]


def _is_real(precision: str, package: Package, capability: Capability | None) -> bool:
    try:
        choose_precision(precision, package, capability, low_memory=False)
    except PrecisionError as error:
        print(f"{precision} is left out: {error}", flush=True)
        return False
    return True


def _machine(cpu: bool) -> str:
    torch: Any = importlib.import_module("torch")
    transformers: Any = importlib.import_module("transformers")
    packages = f"torch {torch.__version__}, transformers {transformers.__version__}, Python {sys.version.split()[0]}"
    if cpu:
        return f"CPU, {os.cpu_count()} cores; {packages}"
    card = torch.cuda.get_device_properties(0)
    return (
        f"{card.name}, {card.total_memory / GIGABYTE:.0f} GiB, compute capability {card.major}.{card.minor}; "
        f"{packages}, CUDA {torch.version.cuda}"
    )


def _write_weights(package: Package, folder: Path, tiny: bool) -> None:
    size = "tiny" if tiny else f"full-size, about {FULL_WEIGHTS_BYTES // GIGABYTE} GB"
    print(f"making random weights of version {package.version} ({size})", flush=True)
    folder.mkdir()
    write = write_v2 if package.version == "2" else write_v25
    write(folder, package.module.partition(".")[0], TINY if tiny else FULL)


def _in_a_process(arguments: argparse.Namespace, precision: str) -> Figures | None:
    """Measured in a process of its own, whose memory nothing else used; None if that failed, which it then told."""
    print(f"measuring {precision}", flush=True)
    command = [sys.executable, "-m", "tools.bench_gpu", "--one", precision]
    command += ["--version", arguments.version, "--weights", str(arguments.weights.resolve())]
    command += ["--segments", str(arguments.segments), "--generation", arguments.generation]
    for name in ("package", "scratch"):
        if getattr(arguments, name) is not None:
            command += [f"--{name}", str(getattr(arguments, name))]
    command += [f"--{name.replace('_', '-')}" for name in ("cpu", "plain_text", "random") if getattr(arguments, name)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False, text=True, cwd=ROOT)
    if done.returncode:
        print(f"{precision}: not measured, status {done.returncode}", flush=True)
        return None
    return from_json(done.stdout.splitlines()[-1])


def _measured(arguments: argparse.Namespace) -> str:
    environment = {
        "SPEECH_ENGINE_WEIGHTS": str(arguments.weights),
        "SPEECH_ENGINE_VERSION": arguments.version,
        "SPEECH_ENGINE_PACKAGE": package_for(arguments.version, arguments.package).name,
        "SPEECH_ENGINE_PRECISION": "fp32" if arguments.one == TF32 else arguments.one,
        "SPEECH_ENGINE_TF32": str(arguments.one == TF32).lower(),
        "SPEECH_ENGINE_DEVICE": "cpu" if arguments.cpu else "cuda:0",
        "SPEECH_ENGINE_LOW_MEMORY": "false",
        "SPEECH_ENGINE_GENERATION": arguments.generation,
        "SPEECH_ENGINE_SEGMENT_SECONDS": "600",
    }
    if arguments.random and arguments.version == "2.5":
        # Their vocabulary is of bytes, three for a Chinese character: as long as usual is three times as many.
        environment["SPEECH_ENGINE_SEGMENT_TOKENS"] = "300"
    with tempfile.TemporaryDirectory(prefix="bench-gpu-", dir=arguments.scratch) as folder:
        figures = measure(environment, Path(folder), arguments.segments, not arguments.random)
    return to_json(replace(figures, precision=arguments.one))


if __name__ == "__main__":
    sys.exit(main())
