"""Trains the small demonstration model: a Llama whose last token's state says what a Chinese app description is about.

    python models/train/train.py --iflytek-train PATH/train_few_all.json --out models/tiny-zh

The labels of the training file are never read. Three sources of pairs teach it, all unsupervised:

* crops: two parts of one description, the second often a few characters long or just its rarest words;
* sentences: sentences written from the word lists of `topics.tsv`, paired with a topic's name or gloss;
* matches: a description whose words clearly fit one topic of `topics.tsv`, paired with that topic's name or gloss.

Pairs go through the same prompt templates that people use to read embeddings out of an LLM, and an InfoNCE loss pulls
the two last-token states together. Next-token prediction on the rendered texts keeps it a language model.
"""

import argparse
import json
import math
import random
import re
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM

HERE = Path(__file__).resolve().parent
BOS = "<|bos|>"
EOS = "<|eos|>"

# Template and the share of steps that use it. The long English ones are costly, so they are rarer.
TEMPLATES = [
    ("{text}", 0.26),
    ('This sentence : "{text}" means in one word:"', 0.26),
    ('After thinking step by step , this sentence : "{text}" means in one word:"', 0.13),
    (
        "The essence of a sentence is often captured by its main subjects and actions, while descriptive terms provide "
        'additional but less central details. With this in mind , this sentence : "{text}" means in one word:"',
        0.07,
    ),
    ("仔细思考后，用一个词总结这句话：{text}", 0.14),
    ("这句话：“{text}”用一个词概括就是：“", 0.05),
    ("{text}\n以上内容的主题是：", 0.05),
    ('The topic of the text "{text}" in one word is:"', 0.04),
]

# Shares of the pairs: crops, matches, sentences.
MIX = [0.45, 0.35, 0.20]

# English sentences for the tokenizer and the language model, so that English prompts of other wordings come out as words.
ENGLISH = """
This sentence means something. This text can be summarized as one word.
In this task, you are given a text. Your task is to classify the text into one category based on its subject.
The category of this app should be given in one word: game, news, education, children, job, music, travel, health.
For the following sentence, name its general topic: sports, business, technology, society, finance, science or art.
Determine whether two sentences mean the same. Identify the key fact, the main entity and the relation between entities.
Sentiment analysis asks for the emotion and the opinion of the author: positive, negative or neutral.
Rewrite the sentence: Rewritten sentence: Summarize the description below and answer with one single word.
Represent this sentence for searching relevant passages: query: passage: instruct: document: title: content:
Here is an example. The first sentence is about food and the second sentence is about a man who is playing a guitar.
After reading the app description carefully, think step by step about what it does and who will use it.
A woman is riding a horse. A dog runs on the grass. Two people are talking in the street. The price of oil rises.
The following words describe an application for a phone, which users can download from the store and open at home.
User: Assistant: system: question: answer: label: text: input: output: because it provides, in other words, that is to say.
""".strip().splitlines()

TAILS = [
    "更新内容1、修复已知bug，优化用户体验。", "全新界面，操作更简单。", "欢迎下载使用！", "如有意见和建议，请联系客服。",
    "支持安卓和苹果手机。", "更新内容：性能优化，提升稳定性。", "我们将不断完善，为您提供更好的服务。", "快来体验吧！",
    "更新内容新版本优化细节，修复部分机型闪退问题。", "一款您值得拥有的手机软件。",
]  # fmt: skip


# --- Topics: word lists and the sentences made of them ---------------------------------------------------------------


