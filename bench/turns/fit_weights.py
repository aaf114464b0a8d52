"""Fits the weights of the signs of a turn's end to a tuning half, near those that are in the code.

    trunkline bench turns --data data/turns/set/tune --no-sweep --punctuation none --signs signs.jsonl
    python3 bench/turns/fit_weights.py signs.jsonl

Logistic regression with a penalty for each step away from the present weights: a sign that is rare in the set keeps the weight
that it has. The penalty is the one that predicts speakers best who were left out. Needs numpy and scipy, which nothing else of
the project does.
"""

import argparse
import json
import pathlib
import re
import sys

import numpy
from scipy.optimize import minimize

CUES = pathlib.Path(__file__).resolve().parents[2] / "media/src/turn/cues.rs"
PENALTIES = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0]


def present_weights(source: str) -> dict[str, float]:
    """Weight of each sign by its name in the reports, as the code has it."""
    names = dict(re.findall(r"Self::(\w+) => \"(\w+)\"", source))
    table = source[source.index("const WEIGHTS"):]
    return {names[cue]: float(weight) for cue, weight in re.findall(r"\(Cue::(\w+), (-?[\d.]+)\)", table)}


def read(paths: list[str], names: list[str]) -> tuple[numpy.ndarray, numpy.ndarray, list[str]]:
    """Signs of each pause and end, whether it is an end, and who speaks."""
    rows, ends, speakers = [], [], []
    for path in paths:
        for line in open(path, encoding="utf-8"):
            pause = json.loads(line)
            row = numpy.zeros(len(names))
            for name, strength in pause["signs"]:
                row[names.index(name)] += strength
            rows.append(row)
            ends.append(bool(pause["eot"]))
            speakers.append(f"{pause['lang']} {pause['speaker']}")
    return numpy.array(rows), numpy.array(ends), speakers


def fit(rows: numpy.ndarray, ends: numpy.ndarray, prior: numpy.ndarray, penalty: float) -> numpy.ndarray:
    """Weights with the best likelihood, less the penalty. There is no bias: the policy has none."""
    signs = numpy.where(ends, 1.0, -1.0)

    def loss(weights: numpy.ndarray) -> tuple[float, numpy.ndarray]:
        margin = signs * (rows @ weights)
        step = weights - prior
        slope = -signs / (1.0 + numpy.exp(margin))
        return numpy.logaddexp(0.0, -margin).sum() + penalty * step @ step, rows.T @ slope + 2.0 * penalty * step

    return minimize(loss, prior, jac=True, method="L-BFGS-B").x


def log_loss(rows: numpy.ndarray, ends: numpy.ndarray, weights: numpy.ndarray) -> float:
    """Mean of minus the logarithm of what was predicted for what happened."""
    return float(numpy.logaddexp(0.0, -numpy.where(ends, 1.0, -1.0) * (rows @ weights)).mean())


def cross_validated(
    rows: numpy.ndarray, ends: numpy.ndarray, speakers: list[str], prior: numpy.ndarray, penalty: float
) -> float:
    """Log loss of each speaker with weights fitted to the others."""
    who = numpy.array(speakers)
    total = 0.0
    for one in sorted(set(speakers)):
        weights = fit(rows[who != one], ends[who != one], prior, penalty)
        total += log_loss(rows[who == one], ends[who == one], weights) * (who == one).sum()
    return total / len(speakers)


def main() -> int:
    """Prints the table for cues.rs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("signs", nargs="+", help="what `trunkline bench turns --signs` has written")
    args = parser.parse_args()
    weights = present_weights(CUES.read_text(encoding="utf-8"))
    names = list(weights)
    prior = numpy.array([weights[name] for name in names])
    rows, ends, speakers = read(args.signs, names)
    print(f"{len(ends)} pauses and ends of {len(set(speakers))} speakers; now {log_loss(rows, ends, prior):.4f}", file=sys.stderr)
    losses = {penalty: cross_validated(rows, ends, speakers, prior, penalty) for penalty in PENALTIES}
    for penalty, loss in losses.items():
        print(f"penalty {penalty:5.1f}: {loss:.4f} for speakers left out", file=sys.stderr)
    best = min(losses, key=lambda penalty: losses[penalty])
    fitted = fit(rows, ends, prior, best)
    for name, before, after in zip(names, prior, fitted):
        count = int((rows[:, names.index(name)] > 0).sum())
        print(f"{name:16} {before:5.1f} -> {after:5.2f}   in {count}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
