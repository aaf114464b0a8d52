#!/usr/bin/env python3
"""Makes the labelled set of overlaps: what comes from the caller's side while the agent speaks.

    python3 bench/turns/overlaps.py --out data/turns

Each row of `set/overlaps-tune/overlaps.jsonl` and `set/overlaps-test/overlaps.jsonl` has two files of the same length, what the agent says and
what comes from the caller. docs/benchmarks.md describes the fields.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import wave
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np  # noqa: E402

import channel  # noqa: E402
import sound  # noqa: E402
import voices  # noqa: E402
from align import words_of  # noqa: E402
from espeak import Espeak  # noqa: E402
from make_set import seed_of  # noqa: E402
from sound import RATE  # noqa: E402
from turns import SPEECH, bare  # noqa: E402

RECIPES = Path(__file__).parent / "recipes"
#: Rows of each label in a half.
WANTED = {"interruption": 64, "backchannel": 40, "answer": 24, "side_talk": 24, "noise": 40, "echo": 24}
#: Callers of a half: how each is said, and by which engine. The recorded actors are in the test half, see voices.EXTRA.
CALLERS = {"tune": [("espeak", "en-us", 170, 45), ("espeak", "en-us+f3", 180, 60), ("flite", "kal16", 0, 0)],
           "test": [("espeak", "en", 165, 40), ("espeak", "en-gb-scotland+f2", 175, 55), ("flite", "awb", 0, 0)]}


def flite(text, voice):
    """Samples of flite, 8 kHz."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", file.name], check=True)
        with wave.open(file.name, "rb") as read:
            return sound.resample(np.frombuffer(read.readframes(read.getnframes()), "<i2") / 32768.0, read.getframerate())