class Topic:
    def __init__(self, line):
        names, gloss, words = line.rstrip("\n").split("\t")
        self.names, self.gloss, self.words = names.split(), gloss, words.split()
        self.terms = list(dict.fromkeys(self.names + self.words))

    def phrase(self, rng):
        """A short, label-like text."""
        kind = rng.random()
        name, other = rng.choice(self.names), rng.choice(self.names)
        if kind < 0.40:
            return name
        if kind < 0.60:
            return self.gloss
        if kind < 0.70:
            return f"{self.gloss}，{name}"
        if kind < 0.80:
            return f"{name}、{other}类{rng.choice(['软件', '应用', '手机应用', 'APP'])}"
        words = rng.sample(self.words, rng.randint(1, 3))
        return rng.choice(["、", "，", "和", " "]).join(words) if kind < 0.92 else f"{'、'.join(words)}的{name}"

    def sentence(self, rng):
        """A description-like text that only knows the word list."""
        app = "".join(rng.choices("优乐易趣星云智汇天地小麦果豆猫熊鹿鱼芝麻聚掌上百千万家友客通宝帮达", k=rng.randint(2, 4)))
        words = rng.sample(self.words, min(len(self.words), rng.randint(3, 8)))
        name = rng.choice(self.names)
        some = "、".join(words)
        body = rng.choice([
            f"{app}是一款{name}软件，提供{some}等功能。",
            f"想要{words[0]}？{app}为你准备了{'，'.join(words[1:])}，随时随地{words[0]}。",
            f"{app}，{self.gloss}。主要特色：" + "；".join(f"{i + 1}、{w}" for i, w in enumerate(words)) + "。",
            f"《{app}》带来{some}，让{words[-1]}更简单。",
            f"{some}，尽在{app}，{self.gloss}就用它。",
            f"【{words[0]}】{words[1]}，{words[2]}【{words[-1]}】{'，'.join(words[1:-1])}。",
        ])  # fmt: skip
        return body + (rng.choice(TAILS) if rng.random() < 0.5 else "")


def match_topics(texts, topics, margin, least):
    """The topic each text's words clearly fit, or None.

    A topic's score is the sum of its words' inverse document frequencies over the texts, a word that serves several
    topics counting less. The first words of a description say most and count half as much again.
    """
    frequency = Counter(w for t in topics for w in t.terms)
    words = {}
    for word in frequency:
        documents = sum(word in text for text in texts)
        if documents:
            words[word] = math.log(len(texts) / documents) / frequency[word]
    found = []
    for text in texts:
        scores = []
        for topic in topics:
            score = 0.0
            for word in topic.terms:
                count = text.count(word) if word in words else 0
                if count:
                    score += words[word] * (1 + math.log(count)) * (1.5 if word in text[:60] else 1.0)
            scores.append(score)
        order = np.argsort(scores)
        best, second = scores[order[-1]], scores[order[-2]]
        found.append(int(order[-1]) if best >= least and best >= margin * second else None)
    return found


# --- Descriptions: keywords and crops --------------------------------------------------------------------------------


def keywords(texts, count=8):
    """The highest TF-IDF character 2- to 4-grams of each text, none of them inside another."""
    grams = []
    for text in texts:
        counter = Counter()
        for run in re.findall(r"[一-鿿]+", text):
            for n in (2, 3, 4):
                counter.update(run[i : i + n] for i in range(len(run) - n + 1))
        grams.append(counter)
    documents = Counter(g for counter in grams for g in counter)
    out = []
    for counter in grams:
        scored = sorted(
            ((1 + math.log(c)) * math.log(len(texts) / documents[g]) * math.sqrt(len(g)), g)
            for g, c in counter.items()
            if 4 <= documents[g] <= len(texts) * 0.06
        )
        chosen = []
        for _, gram in reversed(scored):
            if not any(set(gram) & set(other) for other in chosen):
                chosen.append(gram)
            if len(chosen) == count:
                break
        out.append(chosen)
    return out


def crop(text, length, rng):
    start = rng.randint(0, max(0, len(text) - length))
    if rng.random() < 0.4:
        start = 0
    return text[start : start + length]


def thin(text, rng, share=0.15):
    """Drops a few short spans, so that no single phrase gives a pair away."""
    if len(text) < 20 or rng.random() < 0.4:
        return text
    pieces = [text[i : i + 4] for i in range(0, len(text), 4)]
    return "".join(p for p in pieces if rng.random() > share)


