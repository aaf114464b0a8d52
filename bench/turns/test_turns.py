#!/usr/bin/env python3
"""Tests of the tools that make the set of turns. They need numpy; no recordings, no network, some seconds."""

import json
import random
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import numpy as np  # noqa: E402

import check  # noqa: E402
import sound  # noqa: E402
import synthetic  # noqa: E402
import voices  # noqa: E402
from align import settle, warp  # noqa: E402
from pauses import COUNTED, Pauses, quantile  # noqa: E402
from sound import RATE  # noqa: E402
from turns import SPEECH, Builder, Piece, bare, depth, openings  # noqa: E402

KINDS = {"digits", "letters", "list", "clause", "mid_sentence", "whole", "short"}


def tone(seconds, hz=700.0):
    """Sound that stands for a word."""
    return np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE)) / RATE) * SPEECH * 1.4


def recording():
    """Three words with a silence of 80 ms before the second and of 20 ms before the third."""
    rng = np.random.default_rng(1)
    samples = np.concatenate((tone(0.4), np.zeros(640), tone(0.3), np.zeros(160), tone(0.5)))
    samples = samples + rng.standard_normal(len(samples)) * SPEECH * 0.001
    words = [("one,", 0.0, 0.4), ("two", 0.48, 0.78), ("three.", 0.8, 1.3)]
    return Piece(samples, words, rng.standard_normal(RATE // 10) * SPEECH * 0.001, "test:sentence")


class PausesTest(unittest.TestCase):
    """The distribution is the published one."""

    def test_a_timer_cuts_what_it_cuts_in_public(self):
        drawn = Pauses(random.Random(1))
        lengths = np.array([drawn.draw() for _ in range(4000)])
        counted = lengths[lengths >= 0.2]
        self.assertAlmostEqual(len(counted) / len(lengths), COUNTED, delta=0.01)
        for seconds, share in ((0.3, 0.556), (0.6, 0.217), (1.0, 0.10), (1.6, 0.05)):
            self.assertAlmostEqual((counted > seconds).mean(), share, delta=0.012)

    def test_few_draws_have_the_shape_too(self):
        drawn = Pauses(random.Random(2))
        lengths = [drawn.draw() for _ in range(40)]
        self.assertAlmostEqual(float(np.median(lengths)), quantile(0.5), delta=0.02)

    def test_one_seed_one_set(self):
        first, second = Pauses(random.Random(3)), Pauses(random.Random(3))
        self.assertEqual([first.draw() for _ in range(50)], [second.draw() for _ in range(50)])

    def test_bounds(self):
        self.assertEqual(quantile(0.0), 0.1)
        self.assertLessEqual(quantile(1.0), 4.0)


class SoundTest(unittest.TestCase):
    """Levels, silences and the line."""

    def test_silences_are_found_to_a_frame(self):
        spans = sound.silences(recording().samples, 0.06)
        self.assertEqual(len(spans), 1)
        self.assertAlmostEqual(spans[0][0], 0.4, delta=0.011)
        self.assertAlmostEqual(spans[0][1], 0.48, delta=0.011)

    def test_trim_keeps_the_words(self):
        samples = np.concatenate((np.zeros(4000), tone(0.5), np.zeros(3000)))
        self.assertAlmostEqual(len(sound.trim(samples)) / RATE, 0.5, delta=0.021)

    def test_the_band_of_a_telephone(self):
        for hz, low, high in ((100, None, -40), (1000, -0.5, 0.5), (3800, None, -40)):
            kept = sound.band(tone(1.0, hz))[800:-800]
            gain = 20 * np.log10(np.sqrt((kept ** 2).mean()) / np.sqrt((tone(1.0, hz) ** 2).mean()) + 1e-9)
            self.assertLess(gain, high)
            if low is not None:
                self.assertGreater(gain, low)

    def test_mu_law_has_its_noise_and_no_more(self):
        clean = tone(0.5)
        error = sound.mu_law(clean) - clean
        self.assertGreater(20 * np.log10(np.sqrt((clean ** 2).mean()) / np.sqrt((error ** 2).mean())), 33)
        self.assertLessEqual(len(set(np.round(sound.mu_law(np.linspace(-1, 1, 20001)) * 32768))), 256)

    def test_room_tone_goes_on_at_its_level(self):
        rng = np.random.default_rng(2)
        room = rng.standard_normal(800) * 0.01
        long = sound.stretch_tone(room, 8000, rng)
        self.assertEqual(len(long), 8000)
        self.assertAlmostEqual(20 * np.log10(long.std() / room.std()), 0.0, delta=1.5)
        self.assertEqual(len(sound.stretch_tone(room, 0, rng)), 0)

    def test_resampling_keeps_pitch_and_level(self):
        wide = np.sin(2 * np.pi * 700 * np.arange(22050) / 22050)
        narrow = sound.resample(wide, 22050)
        self.assertEqual(len(narrow), RATE)
        self.assertAlmostEqual(float(np.abs(narrow - np.sin(2 * np.pi * 700 * np.arange(RATE) / RATE))[100:-100].max()), 0.0, delta=0.01)


class TurnsTest(unittest.TestCase):
    """Spans and words are where the sound says."""

    def build(self):
        builder = Builder("clause", recording().tone, np.random.default_rng(4))
        builder.say_with_pauses(recording(), {0: 0.5, 1: 0.25}, {0: "clause", 1: "mid_sentence"})
        builder.pause(0.4, "list")
        builder.say(recording(), None)
        return builder.finish()

    def test_pauses_have_the_length_that_was_drawn(self):
        turn = self.build()
        holds = [round(span["end"] - span["start"], 3) for span in turn.spans[:-1]]
        self.assertEqual(holds, [0.5, 0.25, 0.4])
        self.assertEqual([span["seam"] for span in turn.spans[:-1]], ["inside", "inside", "joined"])
        self.assertEqual(turn.spans[-1]["label"], "eot")
        self.assertAlmostEqual(turn.spans[-1]["end"], len(turn.samples) / RATE, delta=0.001)

    def test_the_spans_are_silent_and_the_words_are_not(self):
        turn = self.build()
        for span in turn.spans:
            part = turn.samples[int(span["start"] * RATE) + 8:int(span["end"] * RATE) - 8]
            self.assertLess(np.sqrt((part ** 2).mean()), SPEECH * 0.02, span)
        for word, start, end in turn.words:
            part = turn.samples[int(start * RATE) + 160:int(end * RATE) - 160]
            self.assertGreater(np.sqrt((part ** 2).mean()), SPEECH * 0.5, word)

    def test_nothing_clicks(self):
        turn = self.build()
        inside = np.abs(np.diff(tone(0.5))).max()
        self.assertLess(np.abs(np.diff(turn.samples)).max(), inside * 1.1)

    def test_a_row_of_it_has_no_faults(self):
        turn = self.build()
        row = {"silence_spans": turn.spans, "words": [{"word": w, "start": a, "end": b} for w, a, b in turn.words]}
        self.assertEqual(check.faults(row, len(turn.samples) / RATE), [])
        row["silence_spans"][1] = dict(row["silence_spans"][1], start=row["silence_spans"][0]["start"])
        self.assertNotEqual(check.faults(row, len(turn.samples) / RATE), [])

    def test_words_do_not_tell_the_end(self):
        self.assertEqual([word for word, _, _ in self.build().words[:3]], ["one", "two", "three"])
        self.assertEqual(bare("..."), "...")

    def test_a_natural_silence_is_a_pause_too(self):
        piece = recording()
        piece.samples = np.concatenate((piece.samples[:3200], np.zeros(1600), piece.samples[3840:]))
        piece.words = [("one", 0.0, 0.4), ("two", 0.6, 0.9), ("three", 0.92, 1.42)]
        builder = Builder("whole", piece.tone, np.random.default_rng(5))
        builder.say_with_pauses(piece, {}, {})
        turn = builder.finish()
        self.assertEqual([(span["label"], span.get("drawn")) for span in turn.spans], [("hold", False), ("eot", None)])

    def test_openings_are_quiet_places(self):
        piece = recording()
        self.assertGreater(depth(piece, 0), 20)
        self.assertEqual(openings(piece, random.Random(1), 3, True), [0])
        self.assertNotIn(0, openings(piece, random.Random(1), 3, False))


class AlignTest(unittest.TestCase):
    """Borders go to silences."""

    def test_the_same_sound_lies_on_itself(self):
        rows = np.random.default_rng(6).standard_normal((40, 5))
        self.assertEqual(warp(rows, rows), list(range(40)))

    def test_a_slower_voice_is_followed(self):
        rows = np.random.default_rng(7).standard_normal((30, 5))
        path = warp(rows, np.repeat(rows, 2, axis=0))
        self.assertTrue(all(abs(there - 2 * here) <= 1 for here, there in enumerate(path)), path)

    def test_a_border_moves_into_the_silence_beside_it(self):
        spans = settle(recording().samples, [0.36, 0.76], ["one,", "two", "three."])
        self.assertAlmostEqual(spans[0][0], 0.4, delta=0.011)
        self.assertAlmostEqual(spans[0][1], 0.48, delta=0.011)
        self.assertAlmostEqual(spans[1][0], 0.79, delta=0.03)


class HalvesTest(unittest.TestCase):
    """Nothing stands in both halves."""

    def test_translations_and_takes_stay_together(self):
        english = {f"p{n}": f"sentence {n} about {n * 7} different {n * 13} things" for n in range(40)}
        english["take"] = "sentence 3 about 21 different 39 things please"
        french = {f"p{n}": f"phrase {n} tout autre {n * 5}" for n in range(40)} | {"other": "phrase 7 tout autre 35", "digits/1": "un"}
        half = voices.halves({"en": english, "fr": french})
        self.assertEqual(half["take"], half["p3"])
        self.assertEqual(half["other"], half["p7"])
        self.assertNotIn("digits/1", half)
        self.assertGreater(sum(value == "test" for value in half.values()), 10)

    def test_a_sequence_of_vocabulary_has_one_half(self):
        sequences = [("digits/1", f"digits/{n}", f"letters/{chr(97 + n)}") for n in range(20)]
        halves = [[half for half in ("tune", "test") if voices.in_half(names, half)] for names in sequences]
        self.assertEqual({len(half) for half in halves}, {1})
        self.assertEqual({half[0] for half in halves}, {"tune", "test"})

    def test_a_person_has_one_half(self):
        half = {}
        for voice in voices.VOICES + voices.FISH + voices.EXTRA:
            person = voices.SAME_PERSON.get(voice.name, voice.name)
            self.assertEqual(half.setdefault(person, voice.half), voice.half, person)
        self.assertEqual(check.PERSON, voices.SAME_PERSON)

    def test_leaks_are_found(self):
        row = {"speaker": "a", "sentences": ["asterisk:x"], "kind": "whole", "language": "en", "words": [{"word": w} for w in "One two three four".split()]}
        other = {"speaker": "b", "sentences": ["asterisk:y"], "kind": "whole", "language": "en", "words": [{"word": "five"}]}
        self.assertEqual(check.leaks([row], [other]), [])
        self.assertEqual(check.leaks([row], [dict(other, speaker="a")]), ["speaker a"])
        self.assertEqual(check.leaks([dict(row, speaker="allison")], [dict(other, speaker="allison-es")]), ["speaker allison"])
        self.assertEqual(check.leaks([row], [dict(other, sentences=["asterisk:x"])]), ["sentence asterisk:x"])
        self.assertEqual(check.leaks([row], [dict(other, words=row["words"])]), ["text one two three four"])

    def test_written_turns_stand_in_one_half(self):
        for path in sorted((HERE / "recipes").glob("spoken-*.json")):
            wanted = json.loads(path.read_text(encoding="utf-8"))
            said = {half: [voices.plain(text.replace("|", " ")) for _, _, text in wanted["turns"][half]] for half in ("tune", "test")}
            for one in said["tune"]:
                for other in said["test"]:
                    self.assertFalse(len(one) > 3 and voices.alike(one, other), f"{path.name}: {one} {other}")
            for half in ("tune", "test"):
                for kind, question, text in wanted["turns"][half]:
                    self.assertIn(kind, KINDS)
                    self.assertTrue(question)
                    self.assertEqual("|" in text, kind not in ("whole", "short"), text)
            voices_of = {half: {one["name"] for one in wanted["voices"][half]} for half in ("tune", "test")}
            self.assertFalse(voices_of["tune"] & voices_of["test"])

    def test_interruptions_stand_in_one_half(self):
        recipe = json.loads((HERE / "recipes" / "overlaps-en.json").read_text(encoding="utf-8"))
        self.assertFalse(set(recipe["interruption"]["tune"]) & set(recipe["interruption"]["test"]))
        for part in ("says", "asks"):
            self.assertFalse(set(recipe["agent"]["tune"][part]) & set(recipe["agent"]["test"][part]))

    def test_numbers_and_spellings_are_drawn_for_each_half(self):
        wanted = synthetic.recipe("nl")
        kinds = [kind for kind, _, _ in synthetic.texts(wanted, "tune", random.Random(1))]
        self.assertGreaterEqual(len(kinds), 30)
        self.assertEqual(set(kinds), KINDS)


if __name__ == "__main__":
    unittest.main()
