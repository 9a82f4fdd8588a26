"""Holds the published protocol of prompted STS against transformers: rendered texts, token ids, vectors, and pooled Spearman.

    python tests/peers/compare_transformers.py PATH/TO/bench DATA_DIR [MODEL_FOLDER...]

Needs `torch`, `transformers`, `scipy`, `polars` and STS12's texts (`bench data get sts2012`); without them it says so and ends well.
Each sentence is cleaned and put into Pretended CoT's template by the script itself, embedded alone in f32, and read at
`hidden_states[-2][0, -1]`; `bench embed` and `bench run` do the same. Without folders the bundled tiny-zh is taken.

Correlations of ranks jump where two cosines change places, so those that lie closer together than the two programs' f32 vectors
differ are counted. Where there are none, correlations must agree to 1e-6. Where there are some, as in a model of random weights whose
cosines are all near 1, ours are ranked again with such near ties broken by the other's order: what is left must agree to 1e-6.
Ends with 1 where texts or ids differ, or a vector by more than 1e-5, or a correlation by more than that.
"""

import importlib.util
import os
import subprocess
import sys
import tempfile

NEEDED = ["torch", "transformers", "scipy", "polars", "numpy"]
SETS = ["MSRpar", "OnWN", "SMTeuroparl", "SMTnews"]
TEMPLATE = 'After thinking step by step , this sentence : "{}" means in one word:"'
LARGEST_DISTANCE, LARGEST_GAP = 1e-5, 1e-6

SPEC = """name = "peers"
[[model]]
id = "peer"
source = "path:{folder}"
[[prompt]]
id = "cot"
use = "pretended-cot"
[[readout]]
id = "penultimate"
layer = -2
pool = "last"
normalize = false
[[slice]]
id = "sts12"
dataset = "sts2012"
split = "test"
[[task]]
kind = "sts"
protocol = "senteval"
"""


def cleaned(text):
    """The papers' clean-up, in their order."""
    if text and text[-1] not in '.?"\'':
        text += "."
    text = text.replace('"', "'")
    return text[:-1] + "." if text and text[-1] == "?" else text


def compare(bench, folder, data):
    import numpy
    import polars
    import scipy.stats
    import torch
    import transformers

    datasets = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../datasets")
    rows = []
    for name in SETS:
        with open(os.path.join(data, f"sts2012/{name}.test.tsv"), encoding="utf-8") as file:
            rows += [line.rstrip("\r\n").split("\t") for line in file if line.strip()]
    texts = sorted({text for row in rows for text in row[1:3]})
    with tempfile.TemporaryDirectory() as home:
        run = lambda *words: subprocess.run([bench, *words, "--home", home], cwd=home, check=True, stdout=subprocess.DEVNULL)
        with open(os.path.join(home, "peers.toml"), "w", encoding="utf-8") as file:
            file.write(SPEC.format(folder=folder))
        run("run", "peers.toml", "--datasets", datasets, "--data-dir", data)
        cells = polars.read_parquet(os.path.join(home, "results/peers/cells.parquet"))
        polars.DataFrame({"text": texts}).write_parquet(os.path.join(home, "in.parquet"))
        cell = cells["cell"][0]
        run("embed", "results/peers", "--cell", cell, "--input", "in.parquet", "-o", "out.parquet")
        ours = polars.read_parquet(os.path.join(home, "out.parquet"))
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    torch.set_num_threads(1)
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    rendered = [TEMPLATE.format(cleaned(text)).strip() for text in texts]
    ids = [tokenizer(text)["input_ids"] for text in rendered]
    wrong = sum(a != b for a, b in zip(rendered, ours["rendered"]))
    other = sum(a != list(b) for a, b in zip(ids, ours["token_ids"]))
    with torch.no_grad():
        states = [model(torch.tensor([row]), output_hidden_states=True).hidden_states[-2][0, -1].numpy() for row in ids]
    theirs = numpy.stack(states).astype(numpy.float64)
    mine = ours["embedding"].to_numpy().astype(numpy.float64)
    distance = float(numpy.max(numpy.linalg.norm(mine - theirs, axis=1) / numpy.linalg.norm(theirs, axis=1)))
    place = {text: i for i, text in enumerate(texts)}
    gold = [float(row[0]) for row in rows]

    def cosines(vectors):
        left, right = (vectors[[place[row[side]] for row in rows]] for side in (1, 2))
        # Texts that are the same once cleaned have cosine 1 exactly, whatever the last bits of the division.
        return numpy.round(numpy.sum(left * right, axis=1) / numpy.linalg.norm(left, axis=1) / numpy.linalg.norm(right, axis=1), 12)

    a, b = cosines(mine), cosines(theirs)
    spearman = lambda values: float(scipy.stats.spearmanr(values, gold).statistic)
    metric = cells.filter((polars.col("metric") == "spearman") & polars.col("label").is_null())
    found, wanted = float(metric["value"][0]), spearman(b)
    # Neighbours by the other's cosines that lie closer together than the two programs are apart.
    noise = float(numpy.max(numpy.abs(a - b)))
    order = numpy.argsort(b, kind="stable")
    near = int(numpy.sum(numpy.diff(b[order]) <= 2 * noise))
    # Ours, with places exchanged within runs of such neighbours put back.
    groups = numpy.concatenate([[0], numpy.cumsum(numpy.diff(b[order]) > 2 * noise)])
    back = numpy.empty_like(a)
    for group in range(groups[-1] + 1):
        members = order[groups == group]
        back[members] = numpy.sort(a[members])
    print(f"{os.path.basename(folder)}: transformers {transformers.__version__}, {len(texts)} texts, {len(rows)} pairs")
    print(f"  rendered texts that differ {wrong}, token ids that differ {other}, largest distance {distance:.1e} of a vector")
    print(f"  cosines from {b.min():.6f} to {b.max():.6f}, apart by at most {noise:.1e}; neighbours within twice that: {near}")
    print(f"  pooled Spearman: bench {found:.9f}, transformers {wanted:.9f}, apart {abs(found - wanted):.1e};", end=" ")
    print(f"scipy on bench's vectors {abs(found - spearman(a)):.1e}, near ties put back {abs(spearman(back) - wanted):.1e}")
    gap = abs(found - wanted) if near == 0 else min(abs(found - wanted), abs(spearman(back) - wanted))
    return wrong == 0 and other == 0 and distance <= LARGEST_DISTANCE and gap <= LARGEST_GAP


def main():
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    bench, data, *folders = (os.path.abspath(path) for path in sys.argv[1:])
    folders = folders or [os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../models/tiny-zh"))]
    files = [os.path.join(data, f"sts2012/{name}.test.tsv") for name in SETS]
    missing += [path for path in [bench, *files, *(os.path.join(folder, "config.json") for folder in folders)] if not os.path.exists(path)]
    if missing:
        print(f"SKIPPED: {', '.join(missing)} missing")
        return 0
    sound = [compare(bench, folder, data) for folder in folders]
    if not all(sound):
        print("WRONG: texts and ids must be equal, vectors within 1e-5, correlations within 1e-6")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