class Pairs:
    """Draws (long text, short text, topic or None). Pairs of one topic are not each other's negatives."""

    def __init__(self, texts, topics, matches, rng):
        self.texts, self.topics, self.matches, self.rng = texts, topics, matches, rng
        self.keys = keywords(texts)
        self.by_topic = {}
        for i, topic in enumerate(matches):
            if topic is not None:
                self.by_topic.setdefault(topic, []).append(i)

    def crops(self, length):
        rng = self.rng
        i = rng.randrange(len(self.texts))
        text = self.texts[i]
        kind = rng.random()
        if kind < 0.35 and self.keys[i]:
            short = rng.choice(["、", "，", ""]).join(rng.sample(self.keys[i], min(len(self.keys[i]), rng.randint(1, 4))))
            long = crop(text, length, rng)
        else:
            # Two sides of a cut, so that the parts share a topic and not their characters.
            cut = rng.randint(len(text) // 4, max(len(text) // 4, len(text) * 3 // 4))
            parts = [text[:cut], text[cut:]]
            rng.shuffle(parts)
            long = crop(parts[0], length, rng)
            short = crop(parts[1], rng.choice([12, 24, 48, length]), rng)
        return thin(long, rng), thin(short, rng), self.matches[i]

    def match(self, length):
        rng = self.rng
        topic = rng.choice(list(self.by_topic))
        text = self.texts[rng.choice(self.by_topic[topic])]
        return thin(crop(text, length, rng), rng), self.topics[topic].phrase(rng), topic

    def sentence(self, length):
        rng = self.rng
        topic = rng.randrange(len(self.topics))
        return self.topics[topic].sentence(rng)[:length], self.topics[topic].phrase(rng), topic

    def draw(self, count, length):
        kinds = self.rng.choices([self.crops, self.match, self.sentence], MIX, k=count)
        return [kind(length) for kind in kinds]


# --- Tokenizer -------------------------------------------------------------------------------------------------------


def train_tokenizer(texts, vocab_size, out):
    """Byte-level BPE; digits stay single. Every text is representable and starts with the BOS token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(r"\p{N}"), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=12,  # characters of the byte alphabet: four Chinese characters
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A {BOS} $B", special_tokens=[(BOS, tokenizer.token_to_id(BOS))]
    )
    tokenizer.save(str(out / "tokenizer.json"), pretty=False)
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "eos_token": EOS,
        "pad_token": EOS,
        "add_bos_token": True,
        "add_eos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 2048,
    }
    (out / "tokenizer_config.json").write_text(json.dumps(config, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return tokenizer


# --- Model -----------------------------------------------------------------------------------------------------------


def build_model(args):
    config = LlamaConfig(
        vocab_size=args.vocab,
        hidden_size=args.hidden,
        intermediate_size=args.intermediate,
        num_hidden_layers=args.layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        rms_norm_eps=1e-5,
        rope_theta=10000.0,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
        initializer_range=0.02,
    )
    return LlamaForCausalLM(config)


def start_embeddings(model, tokenizer, documents):
    """Starts the token embeddings from latent semantic analysis: SVD of the token x document TF-IDF matrix."""
    size, width = model.get_input_embeddings().weight.shape
    counts = torch.zeros(size, len(documents))
    for column, encoding in enumerate(tokenizer.encode_batch(documents, add_special_tokens=False)):
        for token, count in Counter(encoding.ids).items():
            counts[token, column] = 1 + math.log(count)
    seen = (counts > 0).sum(1, keepdim=True).clamp(min=1)
    counts *= torch.log(len(documents) / seen)
    counts = F.normalize(counts, dim=0)
    left, values, _ = torch.svd_lowrank(counts, q=width, niter=4)
    vectors = F.normalize(left * values.sqrt(), dim=1)
    # The weight of a token's vector in an average is its rarity; common ones start small.
    weight = torch.log(len(documents) / seen).clamp(min=0.5) / math.log(len(documents))
    table = vectors * weight
    # The weakest direction gives way to log frequency, which the language model would otherwise have to find.
    frequency = torch.log(seen.squeeze(1).float())
    table[:, -1] = (frequency - frequency.mean()) / frequency.std() * table.std() * 4
    rotation, _ = torch.linalg.qr(torch.randn(width, width))
    table = table @ rotation
    table = table / table.pow(2).mean().sqrt() * 0.05 + torch.randn(size, width) * 0.005
    with torch.no_grad():
        model.get_input_embeddings().weight.copy_(table)


def encode(tokenizer, template, texts, limit):
    """Right-padded ids and lengths; a text too long for `limit` tokens loses its end, never the template's."""
    ids = []
    for text, encoding in zip(texts, tokenizer.encode_batch([template.replace("{text}", t) for t in texts])):
        row = encoding.ids
        while len(row) > limit:
            text = text[: max(1, int(len(text) * (limit / len(row)) * 0.95))]
            row = tokenizer.encode(template.replace("{text}", text)).ids
        ids.append(row)
    lengths = torch.tensor([len(row) for row in ids])
    batch = torch.ones(len(ids), int(lengths.max()), dtype=torch.long)
    for row, values in enumerate(ids):
        batch[row, : len(values)] = torch.tensor(values)
    return batch, lengths


def states(model, batch):
    # Right padding needs no mask: in a causal model no token sees what follows it.
    return model.model(input_ids=batch, use_cache=False).last_hidden_state


def last(hidden, lengths):
    return F.normalize(hidden[torch.arange(len(lengths)), lengths - 1], dim=-1)


def info_nce(left, right, topics, temperature):
    """Symmetric InfoNCE; another pair of the same topic is neither positive nor negative."""
    logits = left @ right.T / temperature
    same = (topics[:, None] == topics[None, :]) & (topics[:, None] >= 0)
    same.fill_diagonal_(False)
    logits = logits.masked_fill(same, -1e4)
    target = torch.arange(len(left))
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def next_token(model, hidden, batch, lengths, rows):
    """Next-token loss over the first `rows` rows, the padding left out."""
    hidden, batch, lengths = hidden[:rows, :-1], batch[:rows], lengths[:rows]
    keep = torch.arange(hidden.shape[1])[None, :] < (lengths - 1)[:, None]
    return F.cross_entropy(model.lm_head(hidden[keep]), batch[:, 1:][keep])


def save(model, out):
    """f16 weights and a config that both older and newer readers understand."""
    from safetensors.torch import save_file

    # The output layer is tied to the embeddings and is not stored twice.
    weights = {n: p.detach().to(torch.float16).contiguous().clone() for n, p in model.named_parameters()}
    save_file(weights, str(out / "model.safetensors"), metadata={"format": "pt"})
    (out / "model.safetensors").chmod(0o644)
    c = model.config
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": c.vocab_size,
        "hidden_size": c.hidden_size,
        "intermediate_size": c.intermediate_size,
        "num_hidden_layers": c.num_hidden_layers,
        "num_attention_heads": c.num_attention_heads,
        "num_key_value_heads": c.num_key_value_heads,
        "head_dim": c.hidden_size // c.num_attention_heads,
        "hidden_act": "silu",
        "max_position_embeddings": c.max_position_embeddings,
        "rms_norm_eps": c.rms_norm_eps,
        "rope_theta": 10000.0,
        "attention_bias": False,
        "mlp_bias": False,
        "attention_dropout": 0.0,
        "tie_word_embeddings": True,
        "initializer_range": 0.02,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 1,
        "use_cache": True,
        "dtype": "float16",
        "torch_dtype": "float16",
    }
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


