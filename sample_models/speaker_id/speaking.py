"""Makes the clips in voices/: eSpeak NG reads sentences in several voices. `pip install espeakng-loader soundfile`.

    python sample_models/speaker_id/speaking.py

The clips lie in the repository; nobody needs to run this who does not want other voices. **They are synthetic.**
"""

import ctypes
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

VOICES = Path(__file__).parent / "voices"
RATE, SECONDS = 16_000, 0.75
# Name of the voice -> eSpeak's language and variant, pitch (0..100), words a minute, and how many clips there are.
SPEAKERS = {
    "lea": ("en-us+f2", 60, 165, 40),  # whom the base knows as its owner
    "ada": ("gmw/en+f4", 48, 150, 18),
    "ben": ("en-us+m1", 40, 170, 18),
    "carl": ("en-gb-scotland+m3", 30, 155, 18),
    "dora": ("en-us+f5", 72, 180, 18),
    "emil": ("gmw/en+m7", 50, 160, 18),
    "fay": ("en-gb-scotland+f1", 56, 168, 18),
    "gus": ("en-us+m4", 36, 162, 18),
    "hana": ("en-gb-x-rp+f4", 78, 160, 18),
    "mira": ("en-gb-x-rp+f3", 66, 172, 36),  # who buys the phone
}
SENTENCES = (
    "The early train was late again, so we walked along the river and watched the boats go by.",
    "My neighbour grows tomatoes, peppers and beans on a small balcony over the harbour.",
    "Please remember to bring the blue folder, the keys, and a warm coat for the evening.",
    "Seven young zebras jumped quickly over the frozen brook while the fox was asleep.",
    "When the music stopped, everybody looked at the old clock above the kitchen door.",
    "I would rather take the quiet road through the valley than the highway over the hill.",
    "Could you measure the window twice before you cut the glass for the new frame?",
    "Every other Thursday they bake bread with walnuts, honey and a little salt.",
)
END = 0  # of espeak_EVENT's type: the list ends


def speak(voice: str, pitch: int, speed: int, text: str) -> npt.NDArray[np.float32]:
    """One sentence as float32 samples at ``RATE``."""
    from scipy.signal import resample_poly

    library, rate = _library()
    heard: list[npt.NDArray[np.int16]] = []
    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)

    def take(wave: Any, count: int, _events: Any) -> int:
        if wave and count:
            heard.append(np.ctypeslib.as_array(wave, (count,)).copy())
        return 0

    kept = callback(take)
    library.espeak_SetSynthCallback(kept)
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise SystemExit(f"eSpeak NG has no voice {voice!r}; choose another")
    library.espeak_SetParameter(1, speed, 0)  # espeakRATE
    library.espeak_SetParameter(3, pitch, 0)  # espeakPITCH
    content = text.encode() + b"\0"
    library.espeak_Synth(content, len(content), 0, 0, 0, 1, None, None)  # as UTF-8
    library.espeak_Synchronize()
    samples = np.concatenate(heard).astype(np.float64) / 32768
    return np.asarray(resample_poly(samples, RATE, rate), np.float32)


def _library() -> tuple[Any, int]:
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    synchronous = 2
    rate = library.espeak_Initialize(synchronous, 0, espeakng_loader.get_data_path().encode(), 0)
    return library, int(rate)


def clips(name: str) -> Iterator[npt.NDArray[np.float32]]:
    """The speaker's clips, one after the other out of the sentences, without silences."""
    voice, pitch, speed, count = SPEAKERS[name]
    length, result, turn = round(RATE * SECONDS), 0, 0
    generator = np.random.default_rng(list(name.encode()))
    while result < count:
        first = (sum(name.encode()) + turn) % len(SENTENCES)
        said = speak(
            voice, pitch + int(generator.integers(-4, 5)), speed + int(generator.integers(-12, 12)), SENTENCES[first]
        )
        turn += 1
        for start in range(0, len(said) - length, length):
            clip = said[start : start + length]
            if float(np.abs(clip).mean()) > 0.01 and result < count:
                result += 1
                yield clip / np.abs(clip).max() * 0.15 * float(generator.uniform(0.5, 1.2))


def main() -> None:
    import soundfile

    for name in SPEAKERS:
        folder = VOICES / name
        folder.mkdir(parents=True, exist_ok=True)
        for index, clip in enumerate(clips(name)):
            coarse = (np.round(clip * 2**11) * 2**4).astype(np.int16)  # 12 of 16 bits: FLAC then takes little over half
            soundfile.write(folder / f"{index:02}.flac", coarse, RATE, subtype="PCM_16")


if __name__ == "__main__":
    main()
