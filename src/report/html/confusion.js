// Which labels a cell mixes up; each count leads to its texts.

const confusion = { body: null, all: false };

/** Most labels shown at once, unless all are asked for. */
const HARDEST = 20;

/** The report's own matrix, or its caption; the other figures of the section stay where they are. */
const isMatrix = (child) =>
  [child, child.previousElementSibling].some((one) => one?.querySelector(':scope > .figure > svg[aria-label^="Confusion"]'));

function startConfusion() {
  if (ANSWERED.every(ofPairs)) return;
  confusion.body = el('div', { class: 'confusion' });
  replaceBy(section('confusion', 'Confusion'), isMatrix, confusion.body);
}

function showConfusion() {
  if (!confusion.body) return;
  if (ofPairs(state.A)) {
    confusion.body.replaceChildren(el('div', { class: 'controls' }, cellMenu('cell', 'A')), el('p', {}, 'Cell A is about pairs: pick a cell of labels.'));
    return;
  }
  const { labels } = sliceOf(state.A);
  const [gold, predicted] = [goldOf(state.A), numbers(state.A.predicted)];
  const n = labels.length;
  const counts = new Uint32Array(n * n);
  for (let i = 0; i < gold.length; i += 1) counts[gold[i] * n + predicted[i]] += 1;
  const shown = confusion.all || n <= HARDEST ? labels.map((_, label) => label) : hardest(counts, n);
  const more =
    n <= HARDEST
      ? []
      : [
          el(
            'button',
            {
              type: 'button',
              click: () => {
                confusion.all = !confusion.all;
                showConfusion();
                confusion.body.querySelector('button').focus();
              },
            },
            confusion.all ? `The ${HARDEST} labels with most errors` : `All ${n} labels`,
          ),
        ];
  const heads = [
    el('td', { class: 'corner' }, 'right label ↓ answered →'),
    ...shown.map((label) => el('th', { scope: 'col' }, el('span', {}, labels[label]))),
    el('th', { scope: 'col', class: 'number' }, 'recall'),
  ];
  const rows = shown.map((row) => {
    const total = counts.subarray(row * n, (row + 1) * n).reduce((sum, count) => sum + count, 0);
    const recall = total === 0 ? '–' : percent(counts[row * n + row] / total);
    return el(
      'tr',
      {},
      el('th', { scope: 'row' }, labels[row]),
      shown.map((column) => count(labels, row, column, counts[row * n + column], total)),
      el('td', { class: 'number' }, recall),
    );
  });
  const note = el('p', {}, 'Shaded by share of the row: blue is right, orange is wrong. Choose a count to read its texts.');
  confusion.body.replaceChildren(
    el('div', { class: 'controls' }, cellMenu('cell', 'A'), more),
    table('Texts by right and answered label', heads, rows),
    note,
  );
}

function count(labels, gold, predicted, texts, total) {
  if (texts === 0) return el('td', { class: 'none' }, '0');
  const share = texts / total;
  const kind = gold === predicted ? 'hit' : 'miss';
  const name = `${counted(texts, 'text')} of ${labels[gold]} answered ${labels[predicted]}`;
  const button = el(
    'button',
    {
      type: 'button',
      class: `heat ${kind}`,
      'aria-label': name,
      title: name,
      click: () => browse({ gold, predicted }),
    },
    grouped(texts),
  );
  // Never so dark that ink cannot be read on it.
  button.style.setProperty('--share', `${Math.round(8 + 67 * share)}%`);
  return el('td', { class: 'heat' }, button);
}

/** The labels with most errors in their row and column, in the slice's order. */
function hardest(counts, n) {
  const errors = new Float64Array(n);
  for (let row = 0; row < n; row += 1) {
    for (let column = 0; column < n; column += 1) {
      if (row === column) continue;
      errors[row] += counts[row * n + column];
      errors[column] += counts[row * n + column];
    }
  }
  const order = [...errors.keys()].sort((a, b) => errors[b] - errors[a] || a - b);
  return order.slice(0, HARDEST).sort((a, b) => a - b);
}
