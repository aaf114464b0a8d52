"""Turns said by espeak-ng from texts of ours: for languages without recordings, and for what no prompt says (fillers, names, addresses)."""

import json
import random
from pathlib import Path

import numpy as np

import sound
from align import settle
from sound import RATE
from turns import SPEECH, Builder, Piece, ends_clause
from voices import Voice

RECIPES = Path(__file__).parent / "recipes"
LETTERS = "ABCDEFGHIJKLMNOPRSTUVWZ"
#: How many numbers and spellings there are for each voice beside the written turns.
NUMBERS, SPELLINGS = 8, 6


def recipe(language):
    """Voices, digits, questions and turns of a language; `|` in a text is a pause."""
    return json.loads((RECIPES / f"spoken-{language}.json").read_text(encoding="utf-8"))


class Synthesizer:
    """One of the voices of a recipe."""

    def __init__(self, settings, language, half, espeak, pauses, rng, seed):
        self.settings, self.espeak, self.pauses, self.rng, self.random = settings, espeak, pauses, rng, random.Random(seed)
        self.voice = Voice(settings["name"], language, settings["voice"], "espeak-ng", "", "", half)

    def piece(self, text):
        """The text as a recording with its words."""
        samples, starts = self.espeak.say(text, self.voice.espeak, self.settings["speed"], self.settings["pitch"])
        kept = sound.trim(samples)
        offset = self._offset(samples, kept)
        words = text.split()
        gaps = settle(kept, [start - offset for start in starts[1:]], words)
        begins = [0.0] + [end for _, end in gaps]
        ends = [start for start, _ in gaps] + [len(kept) / RATE]
        level = SPEECH / sound.speech_level(kept)
        tone = self.rng.standard_normal(RATE // 10) * SPEECH * 10 ** (-45 / 20)
        return Piece(sound.fade(kept * level, 0.004, 0.008), [(w, a, max(b, a + 0.02)) for w, a, b in zip(words, begins, ends)], tone, f"text:{text}")

    @staticmethod
    def _offset(samples, kept):
        first = kept[:40]
        for at in range(0, len(samples) - len(first) + 1, sound.FRAME):
            if np.array_equal(samples[at:at + len(first)], first):
                return at / RATE
        return 0.0

    def turn(self, kind, text, inside):
        """A turn whose pauses lie inside one utterance, or between utterances said one by one."""
        parts = [part.strip() for part in text.split("|")]
        whole = " ".join(parts)
        tone = self.rng.standard_normal(RATE // 10) * SPEECH * 10 ** (-45 / 20)
        builder = Builder(kind, tone, self.rng)
        if inside:
            marks, count, kinds = {}, 0, {}
            for part in parts[:-1]:
                count += len(part.split())
                marks[count - 1] = self.pauses.draw()
            for index, word in enumerate(whole.split()):
                kinds[index] = kind if index in marks else "clause" if ends_clause(word) else "mid_sentence"
            builder.say_with_pauses(self.piece(whole), marks, kinds)
        else:
            for index, part in enumerate(parts):
                if index:
                    builder.pause(self.pauses.draw(), kind)
                builder.say_with_pauses(self.piece(part), {}, {i: "mid_sentence" for i in range(99)})
        turn = builder.finish()
        turn.sentences = [f"text:{whole}"]
        return turn


def texts(wanted, half, random_source):
    """All turns of a half as (kind, question, text): those of the recipe, and numbers and spellings drawn for it."""
    for kind, question, text in wanted["turns"][half]:
        yield kind, question, text
    for _ in range(wanted.get("numbers", NUMBERS)):
        sizes = random_source.choice([(3, 3, 4), (4, 4), (3, 4), (2, 2, 2), (3, 2, 2), (4, 3, 3)])
        groups = [" ".join(random_source.choice(wanted["digits"]) for _ in range(size)) for size in sizes]
        if random_source.random() < 0.5:
            groups.insert(0, random_source.choice(wanted["lead_digits"][half]))
        yield "digits", random_source.choice(wanted["ask_digits"][half]), " | ".join(groups)
    for _ in range(wanted.get("spellings", SPELLINGS)):
        sizes = random_source.choice([(2, 2), (3, 3), (2, 2, 2), (1, 2, 2), (3, 2, 2)])
        yield "letters", random_source.choice(wanted["ask_letters"][half]), " | ".join(
            " ".join(random_source.choice(LETTERS) for _ in range(size)) for size in sizes)
