"""Turns of a caller, built from recordings: what is said, where it pauses, and for how long."""

from dataclasses import dataclass, field

import numpy as np

import sound
from align import words_of
from sound import FRAME, RATE

#: Speech is brought to this RMS before noise and the telephone's band; -23 dB of full scale.
SPEECH = 10 ** (-23 / 20)
LEAD, TAIL = 0.3, 3.2
#: The most that room tone may have against speech: -34 dB.
QUIET = 10 ** (-34 / 20)
#: Silences of a recording from this length on are pauses of the turn; shorter ones are closures of consonants.
NATURAL = 0.13


@dataclass
class Piece:
    """A recording, trimmed and at the common level, with its words (seconds from its start) and its room."""

    samples: np.ndarray
    words: list
    tone: np.ndarray
    sentence: str


@dataclass
class Turn:
    """What becomes a row. `spans` are the pauses inside; the end is added when the turn is finished."""

    kind: str
    samples: np.ndarray
    words: list = field(default_factory=list)
    spans: list = field(default_factory=list)
    sentences: list = field(default_factory=list)


class Studio:
    """Loads recordings once and remembers where their words are."""

    def __init__(self, espeak):
        self.espeak, self.pieces = espeak, {}

    def piece(self, clip):
        """The recording of a clip, ready to be joined."""
        if clip.path not in self.pieces:
            raw = sound.read(clip.path)
            samples = sound.trim(raw)
            gain = SPEECH / sound.speech_level(samples)
            # A recording without a pause has speech in its quietest place too: its room must stay well below speech.
            tone = sound.room_tone(raw) * gain
            tone *= min(1.0, SPEECH * QUIET / max(1e-9, np.sqrt((tone ** 2).mean())))
            words = words_of(samples, clip.text, clip.voice.espeak, self.espeak)
            self.pieces[clip.path] = Piece(sound.fade(samples * gain, 0.004, 0.008), words, tone, clip.sentence)
        return self.pieces[clip.path]


class Builder:
    """Puts one turn together, from left to right."""

    def __init__(self, kind, first_tone, rng):
        self.turn, self.rng, self.tone = Turn(kind, np.zeros(0)), rng, first_tone
        self.parts, self.at = [sound.stretch_tone(first_tone, int(LEAD * RATE), rng)], int(LEAD * RATE)

    def now(self):
        """Seconds from the start of the turn."""
        return self.at / RATE

    def _add(self, samples):
        self.parts.append(samples)
        self.at += len(samples)

    def say(self, piece, word=None):
        """A whole recording. `word` replaces its text, where the transcript has something to read instead of what was said."""
        start = self.now()
        self.tone = piece.tone
        self._add(piece.samples)
        self.turn.words += [(bare(word or text), start + a, start + b) for text, a, b in piece.words]
        self.turn.sentences.append(piece.sentence)

    def rest(self, seconds):
        """Silence between two words that is too short for a pause."""
        self._add(sound.stretch_tone(self.tone, int(seconds * RATE), self.rng))

    def pause(self, seconds, kind):
        """A pause between two recordings."""
        start = self.now()
        self._add(sound.stretch_tone(self.tone, int(seconds * RATE), self.rng))
        self.turn.spans.append({"start": start, "end": self.now(), "label": "hold", "kind": kind, "seam": "joined", "drawn": True})

    def say_with_pauses(self, piece, pauses, kinds):
        """A recording with some of its borders opened: `pauses[i]` seconds behind word `i`, of kind `kinds[i]`."""
        samples, words = piece.samples, piece.words
        self.tone = piece.tone
        self.turn.sentences.append(piece.sentence)
        cursor, shift = 0, self.now()
        for index, (text, start, end) in enumerate(words):
            self.turn.words.append((bare(text), shift + start, shift + end))
            if index + 1 == len(words):
                break
            gap = (end, words[index + 1][1])
            if index in pauses:
                first, last = int(gap[0] * RATE), int(gap[1] * RATE)
                before, after = samples[cursor:first], samples[last:]
                tight = last - first < FRAME * 3
                self._add(sound.fade(before, 0, 0.02 if tight else 0.006))
                opened = self.now()
                self._add(sound.stretch_tone(piece.tone, int(pauses[index] * RATE), self.rng))
                self.turn.spans.append({"start": opened, "end": self.now(), "label": "hold", "kind": kinds[index], "seam": "inside", "drawn": True})
                samples = np.concatenate((samples[:last], sound.fade(after, 0.012 if tight else 0.006, 0)))
                cursor = last
                shift = self.now() - last / RATE
            elif gap[1] - gap[0] >= NATURAL:
                self.turn.spans.append({"start": shift + gap[0], "end": shift + gap[1], "label": "hold", "kind": kinds.get(index, "clause"),
                                        "seam": "inside", "drawn": False})
        self._add(samples[cursor:])

    def finish(self):
        """The turn with its end, whose silence is the row's last span."""
        end = self.now()
        self._add(sound.stretch_tone(self.tone, int(TAIL * RATE), self.rng))
        turn = self.turn
        turn.samples = np.concatenate(self.parts)
        turn.spans.append({"start": end, "end": len(turn.samples) / RATE, "label": "eot", "kind": turn.kind})
        return turn


def bare(word):
    """A word without the signs around it: a row must not tell by a full stop where its turn ends."""
    return word.strip(".,;:!?…()") or word


def depth(piece, index):
    """How far the sound falls at the border behind word `index`, in dB below the level of speech."""
    end, start = piece.words[index][2], piece.words[index + 1][1]
    frames = sound.levels(piece.samples)
    first = max(0, int((end - 0.01) * RATE / FRAME))
    lowest = frames[first:max(first + 1, int((start + 0.02) * RATE / FRAME))]
    return -20 * np.log10(max(1e-6, lowest.min()) / SPEECH) if len(lowest) else 0.0


def ends_clause(word):
    """Whether punctuation behind the word says that a clause ends."""
    return word[-1] in ".,;:!?…"


def openings(piece, rng, want, clauses):
    """Borders inside a recording to pause at: of low energy, at least two words apart; behind clauses, or in the middle of them."""
    words = piece.words
    found = []
    for index in range(len(words) - 1):
        fall = depth(piece, index)
        if ends_clause(words[index][0]) == clauses and fall >= (8 if clauses else 14):
            found.append((fall + rng.uniform(0, 12), index))
    chosen = []
    for _, index in sorted(found, reverse=True):
        if all(abs(index - other) >= 2 for other in chosen) and len(chosen) < want:
            chosen.append(index)
    return sorted(chosen)
