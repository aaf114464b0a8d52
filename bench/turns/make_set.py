#!/usr/bin/env python3
"""Makes the set of turns for `trunkline bench turns` into a folder outside of git.

    python3 bench/turns/make_set.py --out data/turns

Needs python3-numpy, sox, libespeak-ng and `apt-get download`; see docs/benchmarks.md. The same packages and the same arguments give the same set.
"""

import argparse
import json
import random
import sys
import zlib
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np  # noqa: E402

import channel  # noqa: E402
import sound  # noqa: E402
import synthetic  # noqa: E402
import voices  # noqa: E402
from espeak import Espeak  # noqa: E402
from pauses import Pauses  # noqa: E402
from speakers import Speaker  # noqa: E402
from turns import Studio  # noqa: E402

RECIPES = Path(__file__).parent / "recipes"
#: Turns of each kind for one voice of a half.
WANTED = {"digits": 26, "letters": 20, "list": 16, "clause": 34, "mid_sentence": 40, "whole": 14, "short": 14}
SMALL = {"digits": 10, "letters": 8, "list": 8, "clause": 12, "mid_sentence": 14, "whole": 6, "short": 6}
#: A language with one speaker has all its turns in one half.
ALONE = {kind: 2 * count for kind, count in SMALL.items()}


def seed_of(*parts):
    """A number from names, the same in every run."""
    return zlib.crc32("/".join(map(str, parts)).encode())


def recipe(language):
    """The recipe of a language, see recipes/README.md."""
    return json.loads((RECIPES / f"{language}.json").read_text(encoding="utf-8"))


def row_of(turn, number, speaker, half, messages, noise, extra):
    """The row of a finished turn, without its audio."""
    name = f"{speaker.voice.language}-{speaker.voice.name}-{turn.kind}-{number:03d}"
    if half != speaker.voice.half:
        name = f"{name}-{half}"
    return {
        "id": name, "language": speaker.voice.language, "audio": f"{speaker.voice.language}/{name}.wav",
        "silence_spans": [dict(span, start=round(span["start"], 3), end=round(span["end"], 3)) for span in turn.spans],
        "messages": messages,
        "words": [{"word": word, "start": round(start, 3), "end": round(end, 3)} for word, start, end in turn.words],
        "kind": turn.kind, "half": "tune" if half == "tune" else "test", "same_speaker": half == "same-speaker", "speaker": speaker.voice.name, "source": speaker.voice.package, "noise": noise,
        "sentences": turn.sentences, **extra,
    }


class Set:
    """Rows and their files below one folder."""

    def __init__(self, folder):
        self.folder, self.rows = folder, []

    def add(self, row, samples):
        """Writes the sound and keeps the row."""
        path = self.folder / row["audio"]
        path.parent.mkdir(parents=True, exist_ok=True)
        sound.write(path, samples)
        self.rows.append(row)

    def close(self):
        """Writes one file of rows for each language, and removes the sounds of an earlier set."""
        known = {row["audio"] for row in self.rows}
        for language in sorted({row["language"] for row in self.rows}):
            with open(self.folder / f"rows-{language}.jsonl", "w", encoding="utf-8") as lines:
                for row in self.rows:
                    if row["language"] == language:
                        lines.write(json.dumps(row, ensure_ascii=False) + "\n")
            for path in (self.folder / language).glob("*.wav"):
                if f"{language}/{path.name}" not in known:
                    path.unlink()


def speak(speaker, wanted, half, out, rng, babble, extra):
    """All turns of one speaker."""
    for kind, count in wanted.items():
        made = tries = 0
        while made < count and tries < 4 * count:
            tries += 1
            turn = getattr(speaker, kind)()
            if turn is None:
                continue
            samples, noise = channel.telephone(turn, rng, babble)
            question = speaker.random.choice(speaker.recipe["messages"][turn.kind])
            messages = [{"role": "assistant", "content": question}]
            out.add(row_of(turn, made, speaker, half, messages, noise, extra), samples)
            made += 1


def babble_of(studio, clips, rng, count=5):
    """Some long recordings of a half, for the voices in the background."""
    long = sorted((clip for clip in clips if 12 <= len(clip.text.split()) <= 40), key=lambda clip: str(clip.path))
    chosen = [long[int(i)] for i in rng.permutation(len(long))[:count]]
    return [sound.trim(sound.read(clip.path)) for clip in chosen]


