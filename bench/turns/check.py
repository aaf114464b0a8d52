#!/usr/bin/env python3
"""Checks a set of turns and says what is in it, by numbers: `check.py data/turns/set/tune [...]`."""

import json
import sys
from collections import Counter, defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np  # noqa: E402

import sound  # noqa: E402
from sound import RATE  # noqa: E402
from voices import alike, plain  # noqa: E402


def rows_of(folder):
    """All rows of a folder."""
    return [json.loads(line) for path in sorted(folder.glob("rows*.jsonl")) for line in path.read_text(encoding="utf-8").splitlines()]


def faults(row, seconds):
    """What is wrong with a row: order, overlaps, lengths, labels, words inside pauses."""
    found, last = [], 0.0
    spans = row["silence_spans"]
    for index, span in enumerate(spans):
        label = "eot" if index + 1 == len(spans) else "hold"
        if span["label"] != label:
            found.append(f"span {index} is {span['label']} and not {label}")
        if span["start"] < last - 0.001 or span["end"] - span["start"] < 0.0995:
            found.append(f"span {index} is out of order or too short")
        last = span["end"]
    if last > seconds + 0.02 or seconds > 120:
        found.append("longer than the audio")
    for word in row["words"]:
        if word["end"] <= word["start"]:
            found.append(f"word {word['word']} has no length")
        for span in spans:
            if min(word["end"], span["end"]) - max(word["start"], span["start"]) > 0.03:
                found.append(f"word {word['word']} reaches into a pause")
    if any(b["start"] < a["start"] for a, b in zip(row["words"], row["words"][1:])):
        found.append("words out of order")
    return found


def measure(row, samples):
    """Speech level, level in the pauses, steps at their borders against the largest of the row, and what lies outside of the band, in dB."""
    loud, quiet, step = [], [], 0.0
    inside = np.zeros(len(samples), bool)
    for span in row["silence_spans"]:
        first, past = int(span["start"] * RATE), int(span["end"] * RATE)
        inside[first:past] = True
        quiet.append(samples[first + 160:past - 160] if past - first > 480 else samples[first:past])
        if span["label"] == "hold":
            for at in (first, past):
                near = np.abs(np.diff(samples[max(0, at - 8):at + 8]))
                step = max(step, float(near.max()))
    inside[:int(row["words"][0]["start"] * RATE)] = True
    speech = samples[~inside]
    loud = sound.speech_level(speech)
    silence = np.concatenate(quiet)
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / RATE)
    outside = spectrum[(hz < 200) | (hz > 3600)].sum() / spectrum.sum()
    return {"speech": 20 * np.log10(loud), "below": 20 * np.log10(loud / max(1e-6, np.sqrt((silence ** 2).mean()))),
            "step": 20 * np.log10(max(step, 1e-6) / max(1e-6, np.abs(np.diff(samples)).max())), "outside": 10 * np.log10(max(outside, 1e-12)), "peak": float(np.abs(samples).max())}


def quantiles(values):
    """5, 25, 50, 75, 95 %."""
    return [round(float(value), 3) for value in np.percentile(values, [5, 25, 50, 75, 95])] if len(values) else []


def summary(folder):
    """Counts, pauses and levels of a folder."""
    rows = rows_of(folder)
    counted, holds, pauses, levels, bad = defaultdict(Counter), Counter(), defaultdict(list), defaultdict(list), []
    for row in rows:
        samples = sound.read(folder / row["audio"])
        bad += [f"{row['id']}: {fault}" for fault in faults(row, len(samples) / RATE)]
        counted[row["language"] + ("*" if row["synthetic"] else "")][row["kind"]] += 1
        for span in row["silence_spans"][:-1]:
            length = span["end"] - span["start"]
            holds[(row["language"], span["seam"], "counted" if length >= 0.2 else "below 0.2 s")] += 1
            pauses["drawn" if span["drawn"] else "natural"].append(length)
        for name, value in measure(row, samples).items():
            levels[f"{name} {row['noise'].split('+')[0]}" if name == "below" else name].append(value)
    return {
        "rows": len(rows), "turns": {language: dict(kinds) for language, kinds in counted.items()},
        "holds": {" ".join(key): count for key, count in sorted(holds.items())},
        "pauses": {name: {"count": len(values), "quantiles": quantiles(values)} for name, values in pauses.items()},
        "levels": {name: quantiles(values) for name, values in sorted(levels.items())}, "faults": bad,
    }


