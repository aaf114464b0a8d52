"""What one speaker's turns are made of, kind by kind. Each function gives a finished `Turn`, or `None` when the recordings do not suffice."""

import random

from turns import Builder, ends_clause, openings
from voices import VOCABULARY, in_half

#: Seconds between the words of one group.
BETWEEN = (0.02, 0.08)
#: Group sizes of numbers: telephones, orders, cards, dates.
GROUPS = [(3, 3, 4), (4, 4), (4, 4, 4), (3, 4), (2, 2, 2, 2), (1, 3, 3, 4), (3, 3), (2, 3, 3), (3, 2, 2), (2, 2, 2), (1, 1, 1), (5, 4), (2, 4, 2)]


class Speaker:
    """A voice with its clips of one half, its recipe and its source of chance."""

    def __init__(self, voice, clips, own, recipe, studio, pauses, seed, rng, half):
        self.half = half
        self.voice, self.clips, self.own, self.recipe, self.studio, self.pauses = voice, clips, own, recipe, studio, pauses
        self.random, self.rng = random.Random(seed), rng
        self.used, self.said = {}, set()
        self.sentences = sorted(own)

    def piece(self, name):
        """The recording of a prompt that this speaker may use here: vocabulary, or a sentence of the speaker's half."""
        return self.studio.piece(self.clips[name])

    def may(self, name):
        """Whether the prompt is there and in this half."""
        return name in self.clips and (name in self.own or name.startswith(VOCABULARY))

    def take(self, fits, limit=2):
        """A sentence that fits, the least used first; `limit` uses at most."""
        names = [name for name in self.sentences if self.used.get(name, 0) < limit and fits(self.clips[name].text)]
        if not names:
            return None
        least = min(self.used.get(name, 0) for name in names)
        name = self.random.choice([name for name in names if self.used.get(name, 0) == least])
        self.used[name] = self.used.get(name, 0) + 1
        return name

    def builder(self, kind, name):
        """An empty turn in the room of the given recording."""
        return Builder(kind, self.piece(name).tone, self.rng)

    def word(self, name):
        """Vocabulary as an STT writes it: lower case without a full stop, letters as capitals."""
        text = self.clips[name].text.strip(" .")
        return text.upper() if name.startswith("letters/") and len(text) == 1 else text if name.startswith(("digits/day", "digits/mon")) else text.lower()

    def groups(self, builder, groups, kind):
        """Groups of vocabulary with pauses between them."""
        for index, group in enumerate(groups):
            if index:
                builder.pause(self.pauses.draw(), kind)
            for place, name in enumerate(group):
                if place:
                    builder.rest(self.random.uniform(*BETWEEN))
                builder.say(self.piece(name), self.word(name))

    def fresh(self, make):
        """A sequence of this half that the speaker did not say before."""
        for _ in range(200):
            groups = make()
            key = tuple(name for group in groups for name in group)
            if key not in self.said and in_half(key, self.half):
                self.said.add(key)
                return groups
        return None

    # Kinds of turns

    def digits(self):
        """A number in groups, sometimes behind a lead-in ("the number I have is")."""
        single = [f"digits/{n}" for n in range(10) if f"digits/{n}" in self.clips]
        teens = [f"digits/{n}" for n in list(range(10, 20)) + [20, 30, 40, 50, 60, 70, 80, 90] if f"digits/{n}" in self.clips]
        tens = self.random.random() < self.recipe.get("pairs", 0.2)

        def make():
            sizes = self.random.choice(GROUPS)
            return [[self.random.choice(teens if tens and place == 0 and size <= 2 else single) for place in range(size)] for size in sizes]
        groups = self.fresh(make)
        builder = self.builder("digits", groups[0][0])
        leads = [name for name in self.recipe["leads"] if self.may(name)]
        if leads and len(groups) < 4 and self.random.random() < 0.35:
            builder.say(self.piece(self.random.choice(leads)))
            if self.random.random() < 0.6:
                builder.pause(self.pauses.draw(), "mid_sentence")
            else:
                builder.rest(0.09)
        self.groups(builder, groups, "digits")
        return builder.finish()

    def letters(self):
        """A name or a code, spelled; now and then with the telephone alphabet or with digits."""
        letters = [f"letters/{c}" for c in "abcdefghijklmnopqrstuvwxyz" if f"letters/{c}" in self.clips]
        spoken = [f"phonetic/{c}_p" for c in "abcdefghijklmnopqrstuvwxyz" if f"phonetic/{c}_p" in self.clips]
        digits = [f"digits/{n}" for n in range(10) if f"digits/{n}" in self.clips]
        if len(letters) < 10:
            return None
        style = self.random.choice(["letters", "letters", "letters", "mixed", "phonetic"])
        pool = spoken if style == "phonetic" and len(spoken) > 10 else letters

        def make():
            sizes = self.random.choice([(2, 2), (3, 3), (1, 1, 1), (2, 2, 2), (1, 2, 2), (3, 2, 2), (1, 1, 1, 1), (2, 3), (4, 3)])
            return [[self.random.choice(digits if style == "mixed" and index else pool) for _ in range(size)] for index, size in enumerate(sizes)]
        groups = self.fresh(make)
        builder = self.builder("letters", groups[0][0])
        self.groups(builder, groups, "letters")
        return builder.finish()

    def list(self):
        """Items with a pause behind each, "and" before the last."""
        def make():
            pool = [name for name in self.random.choice(self.recipe["lists"]) if name in self.clips]
            return [[name] for name in self.random.sample(pool, min(len(pool), self.random.choice([3, 3, 4, 5])))]
        groups = self.fresh(make)
        if not groups or len(groups) < 3:
            return None
        join = self.recipe["and"] if self.recipe.get("and") in self.clips else None
        builder = self.builder("list", groups[0][0])
        for index, (name,) in enumerate(groups):
            last = index + 1 == len(groups)
            if index:
                builder.pause(self.pauses.draw(), "list")
            if last and join:
                builder.say(self.piece(join), self.word(join))
                builder.rest(0.05)
            builder.say(self.piece(name), self.word(name))
        return builder.finish()

    def _kinds(self, piece):
        return {index: "clause" if ends_clause(word[0]) else "mid_sentence" for index, word in enumerate(piece.words)}

    def clause(self):
        """Clauses of one recording, and where they are fewer than two pauses, another sentence behind them."""
        name = self.take(lambda text: 7 <= len(text.split()) <= 32 and any(ends_clause(word) for word in text.split()[:-1]))
        if not name:
            return None
        piece = self.piece(name)
        chosen = openings(piece, self.random, self.random.choice([2, 2, 3]), True)
        if not chosen:
            return None
        builder = self.builder("clause", name)
        builder.say_with_pauses(piece, {index: self.pauses.draw() for index in chosen}, self._kinds(piece))
        if len(chosen) < 2:
            other = self.take(lambda text: 3 <= len(text.split()) <= 8)
            if other and other != name:
                builder.pause(self.pauses.draw(), "clause")
                builder.say_with_pauses(self.piece(other), {}, self._kinds(self.piece(other)))
        return builder.finish()

    def mid_sentence(self):
        """A sentence with pauses where no clause ends."""
        fills = [fill for fill in self.recipe.get("number_fills", []) if all(part == "#" or self.may(part) for part in fill)]
        if fills and self.random.random() < 0.15:
            return self._filled(self.random.choice(fills))
        name = self.take(lambda text: 6 <= len(text.split()) <= 24)
        if not name:
            return None
        piece = self.piece(name)
        chosen = openings(piece, self.random, self.random.choice([2, 2, 3, 3]), False)
        if len(chosen) < (2 if len(piece.words) > 7 else 1):
            return None
        builder = self.builder("mid_sentence", name)
        builder.say_with_pauses(piece, {index: self.pauses.draw() for index in chosen}, self._kinds(piece))
        return builder.finish()

    def _filled(self, fill):
        number = self.fresh(lambda: [[f"digits/{self.random.randint(2, 9)}", f"digits/{self.random.randint(0, 9)}"]])
        if not number or not all(name in self.clips for name in number[0]):
            return None
        builder = self.builder("mid_sentence", number[0][0])
        for index, part in enumerate(fill):
            if index:
                builder.pause(self.pauses.draw(), "mid_sentence")
            if part == "#":
                self.groups(builder, number, "digits")
            else:
                builder.say_with_pauses(self.piece(part), {}, {})
        return builder.finish()

    def whole(self):
        """A sentence as it was recorded."""
        name = self.take(lambda text: 4 <= len(text.split()) <= 14 and text[-1] in ".!?" and not any(c in text[:-1] for c in ".!?;:"), 3)
        if not name:
            return None
        builder = self.builder("whole", name)
        builder.say_with_pauses(self.piece(name), {}, self._kinds(self.piece(name)))
        return builder.finish()

    def short(self):
        """An answer of one to three words."""
        name = self.take(lambda text: len(text.split()) <= 3, 3)
        if not name:
            return None
        builder = self.builder("short", name)
        builder.say_with_pauses(self.piece(name), {}, {})
        return builder.finish()

    def phrases(self):
        """Two or three short phrases, one by one."""
        names = [self.take(lambda text: 2 <= len(text.split()) <= 9, 4) for _ in range(self.random.choice([2, 3, 3]))]
        names = list(dict.fromkeys(name for name in names if name))
        if len(names) < 2:
            return None
        builder = self.builder("clause", names[0])
        for index, name in enumerate(names):
            if index:
                builder.pause(self.pauses.draw(), "clause")
            builder.say_with_pauses(self.piece(name), {}, {})
        return builder.finish()
