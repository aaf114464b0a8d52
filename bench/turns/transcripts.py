#!/usr/bin/env python3
"""Finds out which recordings say what their transcript says, and writes their names to recipes/heard.json.

The transcripts are those of the newest package of a language. Other speakers of the same prompts have now and then other words, and the fish
have subtitles. A recording counts when its text fits better than eight others of about its length. Runs for some minutes; only needed when a package changes.
"""

import json
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import sound  # noqa: E402
import voices  # noqa: E402
from align import Texts  # noqa: E402
from espeak import Espeak  # noqa: E402

#: Speakers whose transcripts are another's.
DOUBTFUL = ("jimenez", "armelle", "menardi", "fish-small", "fish-big")
MOST = 130


def heard(root, voice, espeak):
    """The names of the voice's recordings that say their text."""
    texts = voices.fish(root, voice) if voice in voices.FISH else voices.clips(root, voice)
    names = sorted(name for name, clip in texts.items() if len(clip.text.split()) >= 3 and not name.startswith(voices.VOCABULARY))
    chosen = sorted(random.Random(voice.name).sample(names, min(MOST, len(names))))
    found, known = [], Texts(voice.espeak, espeak)
    for name in chosen:
        text = texts[name].text
        others = [clip.text for clip in texts.values() if not voices.alike(voices.plain(clip.text), voices.plain(text))]
        others.sort(key=lambda other: (abs(len(other) - len(text)), other))
        if known.says(sound.trim(sound.read(texts[name].path)), text, others[:8]):
            found.append(name)
    print(f"{voice.name}: {len(found)} of {len(chosen)}", file=sys.stderr, flush=True)
    return found


def main():
    """Writes recipes/heard.json for the voices below `--out` (the first argument, data/turns without it)."""
    root = voices.fetch(Path(sys.argv[1] if len(sys.argv) > 1 else "data/turns"))
    espeak = Espeak()
    found = {voice.name: heard(root, voice, espeak) for voice in voices.VOICES + voices.FISH if voice.name in DOUBTFUL}
    path = Path(__file__).parent / "recipes" / "heard.json"
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
