// The texts one by one: what was asked of the model, what it answered, and how close it was.

const samples = { list: null, filter: null, status: null, controls: null, timer: 0 };

const EVERYTHING = { words: '', gold: null, predicted: null, subset: '', verdict: '', order: 'place', open: null };

/** What the list of samples asks of each kind of them; that of pairs is in `pairs.js`. */
const OF_LABELS = {
  noun: 'text',
  orders: [
    ['place', 'as in the slice'],
    ['confident', 'most confident mistakes'],
    ['narrow', 'narrowest misses'],
    ['unsure', 'smallest margin'],
    ['long', 'most tokens'],
  ],
  menus: labelMenus,
  fitting: fittingLabels,
  ordered,
  told: toldOfLabels,
  line: labelLine,
  facts: labelFacts,
};

const browser = () => (ofPairs(state.A) ? OF_PAIRS : OF_LABELS);

const SHOWN_VIEWS = 3;
const SHOWN_SCORES = 12;

function startSamples() {
  samples.filter = { ...EVERYTHING };
  samples.controls = el('div', { class: 'controls', role: 'group', 'aria-label': 'Filter the texts' });
  samples.status = el('p', { class: 'status', role: 'status' });
  samples.list = el('div', { class: 'samples' });
  const limits = [];
  if (RUN.shortened !== null)
    limits.push(
      `Texts are shortened to ${RUN.shortened} characters, so that this page stays small; samples.parquet has them whole.`,
    );
  const scored = ANSWERED.filter((cell) => cell.scores !== null).length;
  const cells = RUN.cells.filter((cell) => cell.failed === null).length;
  if (scored < cells)
    limits.push(
      `Label scores are kept for ${counted(scored, 'cell')} of ${grouped(cells)} and answers for ${grouped(ANSWERED.length)}, the best ones; predictions.parquet has all.`,
    );
  section('samples', 'Samples', 'diagnosis').append(
    ...limits.map((limit) => el('p', { class: 'limit' }, limit)),
    samples.controls,
    samples.status,
    samples.list,
  );
}

/** Shows the samples that another part of the page points at. */
function browse(filter) {
  samples.filter = { ...EVERYTHING, ...filter };
  showSamples();
  const heading = document.getElementById('samples');
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
  heading.scrollIntoView({ block: 'start' });
}

function showSamples() {
  const { filter } = samples;
  const set =
    (key, read = (value) => value) =>
    (value) => {
      filter[key] = read(value);
      filter.open = null;
      listSamples();
    };
  const option = ([value, name]) => ({ value, name });
  const search = el('input', {
    type: 'search',
    value: filter.words,
    placeholder: 'words of the text or id',
    input: () => {
      clearTimeout(samples.timer);
      samples.timer = setTimeout(() => set('words')(search.value), 120);
    },
  });
  samples.controls.replaceChildren(
    cellMenu('cell', 'A'),
    el('label', { class: 'control' }, el('span', {}, 'search'), search),
    ...browser().menus(filter, set, option),
    menu('order', browser().orders.map(option), filter.order, set('order')),
    el(
      'button',
      {
        type: 'button',
        click: () => {
          samples.filter = { ...EVERYTHING };
          showSamples();
          samples.controls.querySelector('button').focus();
        },
      },
      'Clear',
    ),
  );
  listSamples();
}

/** Reads a menu's value as a place in a list; nothing for the empty one. */
const placeOf = (value) => (value === '' ? null : Number(value));

/** A menu's options for the places of a list. */
const places = (names) => [{ value: '', name: 'any' }, ...names.map((name, i) => ({ value: String(i), name }))];

function labelMenus(filter, set, option) {
  const { labels } = sliceOf(state.A);
  const verdicts = [['', 'any'], ['right', 'A right'], ['wrong', 'A wrong'], ...(state.A === state.B ? [] : VERDICTS)];
  return [
    menu('right label', places(labels), String(filter.gold ?? ''), set('gold', placeOf)),
    menu('answered', places(labels), String(filter.predicted ?? ''), set('predicted', placeOf)),
    menu('verdict', verdicts.map(option), filter.verdict, set('verdict')),
  ];
}

