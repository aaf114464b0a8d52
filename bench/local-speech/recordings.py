"""Recorded people whom nothing of the local STT was tuned on: from Debian packages to WAV files at 8 kHz with their words.

    python3 recordings.py FOLDER

FOLDER gets the packages (`apt-get download`, nothing is installed), the recordings with and without noise, and `list.tsv`: source, noise,
file, words. `sox` reads what is not WAV at 8 kHz.
"""

import gzip
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "turns"))
import sound  # noqa: E402

PACKAGES = ["asterisk-core-sounds-en-wav", "asterisk-core-sounds-en", "pocketsphinx-testdata"]
#: Signal to noise in dB; None: as recorded.
NOISES = [None, 20, 10]
#: Sentences of a prompt: those with placeholders, lists and single words are left out.
WORDS = range(5, 25)
#: How many of a source are taken, evenly over all.
COUNTS = {"allison": 24, "librivox": 5}


def unpack(folder):
    """Downloads the packages and unpacks them below `folder`."""
    root = folder / "root"
    for package in PACKAGES:
        if (folder / f"{package}.done").exists():
            continue
        subprocess.run(["apt-get", "download", "-qq", package], cwd=folder, check=True, stderr=subprocess.DEVNULL)
        archive = max(folder.glob(f"{package}_*.deb"))
        subprocess.run(["dpkg-deb", "-x", archive, root], check=True)
        archive.unlink()
        (folder / f"{package}.done").touch()
    return root


def allison(root):
    """Prompts of a studio, a woman from the United States; without those that the words of the model were chosen by (every third)."""
    with gzip.open(root / "usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz", "rt", encoding="latin-1") as file:
        lines = [line.strip().split(": ", 1) for line in file if ": " in line]
    there = root / "usr/share/asterisk/sounds/en_US_f_Allison"
    fit = [(there / f"{name}.wav", text) for name, text in lines
           if len(text.split()) in WORDS and "[" not in text and (there / f"{name}.wav").exists()]
    return [one for at, one in enumerate(fit) if at % 3 != 1]


def librivox(root):
    """A reader of a novel at home, a woman: sentences of Jane Austen."""
    there = root / "usr/share/pocketsphinx/test/data/librivox"
    lines = re.findall(r"<s> (.*) </s> \((.*)\)", (there / "transcription").read_text())
    return [(there / f"{name}.wav", text) for text, name in lines]


def noisy(samples, db, rng):
    """With noise of a street's spectrum, `db` below the level of the speech."""
    if db is None:
        return samples
    noise = sound.coloured_noise(len(samples), rng) * sound.speech_level(samples) * 10 ** (-db / 20)
    return samples + noise


def main(folder):
    """Makes the files and the list."""
    folder.mkdir(parents=True, exist_ok=True)
    root = unpack(folder)
    rows = []
    for name, source in (("allison", allison), ("librivox", librivox)):
        all_ = source(root)
        for at in np.linspace(0, len(all_) - 1, min(COUNTS[name], len(all_))).astype(int):
            path, text = all_[at]
            samples = sound.trim(sound.read(path))
            samples = samples * (0.1 / sound.speech_level(samples))
            for db in NOISES:
                made = folder / f"{name}-{path.stem}-{db or 'clean'}.wav"
                # A line does not begin with the first word. It ends with the last one: what a caller waits for is counted from there.
                padded = np.concatenate([np.zeros(2400), samples])
                sound.write(made, noisy(padded, db, np.random.default_rng(int(at))))
                rows.append(f"{name}\t{'clean' if db is None else f'{db} dB'}\t{made}\t{text}")
    (folder / "list.tsv").write_text("\n".join(rows) + "\n")
    print(f"{len(rows)} recordings in {folder / 'list.tsv'}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
