"""The recorded people: which packages they come in, what they say, and in which half they may stand."""

import gzip
import hashlib
import re
import subprocess
import tarfile
import unicodedata
import zlib
from dataclasses import dataclass
from pathlib import Path

SOUNDS = "usr/share/asterisk/sounds"


@dataclass(frozen=True)
class Voice:
    """One speaker. `half` is where all of the speaker's turns go."""

    name: str
    language: str
    espeak: str
    package: str
    folder: str
    suffix: str
    half: str


@dataclass(frozen=True)
class Clip:
    """One recording. `sentence` names what is said, in whatever language and by whomever: translations and second takes share it."""

    sentence: str
    text: str
    path: Path
    voice: Voice


#: A speaker stands in one half. Allison speaks English and Spanish, so both of hers are in the same one.
VOICES = [
    Voice("allison", "en", "en-us", "asterisk-core-sounds-en-wav", f"{SOUNDS}/en_US_f_Allison", "wav", "tune"),
    Voice("allison-es", "es", "es-419", "asterisk-core-sounds-es-wav", f"{SOUNDS}/es_MX_f_Allison", "wav", "tune"),
    Voice("jimenez", "es", "es-419", "asterisk-prompt-es-co", f"{SOUNDS}/es", "gsm", "test"),
    Voice("june", "fr", "fr", "asterisk-core-sounds-fr-wav", f"{SOUNDS}/fr_CA_f_June", "wav", "tune"),
    Voice("armelle", "fr", "fr", "asterisk-prompt-fr-armelle", f"{SOUNDS}/fr", "gsm", "test"),
    Voice("carlo", "it", "it", "asterisk-core-sounds-it-wav", f"{SOUNDS}/it_IT_m_Carlo", "wav", "tune"),
    Voice("menardi", "it", "it", "asterisk-prompt-it-menardi-wav", f"{SOUNDS}/it_IT_f_Menardi", "wav", "test"),
    Voice("ivrvoice", "ru", "ru", "asterisk-core-sounds-ru-wav", f"{SOUNDS}/ru_RU_f_IvrvoiceRU", "wav", "test"),
]
#: Same person, so never in two halves.
SAME_PERSON = {"allison-es": "allison"}

#: The small fish and the big fish of a game: two Dutch actors, with subtitles.
FISH = [
    Voice("fish-small", "nl", "nl", "fillets-ng-data-nl", "usr/share/games/fillets-ng", "ogg", "tune"),
    Voice("fish-big", "nl", "nl", "fillets-ng-data-nl", "usr/share/games/fillets-ng", "ogg", "test"),
]

#: Readers and actors of short clips. Who speaks the voices of the game is not known, and some may be one person: all are in one half.
PHRASES = "usr/share/games/hedgewars/Data/Sounds/voices"
EXTRA = [Voice("librivox", "en", "en-us", "pocketsphinx-testdata", "usr/share/pocketsphinx/test/data/librivox", "wav", "test")] + [
    Voice(f"game-{name.lower()}", "en", "en-us", "hedgewars-data", f"{PHRASES}/{name}", "ogg", "test")
    for name in ("British", "Classic", "Mobster", "Pirate", "Surfer")
]

#: The transcripts are in the packages without a format.
PACKAGES = sorted({voice.package for voice in VOICES + FISH + EXTRA} | {f"asterisk-core-sounds-{code}" for code in ("en", "fr", "es", "it", "ru")}
                  | {"fillets-ng-data", "pocketsphinx-testdata", "asterisk-moh-opsound-wav"})


#: What of the packages is kept.
KEPT = ("usr/share/asterisk/", "usr/share/doc/", "usr/share/games/fillets-ng/script/", "usr/share/games/fillets-ng/sound/",
        "usr/share/games/hedgewars/Data/Sounds/", "usr/share/pocketsphinx/")


def fetch(folder):
    """Downloads the packages with `apt-get download` and unpacks them below `folder`. Nothing is installed; root is not needed."""
    debs, root = folder / "packages", folder / "voices"
    debs.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        mark = debs / f"{package}.done"
        if mark.exists():
            continue
        subprocess.run(["apt-get", "download", "-qq", package], cwd=debs, check=True, stderr=subprocess.DEVNULL)
        archive = max(debs.glob(f"{package}_*.deb"))
        unpack(archive, root)
        archive.unlink()
        mark.touch()
    return root