def recorded(args, root, studio, half_of):
    """The recorded people: their own half, and for English the same voice with unseen sentences."""
    heard = json.loads((RECIPES / "heard.json").read_text(encoding="utf-8"))
    for voice in voices.VOICES:
        if args.only and voice.language not in args.only:
            continue
        clips = voices.clips(root, voice)
        if voice.name in heard:
            clips = {name: clip for name, clip in clips.items() if name in heard[voice.name] or len(clip.text.split()) < 3}
        halves = [voice.half] + (["same-speaker"] if voice.name == "allison" else [])
        for half in halves:
            part = "test" if half == "same-speaker" else half
            own = {name for name in clips if half_of.get(name) == part}
            rng = np.random.default_rng(seed_of(args.seed, voice.name, half))
            speaker = Speaker(voice, clips, own, recipe(voice.language), studio, Pauses(random.Random(seed_of(args.seed, voice.name, half, "pauses"))),
                              seed_of(args.seed, voice.name, half, "texts"), rng, half)
            babble = babble_of(studio, [clips[name] for name in own], rng)
            wanted = WANTED if voice.language == "en" else ALONE if voice.language == "ru" else SMALL
            speak(speaker, wanted, half, args.sets[half], rng, babble, {"synthetic": False})
            print(f"{voice.name} {half}: {Counter(row['kind'] for row in args.sets[half].rows if row['speaker'] == voice.name)}", file=sys.stderr)


def others(args, root, studio):
    """Other people: a reader and actors in English, two actors in Dutch."""
    phrases = json.loads((RECIPES / "phrases-en.json").read_text(encoding="utf-8"))
    heard = json.loads((RECIPES / "heard.json").read_text(encoding="utf-8"))
    for voice in voices.EXTRA + voices.FISH:
        if args.only and voice.language not in args.only:
            continue
        if voice in voices.FISH:
            known = voices.fish(root, voice)
            clips = {name: known[name] for name in heard[voice.name]}
            wanted = {"clause": 24, "mid_sentence": 24, "whole": 12, "short": 0}
        elif voice.name == "librivox":
            clips, wanted = voices.extra(root, voice, phrases), {"mid_sentence": 8, "whole": 5}
        else:
            clips, wanted = voices.extra(root, voice, phrases), {"phrases": 7, "short": 3, "whole": 2}
        rng = np.random.default_rng(seed_of(args.seed, voice.name))
        speaker = Speaker(voice, clips, set(clips), recipe(voice.language), studio, Pauses(random.Random(seed_of(args.seed, voice.name, "pauses"))),
                          seed_of(args.seed, voice.name, "texts"), rng, voice.half)
        speak(speaker, wanted, voice.half, args.sets[voice.half], rng, [], {"synthetic": False})


def spoken(args, espeak):
    """What espeak-ng says, in both halves."""
    for language in ("en", "nl", "de", "pt"):
        if args.only and language not in args.only:
            continue
        wanted = synthetic.recipe(language)
        for half, settings in wanted["voices"].items():
            source = random.Random(seed_of(args.seed, language, half))
            rng = np.random.default_rng(seed_of(args.seed, language, half, "sound"))
            voices_here = [synthetic.Synthesizer(one, language, half, espeak, Pauses(source), rng, one["name"]) for one in settings]
            numbers = Counter()
            for index, (kind, question, text) in enumerate(synthetic.texts(wanted, half, source)):
                # Voices and ways to pause alternate, so that neither goes with a kind.
                one = voices_here[index // 2 % len(voices_here)]
                turn = one.turn(kind, text, index % 2 == 0)
                samples, noise = channel.telephone(turn, rng, [])
                messages = [{"role": "assistant", "content": question}]
                args.sets[half].add(row_of(turn, numbers[one, kind], one, half, messages, noise, {"synthetic": True}), samples)
                numbers[one, kind] += 1


def main():
    """Reads the arguments and makes the set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("data/turns"), help="where packages, voices and the set go")
    parser.add_argument("--seed", default="1", help="another seed gives other sequences, pauses and noise")
    parser.add_argument("--only", nargs="*", help="languages, all without it")
    args = parser.parse_args()
    root = voices.fetch(args.out)
    args.sets = {half: Set(args.out / "set" / half) for half in ("tune", "test", "same-speaker")}
    half_of = voices.halves({language: voices.transcript(root, language) for language in ("en", "fr", "es", "it", "ru")})
    studio = Studio(Espeak())
    recorded(args, root, studio, half_of)
    others(args, root, studio)
    spoken(args, studio.espeak)
    for each in args.sets.values():
        each.close()


if __name__ == "__main__":
    main()
