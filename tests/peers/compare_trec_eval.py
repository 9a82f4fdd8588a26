"""Holds retrieval over judged queries against trec_eval's definitions, on pairs of patient questions as BEIR would write them.

    python tests/peers/compare_trec_eval.py PATH/TO/bench DATA_DIR MODEL_FOLDER...

Needs `polars`, `numpy` and the COVID pairs (`covid-pairs` in DATA_DIR); without them it says so and ends well. Where `pytrec_eval` is
installed it is asked; else its definitions are written down here, straight from a sorted list. Queries are the `query1` of the dev
split, documents all `query2`, relevant those of label 1. Every second query is a document too, under its own id: once it is found,
once it is ignored. Queries go into `query: {text}`, documents into `passage: {text}`. Ends with 1 where a figure differs by more than
1e-9, or pytrec_eval's by more than 1e-6.
"""

import csv
import importlib.util
import json
import math
import os
import subprocess
import sys
import tempfile

from needs import lacking

NEEDED = ["polars", "numpy"]
FIGURES = ["ndcg_at_10", "map", "mrr", "recall_at_1", "recall_at_10", "recall_at_100", "precision_at_1", "precision_at_10"]
LARGEST, LARGEST_OF_F32 = 1e-9, 1e-6

MANIFEST = """name = "asked"
about = "Patient questions, and others that ask the same."
kind = "retrieval"
licence = "that of covid-pairs"
columns = { id = "_id", text = "text" }
[splits.dev]
files = ["queries.jsonl"]
corpus = ["corpus.jsonl"]
qrels = ["qrels.tsv"]
format = "jsonl"
"""

SPEC = """name = "{name}"
[[model]]
id = "peer"
source = "path:{folder}"
[[prompt]]
id = "asked"
template = "query: {{text}}"
documents = "passage: {{text}}"
[[readout]]
id = "mean"
pool = "mean"
[[slice]]
id = "asked"
dataset = "asked"
split = "dev"
[[task]]
kind = "retrieval"
protocol = "trec"
{ignored}
"""