#: Persons who have several names as speakers.
PERSON = {"allison-es": "allison"}
#: Single words that everybody says; their sequences are compared instead.
VOCABULARY = ("asterisk:digits/", "asterisk:letters/", "asterisk:phonetic/", "asterisk:vm-and")


def leaks(tune, test, same_speaker=False):
    """What stands in both halves: speakers (unless they may), sentences, sequences of vocabulary, texts of nearly the same words."""
    def persons(rows):
        return {PERSON.get(row["speaker"], row["speaker"]) for row in rows}

    def sentences(rows):
        return {name for row in rows for name in row["sentences"] if not name.startswith(VOCABULARY)}

    def sequences(rows):
        return {tuple(row["sentences"]) for row in rows if row["kind"] in ("digits", "letters", "list") and len(row["sentences"]) > 2}

    def spoken(rows, language):
        texts = {" ".join(word["word"] for word in row["words"]).lower() for row in rows
                 if row["language"] == language and row["kind"] not in ("digits", "letters", "list")}
        return sorted(text for text in texts if len(text.split()) > 3)

    found = [] if same_speaker else [f"speaker {name}" for name in sorted(persons(tune) & persons(test))]
    found += [f"sentence {name}" for name in sorted(sentences(tune) & sentences(test))]
    found += [f"sequence {' '.join(name)}" for name in sorted(sequences(tune) & sequences(test))]
    for language in sorted({row["language"] for row in tune}):
        others = [plain(text) for text in spoken(test, language)]
        found += [f"text {text}" for text in spoken(tune, language) if any(alike(plain(text), other) for other in others)]
    return found


def overlaps(folder):
    """Counts and levels of a folder of overlaps."""
    rows = [json.loads(line) for line in (folder / "overlaps.jsonl").read_text(encoding="utf-8").splitlines()]
    counted, rise, lengths, bad = Counter(), defaultdict(list), defaultdict(list), []
    for row in rows:
        agent, caller = sound.read(folder / row["agent_audio"]), sound.read(folder / row["caller_audio"])
        if len(agent) != len(caller) or not row["agent_start"] < row["onset"] < row["offset"] <= len(agent) / RATE:
            bad.append(f"{row['id']}: lengths or times")
        if row["onset"] >= row["agent_end"]:
            bad.append(f"{row['id']}: no overlap")
        counted[row["label"] + ("" if row.get("synthetic", False) else " recorded" if "speaker" in row else "")] += 1
        inside = caller[int(row["onset"] * RATE):int(row["offset"] * RATE)]
        before = caller[:int(row["onset"] * RATE)]
        rise[row["label"]].append(20 * np.log10(sound.speech_level(inside) / max(1e-5, np.sqrt((before ** 2).mean()))))
        lengths[row["label"]].append(row["offset"] - row["onset"])
    return {"rows": dict(counted), "rise_db": {label: quantiles(values) for label, values in rise.items()},
            "seconds": {label: quantiles(values) for label, values in lengths.items()}, "faults": bad}


def main():
    """Prints the summary of each folder; the exit code says whether there are faults."""
    wrong = 0
    rows = {Path(folder).name: rows_of(Path(folder)) for folder in sys.argv[1:]}
    for other in ("test", "same-speaker"):
        if "tune" in rows and other in rows:
            found = leaks(rows["tune"], rows[other], other == "same-speaker")
            print(json.dumps({f"in tune and {other}": found}))
            wrong += len(found)
    for folder in map(Path, sys.argv[1:]):
        found = overlaps(folder) if (folder / "overlaps.jsonl").exists() else summary(folder)
        print(json.dumps({str(folder): found}, indent=1, ensure_ascii=False))
        wrong += len(found["faults"])
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
