"""The engine with the strict stand-ins in `packages/` in place of torch, transformers and the model."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from speech_server.engines.base import Capabilities
from speech_server.engines.indextts2.engine import IndexTTS2Engine
from tests.inference.indextts2.material import PACKAGES, write_weights

_STAND_INS = ("pynvml", "torch", "transformers", "indextts", "indextts25", "front", "strict_model")


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> Generator[SimpleNamespace]:
    """The modules: `torch`, `transformers`, `strict_model`, `indextts25`. Gone again afterwards."""
    monkeypatch.syspath_prepend(str(PACKAGES))
    _forget()
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "TOKENIZERS_PARALLELISM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("PYTORCH_CUDA_ALLOC_CONF", raising=False)
    yield SimpleNamespace(
        torch=importlib.import_module("torch"),
        transformers=importlib.import_module("transformers"),
        strict_model=importlib.import_module("strict_model"),
    )
    _forget()


@pytest.fixture
def start(
    stand_ins: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[IndexTTS2Engine, Capabilities]]:
    """`start(VERSION="2", GENERATION="{}")` loads an engine with these SPEECH_ENGINE_ variables."""

    def start_engine(weights: Path | None = None, **variables: str) -> tuple[IndexTTS2Engine, Capabilities]:
        version = variables.get("VERSION", "2.5")
        folder = weights or tmp_path / f"weights-{version}"
        if not folder.exists():
            write_weights(folder, version)
        monkeypatch.setenv("SPEECH_ENGINE_WEIGHTS", str(folder))
        monkeypatch.setenv("SPEECH_WORK_DIR", str(tmp_path / "work"))
        for name, value in variables.items():
            monkeypatch.setenv(f"SPEECH_ENGINE_{name}", value)
        engine = IndexTTS2Engine()
        capabilities = engine.load()
        stand_ins.strict_model.faults.calls.clear()
        stand_ins.strict_model.faults.listened.clear()
        stand_ins.strict_model.faults.mixed.clear()
        return engine, capabilities

    return start_engine


def _forget() -> None:
    for name in [*sys.modules]:
        if name.partition(".")[0] in _STAND_INS:
            del sys.modules[name]


@pytest.fixture
def faults(stand_ins: SimpleNamespace) -> Any:
    return stand_ins.strict_model.faults


@pytest.fixture
def run() -> Callable[[Any], Any]:
    """Runs a coroutine to its end."""
    return asyncio.run