def judged(data):
    """Queries, documents, and the ids of documents that are relevant to each query."""
    with open(os.path.join(data, "covid-pairs/dev_20200228.csv"), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    queries = {text: f"q{i}" for i, text in enumerate(dict.fromkeys(row["query1"] for row in rows))}
    documents = {text: f"d{i}" for i, text in enumerate(dict.fromkeys(row["query2"] for row in rows))}
    corpus = {name: text for text, name in documents.items()}
    corpus.update({name: text for text, name in queries.items() if int(name[1:]) % 2 == 0})
    relevant = {}
    for row in rows:
        if row["label"] == "1":
            relevant.setdefault(queries[row["query1"]], set()).add(documents[row["query2"]])
    return {name: text for text, name in queries.items()}, corpus, relevant


def figures(ranking, relevant):
    hits = [document in relevant for document in ranking]
    within = lambda k: sum(hits[:k])
    gain = lambda places: sum(1 / math.log2(place + 2) for place in places)
    found = [place for place, hit in enumerate(hits) if hit]
    return [
        gain(place for place in found if place < 10) / gain(range(min(10, len(relevant)))),
        sum((i + 1) / (place + 1) for i, place in enumerate(found)) / len(relevant),
        1 / (found[0] + 1) if found else 0.0,
        *(within(k) / len(relevant) for k in (1, 10, 100)),
        *(within(k) / k for k in (1, 10)),
    ]


def by_definition(scores, relevant):
    """Of equal scores the document whose id is the last goes first."""
    sums = [0.0] * len(FIGURES)
    for query, of_query in scores.items():
        ranking = sorted(sorted(of_query, key=str.encode, reverse=True), key=lambda document: -of_query[document])
        sums = [total + figure for total, figure in zip(sums, figures(ranking, relevant[query]))]
    return [total / len(scores) for total in sums]


def by_pytrec_eval(scores, relevant):
    import pytrec_eval

    qrels = {query: {document: 1 for document in of} for query, of in relevant.items()}
    measures = {"ndcg_cut.10", "map", "recip_rank", "recall.1,10,100", "P.1,10"}
    results = pytrec_eval.RelevanceEvaluator(qrels, measures).evaluate(scores)
    order = ["ndcg_cut_10", "map", "recip_rank", "recall_1", "recall_10", "recall_100", "P_1", "P_10"]
    return [sum(result[name] for result in results.values()) / len(results) for name in order]


def compare(bench, data, folder):
    import numpy
    import polars

    queries, corpus, relevant = judged(data)
    sound = True
    with tempfile.TemporaryDirectory() as home:
        os.makedirs(os.path.join(home, "datasets/asked"))
        put = lambda name, text: open(os.path.join(home, name), "w", encoding="utf-8").write(text)
        lines = lambda texts: "".join(json.dumps({"_id": name, "text": text}, ensure_ascii=False) + "\n" for name, text in texts.items())
        put("datasets/asked/dataset.toml", MANIFEST)
        put("datasets/asked/queries.jsonl", lines(queries))
        put("datasets/asked/corpus.jsonl", lines(corpus))
        qrels = "".join(f"{query}\t{document}\t1\n" for query, of in relevant.items() for document in sorted(of))
        put("datasets/asked/qrels.tsv", "query-id\tcorpus-id\tscore\n" + qrels)
        run = lambda *words: subprocess.run([bench, *words, "--home", home], cwd=home, check=True, stdout=subprocess.DEVNULL)

        def embedded(cell, texts, *flags):
            polars.DataFrame({"text": list(texts)}).write_parquet(os.path.join(home, "in.parquet"))
            run("embed", "results/found", "--cell", cell, "--input", "in.parquet", "-o", "out.parquet", *flags)
            vectors = polars.read_parquet(os.path.join(home, "out.parquet"))
            return vectors["embedding"].to_numpy().astype(numpy.float64), vectors["rendered"][0]

        for name, ignored in [("found", ""), ("ignored", "ignore_identical_ids = true")]:
            put(f"{name}.toml", SPEC.format(name=name, folder=folder, ignored=ignored))
            run("run", f"{name}.toml", "--datasets", "datasets")
            cells = polars.read_parquet(os.path.join(home, f"results/{name}/cells.parquet"))
            if name == "found":
                asked = [query for query in queries if query in relevant]
                left, first = embedded(cells["cell"][0], [queries[query] for query in asked])
                right, second = embedded(cells["cell"][0], corpus.values(), "--documents")
                assert first.startswith("query: ") and second.startswith("passage: "), (first, second)
                unit = lambda vectors: vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True)
                # As trec_eval compares them.
                cosines = (unit(left) @ unit(right).T).astype(numpy.float32)
            names = list(corpus)
            kept = lambda query, document: not (ignored and query == document)
            of_query = lambda query, row: {name: float(value) for name, value in zip(names, row) if kept(query, name)}
            scores = {query: of_query(query, cosines[i]) for i, query in enumerate(asked)}
            wanted, largest, whose = by_definition(scores, relevant), LARGEST, "its definitions"
            if importlib.util.find_spec("pytrec_eval"):
                wanted, largest, whose = by_pytrec_eval(scores, relevant), LARGEST_OF_F32, "pytrec_eval"
            print(f"{os.path.basename(folder)}, own ids {name}: {len(asked)} queries, {len(names)} documents; bench and {whose}")
            for figure, value in zip(FIGURES, wanted):
                ours = float(cells.filter(polars.col("metric") == figure)["value"][0])
                print(f"  {figure:<16} {ours:.9f} {value:.9f}  apart {abs(ours - value):.1e}")
                sound = sound and abs(ours - value) <= largest
    return sound


def main():
    bench, data, *folders = (os.path.abspath(path) for path in sys.argv[1:])
    folders = folders or ["MODEL_FOLDER"]
    pairs = os.path.join(data, "covid-pairs/dev_20200228.csv")
    if lacking(NEEDED, [bench, pairs, *(os.path.join(folder, "config.json") for folder in folders)]):
        return 0
    sound = [compare(bench, data, folder) for folder in folders]
    if not all(sound):
        print("WRONG: figures may differ by 1e-9, those of pytrec_eval by 1e-6")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
