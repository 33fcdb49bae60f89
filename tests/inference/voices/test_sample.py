"""What may become a voice: speech of some length and level, and nothing that only looks like it."""

from __future__ import annotations

import numpy as np
import pytest

from speech_server.audio.decode import AudioError
from speech_server.voices.sample import check_sample, clipped_share, voiced_seconds
from tests.inference.voices.speech import sound_file, spoken

RATE = 22_050
TIME = np.arange(4 * RATE) / RATE
RNG = np.random.default_rng(7)
ON_OFF = (TIME * 4 % 2) < 1
NO_SPEECH = {
    "a tone": 0.5 * np.sin(2 * np.pi * 220 * TIME),
    "beeps": 0.5 * np.sin(2 * np.pi * 220 * TIME) * ON_OFF,
    "noise": 0.1 * RNG.standard_normal(TIME.size),
    "bursts of noise": 0.1 * RNG.standard_normal(TIME.size) * ON_OFF,
    "clicks": 0.9 * (np.arange(TIME.size) % (RATE // 20) == 0),
    "hum": 0.2 * np.sin(2 * np.pi * 50 * TIME) + 0.1 * np.sin(2 * np.pi * 150 * TIME),
    "a buzz": 0.3 * (TIME * 110 % 1),
}


class TestCheckSample:
    @pytest.mark.parametrize("voice", ["default", "female"])
    @pytest.mark.parametrize(
        "text", ["Good morning to all of you, it is a fine day today.", "今天天气很好,我们去公园散步吧。"]
    )
    def test_speech_passes_as_it_is_and_with_noise(self, voice: str, text: str) -> None:
        samples, rate = spoken(voice, text)
        assert check_sample(sound_file(samples, rate)).seconds == pytest.approx(samples.size / rate)
        noisy = samples + 0.01 * RNG.standard_normal(samples.size)
        check_sample(sound_file(np.clip(noisy, -1, 1), rate))

    def test_any_rate_and_container_of_it_passes(self) -> None:
        samples, rate = spoken()
        for container, subtype in (("FLAC", "PCM_24"), ("OGG", "VORBIS"), ("WAV", "FLOAT")):
            check_sample(sound_file(samples, rate, container, subtype))
        check_sample(sound_file(np.repeat(samples, 8), rate * 8))

    @pytest.mark.parametrize("name", NO_SPEECH)
    def test_what_is_no_speech_is_refused(self, name: str) -> None:
        with pytest.raises(AudioError) as refused:
            check_sample(sound_file(NO_SPEECH[name], RATE))
        assert refused.value.code == "audio_no_speech"
        assert "one person talking" in refused.value.message

    def test_clipping_is_refused_at_any_level(self) -> None:
        samples, rate = spoken()
        clipped = np.clip(samples * 6, -1, 1)
        for level in (1.0, 0.5):
            with pytest.raises(AudioError) as refused:
                check_sample(sound_file(clipped * level, rate))
            assert refused.value.code == "audio_clipped"

    def test_speech_that_is_too_quiet_is_refused_and_normal_speech_is_not(self) -> None:
        samples, rate = spoken()
        with pytest.raises(AudioError) as refused:
            check_sample(sound_file(samples * 0.035, rate, subtype="PCM_24"))
        assert refused.value.code == "audio_too_quiet"
        check_sample(sound_file(samples * 0.1, rate))

    def test_length(self) -> None:
        samples, rate = spoken()
        with pytest.raises(AudioError) as short:
            check_sample(sound_file(samples[: int(1.9 * rate)], rate))
        with pytest.raises(AudioError) as long:
            check_sample(sound_file(np.tile(samples, 9), rate))
        assert (short.value.code, long.value.code) == ("audio_too_short", "audio_too_long")

    def test_what_is_no_sound_keeps_the_decoders_word(self) -> None:
        with pytest.raises(AudioError) as refused:
            check_sample(b"%PDF-1.7")
        assert refused.value.code == "not_audio"


class TestMeasures:
    def test_a_pure_tone_is_not_clipped(self) -> None:
        for hertz in (100, 440, 3000):
            assert clipped_share(np.sin(2 * np.pi * hertz * np.arange(48_000) / 48_000).astype(np.float32)) == 0

    def test_clipped_share_counts_runs_of_four(self) -> None:
        samples = np.zeros(100, dtype=np.float32)
        samples[10:14] = 1.0
        samples[20:23] = 1.0
        samples[30:36] = -1.0
        assert clipped_share(samples) == pytest.approx(0.10)
        assert clipped_share(np.zeros(10, dtype=np.float32)) == 0

    def test_twice_the_speech_is_twice_the_seconds(self) -> None:
        samples, rate = spoken()
        once = voiced_seconds(samples, rate)
        assert once > 1.0
        assert voiced_seconds(np.tile(samples, 2), rate) == pytest.approx(2 * once, rel=0.1)
