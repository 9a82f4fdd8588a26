"""Compares `bench embed` through a real llama.cpp server with direct requests to that server.

    python tests/servers/compare_llama_cpp.py PATH/TO/bench

Needs `llama-cpp-python[server]`, `gguf`, `numpy` and `pyarrow`; without them it says so and ends well. The model is random and
tiny: what is tested is what goes over the wire, not what it means.
"""

import importlib.util
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

NEEDED = ["llama_cpp", "uvicorn", "gguf", "numpy", "pyarrow"]
TEXTS = ["rain in the north", "guitar lessons", "词 and more 词", "a", "the same twice", "the same twice", "x" * 200]
WIDTH = 64


def write_model(path):
    """A llama of two layers with random weights, and a vocabulary of bytes and a few letters."""
    import gguf
    import numpy

    draw = numpy.random.default_rng(42)
    pieces = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    types = [gguf.TokenType.UNKNOWN] + [gguf.TokenType.CONTROL] * 2 + [gguf.TokenType.BYTE] * 256
    letters = "▁abcdefghijklmnopqrstuvwxyz"
    pieces += list(letters)
    types += [gguf.TokenType.NORMAL] * len(letters)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(256)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(2)
    writer.add_feed_forward_length(2 * WIDTH)
    writer.add_head_count(4)
    writer.add_head_count_kv(4)
    writer.add_rope_dimension_count(WIDTH // 4)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(pieces)
    writer.add_token_scores([-float(i) for i in range(len(pieces))])
    writer.add_token_types(types)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)

    def tensor(name, *shape):
        values = draw.normal(0, 0.3, shape) if len(shape) > 1 else draw.uniform(0.5, 1.5, shape)
        writer.add_tensor(name, values.astype(numpy.float32))

    tensor("token_embd.weight", len(pieces), WIDTH)
    tensor("output_norm.weight", WIDTH)
    tensor("output.weight", len(pieces), WIDTH)
    for block in range(2):
        for name in ["attn_q", "attn_k", "attn_v", "attn_output"]:
            tensor(f"blk.{block}.{name}.weight", WIDTH, WIDTH)
        for name in ["attn_norm", "ffn_norm"]:
            tensor(f"blk.{block}.{name}.weight", WIDTH)
        for name in ["ffn_gate", "ffn_up"]:
            tensor(f"blk.{block}.{name}.weight", 2 * WIDTH, WIDTH)
        tensor(f"blk.{block}.ffn_down.weight", WIDTH, 2 * WIDTH)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def start(model, port):
    arguments = ["--model", model, "--model_alias", "tiny", "--embedding", "true", "--n_ctx", "256", "--n_threads", "1"]
    arguments += ["--host", "127.0.0.1", "--port", str(port)]
    return subprocess.Popen([sys.executable, "-m", "llama_cpp.server", *arguments])


def ask(port, texts):
    body = json.dumps({"model": "tiny", "input": texts}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/embeddings", body, {"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as answer:
        data = json.load(answer)["data"]
    return [entry["embedding"] for entry in sorted(data, key=lambda entry: entry["index"])]


def wait(port, server):
    for _ in range(240):
        if server.poll() is not None:
            sys.exit(f"the server ended with code {server.returncode}")
        try:
            return ask(port, ["a"])
        except urllib.error.URLError:
            time.sleep(0.5)
    sys.exit("the server does not answer")


def main():
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print(f"SKIPPED: no {', '.join(missing)}: bench is not compared with a real llama.cpp server")
        return
    import numpy
    import pyarrow.parquet

    bench = os.path.abspath(sys.argv[1])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "tiny.gguf")
        write_model(model)
        server = start(model, port)
        try:
            wait(port, server)
            with open(os.path.join(folder, "in.jsonl"), "w") as lines:
                lines.writelines(json.dumps({"text": text}) + "\n" for text in TEXTS)
            command = [bench, "embed", "--model", f"http://127.0.0.1:{port}/v1", "--served-name", "tiny", "--no-normalize"]
            subprocess.run([*command, "--input", "in.jsonl", "-o", "out.parquet"], cwd=folder, check=True)
            table = pyarrow.parquet.read_table(os.path.join(folder, "out.parquet"))
            found = numpy.array(table["embedding"].to_pylist(), dtype=numpy.float64)
            wanted = numpy.array([ask(port, [text])[0] for text in TEXTS], dtype=numpy.float64)
        finally:
            server.terminate()
            server.wait()
    assert found.shape == (len(TEXTS), WIDTH), found.shape
    error = numpy.linalg.norm(found - wanted, axis=1) / numpy.linalg.norm(wanted, axis=1)
    print(f"{len(TEXTS)} texts, largest relative difference to single requests {error.max():.1e}")
    # The server computes several texts of one request together, and rounds then as that batch does.
    assert error.max() < 1e-5, error
    apart = numpy.linalg.norm(found[0] - found[1]) / numpy.linalg.norm(found[0])
    assert apart > 1e-2, "different texts have different vectors"


main()
