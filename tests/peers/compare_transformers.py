"""Holds the published protocol of prompted STS against transformers: rendered texts, token ids, vectors, and pooled Spearman.

    python tests/peers/compare_transformers.py PATH/TO/bench DATA_DIR [MODEL_FOLDER...]

Needs `torch`, `transformers`, `scipy`, `polars` and STS12's texts (`bench data get sts2012`); without them it says so and ends well.
Each sentence is cleaned and put into Pretended CoT's template by the script itself, embedded alone, and read at
`hidden_states[-2][0, -1]`; `bench embed` and `bench run` do the same. Without folders the bundled tiny-zh is taken.

transformers computes twice: in f32, as the papers' scripts do, and with every number in f64 (norms, angles and states; transformers
rounds the first two to f32 even in a model of f64, so that they are replaced). The second is what both f32 programs are near to: the
script says how far each is from it, in vectors and in the correlation, and how many pairs each puts into another order.

Ends with 1 where a text or an id differs, a vector by more than 1e-5, or bench's correlation from that of f64 by more than 1e-6. A
correlation of ranks jumps where two cosines change places. Where transformers' own f32 is farther than 1e-6 from its f64, as in models
of random weights whose cosines all lie near 1, f32 does not hold the figure to 1e-6 in any program: then bench may be no farther from
f64 than transformers' f32 is.
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


def exact(model):
    """Norms and angles in f64, where transformers rounds them to f32 whatever the model's numbers are."""
    import torch

    def norm(module, states):
        return module.weight * states * torch.rsqrt(states.pow(2).mean(-1, keepdim=True) + module.variance_epsilon)

    def angles(module, states, position_ids, *_, **__):
        width = 2 * module.inv_freq.shape[0]
        theta = (getattr(module.config, "rope_parameters", None) or {}).get("rope_theta") or module.config.rope_theta
        frequencies = theta ** -(torch.arange(0, width, 2, dtype=torch.float64) / width)
        turned = position_ids[0].to(torch.float64)[:, None] * frequencies
        turned = torch.cat([turned, turned], dim=-1)[None]
        return turned.cos(), turned.sin()

    for module in model.modules():
        kind = type(module).__name__
        if kind.endswith("RMSNorm"):
            module.forward = norm.__get__(module)
        elif kind.endswith("RotaryEmbedding"):
            module.forward = angles.__get__(module)


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
    rendered = [TEMPLATE.format(cleaned(text)).strip() for text in texts]
    ids = [tokenizer(text)["input_ids"] for text in rendered]
    wrong = sum(a != b for a, b in zip(rendered, ours["rendered"]))
    other = sum(a != list(b) for a, b in zip(ids, ours["token_ids"]))

    def states(dtype):
        model = transformers.AutoModel.from_pretrained(folder, dtype=dtype).eval()
        if dtype == torch.float64:
            exact(model)
        with torch.no_grad():
            read = [model(torch.tensor([row]), output_hidden_states=True).hidden_states[-2][0, -1].numpy() for row in ids]
        return numpy.stack(read).astype(numpy.float64)

    vectors = {"bench": ours["embedding"].to_numpy().astype(numpy.float64), "f32": states(torch.float32), "f64": states(torch.float64)}
    place = {text: i for i, text in enumerate(texts)}
    gold = [float(row[0]) for row in rows]

    def cosines(vectors):
        left, right = (vectors[[place[row[side]] for row in rows]] for side in (1, 2))
        # Texts that are the same once cleaned have cosine 1 exactly, whatever the last bits of the division.
        return numpy.round(numpy.sum(left * right, axis=1) / numpy.linalg.norm(left, axis=1) / numpy.linalg.norm(right, axis=1), 12)

    spearman = lambda values: float(scipy.stats.spearmanr(values, gold).statistic)
    metric = cells.filter((polars.col("metric") == "spearman") & polars.col("label").is_null())
    truth, cosine = vectors["f64"], {name: cosines(of) for name, of in vectors.items()}
    figure = {"bench": float(metric["value"][0]), "f32": spearman(cosine["f32"]), "f64": spearman(cosine["f64"])}
    exchanged = lambda name: int(numpy.sum(scipy.stats.rankdata(cosine[name]) != scipy.stats.rankdata(cosine["f64"])))
    print(f"{os.path.basename(folder)}: transformers {transformers.__version__}, {len(texts)} texts, {len(rows)} pairs,", end=" ")
    print(f"cosines from {cosine['f64'].min():.6f} to {cosine['f64'].max():.6f}")
    print(f"  rendered texts that differ {wrong}, token ids that differ {other}; pooled Spearman in f64 {figure['f64']:.9f}")
    gap, distance = {}, {}
    for name, what in [("bench", "bench"), ("f32", "transformers in f32")]:
        distance[name] = float(numpy.max(numpy.linalg.norm(vectors[name] - truth, axis=1) / numpy.linalg.norm(truth, axis=1)))
        noise, gap[name] = float(numpy.max(abs(cosine[name] - cosine["f64"]))), abs(figure[name] - figure["f64"])
        print(f"  {what}: Spearman {figure[name]:.9f}, apart {gap[name]:.1e};", end=" ")
        print(f"vectors {distance[name]:.1e}, cosines {noise:.1e}, pairs at another rank {exchanged(name)}")
    print(f"  bench and transformers in f32 apart {abs(figure['bench'] - figure['f32']):.1e}")
    sound = wrong == 0 and other == 0 and distance["bench"] <= LARGEST_DISTANCE
    return sound and gap["bench"] <= max(LARGEST_GAP, gap["f32"])


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
