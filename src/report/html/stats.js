// Comparing two cells on the same samples: the arithmetic of the program's `stats`, step by step, so that a page and
// `bench compare` say the same.

const Z95 = 1.959963984540054;

/** Two-sided p of the exact McNemar test for so many samples that one cell alone, and the other alone, gets right. */
function mcnemarExact(wins, losses) {
  if (wins === losses) return 1;
  const few = Math.min(wins, losses);
  const n = wins + losses;
  return Math.min(1, 2 * fairBinomial(few, n) * tailOverItsEnd(few, n));
}

/** Probability of k heads in n tosses of a fair coin. */
function fairBinomial(k, n) {
  let probability = 1;
  let halvings = n;
  for (let i = 1; i <= k; i += 1) {
    probability *= (n - k + i) / i;
    while (probability > 1 && halvings > 0) {
      probability *= 0.5;
      halvings -= 1;
    }
  }
  return probability * 0.5 ** Math.min(halvings, 2200);
}

/** The sum of the probabilities of 0..k heads over that of k heads. */
function tailOverItsEnd(k, n) {
  let sum = 1;
  let term = 1;
  for (let i = k; i >= 1; i -= 1) {
    term *= i / (n - i + 1);
    sum += term;
    if (term < sum * 1e-17) break;
  }
  return sum;
}

/** The 95 % interval of a paired difference: all that Tango's score test would not call wrong. */
function differenceInterval(wins, losses, n) {
  const value = (wins - losses) / n;
  return [lastPlausible(wins, losses, n, value, -1), lastPlausible(wins, losses, n, value, 1)];
}

/** The difference that is farthest from `value` towards `end` and still plausible. */
function lastPlausible(wins, losses, n, value, end) {
  const plausible = (difference) => Math.abs(score(wins, losses, n, difference)) < Z95;
  if (plausible(end)) return end;
  let inside = value;
  let outside = end;
  for (let i = 0; i < 64; i += 1) {
    const middle = (inside + outside) / 2;
    if (plausible(middle)) inside = middle;
    else outside = middle;
  }
  return inside;
}

/** How many standard errors the difference that was observed is from one that might be true. */
function score(wins, losses, n, difference) {
  const b = (2 * n - wins + losses) * difference - wins - losses;
  const c = -losses * difference * (1 - difference);
  const lost = (Math.sqrt(Math.max(b * b - 8 * n * c, 0)) - b) / (4 * n);
  const variance = n * (2 * lost + difference * (1 - difference));
  const distance = wins - losses - n * difference;
  return distance === 0 ? 0 : distance / Math.sqrt(Math.max(variance, 0));
}

/** One cell's answers against another's: the difference of accuracies, and which samples tell the two apart. */
function paired(gold, candidate, baseline) {
  const counts = { both: 0, wins: 0, losses: 0, neither: 0 };
  for (let i = 0; i < gold.length; i += 1) counts[verdict(gold[i], candidate[i], baseline[i])] += 1;
  const { wins, losses } = counts;
  const n = gold.length;
  return {
    ...counts,
    n,
    difference: n === 0 ? 0 : (wins - losses) / n,
    interval: n === 0 ? [-1, 1] : differenceInterval(wins, losses, n),
    p: mcnemarExact(wins, losses),
  };
}

/** Ranks from 1, equal values sharing their mean rank. */
function ranks(values) {
  const order = Uint32Array.from(values, (_, i) => i).sort((a, b) => values[a] - values[b] || a - b);
  const found = new Float64Array(values.length);
  for (let from = 0; from < order.length; ) {
    let to = from + 1;
    while (to < order.length && values[order[to]] === values[order[from]]) to += 1;
    for (let at = from; at < to; at += 1) found[order[at]] = (from + 1 + to) / 2;
    from = to;
  }
  return found;
}

/** Which of two answers is right. */
function verdict(gold, candidate, baseline) {
  if (candidate === gold) return baseline === gold ? 'both' : 'wins';
  return baseline === gold ? 'losses' : 'neither';
}
