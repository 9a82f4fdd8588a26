"""Holds the linear probes of a run against scikit-learn on the same vectors, by the rule that the run's task names.

    python tests/peers/compare_scikit_learn.py PATH/TO/bench RESULTS [HOME]

RESULTS is the folder of `bench run`, such as `results/topic-retrieval-tiny` or `results/paper-2402.18458-small`, HOME that of its cache
(`--home`). Needs `scikit-learn` and `polars`; without them it says so and ends well. Texts and labels are those of the run's own
`samples.parquet`; every probe's are embedded by `bench embed --cell`, and `LogisticRegression(C, tol=1e-10)` learns from them.

A plain probe must have the optimum's loss to 1e-6 and an accuracy within 0.5 points. Under `protocol = "senteval"` SentEval's three
classifiers with `usepytorch = False` are written down here: its order of texts, its folds, its grids of C. What they pick and how
accurate they are must be equal to the digit. Ends with 1 where something is not.
"""

import json
import os
import subprocess
import sys
import tempfile

from needs import lacking

NEEDED = ["sklearn", "polars", "numpy"]
LARGEST_POINTS, LARGEST_LOSS = 0.5, 1e-6
SEED = 1111
OF_TRAIN = [2.0**power for power in range(-1, 6)]
OF_PARTS = [2.0**power for power in range(-2, 4)]


def learner(c):
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=c, tol=1e-10, max_iter=100_000)


def folds(labels, count):
    import numpy
    from sklearn.model_selection import StratifiedKFold

    return list(StratifiedKFold(count, shuffle=True, random_state=SEED).split(numpy.zeros(len(labels)), labels))


def best(grid, score):
    """The first of the best penalties, and its score in per cent of two decimals, as SentEval keeps it."""
    scores = [round(100 * score(c), 2) for c in grid]
    return grid[scores.index(max(scores))], max(scores)


def over(features, labels, parts):
    """The mean accuracy over parts, as a function of C."""
    import numpy

    return lambda c: numpy.mean([learner(c).fit(features[a], labels[a]).score(features[b], labels[b]) for a, b in parts])


def senteval(task, own, train, dev):
    """Accuracy, dev accuracy in per cent, and the C that was picked (of folds: none), as SentEval's classifiers find them."""
    import numpy

    count = task["senteval"]["folds"]
    if train is None:
        features, labels = own
        found = []
        for a, b in folds(labels, count):
            c, score = best(OF_PARTS, over(features[a], labels[a], folds(labels[a], count)))
            found.append((learner(c).fit(features[a], labels[a]).score(features[b], labels[b]), score))
        accuracies, scores = zip(*found)
        return float(numpy.mean(accuracies)), float(numpy.mean(scores)), None
    features, labels = train
    if dev is None:
        c, score = best(OF_TRAIN, over(features, labels, folds(labels, count)))
    else:
        c, score = best(OF_PARTS, lambda c: learner(c).fit(features, labels).score(*dev))
    return float(learner(c).fit(features, labels).score(*own)), score, c


class Run:
    def __init__(self, bench, results, home):
        import polars

        self.bench, self.results, self.home = bench, results, home
        self.cells = polars.read_parquet(os.path.join(results, "cells.parquet"))
        self.samples = polars.read_parquet(os.path.join(results, "samples.parquet"))
        with open(os.path.join(results, "run.json"), encoding="utf-8") as file:
            self.record = json.load(file)

    def figure(self, cell, metric):
        import polars

        row = self.cells.filter((polars.col("cell") == cell) & (polars.col("metric") == metric) & polars.col("label").is_null())
        return float(row["value"][0])

    def task(self, slice_id):
        on = lambda task: task["kind"] == "linear-probe" and slice_id in task.get("slices", [slice_id])
        return next(task for task in self.record["tasks"] if on(task))

    def slice(self, slice_id):
        return next(record for record in self.record["slices"] if record["id"] == slice_id)

    def companion(self, slice_id, named):
        """The id of the slice that a task names as `train` or `dev`; None where there is none."""
        if named in (None, "itself"):
            return None
        if "slice" in named:
            return named["slice"]
        own, split = self.slice(slice_id), named["split"]
        fits = lambda other: (other["origin"]["dataset"], other["origin"]["split"], other["labels"]) == (
            split.get("dataset") or own["origin"]["dataset"],
            split["split"],
            own["labels"],
        )
        return next(other["id"] for other in self.record["slices"] if fits(other))

    def features(self, cell, slice_id, sort):
        """Features and labels of a slice under a cell's recipe; in SentEval's order where that is asked for."""
        import numpy
        import polars

        if slice_id is None:
            return None
        rows = self.samples.filter(polars.col("slice") == slice_id).sort("index")
        order = {label: place for place, label in enumerate(self.slice(slice_id)["labels"])}
        labels = numpy.array([order[label] for label in rows["gold"]])
        sides = [rows["text"].to_list()] + ([] if rows["partner"].null_count() else [rows["partner"].to_list()])
        vectors = [self.embedded(cell, side) for side in sides]
        features = vectors[0] if len(vectors) == 1 else numpy.hstack([abs(vectors[0] - vectors[1]), vectors[0] * vectors[1]])
        if sort:
            lengths = [[len(side[i].split()) for side in sides] for i in range(len(labels))]
            place = sorted(range(len(labels)), key=lambda i: (lengths[i], labels[i]))
            features, labels = features[place], labels[place]
        return features, labels

    def embedded(self, cell, texts):
        import numpy
        import polars

        with tempfile.TemporaryDirectory() as folder:
            path, out = os.path.join(folder, "in.parquet"), os.path.join(folder, "out.parquet")
            polars.DataFrame({"text": texts}).write_parquet(path)
            words = ["embed", self.results, "--cell", cell, "--input", path, "-o", out, "--home", self.home]
            subprocess.run([self.bench, *words], check=True, stdout=subprocess.DEVNULL)
            return polars.read_parquet(out)["embedding"].to_numpy().astype(numpy.float64)