def unpack(archive, root):
    """Takes the sounds, texts and licenses out of a package."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(archive)], stdout=subprocess.PIPE) as reader:
        with tarfile.open(fileobj=reader.stdout, mode="r|") as files:
            for member in files:
                if member.name.removeprefix("./").startswith(KEPT):
                    extract(files, member, root)
    if reader.returncode:
        raise OSError(f"{archive} cannot be unpacked")


def extract(files, member, root):
    """Writes a member below `root`, and nothing that would lie elsewhere. Python before 3.11.4 does not have the filter."""
    if hasattr(tarfile, "data_filter"):
        files.extract(member, root, filter="data")
    elif (member.isreg() or member.isdir()) and ".." not in Path(member.name).parts and not Path(member.name).is_absolute():
        files.extract(member, root)


def transcript(root, language):
    """`name -> text` of the prompts, from the package of the language."""
    texts = {}
    with gzip.open(root / f"usr/share/doc/asterisk-core-sounds-{language}/core-sounds-{language}.txt.gz", "rt", encoding="utf-8",
                   errors="replace") as lines:
        for line in lines:
            name, colon, text = line.partition(":")
            if not colon or line.startswith(";") or re.search(r"[\[<(*#]", text):
                continue
            text = text.replace('"', "").replace("...", " ").replace("\ufffd", "")
            text = " ".join(text.split()).strip(" ,")
            text = re.sub(r"\s+([.,;:!?])", r"\1", text)
            if text:
                texts[name.strip()] = text
    return texts


def clips(root, voice):
    """What the voice says, by name. A recording without a text is left out."""
    found = {}
    for name, text in transcript(root, voice.language).items():
        path = root / voice.folder / f"{name}.{voice.suffix}"
        if path.exists() and not name.startswith(("silence/", "spy-")):
            found[name] = Clip(f"asterisk:{name}", text, path, voice)
    return found


def fish(root, voice):
    """The Dutch lines of one of the two fish."""
    found, font = {}, "font_small" if voice.name == "fish-small" else "font_big"
    pattern = re.compile(r'dialogId\("([^"]+)", "([^"]+)", "[^\n]*\)\s*\ndialogStr\("([^"\n]+)"\)')
    for script in sorted((root / voice.folder / "script").glob("*/dialogs_nl.lua")):
        for name, who, text in pattern.findall(script.read_text(encoding="utf-8")):
            path = root / voice.folder / "sound" / script.parent.name / "nl" / f"{name}.ogg"
            if who == font and path.exists():
                found[f"{script.parent.name}/{name}"] = Clip(f"fish:{name}", text.replace("...", "…"), path, voice)
    return found


def extra(root, voice, phrases):
    """What a voice of `EXTRA` says: sentences of a book with their transcription, or the phrases of a game, written down."""
    folder = root / voice.folder
    if voice.name == "librivox":
        lines = re.findall(r"<s> (.+?) </s> \((.+)\)", (folder / "transcription").read_text())
        texts = {name: " ".join(text.split()).replace("more a amiable", "more amiable") + "." for text, name in lines}
    else:
        texts = phrases[voice.name]
    found = {name: Clip(f"{voice.name}:{name}", text, folder / f"{name}.{voice.suffix}", voice) for name, text in texts.items()}
    return {name: clip for name, clip in found.items() if clip.path.exists()}


def plain(text):
    """The words of a text without signs and accents."""
    bare = unicodedata.normalize("NFKD", text.lower())
    return tuple(re.findall(r"[^\W_]+", "".join(c for c in bare if not unicodedata.combining(c))))


#: Single words that everybody says: digits, letters, days, months, "and". What is said with them differs between the halves, see `in_half`.
VOCABULARY = ("digits/", "letters/", "phonetic/", "vm-and")


def in_half(names, half):
    """Whether a sequence of vocabulary may be said in a half: the same sequence never stands in both, in no language and by no speaker."""
    return (zlib.crc32(" ".join(names).encode()) % 2 == 0) == (half == "tune")


def alike(one, other):
    """Whether two texts are takes of one sentence: six of ten words in common."""
    one, other = set(one), set(other)
    return len(one & other) >= 0.6 * len(one | other)


def halves(texts_by_language, share=0.52):
    """`name -> "tune" | "test"` for all prompts, so that prompts with nearly the same text in any language stay together.

    Vocabulary (digits, letters, days, months) is in neither: its sequences are drawn apart for each half.
    """
    names = sorted({name for texts in texts_by_language.values() for name in texts if not name.startswith(VOCABULARY)})
    parent = {name: name for name in names}

    def root(name):
        while parent[name] != name:
            name = parent[name]
        return name

    for texts in texts_by_language.values():
        split = [(name, plain(texts[name])) for name in names if name in texts]
        for index, (name, words) in enumerate(split):
            for other, theirs in split[:index]:
                if words and alike(words, theirs):
                    parent[root(name)] = root(other)
    groups = {}
    for name in names:
        groups.setdefault(root(name), []).append(name)
    size = {name: max(len(texts.get(name, "").split()) for texts in texts_by_language.values()) for name in names}
    half, weight = {}, {"tune": 0.0, "test": 0.0}
    ordered = sorted(groups.values(), key=lambda group: hashlib.sha256(group[0].encode()).hexdigest())
    for group in ordered:
        chosen = "tune" if weight["tune"] / share <= weight["test"] / (1 - share) else "test"
        weight[chosen] += sum(size[name] for name in group)
        half.update((name, chosen) for name in group)
    return half
