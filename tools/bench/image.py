"""How large the `cpu` image is, how long it takes to build, and how much of it a change of code ships.

A Docker daemon of its own builds it on a stand-in base (tests/image/container_engine.py), as in `make test-image`; the
official base has another size. Sizes are uncompressed; a registry sends less.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.image.container_engine import ContainerEngine, ContainerEngineError, install_packages, why_not_here
from tools.bench.figures import Row, seconds
from tools.bench.image_layers import (
    CODE_LIMIT,
    CPU_PACKAGES_LIMIT,
    DIGESTS,
    MIB,
    SIZES,
    Layer,
    layers,
    shipped,
)

ROOT = Path(__file__).resolve().parents[2]
_CHANGED = "speech_server/errors.py"


def measure() -> list[Row]:
    """Where there can be no daemon, or it or a build fails, a row says so and the other parts go on."""
    reason = why_not_here() or install_packages()
    if reason:
        return not_measured(reason)
    engine = ContainerEngine()
    try:
        try:
            engine.start()
            return _rows(engine)
        finally:
            engine.remove()
    except ContainerEngineError as error:
        print(error, file=sys.stderr)
        return not_measured(str(error))


def not_measured(reason: str) -> list[Row]:
    """A row that gives the reason, of one that has several lines the last: what a build ends with is why it ended."""
    return [Row("the cpu image", f"not measured: {reason.strip().splitlines()[-1]}"), _indextts2()]


def size_rows(image: list[Layer]) -> list[Row]:
    """Of the `cpu` target: its own two layers stand on those of the base."""
    code, packages, *base = image
    return [
        Row("the cpu image, on a stand-in base", _mib(*image)),
        Row("  the server's code", _mib(code), f"at most {_mib_limit(CODE_LIMIT)}"),
        Row("  the server's packages", _mib(packages), f"at most {_mib_limit(CPU_PACKAGES_LIMIT)}"),
        Row("  the base", _mib(*base)),
    ]


def shipped_row(before: list[Layer], after: list[Layer]) -> Row:
    """What a change of code ships, of both images' layers."""
    new, whole = shipped(before, after), sum(layer.size for layer in after)
    share = sum(layer.size for layer in new) / whole
    names = dict(zip(after, ("code", "packages"), strict=False))
    told = ", ".join(f"{names.get(layer, 'base')} {_mib(layer)}" for layer in new) or "nothing"
    return Row("  ships", f"{told}: {share:.1%} of the image", f"code alone, at most {_mib_limit(CODE_LIMIT)}")


def _rows(engine: ContainerEngine) -> list[Row]:
    context = engine.folder / "context"
    shutil.copytree(ROOT / "inference", context)

    def build(tag: str, *options: str) -> float:
        return seconds(lambda: engine.build(context, tag, *options, arguments={"REVISION": tag}))

    first = build("bench:first")
    with (context / _CHANGED).open("a", encoding="utf-8") as file:
        file.write("\n# changed\n")
    later = build("bench:later")
    # As on a build machine that has no layer of the image: the layers must be the same by what is in them.
    elsewhere = build("bench:elsewhere", "--no-cache")
    before, after, anew = (
        layers(engine.docker(*SIZES, tag), engine.docker(*DIGESTS, tag))
        for tag in ("bench:first", "bench:later", "bench:elsewhere")
    )
    return [
        *size_rows(before),
        Row("build from nothing, packages downloaded", f"{first:.1f} s"),
        Row(
            "a source file changed, packages' layer cached", f"{later:.1f} s, {later / first:.2f}x a build from nothing"
        ),
        shipped_row(before, after),
        Row("the same without a cached layer, packages downloaded before", f"{elsewhere:.1f} s"),
        shipped_row(before, anew),
        _indextts2(),
    ]


def _indextts2() -> Row:
    return Row("the indextts2 image", "not built here: `make test-image-indextts2`")


def _mib(*measured: Layer) -> str:
    size = sum(layer.size for layer in measured) / MIB
    return f"{size:.2f} MiB" if size < 10 else f"{size:.0f} MiB"


def _mib_limit(size: int) -> str:
    return f"{size // MIB} MiB"