/** Places of the samples that fit, in the order asked for. */
function found() {
  const { filter } = samples;
  const words = filter.words
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '');
  const texts = words.length > 0 ? searchable(state.A.slice) : null;
  const fits = browser().fitting(filter);
  const fit = [];
  for (let i = 0; i < goldOf(state.A).length; i += 1) {
    if (fits(i) && (!texts || words.every((word) => texts[i].includes(word)))) fit.push(i);
  }
  return browser().ordered(fit, filter.order);
}

function fittingLabels(filter) {
  const { A, B } = state;
  const [gold, a, b] = [goldOf(A), numbers(A.predicted), numbers(B.predicted)];
  const right = { right: true, wrong: false }[filter.verdict];
  return (i) => {
    if (filter.gold !== null && gold[i] !== filter.gold) return false;
    if (filter.predicted !== null && a[i] !== filter.predicted) return false;
    if (right !== undefined) return (a[i] === gold[i]) === right;
    return filter.verdict === '' || verdict(gold[i], a[i], b[i]) === filter.verdict;
  };
}

/** A list sorted by a value, the largest first. */
const by = (list, value) => list.sort((x, y) => value(y) - value(x) || x - y);

function ordered(fit, order) {
  const margins = marginsFor(state.A);
  const [gold, a] = [goldOf(state.A), numbers(state.A.predicted)];
  const mistakes = () => fit.filter((i) => gold[i] !== a[i]);
  if (order === 'long') return by(fit, (i) => numbers(state.A.tokens)[i]);
  if (order === 'place' || !margins) return fit;
  if (order === 'confident') return by(mistakes(), (i) => margins.margin[i]);
  if (order === 'narrow') return by(mistakes(), (i) => margins.goldMargin[i]);
  return by(fit, (i) => -margins.margin[i]);
}

function listSamples() {
  const list = found();
  const { open } = samples.filter;
  const { noun, told } = browser();
  if (open !== null) list.sort((x, y) => (y === open) - (x === open) || 0);
  samples.status.textContent =
    list.length === 0 ? `No ${noun} fits.` : `${counted(list.length, noun)} of ${grouped(goldOf(state.A).length)}${told(list)}.`;
  const frame = (rows) => el('ul', { class: 'cards' }, rows);
  samples.list.replaceChildren(
    ...(list.length > 0 ? [pages(list, 20, frame, (i) => el('li', {}, card(i, i === open)), noun)] : []),
  );
}

function toldOfLabels(list) {
  const right = list.filter((i) => goldOf(state.A)[i] === numbers(state.A.predicted)[i]).length;
  return `; cell A has ${grouped(right)} of them right`;
}

/** One sample: a line, and all that is known of it when opened. */
function card(i, open) {
  const { A } = state;
  const { ids, texts, partners } = textsOf(A.slice);
  const cut = numbers(A.cut)[i];
  const line = el(
    'summary',
    {},
    browser().line(i),
    cut > 0 ? el('span', { class: 'margin' }, `✂ ${counted(cut, 'token')}`) : null,
    el('span', { class: 'id' }, ids[i]),
    [texts[i], ...(partners ? [partners[i]] : [])].map((text) => el('span', { class: 'snippet' }, shortened(text, 90))),
  );
  const details = el(
    'details',
    {
      class: 'card',
      toggle: () => {
        if (details.open && details.childElementCount === 1) details.append(whole(i));
      },
    },
    line,
  );
  if (open) {
    details.append(whole(i));
    details.open = true;
  }
  return details;
}

