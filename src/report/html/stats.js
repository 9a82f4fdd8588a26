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

/** The 95 % interval of a paired difference (Bonett and Price). */
function differenceInterval(wins, losses, n) {
  const total = n + 2;
  const won = (wins + 1) / total;
  const lost = (losses + 1) / total;
  const half = Z95 * Math.sqrt((won + lost - (won - lost) ** 2) / total);
  return [Math.max(-1, won - lost - half), Math.min(1, won - lost + half)];
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

/** Which of two answers is right. */
function verdict(gold, candidate, baseline) {
  if (candidate === gold) return baseline === gold ? 'both' : 'wins';
  return baseline === gold ? 'losses' : 'neither';
}
