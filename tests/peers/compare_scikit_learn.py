"""Holds the linear probes of a run of `topic-retrieval-tiny` against scikit-learn on the same vectors.

    python tests/peers/compare_scikit_learn.py PATH/TO/bench RESULTS DATA_DIR [HOME]

RESULTS is `results/topic-retrieval-tiny` of `bench run`, HOME the folder of its cache (`--home`). Needs `scikit-learn` and `polars`;
without them it says so and ends well. Every probe's train and test texts are embedded by `bench embed --cell`;
`LogisticRegression(C=1, tol=1e-10)` learns from them. Ends with 1 where accuracies differ by more than 0.5 points, or the optimum's
losses by more than 1e-6.
"""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile

NEEDED = ["sklearn", "polars", "numpy"]
SPLITS = {"train": "train_few_all.json", "test": "test_public.json"}
LARGEST_POINTS, LARGEST_LOSS = 0.5, 1e-6


def main():
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    bench, results, data, home = ([*(os.path.abspath(path) for path in sys.argv[1:]), os.getcwd()])[:4]
    files = {split: os.path.join(data, "iflytek", file) for split, file in SPLITS.items()}
    missing += [path for path in [bench, results, *files.values()] if not os.path.exists(path)]
    if missing:
        print(f"SKIPPED: {', '.join(missing)} missing")
        return 0
    import numpy
    import polars
    import sklearn
    from sklearn.linear_model import LogisticRegression

    rows = {split: [json.loads(line) for line in open(path, encoding="utf-8") if line.strip()] for split, path in files.items()}
    labels = {split: [row["label_des"] for row in of] for split, of in rows.items()}
    cells = polars.read_parquet(os.path.join(results, "cells.parquet"))
    cells = cells.filter((polars.col("task") == "linear-probe") & polars.col("label").is_null())
    sound = True
    for cell, model in cells.select("cell", "model").unique(maintain_order=True).iter_rows():
        vectors = {}
        with tempfile.TemporaryDirectory() as folder:
            for split, of in rows.items():
                path, out = os.path.join(folder, "in.parquet"), os.path.join(folder, f"{split}.parquet")
                polars.DataFrame({"text": [row["sentence"] for row in of]}).write_parquet(path)
                words = ["embed", results, "--cell", cell, "--input", path, "-o", out, "--home", home]
                subprocess.run([bench, *words], check=True, stdout=subprocess.DEVNULL)
                vectors[split] = polars.read_parquet(out)["embedding"].to_numpy().astype(numpy.float64)
        learner = LogisticRegression(C=1.0, tol=1e-10, max_iter=100_000).fit(vectors["train"], labels["train"])
        accuracy = float(learner.score(vectors["test"], labels["test"]))
        chances = learner.predict_log_proba(vectors["train"])
        place = {label: i for i, label in enumerate(learner.classes_)}
        own = chances[numpy.arange(len(chances)), [place[label] for label in labels["train"]]]
        loss = float(-own.mean() + 0.5 * (learner.coef_**2).sum() / len(own))
        figure = lambda name: float(cells.filter((polars.col("cell") == cell) & (polars.col("metric") == name))["value"][0])
        points, gap = 100 * abs(figure("accuracy") - accuracy), abs(figure("loss") - loss)
        print(f"{model}: scikit-learn {sklearn.__version__}, {len(own)} train texts, {len(labels['test'])} test texts")
        print(f"  accuracy: bench {100 * figure('accuracy'):.3f} %, scikit-learn {100 * accuracy:.3f} %; losses apart by {gap:.1e}")
        sound = sound and points <= LARGEST_POINTS and gap <= LARGEST_LOSS
    if not sound:
        print("WRONG: accuracies may differ by 0.5 points, losses by 1e-6")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
