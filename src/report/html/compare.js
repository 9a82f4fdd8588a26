// Two cells on the same samples: the paired difference, whether it is noise, and the samples that tell them apart.

const compare = { body: null };

const VERDICTS = [
  ['both', 'both right'],
  ['wins', 'only A right'],
  ['losses', 'only B right'],
  ['neither', 'both wrong'],
];

function startCompare() {
  compare.body = el('div', { class: 'compare' });
  section('compare', 'Compare', nextOf('leaderboard')).append(
    el('p', {}, 'Two cells on the same samples. Pick them here, or with A and B in the leaderboard.'),
    compare.body,
  );
}

/** Id of the section after this one. */
function nextOf(id) {
  return document.getElementById(id).closest('section').nextElementSibling.querySelector('h2').id;
}

/** Menus for one of the two cells. B stands on the slice of A. */
function cellMenu(label, side) {
  const kept = side === 'A' ? ANSWERED : ANSWERED.filter((cell) => cell.slice === state.A.slice);
  const several = new Set(kept.map((cell) => cell.slice)).size > 1;
  const options = kept.map((cell) => ({
    value: cell.id,
    name: `${cell.rank}. ${nameOf(cell)}, ${written(metricOf(cell), valueOf(cell)[0])}`,
    group: several ? sliceOf(cell).title : null,
  }));
  return menu(label, options, state[side].id, (id) => {
    const own = document.activeElement?.closest('section');
    choose(
      side,
      RUN.cells.find((cell) => cell.id === id),
    );
    [...(own?.querySelectorAll('label') ?? [])]
      .find((known) => known.firstChild.textContent === label)
      ?.querySelector('select')
      .focus();
  });
}

function showCompare() {
  const { A, B } = state;
  const menus = el(
    'div',
    { class: 'controls' },
    cellMenu('cell A', 'A'),
    cellMenu('cell B', 'B'),
    el('button', { type: 'button', click: swap }, 'Swap'),
  );
  if (A === B) {
    compare.body.replaceChildren(menus, el('p', {}, 'A and B are the same cell: pick another to compare.'));
    return;
  }
  const pair = compared(A, B);
  const parts = ofPairs(A) ? [moves(A, B)] : [contingency(pair), flips(A, B, pair)];
  compare.body.replaceChildren(menus, told(A, pair), ...parts);
}

/** The paired difference of two cells on one slice. */
function compared(A, B) {
  if (!ofPairs(A)) return { ...paired(goldOf(A), numbers(A.predicted), numbers(B.predicted)), test: 'Exact McNemar' };
  return { ...gapOf(A, B), n: goldOf(A).length, test: 'Resampling' };
}

/** A difference that the program has drawn; without interval and p where it has not, or where they say nothing. */
function gapOf(A, B) {
  const { compared, gaps } = sliceOf(A);
  const [a, b] = [A, B].map((cell) => compared.indexOf(RUN.cells.indexOf(cell)));
  if (a < 0 || b < 0 || a === b) return { difference: valueOf(A)[0] - valueOf(B)[0], interval: null, p: a === b ? 1 : null };
  const [first, last] = [Math.min(a, b), Math.max(a, b)];
  // Rows: the first cell minus all after it, the second minus all after that, and so on.
  const row = first * compared.length - (first * (first + 1)) / 2 + last - first - 1;
  const [value, low, high, p] = numbers(gaps).subarray(4 * row, 4 * row + 4);
  const interval = Number.isNaN(low) ? null : a < b ? [low, high] : [-high, -low];
  return { difference: a < b ? value : -value, interval, p: Number.isNaN(p) ? null : p };
}

function swap() {
  [state.A, state.B] = [state.B, state.A];
  refresh();
  compare.body.querySelector('button').focus();
}

function told(A, pair) {
  const [low, high] = pair.interval ?? [null, null];
  const ends = [pair.difference, low, high].map((end) => 1.1 * (end ?? 0));
  const scale = { low: Math.min(-0.02, ...ends), high: Math.max(0.02, ...ends) };
  const drawn = drawnInterval(scale, [pair.difference, low, high], 0, '0');
  return el(
    'div',
    { class: 'told', role: 'status' },
    el(
      'p',
      { class: 'big' },
      `${points(pair.difference)} points`,
      el('small', {}, ` A minus B${low === null ? '' : `, 95 % interval ${points(low)} to ${points(high)}`}`),
    ),
    drawn,
    el('p', { class: 'p' }, chance(A, pair)),
  );
}

