// Pairs of texts: how their cosines follow what people say of them, and which of them moved from one cell to another.

const agreement = { body: null };

/** Equal groups that pairs are sorted into by their cosine, and most groups of gold scores. */
const BANDS = 5;

const BAND_NAMES = ['lowest fifth', 'second', 'third', 'fourth', 'highest fifth'];

/** Per pair of a cell: its cosine, rank by cosine and by gold, and how far the two ranks are apart as a share of all pairs. */
const rankedOf = remembered((place) => {
  const cell = RUN.cells[place];
  const cosine = numbers(cell.scores);
  const [own, gold] = [ranks(cosine), goldRanksOf(cell.slice)];
  return { cosine, own, gold, above: own.map((rank, i) => (rank - gold[i]) / own.length) };
});

const goldRanksOf = remembered((slice) => ranks(numbers(RUN.slices[slice].gold)));

const rankedFor = (cell) => rankedOf(RUN.cells.indexOf(cell));

/** The names of a slice's groups of gold scores, and the group of each pair: labels, scores where they are few, else ranges. */
const groupsOf = remembered((place) => {
  const { kind, labels, gold } = RUN.slices[place];
  const scores = numbers(gold);
  if (kind === 'classes') return { names: labels, of: scores };
  const known = [...new Set(scores)].sort((a, b) => a - b);
  if (known.length <= BANDS + 1) return { names: known.map(String), of: Uint8Array.from(scores, (score) => known.indexOf(score)) };
  const [low, high] = [known[0], known.at(-1)];
  const step = (high - low) / BANDS;
  const end = (group) => String(Number((low + group * step).toFixed(3)));
  const names = Array.from({ length: BANDS }, (_, group) => `${end(group)} to ${end(group + 1)}`);
  return { names, of: Uint8Array.from(scores, (score) => Math.min(BANDS - 1, Math.floor((score - low) / step))) };
});

const bandOf = (ranked, i) => Math.min(BANDS - 1, Math.floor((BANDS * (ranked.own[i] - 0.5)) / ranked.own.length));

/** A gold score as the data has it, or the label. */
const goldName = (cell, i) => (sliceOf(cell).kind === 'classes' ? sliceOf(cell).labels[goldOf(cell)[i]] : String(goldOf(cell)[i]));

function startAgreement() {
  if (!ANSWERED.some(ofPairs)) return;
  agreement.body = el('div', { class: 'confusion' });
  section('similarity-and-gold', 'Similarity and gold', 'diagnosis').querySelector('h2').after(agreement.body);
}

/** Pairs by what people say of them and by their cosine; each count leads to its pairs. */
function showAgreement() {
  if (!agreement.body) return;
  const { A } = state;
  const menus = el('div', { class: 'controls' }, cellMenu('cell', 'A'));
  if (!ofPairs(A)) {
    agreement.body.replaceChildren(menus, el('p', {}, 'Cell A is about labels: pick a cell of pairs.'));
    return;
  }
  const [ranked, groups] = [rankedFor(A), groupsOf(A.slice)];
  const counts = groups.names.map(() => new Uint32Array(BANDS));
  for (let i = 0; i < ranked.own.length; i += 1) counts[groups.of[i]][bandOf(ranked, i)] += 1;
  const heads = [
    el('td', { class: 'corner' }, 'gold ↓ cosine →'),
    ...BAND_NAMES.map((name) => el('th', { scope: 'col' }, name)),
    el('th', { scope: 'col', class: 'number' }, 'pairs'),
  ];
  // The most alike stand above.
  const rows = counts
    .map((row, group) => {
      const total = row.reduce((sum, count) => sum + count, 0);
      const cells = [...row].map((pairs, band) => heat(pairs, total, `${groups.names[group]}, cosine ${BAND_NAMES[band]}`, { gold: group, predicted: band }));
      return el('tr', {}, el('th', { scope: 'row' }, groups.names[group]), cells, el('td', { class: 'number' }, grouped(total)));
    })
    .reverse();
  const note = 'Shaded by share of the row. Where cosines follow the gold side, dark counts rise from bottom left to top right. Choose a count to read its pairs.';
  agreement.body.replaceChildren(menus, table('Pairs by gold and cosine', heads, rows), el('p', {}, note));
}

function heat(pairs, total, name, filter) {
  if (pairs === 0) return el('td', { class: 'none' }, '0');
  const title = `${counted(pairs, 'pair')}: ${name}`;
  const button = el('button', { type: 'button', class: 'heat hit', 'aria-label': title, title, click: () => browse(filter) }, grouped(pairs));
  button.style.setProperty('--share', `${Math.round(8 + (67 * pairs) / total)}%`);
  return el('td', { class: 'heat' }, button);
}

