"""How many engine processes there are, and which GPU each sees."""

from __future__ import annotations

import pytest

from speech_server.engines.placement import place_engines

VISIBLE = "CUDA_VISIBLE_DEVICES"
GPUS = ("GPU-a", "GPU-b")


def seen(
    engine: str = "indextts2",
    number: int | None = None,
    devices: tuple[str, ...] = (),
    gpus: tuple[str, ...] = GPUS,
    **environment: str,
) -> list[str | None]:
    return [place.get(VISIBLE) for place in place_engines(engine, number, devices, environment, gpus)]


class TestPlaces:
    @pytest.mark.parametrize(
        ("places", "expected"),
        [
            (seen(), ["GPU-a", "GPU-b"]),
            (seen(gpus=()), [None]),
            (seen(number=3), ["GPU-a", "GPU-b", "GPU-a"]),
            (seen(number=1), ["GPU-a"]),
            (seen(number=2, gpus=()), [None, None]),
            (seen(devices=("1",)), ["1"]),
            (seen(number=2, devices=("1",)), ["1", "1"]),
            # an engine that needs no GPU, also by its class; one of the operator's own may need one
            (seen("espeak"), [None]),
            (seen("speech_server.engines.espeak:EspeakEngine"), [None]),
            (seen("my_engines:Mine"), ["GPU-a", "GPU-b"]),
            (seen("espeak", number=2), [None, None]),
        ],
    )
    def test_a_process_for_each_gpu_unless_told_otherwise(
        self, places: list[str | None], expected: list[str | None]
    ) -> None:
        assert places == expected

    @pytest.mark.parametrize(
        ("given", "expected"),
        [("2,3", ["2", "3"]), ("GPU-b", ["GPU-b"]), ("", [None]), ("-1", [None]), ("1, 2 ,-1,3", ["1", "2"])],
    )
    def test_what_the_server_itself_may_see_its_engines_may(self, given: str, expected: list[str | None]) -> None:
        assert seen(CUDA_VISIBLE_DEVICES=given) == expected

    def test_a_device_that_was_given_by_name_is_one_engines(self) -> None:
        assert seen(SPEECH_ENGINE_DEVICE="cuda:1") == seen(SPEECH_ENGINE_DEVICE="cpu") == [None]
