"""What the line does to a turn: breath, noise, other voices, the telephone's band and its mu-law."""

import numpy as np

import sound
from sound import RATE
from turns import SPEECH

#: Name, share of the turns, noise below speech in dB.
CONDITIONS = [("clean", 0.45, 38), ("office", 0.2, 20), ("street", 0.1, 14), ("babble", 0.15, 18), ("hiss", 0.1, 26)]


def choose(rng):
    """A condition by its share."""
    at = rng.random()
    for name, share, ratio in CONDITIONS:
        if at < share:
            return name, ratio
        at -= share
    return CONDITIONS[0][0], CONDITIONS[0][2]


def noise(name, count, rng, voices):
    """`count` samples of the condition's noise with RMS 1."""
    if name == "babble" and voices:
        return sound.babble(voices, count, rng)
    slope = {"office": -5.0, "street": -7.0, "hiss": 0.0}.get(name, -3.0)
    made = sound.coloured_noise(count, rng, slope)
    if name == "street":
        # Passing cars: slow swells of 6 dB.
        made *= 10 ** (0.3 * np.sin(2 * np.pi * (np.arange(count) / RATE / rng.uniform(2.5, 5.0) + rng.random())))
    return made / max(1e-9, np.sqrt((made ** 2).mean()))


def breathe(turn, rng):
    """An audible breath in each pause of half a second or more, and before the first word."""
    placed = False
    for span in turn.spans:
        if span["label"] == "hold" and span["end"] - span["start"] >= 0.5:
            breath = sound.breath(rng) * SPEECH * 10 ** (-rng.uniform(20, 28) / 20)
            end = int((span["end"] - rng.uniform(0.02, 0.08)) * RATE)
            start = max(int((span["start"] + 0.05) * RATE), end - len(breath))
            turn.samples[start:end] += breath[:end - start]
            span["breath"] = placed = True
    return placed


def telephone(turn, rng, voices):
    """The turn as it leaves the telephone network, and the name of its noise."""
    name, ratio = choose(rng)
    breathing = breathe(turn, rng) if rng.random() < 0.3 else False
    samples = turn.samples + noise(name, len(turn.samples), rng, voices) * SPEECH * 10 ** (-ratio / 20)
    samples = sound.band(samples) * 10 ** (rng.uniform(-5, 3) / 20)
    peak = np.abs(samples).max()
    samples = sound.mu_law(samples * min(1.0, 0.95 / max(peak, 1e-9)))
    return samples, name + ("+breath" if breathing else "")