function labelLine(i) {
  const { A } = state;
  const { labels } = sliceOf(A);
  const [gold, predicted] = [goldOf(A)[i], numbers(A.predicted)[i]];
  const margins = marginsFor(A);
  return [
    answer(labels, predicted, gold),
    predicted === gold ? null : el('span', { class: 'wanted' }, ` for ${labels[gold]}`),
    margins ? el('span', { class: 'margin' }, `margin ${decimal(margins.margin[i], placesFor(A))}`) : null,
  ];
}

/** A sample opened: its texts as they are and as prompted, and what the cells say of it. */
function whole(i) {
  const { A } = state;
  const { texts, partners } = textsOf(A.slice);
  const both = partners ? [texts[i], partners[i]] : [texts[i]];
  const title = (at) => (both.length === 1 ? 'Text' : ['First text', 'Second text'][at]);
  const shown = both.map((text, at) => [el('h4', {}, title(at)), el('p', { class: 'text', tabindex: '0' }, text), prompted(i, text, at)]);
  const facts = [...browser().facts(i), ['tokens', `${grouped(numbers(A.tokens)[i])} embedded, ${grouped(numbers(A.cut)[i])} cut`]];
  return el(
    'div',
    { class: 'whole' },
    el('div', {}, shown.flat()),
    el(
      'div',
      {},
      ofPairs(A) ? null : [el('h4', {}, 'Scores'), bars(i)],
      el('dl', {}, facts.map(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]).flat()),
    ),
  );
}

function labelFacts(i) {
  const { A, B } = state;
  const { labels } = sliceOf(A);
  const margins = marginsFor(A);
  const places = placesFor(A);
  return [
    ['right label', labels[goldOf(A)[i]]],
    ['cell A', `${labels[numbers(A.predicted)[i]]} (${nameOf(A)})`],
    ...(A === B ? [] : [['cell B', `${labels[numbers(B.predicted)[i]]} (${nameOf(B)})`]]),
    ...(margins
      ? [
          [
            'margin',
            `${decimal(margins.margin[i], places + 1)}, right label minus best other ${decimal(margins.goldMargin[i], places + 1)}`,
          ],
          ["right label's rank", `${margins.rank[i]} of ${labels.length}`],
        ]
      : []),
  ];
}

/** All label scores, best first, as bars from the sample's lowest score to its highest. */
function bars(i, all = false) {
  const { A } = state;
  const { labels } = sliceOf(A);
  if (A.scores === null) return el('p', {}, 'Not kept for this cell.');
  const scores = [...numbers(A.scores).subarray(i * labels.length, (i + 1) * labels.length)];
  const order = scores.map((_, label) => label).sort((x, y) => scores[y] - scores[x] || x - y);
  const gold = goldOf(A)[i];
  const [high, low] = [scores[order[0]], scores[order.at(-1)]];
  const shown = order.filter((label, rank) => all || rank < SHOWN_SCORES || label === gold);
  const places = placesFor(A);
  const rows = shown.map((label) =>
    el(
      'tr',
      { class: label === gold ? 'gold' : null },
      el(
        'th',
        { scope: 'row' },
        labels[label],
        label === gold ? el('span', { class: 'unseen' }, ' (right label)') : null,
        label === gold ? el('span', { 'aria-hidden': 'true' }, ' ✓') : null,
      ),
      el(
        'td',
        { class: 'meter', 'aria-hidden': 'true' },
        el('i', { style: { width: `${high > low ? (SHARE * (scores[label] - low)) / (high - low) : SHARE}%` } }),
      ),
      el('td', { class: 'number' }, decimal(scores[label], places + 1)),
    ),
  );
  const body = el(
    'table',
    { class: 'scores' },
    el('caption', {}, 'Bars run from the lowest to the highest score of this text.'),
    el('tbody', {}, rows),
  );
  const rest = order.length - shown.length;
  if (rest === 0) return body;
  const holder = el(
    'div',
    {},
    body,
    el('button', { type: 'button', click: () => holder.replaceWith(bars(i, true)) }, `${rest} more labels`),
  );
  return holder;
}
