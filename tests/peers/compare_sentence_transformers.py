"""Holds a sentence-transformers folder on STS-B and on STS12's sets against sentence-transformers itself, in one run of each.

    python tests/peers/compare_sentence_transformers.py PATH/TO/bench MODEL_FOLDER DATA_DIR

Needs `sentence-transformers`, `scipy`, `polars` and the texts (`bench data get stsb`, `bench data get sts2012`); without them it
says so and ends well. Every sentence is embedded by both, every set is scored by `bench run` and by scipy on the vectors of
sentence-transformers; ends with 1 where vectors differ by more than 1e-5 or a correlation by more than 1e-4.

SMTeuroparl and SMTnews hold pairs that are equal to the model, since their texts are or differ in case and white space alone. bench
gives them a cosine of exactly 1; the peer's is 1 give or take a last bit, and such pairs rank at random. So those of the peer are
tied as well: pairs whose token ids are equal; `as it is` says what it gives else.
"""

import csv
import os
import subprocess
import sys
import tempfile

from needs import lacking

NEEDED = ["sentence_transformers", "scipy", "polars", "numpy"]
SETS = ["MSRpar", "OnWN", "SMTeuroparl", "SMTnews"]
LARGEST_DISTANCE, LARGEST_GAP = 1e-5, 1e-4

SPEC = """name = "peers"
[[model]]
id = "peer"
source = "path:{folder}"
[[prompt]]
id = "raw"
use = "raw"
[[readout]]
id = "own"
pool = "own"
[[slice]]
id = "stsb"
dataset = "stsb"
split = "test"
[[slice]]
id = "sts12"
dataset = "sts2012"
split = "test"
[[task]]
kind = "sts"
protocol = "mteb"
"""


def pairs(data):
    """Score, text and other text of every pair, by set."""
    found = {}
    with open(os.path.join(data, "stsb/en/test.csv"), encoding="utf-8", newline="") as file:
        found["STS-B"] = [(float(row[2]), row[0], row[1]) for row in csv.reader(file)]
    for name in SETS:
        with open(os.path.join(data, f"sts2012/{name}.test.tsv"), encoding="utf-8") as file:
            rows = [line.rstrip("\r\n").split("\t") for line in file if line.strip()]
        found[name] = [(float(row[0]), row[1], row[2]) for row in rows]
    return found


def main():
    bench, folder, data = (os.path.abspath(path) for path in sys.argv[1:4])
    files = [os.path.join(data, "stsb/en/test.csv")] + [os.path.join(data, f"sts2012/{name}.test.tsv") for name in SETS]
    if lacking(NEEDED, [bench, os.path.join(folder, "modules.json"), *files]):
        return 0
    import numpy
    import polars
    import scipy.stats
    import sentence_transformers

    datasets = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../datasets")
    found = pairs(data)
    texts = sorted({text for rows in found.values() for row in rows for text in row[1:]})
    with tempfile.TemporaryDirectory() as home:
        run = lambda *words: subprocess.run([bench, *words, "--home", home], cwd=home, check=True, stdout=subprocess.DEVNULL)
        polars.DataFrame({"text": texts}).write_parquet(os.path.join(home, "in.parquet"))
        run("embed", "--model", f"path:{folder}", "--input", "in.parquet", "-o", "out.parquet")
        ours = polars.read_parquet(os.path.join(home, "out.parquet"))["embedding"].to_numpy().astype(numpy.float64)
        with open(os.path.join(home, "peers.toml"), "w", encoding="utf-8") as file:
            file.write(SPEC.format(folder=folder))
        run("run", "peers.toml", "--datasets", datasets, "--data-dir", data)
        cells = polars.read_parquet(os.path.join(home, "results/peers/cells.parquet"))
    peer = sentence_transformers.SentenceTransformer(folder, device="cpu")
    theirs = peer.encode(texts, batch_size=32).astype(numpy.float64)
    ids = peer.tokenizer(texts, truncation=True, max_length=peer.max_seq_length)["input_ids"]
    distance = float(numpy.max(numpy.linalg.norm(ours - theirs, axis=1) / numpy.linalg.norm(theirs, axis=1)))
    place = {text: i for i, text in enumerate(texts)}
    print(f"sentence-transformers {sentence_transformers.__version__}; {len(texts)} texts, largest distance {distance:.1e} of a vector")
    print(f"{'set':<12} {'pairs':>5} {'equal':>5}  {'bench':>7}  {'peer':>7}  as it is   Spearman of the cosine x 100")
    worst = 0.0
    for name, rows in found.items():
        at = cells.filter((polars.col("metric") == "spearman") & (polars.col("slice") == ("stsb" if name == "STS-B" else "sts12")))
        at = at.filter(polars.col("label").is_null() if name == "STS-B" else polars.col("label") == name)
        mine = float(at["value"][0])
        left, right = (theirs[[place[row[side]] for row in rows]] for side in (1, 2))
        cosines = numpy.sum(left * right, axis=1) / numpy.linalg.norm(left, axis=1) / numpy.linalg.norm(right, axis=1)
        equal = numpy.array([ids[place[row[1]]] == ids[place[row[2]]] for row in rows])
        tied, as_it_is = (
            float(scipy.stats.spearmanr(of, [row[0] for row in rows]).statistic) for of in (numpy.where(equal, 1.0, cosines), cosines)
        )
        worst = max(worst, abs(mine - tied))
        print(f"{name:<12} {len(rows):>5} {equal.sum():>5}  {100 * mine:7.4f}  {100 * tied:7.4f}   {100 * as_it_is:7.4f}")
    if distance > LARGEST_DISTANCE or worst > LARGEST_GAP:
        print(f"WRONG: vectors may differ by {LARGEST_DISTANCE}, correlations by {LARGEST_GAP}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