def plain(run, cell, task, own, train):
    import numpy

    found = learner(task["c"]).fit(*train)
    accuracy = float(found.score(*own))
    chances = found.predict_log_proba(train[0])
    place = {label: i for i, label in enumerate(found.classes_)}
    right = chances[numpy.arange(len(chances)), [place[label] for label in train[1]]]
    loss = float(-right.mean() + 0.5 * (found.coef_**2).sum() / (task["c"] * len(right)))
    points, gap = 100 * abs(run.figure(cell, "accuracy") - accuracy), abs(run.figure(cell, "loss") - loss)
    print(f"  accuracy: bench {100 * run.figure(cell, 'accuracy'):.3f} %, scikit-learn {100 * accuracy:.3f} %; losses apart by {gap:.1e}")
    return points <= LARGEST_POINTS and gap <= LARGEST_LOSS


def by_senteval(run, cell, task, own, train, dev):
    accuracy, score, c = senteval(task, own, train, dev)
    ours = run.figure(cell, "mean_accuracy" if train is None else "accuracy")
    score_of_ours = 100 * run.figure(cell, "dev_accuracy")
    c_of_ours = None if c is None else run.figure(cell, "c")
    print(f"  accuracy: bench {100 * ours:.4f} %, scikit-learn {100 * accuracy:.4f} %", end="; ")
    print(f"dev: {score_of_ours:.2f} and {score:.2f} %; C: {c_of_ours} and {c}")
    return abs(ours - accuracy) < 1e-12 and abs(score_of_ours - score) <= 0.0051 and c == c_of_ours


def main():
    bench, results, home = ([*(os.path.abspath(path) for path in sys.argv[1:]), os.getcwd()])[:3]
    if lacking(NEEDED, [bench, results]):
        return 0
    import polars
    import sklearn

    run = Run(bench, results, home)
    cells = run.cells.filter((polars.col("task") == "linear-probe") & polars.col("label").is_null())
    cells = cells.select("cell", "model", "prompt", "slice").unique(maintain_order=True)
    sound = True
    for cell, model, prompt, slice_id in cells.iter_rows():
        task = run.task(slice_id)
        if task["draws"]:
            continue
        rule = task.get("senteval")
        others = [run.companion(slice_id, task["train"]), run.companion(slice_id, rule and rule.get("dev"))]
        own, train, dev = (run.features(cell, name, rule is not None) for name in [slice_id, *others])
        print(f"{model}, {prompt}, {slice_id}: scikit-learn {sklearn.__version__}, {len(own[1])} texts or pairs,", end=" ")
        print("no train texts" if train is None else f"{len(train[1])} train texts", flush=True)
        # Intercepts take up whatever is off all features alike, and the way to the optimum is several times as short.
        mean = (train or own)[0].mean(axis=0)
        own, train, dev = (texts and (texts[0] - mean, texts[1]) for texts in (own, train, dev))
        found = by_senteval(run, cell, task, own, train, dev) if rule else plain(run, cell, task, own, train)
        sound = sound and found
    if not sound:
        print("WRONG: accuracies may differ by 0.5 points, losses by 1e-6; by SentEval's protocol nothing may")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
