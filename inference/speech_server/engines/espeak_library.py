"""espeak-ng, the C library of the `espeakng-loader` wheel, by ctypes.

The library keeps state between calls that no function of it resets: the place in its pitch-flutter table, its gain
control, echoes, and whatever a cancelled call left. The same words therefore sound different each time. A session
loads the library anew (0.3 ms; voices and dictionaries 2 ms more) and unloads it at its end, so that equal calls in
a new session give equal samples, whatever was said before. One session at a time, in one thread.

espeak-ng is GPL-3.0: import this module in the engine process only.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path

import espeakng_loader
import numpy as np

SAMPLE_RATE = 22_050

# speak_lib.h of espeak-ng 1.52
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 0x8000  # or a missing file ends the process
_CHARS_UTF8 = 1
_PHONEMES = 0x100
_POSITION_CHARACTER = 1
_EE_OK = 0
_STOP, _GO_ON = 1, 0

# how much sound comes per callback, which is how often a caller can cancel: about 0.2 ms of work
_BUFFER_MILLISECONDS = 100
# Of the noise in breath and consonants. By itself the library takes the time of day in seconds.
_NOISE_SEED = 1
# The library keeps the path of its data in 160 bytes and, if it is longer, silently looks elsewhere.
_LONGEST_DATA_PATH = 130

_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class EspeakError(RuntimeError):
    """The library or its data cannot be used."""


class Session:
    """The library from its loading to its unloading. Made by `open_session`."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._chunks: list[np.ndarray] = []
        self._stop: Callable[[], bool] = lambda: False
        self._failure: BaseException | None = None
        self._callback = _CALLBACK(self._take)  # kept: the library holds a bare pointer to it
        library.espeak_SetSynthCallback(self._callback)

    @property
    def version(self) -> str:
        """For example "1.52.0"."""
        return self._library.espeak_Info(None).decode("ascii")

    def set_voice(self, name: str) -> None:
        """Speak with this voice from now on, a variant after a plus sign: "en-us", "cmn-latn-pinyin+f3"."""
        if self._library.espeak_SetVoiceByName(name.encode()) != _EE_OK:
            raise EspeakError(f"espeak-ng has no voice {name!r}")

    def say(self, text: str, stop: Callable[[], bool], *, phonemes: bool = False) -> np.ndarray | None:
        """What `text` sounds like: float32 mono in -1..1, shape (n,), at SAMPLE_RATE; None if `stop` became true.

        Markup is not read: SSML is text, and so is `[[...]]` unless `phonemes`. Control characters, which would be
        the library's own embedded commands, become blanks. An exception of `stop` is passed on.
        """
        self._chunks, self._stop, self._failure = [], stop, None
        data = _without_controls(text).encode("utf-8", errors="replace")
        flags = _CHARS_UTF8 | (_PHONEMES if phonemes else 0)
        status = self._library.espeak_Synth(data, len(data) + 1, 0, _POSITION_CHARACTER, 0, flags, None, None)
        if self._failure is not None:
            raise self._failure
        if stop():
            return None
        if status != _EE_OK:
            raise EspeakError(f"espeak_Synth answered {status}")
        samples = np.concatenate(self._chunks) if self._chunks else np.zeros(0, dtype=np.int16)
        return samples.astype(np.float32) / np.float32(32768.0)

    def phonemes(self, text: str) -> str:
        """What `text` is read as by the voice, in espeak-ng's phoneme names, before sounds change their neighbours."""
        buffer = ctypes.create_string_buffer(_without_controls(text).encode("utf-8", errors="replace"))
        position = ctypes.c_void_p(ctypes.addressof(buffer))
        clauses: list[str] = []
        while position.value:
            clauses.append(self._library.espeak_TextToPhonemes(ctypes.byref(position), _CHARS_UTF8, 0).decode())
        return " ".join(clauses)

    def _take(self, samples: ctypes._Pointer[ctypes.c_short], count: int, _events: int) -> int:
        # an exception cannot cross the C code above this frame
        try:
            if samples and count > 0:
                self._chunks.append(np.ctypeslib.as_array(samples, shape=(count,)).copy())
            return _STOP if self._stop() else _GO_ON
        except BaseException as error:
            self._failure = error
            return _STOP


@contextlib.contextmanager
def open_session() -> Generator[Session]:
    """Load the library; unload it at the end. Raises EspeakError if it or its data cannot be loaded."""
    with _short_path(Path(espeakng_loader.get_data_path())) as data_path:
        try:
            library = ctypes.CDLL(espeakng_loader.get_library_path())
        except OSError as error:
            raise EspeakError(f"the espeak-ng library cannot be loaded: {error}") from error
        try:
            _declare(library)
            rate = library.espeak_Initialize(
                _AUDIO_OUTPUT_SYNCHRONOUS, _BUFFER_MILLISECONDS, os.fsencode(data_path), _INITIALIZE_DONT_EXIT
            )
            if rate != SAMPLE_RATE:
                raise EspeakError(f"espeak-ng cannot read its data in {data_path} (sample rate {rate})")
            library.espeak_ng_SetRandSeed(_NOISE_SEED)
            try:
                yield Session(library)
            finally:
                library.espeak_Terminate()
        finally:
            _unload(library)


def _declare(library: ctypes.CDLL) -> None:
    library.espeak_Initialize.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
    library.espeak_ng_SetRandSeed.argtypes = [ctypes.c_long]
    library.espeak_ng_SetRandSeed.restype = ctypes.c_int
    library.espeak_SetSynthCallback.argtypes = [_CALLBACK]
    library.espeak_SetSynthCallback.restype = None
    library.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
    library.espeak_Synth.argtypes = [
        ctypes.c_char_p,  # text
        ctypes.c_size_t,  # its size with the final NUL
        ctypes.c_uint,  # first position
        ctypes.c_int,  # of this kind
        ctypes.c_uint,  # last position, 0: none
        ctypes.c_uint,  # flags
        ctypes.c_void_p,
        ctypes.c_void_p,
    ]
    library.espeak_TextToPhonemes.argtypes = [ctypes.POINTER(ctypes.c_void_p), ctypes.c_int, ctypes.c_int]
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    library.espeak_Info.argtypes = [ctypes.c_void_p]
    library.espeak_Info.restype = ctypes.c_char_p


def _unload(library: ctypes.CDLL) -> None:
    dlclose = ctypes.CDLL(None).dlclose
    dlclose.argtypes = [ctypes.c_void_p]
    if dlclose(library._handle) != 0:
        raise EspeakError("espeak-ng cannot be unloaded")


def _without_controls(text: str) -> str:
    return "".join(" " if character < " " or "\x7f" <= character < "\xa0" else character for character in text)


@contextlib.contextmanager
def _short_path(path: Path) -> Generator[Path]:
    if len(os.fsencode(path)) <= _LONGEST_DATA_PATH:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="espeak-") as folder:
        link = Path(folder) / path.name
        link.symlink_to(path, target_is_directory=True)
        yield link