class Mixer:
    """Makes the rows of one half."""

    def __init__(self, half, root, folder, espeak, seed):
        self.half, self.root, self.folder, self.espeak = half, root, folder, espeak
        self.random, self.rng = random.Random(seed_of(seed, half, "overlaps")), np.random.default_rng(seed_of(seed, half, "overlap sound"))
        self.recipe = json.loads((RECIPES / "overlaps-en.json").read_text(encoding="utf-8"))
        self.rows, self.spoken = [], {}
        self.music = sorted((root / "usr/share/asterisk/moh").glob("*.wav"))[0 if half == "tune" else 1::2]
        self.background = [clip for clip in self._people() if 5 <= len(clip.text.split()) <= 20]
        self.actors = self._actors() if half == "test" else []
        folder.mkdir(parents=True, exist_ok=True)

    def _people(self):
        """Who talks in the background: Allison with the sentences of her half, or the reader and an Italian."""
        if self.half == "tune":
            half_of = voices.halves({language: voices.transcript(self.root, language) for language in ("en", "fr", "es", "it", "ru")})
            return [clip for name, clip in sorted(voices.clips(self.root, voices.VOICES[0]).items()) if half_of.get(name) == "tune"]
        reader = voices.extra(self.root, voices.EXTRA[0], {})
        heard = json.loads((RECIPES / "heard.json").read_text(encoding="utf-8"))["menardi"]
        italian = voices.clips(self.root, voices.VOICES[6])
        return 3 * list(reader.values()) + [italian[name] for name in heard]

    def _actors(self):
        phrases = json.loads((RECIPES / "phrases-en.json").read_text(encoding="utf-8"))
        return [clip for voice in voices.EXTRA[1:] for name, clip in sorted(voices.extra(self.root, voice, phrases).items())]

    def agent(self, asks):
        """One of the agent's utterances: text, samples, words."""
        told = self.recipe["agent"][self.half]
        text = self.random.choice(told["asks" if asks else "says"])
        if text not in self.spoken:
            samples = sound.trim(flite(text, told["voice"]))
            samples = samples * SPEECH / sound.speech_level(samples)
            self.spoken[text] = (samples, words_of(samples, text, "en-us", self.espeak))
        return (text, *self.spoken[text])

    def caller(self, label):
        """Words from the caller: samples at the common level, words, speaker, whether synthetic."""
        recorded = [clip for clip in self.actors if clip.sentence in self.recipe["recorded"].get(label, [])]
        if recorded and self.random.random() < 0.5:
            clip = self.random.choice(recorded)
            samples, text, speaker, made = sound.trim(sound.read(clip.path)), clip.text, clip.voice.name, False
        else:
            texts = self.recipe[label]
            text = self.random.choice(texts if isinstance(texts, list) else texts[self.half])
            engine, voice, speed, pitch = self.random.choice(CALLERS[self.half])
            samples = self.espeak.say(text, voice, speed, pitch)[0] if engine == "espeak" else flite(text, voice)
            samples, speaker, made = sound.trim(samples), f"{engine}-{voice}", True
        samples = sound.fade(samples * SPEECH / sound.speech_level(samples), 0.004, 0.01)
        return samples, words_of(samples, text, "en-us", self.espeak), speaker, made

    def noise(self):
        """Something that is no speech to the agent: its kind, samples, level below speech in dB."""
        kind = self.random.choice(["cough", "cough", "music", "babble", "knock", "breath", "street"])
        length = int(self.random.uniform(0.6, 3.0) * RATE)
        if kind == "cough":
            made, below = sound.cough(self.rng), self.random.uniform(-4, 8)
        elif kind == "music":
            music = sound.read(self.random.choice(self.music))
            start = self.random.randrange(0, len(music) - 4 * RATE)
            made, below = sound.fade(music[start:start + length + RATE], 0.2, 0.2), self.random.uniform(8, 18)
        elif kind == "babble":
            chosen = [sound.trim(sound.read(clip.path)) for clip in self.random.sample(self.background, 5)]
            made, below = sound.fade(sound.babble(chosen, length, self.rng), 0.1, 0.1), self.random.uniform(10, 18)
        elif kind == "knock":
            count = int(0.09 * RATE)
            knock = sound.band(self.rng.standard_normal(count) * np.exp(-np.arange(count) / 90.0), 300, 1500)
            made = np.concatenate([np.concatenate((knock, np.zeros(int(0.15 * RATE)))) for _ in range(self.random.randint(1, 4))])
            below = self.random.uniform(-4, 6)
        elif kind == "breath":
            made, below = sound.breath(self.rng), self.random.uniform(14, 24)
        else:
            made, below = sound.fade(sound.coloured_noise(length, self.rng, -7.0), 0.15, 0.15), self.random.uniform(8, 16)
        return kind, made * SPEECH / sound.speech_level(made), below

    def _event(self, label, agent):
        """What is mixed in: samples, words, level in dB below speech, and what the row says about it."""
        if label == "echo":
            # A copy of the agent, as a handsfree phone sends it back: late, quiet, dull, at times clipped.
            copy = sound.band(np.clip(agent, -0.1, 0.1) if self.random.random() < 0.3 else agent, 350, 2800)
            return copy * SPEECH / sound.speech_level(copy), [], self.random.uniform(14, 30), {"delay_ms": self.random.randrange(60, 320, 20)}
        if label == "noise":
            kind, made, below = self.noise()
            return made, [], below, {"detail": kind}
        if label == "side_talk":
            clip = self.random.choice(self.background)
            made = sound.trim(sound.read(clip.path))
            words = words_of(made, clip.text, clip.voice.espeak, self.espeak)
            made = sound.band(made, 300, 2400) * SPEECH / sound.speech_level(made)
            return made, words, self.random.uniform(14, 24), {"speaker": clip.voice.name, "synthetic": False}
        made, words, speaker, synthetic = self.caller(label)
        below = self.random.uniform(2, 9) if label == "backchannel" else self.random.uniform(-3, 4)
        return made, words, below, {"speaker": speaker, "synthetic": synthetic}

    def row(self, label, number):
        """One row and its two files."""
        text, agent, agent_words = self.agent(label == "answer")
        made, words, below, told = self._event(label, agent)
        lead, tail = 0.2, 2.0
        count = int(lead * RATE) + len(agent) + max(0, len(made)) + int(tail * RATE)
        if label == "echo":
            onset = lead + told["delay_ms"] / 1000
        elif label == "answer":
            # Into the last half second of the question.
            onset = lead + len(agent) / RATE - self.random.uniform(0.1, 0.5)
        else:
            onset = lead + self.random.uniform(0.8, max(0.9, len(agent) / RATE - len(made) / RATE - 1.0))
        onset = round(onset, 3)
        first = int(onset * RATE)
        ours, theirs = np.zeros(count), np.zeros(count)
        ours[int(lead * RATE):int(lead * RATE) + len(agent)] = agent
        theirs[first:first + len(made)] = made * 10 ** (-below / 20)
        condition, ratio = channel.choose(self.rng)
        if condition == "babble" or label == "echo":
            condition, ratio = "clean", 38
        theirs = theirs + channel.noise(condition, count, self.rng, []) * SPEECH * 10 ** (-(ratio + 6) / 20)
        theirs = sound.mu_law(np.clip(sound.band(theirs), -0.97, 0.97))
        name = f"{self.half}-{label}-{number:03d}"
        sound.write(self.folder / f"{name}-agent.wav", sound.mu_law(sound.band(ours)))
        sound.write(self.folder / f"{name}-caller.wav", theirs)
        self.rows.append({
            "id": name, "language": "en", "half": self.half, "label": label, "agent_audio": f"{name}-agent.wav", "caller_audio": f"{name}-caller.wav",
            "agent_text": text, "agent_words": timed(agent_words, lead), "agent_start": lead, "agent_end": round(lead + len(agent) / RATE, 3),
            "onset": onset, "offset": round(onset + len(made) / RATE, 3), "words": timed(words, onset), "level_db": round(-below, 1),
            "noise": condition, **told})

    def make(self):
        """All rows."""
        for label, count in WANTED.items():
            for number in range(count):
                self.row(label, number)
        with open(self.folder / "overlaps.jsonl", "w", encoding="utf-8") as lines:
            for row in self.rows:
                lines.write(json.dumps(row, ensure_ascii=False) + "\n")


def timed(words, shift):
    """Words of a recording that starts at `shift`."""
    return [{"word": bare(word), "start": round(float(start) + shift, 3), "end": round(float(end) + shift, 3)} for word, start, end in words]


def main():
    """Makes both halves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("data/turns"))
    parser.add_argument("--seed", default="1")
    args = parser.parse_args()
    root, espeak = voices.fetch(args.out), Espeak()
    for half in ("tune", "test"):
        Mixer(half, root, args.out / "set" / f"overlaps-{half}", espeak, args.seed).make()


if __name__ == "__main__":
    main()
