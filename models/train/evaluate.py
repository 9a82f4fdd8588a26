"""Zero-shot label similarity with the small model: prompts x label phrasings x calibrations.

A text and a label are each put into the prompt; the embedding is the last token's state after the final norm; the label
with the highest cosine wins. Nothing is fitted on the rows that are scored (centring uses their vectors, not labels).

    python models/train/evaluate.py --model models/tiny-zh --data PATH/dev_few_all.json
"""

import argparse
import json

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

PROMPTS = {
    "raw": "{text}",
    "prompteol": 'This sentence : "{text}" means in one word:"',
    "pretended-cot": 'After thinking step by step , this sentence : "{text}" means in one word:"',
    "knowledge": (
        "The essence of a sentence is often captured by its main subjects and actions, while descriptive terms "
        "provide additional but less central details. With this in mind , this sentence : "
        '"{text}" means in one word:"'
    ),
    "cot-zh": "仔细思考后，用一个词总结这句话：{text}",
}

DEFINITIONS = {
    "休闲益智": ["开发大脑的益智、休闲游戏", "消除、拼图、猜谜之类打发时间的小游戏"],
    "亲子儿童": ["给宝宝、儿童玩耍的游戏", "幼儿听儿歌、听故事、学认字的启蒙软件"],
    "中小学": ["小学、初中、高中学生的学习软件", "帮助学生完成作业、复习功课、准备考试"],
    "动作类": ["打斗、冒险、闯关的动作游戏", "操作角色战斗，打败怪物和敌人"],
    "新闻": ["了解国内外时事的新闻资讯软件", "媒体报道的热点事件和本地消息"],
    "求职": ["找工作、投简历的招聘软件", "企业发布职位，求职者面试应聘"],
}

MAX_TOKENS = 500


def read_rows(path, labels=None):
    """Texts and label names of a JSON lines file, kept to `labels` where given."""
    with open(path, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    rows = [r for r in rows if labels is None or r["label_des"] in labels]
    return [r["sentence"] for r in rows], [r["label_des"] for r in rows]


def render(tokenizer, template, text, max_tokens=MAX_TOKENS):
    """Token ids of the filled template; where too long, the end of the text is cut, never the template."""
    ids = tokenizer(template.replace("{text}", text))["input_ids"]
    low, high = 0, len(text)
    if len(ids) <= max_tokens:
        return ids
    while low < high:
        middle = (low + high + 1) // 2
        length = len(tokenizer(template.replace("{text}", text[:middle]))["input_ids"])
        low, high = (middle, high) if length <= max_tokens else (low, middle - 1)
    return tokenizer(template.replace("{text}", text[:low]))["input_ids"]


@torch.no_grad()
def embed(model, tokenizer, template, texts, batch=16):
    """Last-token states after the final norm, one row a text, in f32."""
    ids = [render(tokenizer, template, t) for t in texts]
    vectors = torch.zeros(len(ids), model.config.hidden_size)
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        width = max(len(ids[i]) for i in chosen)
        # Right padding needs no mask: in a causal model no token sees what follows it.
        padded = torch.tensor([ids[i] + [0] * (width - len(ids[i])) for i in chosen])
        states = model.model(input_ids=padded, use_cache=False).last_hidden_state.float()
        for row, i in enumerate(chosen):
            vectors[i] = states[row, len(ids[i]) - 1]
    return vectors


@torch.no_grad()
def language_loss(model, tokenizer, texts):
    """Mean next-token loss in nats over the bare texts."""
    total, count = 0.0, 0
    for text in texts:
        ids = torch.tensor([render(tokenizer, "{text}", text)])
        logits = model(input_ids=ids, use_cache=False).logits[0, :-1].float()
        total += torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum").item()
        count += ids.shape[1] - 1
    return total / count


def unit(x):
    return torch.nn.functional.normalize(x, dim=-1)


def accuracy(texts, labels, gold, calibration):
    if calibration == "center":
        texts, labels = texts - texts.mean(0), labels - labels.mean(0)
    return (unit(texts) @ unit(labels).T).argmax(1).eq(gold).float().mean().item()


def phrasings(labels):
    """`names`: the label itself. `described`: definitions, where every label has them."""
    out = {"names": {label: [label] for label in labels}}
    if all(label in DEFINITIONS for label in labels):
        out["described"] = {label: DEFINITIONS[label] for label in labels}
    return out


def table(model, tokenizer, texts, gold_names, labels, prompts=PROMPTS):
    """{(prompt, phrasing, calibration): accuracy} over every cell."""
    gold = torch.tensor([labels.index(name) for name in gold_names])
    cells = {}
    for prompt in prompts:
        vectors = embed(model, tokenizer, PROMPTS[prompt], texts)
        for phrasing, phrases in phrasings(labels).items():
            flat = [p for label in labels for p in phrases[label]]
            each = unit(embed(model, tokenizer, PROMPTS[prompt], flat)).split([len(phrases[x]) for x in labels])
            label_vectors = torch.stack([e.mean(0) for e in each])
            for calibration in ("none", "center"):
                cells[prompt, phrasing, calibration] = accuracy(unit(vectors), label_vectors, gold, calibration)
    return cells


def lexical(texts, gold_names, labels):
    """The floor to compare with: cosine of character 1- to 3-gram TF-IDF, fitted on the scored texts alone."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True).fit(texts)
    out = {}
    for phrasing, phrases in phrasings(labels).items():
        scores = [vectorizer.transform(texts) @ vectorizer.transform(phrases[x]).T for x in labels]
        mean = torch.tensor([s.toarray().mean(1).tolist() for s in scores]).T
        gold = torch.tensor([labels.index(name) for name in gold_names])
        out[phrasing] = mean.argmax(1).eq(gold).float().mean().item()
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True, help="JSON lines with `sentence` and `label_des`")
    parser.add_argument("--all-labels", action="store_true", help="every label of the file, bare names only")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtype", default="float32", choices=["float32", "float16", "bfloat16"])
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=getattr(torch, args.dtype)).eval()
    texts, names = read_rows(args.data, None if args.all_labels else set(DEFINITIONS))
    labels = sorted(set(names)) if args.all_labels else list(DEFINITIONS)
    print(f"{len(texts)} rows, {len(labels)} labels, chance {1 / len(labels):.3f}")
    print(f"next-token loss {language_loss(model, tokenizer, texts[:100]):.2f} nats a token (first 100 rows)")
    cells = table(model, tokenizer, texts, names, labels)
    print("| prompt | labels | none | center |\n|---|---|---|---|")
    for prompt in PROMPTS:
        for phrasing in phrasings(labels):
            none, center = (cells[prompt, phrasing, c] for c in ("none", "center"))
            print(f"| {prompt} | {phrasing} | {none:.3f} | {center:.3f} |")
    for phrasing, value in lexical(texts, names, labels).items():
        print(f"| character TF-IDF | {phrasing} | {value:.3f} | |")


if __name__ == "__main__":
    main()
