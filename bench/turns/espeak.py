"""espeak-ng with the place of every word: the voice of synthetic turns, and the ruler by which words are found in recordings."""

import ctypes
import ctypes.util

import numpy as np

from sound import resample

WORD, LIST_END, UTF8, SYNCHRONOUS = 1, 0, 1, 2


class Event(ctypes.Structure):
    """`espeak_EVENT` of speak_lib.h."""

    _fields_ = [("type", ctypes.c_int), ("unique_identifier", ctypes.c_uint), ("text_position", ctypes.c_int), ("length", ctypes.c_int),
                ("audio_position", ctypes.c_int), ("sample", ctypes.c_int), ("user_data", ctypes.c_void_p), ("id", ctypes.c_char * 8)]


CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(Event))


class Espeak:
    """One engine; the library has no more than one."""

    def __init__(self):
        self.library = ctypes.CDLL(ctypes.util.find_library("espeak-ng") or "libespeak-ng.so.1")
        self.rate = self.library.espeak_Initialize(SYNCHRONOUS, 100, None, 0)
        if self.rate <= 0:
            raise OSError("espeak-ng cannot be started")
        self.callback = CALLBACK(self._hear)
        self.library.espeak_SetSynthCallback(self.callback)

    def _hear(self, samples, count, events):
        if samples and count > 0:
            self.chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while events[index].type != LIST_END:
            if events[index].type == WORD:
                self.starts.append((events[index].text_position - 1, events[index].audio_position / 1000.0))
            index += 1
        return 0

    def say(self, text, voice, speed=165, pitch=50):
        """Samples at 8 kHz, and for each word of `text.split()` its start in seconds."""
        self.chunks, self.starts = [], []
        if self.library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"espeak-ng has no voice {voice}")
        self.library.espeak_SetParameter(1, int(speed), 0)
        self.library.espeak_SetParameter(3, int(pitch), 0)
        raw = text.encode() + b"\0"
        self.library.espeak_Synth(raw, len(raw), 0, 1, 0, UTF8, None, None)
        samples = np.concatenate(self.chunks) / 32768.0 if self.chunks else np.zeros(80)
        return resample(samples, self.rate), self._word_starts(text, len(samples) / self.rate)

    def _word_starts(self, text, length):
        # One written word may be several spoken ones ("1st", "pin-number"): the first counts.
        places, at = [], 0
        for word in text.split():
            at = text.index(word, at)
            places.append((at, at + len(word)))
            at += len(word)
        found = []
        for start, end in places:
            times = [time for position, time in self.starts if start <= position < end]
            found.append(min(times) if times else None)
        # Words without an event (signs alone) lie between their neighbours.
        for index, time in enumerate(found):
            if time is None:
                later = [t for t in found[index + 1:] if t is not None]
                earlier = found[index - 1] if index else 0.0
                found[index] = (earlier + (later[0] if later else length)) / 2
        return found
