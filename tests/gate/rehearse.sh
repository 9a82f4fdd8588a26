#!/usr/bin/env bash
# The gate on the quickstart: rehearse.sh BENCH FOLDER. FOLDER/home and FOLDER/results are those of a run of experiments/quickstart.toml.
# Runs variants of it and holds what the gate says of each to the golden files beside this script (GOLDEN=write rewrites them).
set -euo pipefail
bench=$1 folder=$2 golden=$(dirname "$0")
baseline=results/baselines/quickstart

# judge NAME CODE RESULTS: the gate's words and exit code are those of NAME.txt, and the code is CODE.
judge() {
  local code=0
  { "$bench" gate "$3/quickstart" --baseline "$baseline" 2>&1 || code=$?; echo "exit $code"; } > "$folder/$1.txt"
  if [ "${GOLDEN:-}" = write ]; then cp "$folder/$1.txt" "$golden/$1.txt"; fi
  diff "$golden/$1.txt" "$folder/$1.txt" || { echo "the gate does not say of $1 what it said"; exit 1; }
  tail -n 1 "$folder/$1.txt" | grep -qx "exit $2" || { echo "the gate did not end with $2 on $1"; exit 1; }
}

# variant NAME SED: runs the quickstart after an edit.
variant() {
  sed -e '/^#:schema/d' -e "$2" experiments/quickstart.toml > "$folder/$1.toml"
  "$bench" run "$folder/$1.toml" --home "$folder/home" --results "$folder/$1" --reports "$folder/$1-reports" > "$folder/$1.log" 2>&1 \
    || { cat "$folder/$1.log"; exit 1; }
}

judge pass 0 "$folder/results"
variant regressed 's/use = "knowledge-enhancement"/template = "{text}。新闻：今日头条新闻资讯和时事报道，媒体报道财经，"/'
judge regressed 1 "$folder/regressed"
variant inconclusive 's/use = "pretended-cot"/template = "想一想，这句话：“{text}”用一个词来说是：“"/'
judge inconclusive 0 "$folder/inconclusive"
variant incomparable 's/^split = "test"$/&\nlimit = 100/'
judge incomparable 2 "$folder/incomparable"