/** Whether a difference is noise: as one comparison, and as the one that was picked of all that could have been. */
function chance(A, pair) {
  if (pair.p === null) return `Only the ${sliceOf(A).compared.length} best cells are compared with intervals; \`bench compare\` compares any two.`;
  const cells = RUN.cells.filter((cell) => cell.slice === A.slice && cell.rank !== null).length;
  const family = (cells * (cells - 1)) / 2;
  const picked = Math.min(1, family * pair.p);
  const reading = [
    [picked < 0.05, 'Not noise, however the two were picked.'],
    [pair.p < 0.05 && family > 1, 'Not noise if these two were meant before anyone looked; as the pick of all pairs of cells it may be.'],
    [true, 'It may be noise.'],
  ].find(([holds]) => holds)[1];
  const corrected = family > 1 ? `, ${pValue(picked)} corrected (Bonferroni) for all ${grouped(family)} pairs of cells` : '';
  return `${reading} ${pair.test} on ${counted(pair.n, ofPairs(A) ? 'pair' : 'text')}: ${pValue(pair.p)} as one comparison${corrected}.`;
}

/** Texts by who gets them right; each count leads to its texts. */
function contingency(pair) {
  const count = (key, name) =>
    el(
      'td',
      {},
      el(
        'button',
        {
          type: 'button',
          class: `count ${key}`,
          disabled: pair[key] === 0,
          'aria-label': `${counted(pair[key], 'text')}: ${name}`,
          click: () => browse({ verdict: key }),
        },
        grouped(pair[key]),
      ),
    );
  const row = (name, first, second) =>
    el(
      'tr',
      {},
      el('th', { scope: 'row' }, name),
      count(first, VERDICTS.find(([key]) => key === first)[1]),
      count(second, VERDICTS.find(([key]) => key === second)[1]),
    );
  const heads = ['', 'B right', 'B wrong'].map((name) => (name ? el('th', { scope: 'col' }, name) : el('td', {})));
  return table('Texts by which cell is right', heads, [row('A right', 'both', 'wins'), row('A wrong', 'losses', 'neither')]);
}

/** Samples that one of the two alone gets right, the clearest first. */
function flips(A, B, pair) {
  const [gold, a, b] = [goldOf(A), numbers(A.predicted), numbers(B.predicted)];
  const [before, after] = [marginsFor(B)?.goldMargin, marginsFor(A)?.goldMargin];
  const list = [];
  for (let i = 0; i < gold.length; i += 1) if ((a[i] === gold[i]) !== (b[i] === gold[i])) list.push(i);
  if (after) list.sort((x, y) => Math.abs(after[y]) - Math.abs(after[x]) || x - y);
  const places = Math.max(placesFor(A), placesFor(B));
  const { labels } = sliceOf(A);
  const margin = (margins, i) => (margins ? decimal(margins[i], places) : '–');
  return moved({
    title: 'Texts that changed sides',
    intro: `${counted(list.length, 'text')} changed sides: ${grouped(pair.wins)} only A gets right, ${grouped(pair.losses)} only B. Margin: score of the right label minus the best other.`,
    caption: 'Texts that one cell alone gets right',
    noun: 'text',
    list,
    heads: ['text', 'right label', 'A says', 'B says', 'margin in A', 'margin in B'],
    words: 4,
    filter: (i) => ({ verdict: verdict(gold[i], a[i], b[i]) }),
    values: (i) => [labels[gold[i]], answer(labels, a[i], gold[i]), answer(labels, b[i], gold[i]), margin(after, i), margin(before, i)],
  });
}

/** Samples that two cells see differently, each leading to itself: `words` columns of words, then numbers. */
function moved({ title, intro, caption, noun, list, heads, words, filter, values }) {
  const { ids, texts, partners } = textsOf(state.A.slice);
  const kind = (place) => (place < words ? null : 'number');
  const snippet = (i) => (partners ? `${shortened(texts[i], 45)} ⟷ ${shortened(partners[i], 45)}` : shortened(texts[i], 60));
  const row = (i) => {
    const open = el('button', { type: 'button', class: 'link', click: () => browse({ ...filter(i), open: i }) }, ids[i]);
    const cells = values(i).map((value, place) => el('td', { class: kind(place + 1) }, value));
    return el('tr', {}, el('td', { class: 'snippet' }, open, ' ', snippet(i)), cells);
  };
  const head = heads.map((name, place) => el('th', { scope: 'col', class: kind(place) }, name));
  const frame = (rows) => table(caption, head, rows);
  return el('div', {}, el('h3', {}, title), el('p', {}, intro), list.length > 0 ? [pages(list, 8, frame, row, noun)] : []);
}

/** An answered label, marked by more than colour. */
function answer(labels, label, gold) {
  const right = label === gold;
  return el(
    'span',
    { class: right ? 'right' : 'wrong' },
    el('span', { 'aria-hidden': 'true' }, right ? '✓ ' : '✗ '),
    el('span', { class: 'unseen' }, right ? 'right: ' : 'wrong: '),
    labels[label],
  );
}

function shortened(text, length) {
  const line = text.replace(/\s+/g, ' ').trim();
  const letters = [...line.slice(0, 2 * length)];
  return letters.length > length ? `${letters.slice(0, length - 1).join('')}…` : line;
}