/** Pairs whose rank moved most between two cells, towards their gold rank or away from it. */
function moves(A, B) {
  const [a, b] = [rankedFor(A), rankedFor(B)];
  const gain = (i) => Math.abs(b.above[i]) - Math.abs(a.above[i]);
  const list = [];
  for (let i = 0; i < a.own.length; i += 1) if (gain(i) !== 0) list.push(i);
  const nearer = list.filter((i) => gain(i) > 0).length;
  by(list, (i) => Math.abs(gain(i)));
  const place = (ranked, i) => `${decimal(ranked.cosine[i], 4)} (${decimal((SHARE * ranked.own[i]) / ranked.own.length, 0)} %)`;
  return moved({
    title: 'Pairs that moved',
    intro: `${grouped(nearer)} are ranked nearer their gold rank by A, ${grouped(list.length - nearer)} by B; those that moved most come first. Ranks in percent: 100 % is the most alike.`,
    caption: 'Pairs that moved between the cells',
    noun: 'pair',
    list,
    heads: ['pair', 'gold', 'gold rank', 'cosine in A', 'cosine in B', 'nearer by'],
    words: 1,
    filter: () => ({}),
    values: (i) => [
      goldName(A, i),
      `${decimal((SHARE * a.gold[i]) / a.gold.length, 0)} %`,
      place(a, i),
      place(b, i),
      gain(i) > 0 ? 'A' : 'B',
    ],
  });
}

const OF_PAIRS = {
  noun: 'pair',
  orders: [
    ['place', 'as in the slice'],
    ['above', 'more alike by cosine than by gold'],
    ['below', 'less alike by cosine than by gold'],
    ['high', 'highest cosine'],
    ['low', 'lowest cosine'],
    ['long', 'most tokens'],
  ],
  menus(filter, set, option) {
    const { subsets } = textsOf(state.A.slice);
    const known = subsets ? [['', 'any'], ...[...new Set(subsets)].map((name) => [name, name])] : [];
    const sides = [
      ['', 'any'],
      ['A', 'A is nearer'],
      ['B', 'B is nearer'],
    ];
    return [
      menu('gold', places(groupsOf(state.A.slice).names), String(filter.gold ?? ''), set('gold', placeOf)),
      menu('cosine', places(BAND_NAMES), String(filter.predicted ?? ''), set('predicted', placeOf)),
      ...(known.length > 2 ? [menu('subset', known.map(option), filter.subset, set('subset'))] : []),
      ...(state.A === state.B ? [] : [menu('gold rank', sides.map(option), filter.verdict, set('verdict'))]),
    ];
  },
  fitting(filter) {
    const { A, B } = state;
    const [a, b, groups] = [rankedFor(A), rankedFor(B), groupsOf(A.slice)];
    const { subsets } = textsOf(A.slice);
    const side = { A: 1, B: -1 }[filter.verdict];
    return (i) =>
      (filter.gold === null || groups.of[i] === filter.gold) &&
      (filter.predicted === null || bandOf(a, i) === filter.predicted) &&
      (filter.subset === '' || subsets?.[i] === filter.subset) &&
      (side === undefined || side * (Math.abs(b.above[i]) - Math.abs(a.above[i])) > 0);
  },
  ordered(fit, order) {
    const { cosine, above } = rankedFor(state.A);
    if (order === 'above') return by(fit, (i) => above[i]);
    if (order === 'below') return by(fit, (i) => -above[i]);
    if (order === 'high') return by(fit, (i) => cosine[i]);
    if (order === 'low') return by(fit, (i) => -cosine[i]);
    return order === 'long' ? by(fit, (i) => numbers(state.A.tokens)[i]) : fit;
  },
  told: () => '',
  line(i) {
    const { cosine, above } = rankedFor(state.A);
    const apart = SHARE * above[i];
    const way = apart > 0 ? 'above' : 'below';
    return [
      el('span', {}, `gold ${goldName(state.A, i)}`),
      el('span', { class: 'margin' }, `cosine ${decimal(cosine[i], 4)}`),
      el('span', { class: 'margin' }, Math.abs(apart) < 0.5 ? 'rank as by gold' : `${decimal(Math.abs(apart), 0)} % of the ranks ${way} its gold`),
    ];
  },
  facts(i) {
    const { A, B } = state;
    const rank = (all) => `${decimal((SHARE * all[i]) / all.length, 0)} %`;
    const of = (cell) => `cosine ${decimal(rankedFor(cell).cosine[i], 6)}, rank ${rank(rankedFor(cell).own)} (${nameOf(cell)})`;
    const { subsets } = textsOf(A.slice);
    return [
      [sliceOf(A).kind === 'classes' ? 'label' : 'gold score', `${goldName(A, i)}, rank ${rank(rankedFor(A).gold)}; 100 % is the most alike`],
      ['cell A', of(A)],
      ...(A === B ? [] : [['cell B', of(B)]]),
      ...(subsets ? [['subset', subsets[i]]] : []),
    ];
  },
};
