"""Word error rates, and the table of what was measured. As a program: from lines of JSON on standard input."""

import json
import re
import sys

#: What the model writes otherwise than transcripts do: digits that stand alone, titles.
SPELLINGS = dict(zip("0 1 2 3 4 5 6 7 8 9 10 mr mrs".split(),
                     "zero one two three four five six seven eight nine ten mister missus".split()))


def words(text):
    """Lower case without marks; digits as words."""
    found = re.findall(r"[a-z0-9']+", text.lower().replace("-", " "))
    return [SPELLINGS.get(word, word) for word in found]


def errors(said, heard):
    """Words that are wrong, missing or too many."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said):
        before, row = row, [i + 1]
        for j, other in enumerate(heard):
            row.append(min(before[j + 1] + 1, row[j] + 1, before[j] + (word != other)))
    return row[-1]


def at_share(values, share):
    """A percentile; the nearest value above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


HEAD = f"{'source':10} {'noise':6} {'line':5} {'words':>5} {'WER':>6} {'p50 ms':>6} {'p95 ms':>6}  waits"


def line(source, noise, codec, calls):
    """One line of the table: calls as (texts said, texts heard, milliseconds waited)."""
    said = wrong = 0
    waits = []
    for texts, heard, responses in calls:
        reference = words(" ".join(texts))
        said, wrong = said + len(reference), wrong + errors(reference, words(" ".join(heard)))
        waits += responses
    rate = 100 * wrong / max(1, said)
    return f"{source:10} {noise:6} {codec:5} {said:5} {rate:5.1f}% {at_share(waits, .5):6.0f} {at_share(waits, .95):6.0f}  {len(waits)}"


if __name__ == "__main__":
    print(HEAD)
    for row in map(json.loads, sys.stdin):
        print(line(row["source"], row["noise"], row["codec"], [(row["said"], row["heard"], row["responses_ms"])]), flush=True)