# --- Training --------------------------------------------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iflytek-train", required=True, help="JSON lines; only the field `sentence` is read")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=3000, help="tokens of the long side in one step, about")
    parser.add_argument("--lr", type=float, default=6e-4)
    parser.add_argument("--temperature", type=float, default=0.06)
    parser.add_argument("--lm-weight", type=float, default=0.5)
    parser.add_argument("--vocab", type=int, default=6144)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--intermediate", type=int, default=512)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--margin", type=float, default=1.3, help="how far a match must lead the second topic")
    parser.add_argument("--least", type=float, default=8.0, help="the least score of a match")
    args = parser.parse_args()

    started = time.time()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    rng = random.Random(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)

    with open(args.iflytek_train, encoding="utf-8") as file:
        texts = [json.loads(line)["sentence"].strip() for line in file]
    texts = [t for t in texts if len(t) >= 20]
    topics = [Topic(line) for line in (HERE / "topics.tsv").read_text(encoding="utf-8").splitlines()]
    matches = match_topics(texts, topics, args.margin, args.least)
    pairs = Pairs(texts, topics, matches, rng)
    print(f"{len(texts)} descriptions, {len(topics)} topics, {sum(m is not None for m in matches)} matched", flush=True)

    made = [topic.sentence(rng) for topic in topics for _ in range(4)] + [t.gloss for t in topics]
    prompts = [template.replace("{text}", "") for template, _ in TEMPLATES]
    tokenizer = train_tokenizer(texts + made + (ENGLISH + prompts) * 20, args.vocab, args.out)
    model = build_model(args)
    start_embeddings(model, tokenizer, texts + [" ".join([*t.names, t.gloss, *t.words]) for t in topics for _ in range(3)])
    print(f"{sum(p.numel() for p in model.parameters())} parameters, ready after {time.time() - started:.0f} s", flush=True)

    decay = [p for p in model.parameters() if p.dim() > 1]
    rest = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": decay, "weight_decay": 0.05}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=args.lr, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, args.lr, args.steps, pct_start=0.06, anneal_strategy="cos", div_factor=20, final_div_factor=50
    )
    shares = [share for _, share in TEMPLATES]
    mean = {"contrast": 0.0, "language": 0.0}
    model.train()
    for step in range(1, args.steps + 1):
        # A step has one template (now and then one for each side), else the template would give the pair away.
        template = rng.choices(TEMPLATES, shares)[0][0]
        other = template if rng.random() < 0.8 else rng.choices(TEMPLATES, shares)[0][0]
        limit = rng.choices([40, 80, 160, 320, 500], [0.20, 0.38, 0.28, 0.11, 0.03])[0]
        extra = len(tokenizer.encode(template.replace("{text}", "")).ids)
        limit = max(limit, extra + 24)
        count = max(24, min(128, args.tokens // limit))
        drawn = pairs.draw(count, int((limit - extra) * 1.5))
        ids, lengths = encode(tokenizer, template, [p[0] for p in drawn], limit)
        other_ids, other_lengths = encode(tokenizer, other, [p[1] for p in drawn], limit + 40)
        topic = torch.tensor([-1 if p[2] is None else p[2] for p in drawn])
        hidden = states(model, ids)
        contrast = info_nce(
            last(hidden, lengths), last(states(model, other_ids), other_lengths), topic, args.temperature
        )
        language = next_token(model, hidden, ids, lengths, rows=max(4, 1200 // limit))
        loss = contrast + args.lm_weight * language
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        for name, value in (("contrast", contrast), ("language", language)):
            mean[name] += max(0.05, 1 / step) * (value.item() - mean[name])
        if step % 25 == 0 or step == args.steps:
            spent = (time.time() - started) / 60
            print(f"step {step}: " + ", ".join(f"{k} {v:.3f}" for k, v in mean.items()) + f", {spent:.1f} min", flush=True)
    save(model, args.out)
    print(f"saved after {(time.time() - started) / 60:.1f} min", flush=True)


if __name__ == "__main__":
    main()
