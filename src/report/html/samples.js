// The texts one by one: what was asked of the model, what it answered, and how close it was.

const samples = { list: null, filter: null, status: null, controls: null, timer: 0 };

const EVERYTHING = { words: '', gold: null, predicted: null, verdict: '', order: 'place', open: null };

const ORDERS = [
  ['place', 'as in the slice'],
  ['confident', 'most confident mistakes'],
  ['narrow', 'narrowest misses'],
  ['unsure', 'smallest margin'],
  ['long', 'most tokens'],
];

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
  section('samples', 'Samples', nextOf('confusion')).append(
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
  const { labels } = sliceOf(state.A);
  const { filter } = samples;
  const set =
    (key, read = (value) => value) =>
    (value) => {
      filter[key] = read(value);
      filter.open = null;
      listSamples();
    };
  const label = (value) => (value === '' ? null : Number(value));
  const named = [{ value: '', name: 'any' }, ...labels.map((name, i) => ({ value: String(i), name }))];
  const verdicts = [['', 'any'], ['right', 'A right'], ['wrong', 'A wrong'], ...(state.A === state.B ? [] : VERDICTS)];
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
    menu('right label', named, String(filter.gold ?? ''), set('gold', label)),
    menu('answered', named, String(filter.predicted ?? ''), set('predicted', label)),
    menu('verdict', verdicts.map(option), filter.verdict, set('verdict')),
    menu('order', ORDERS.map(option), filter.order, set('order')),
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

/** Places of the samples that fit, in the order asked for. */
function found() {
  const { filter } = samples;
  const { A, B } = state;
  const [gold, a, b] = [goldOf(A), numbers(A.predicted), numbers(B.predicted)];
  const words = filter.words
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '');
  const texts = words.length > 0 ? searchable(A.slice) : null;
  const right = { right: true, wrong: false }[filter.verdict];
  const fit = [];
  for (let i = 0; i < gold.length; i += 1) {
    if (filter.gold !== null && gold[i] !== filter.gold) continue;
    if (filter.predicted !== null && a[i] !== filter.predicted) continue;
    if (right !== undefined && (a[i] === gold[i]) !== right) continue;
    if (right === undefined && filter.verdict !== '' && verdict(gold[i], a[i], b[i]) !== filter.verdict) continue;
    if (texts && !words.every((word) => texts[i].includes(word))) continue;
    fit.push(i);
  }
  return ordered(fit, filter.order);
}

function ordered(fit, order) {
  const margins = marginsFor(state.A);
  const [gold, a] = [goldOf(state.A), numbers(state.A.predicted)];
  const mistakes = () => fit.filter((i) => gold[i] !== a[i]);
  const by = (list, value) => list.sort((x, y) => value(y) - value(x) || x - y);
  if (order === 'long') return by(fit, (i) => numbers(state.A.tokens)[i]);
  if (order === 'place' || !margins) return fit;
  if (order === 'confident') return by(mistakes(), (i) => margins.margin[i]);
  if (order === 'narrow') return by(mistakes(), (i) => margins.goldMargin[i]);
  return by(fit, (i) => -margins.margin[i]);
}

function listSamples() {
  const list = found();
  const { open } = samples.filter;
  if (open !== null) list.sort((x, y) => (y === open) - (x === open) || 0);
  const right = list.filter((i) => goldOf(state.A)[i] === numbers(state.A.predicted)[i]).length;
  samples.status.textContent =
    list.length === 0
      ? 'No text fits.'
      : `${counted(list.length, 'text')} of ${grouped(goldOf(state.A).length)}; cell A has ${grouped(right)} of them right.`;
  const frame = (rows) => el('ul', { class: 'cards' }, rows);
  samples.list.replaceChildren(
    ...(list.length > 0 ? [pages(list, 20, frame, (i) => el('li', {}, card(i, i === open)), 'text')] : []),
  );
}

/** One sample: a line, and all that is known of it when opened. */
function card(i, open) {
  const { A } = state;
  const { labels } = sliceOf(A);
  const { ids, texts } = textsOf(A.slice);
  const [gold, predicted] = [goldOf(A)[i], numbers(A.predicted)[i]];
  const margins = marginsFor(A);
  const cut = numbers(A.cut)[i];
  const line = el(
    'summary',
    {},
    answer(labels, predicted, gold),
    predicted === gold ? null : el('span', { class: 'wanted' }, ` for ${labels[gold]}`),
    margins ? el('span', { class: 'margin' }, `margin ${decimal(margins.margin[i], placesFor(A))}`) : null,
    cut > 0 ? el('span', { class: 'margin' }, `✂ ${counted(cut, 'token')}`) : null,
    el('span', { class: 'id' }, ids[i]),
    el('span', { class: 'snippet' }, shortened(texts[i], 90)),
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

function whole(i) {
  const { A, B } = state;
  const { labels } = sliceOf(A);
  const margins = marginsFor(A);
  const places = placesFor(A);
  const facts = [
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
    ['tokens', `${grouped(numbers(A.tokens)[i])} embedded, ${grouped(numbers(A.cut)[i])} cut`],
  ];
  return el(
    'div',
    { class: 'whole' },
    el('div', {}, el('h4', {}, 'Text'), el('p', { class: 'text', tabindex: '0' }, textsOf(A.slice).texts[i]), prompted(i)),
    el(
      'div',
      {},
      el('h4', {}, 'Scores'),
      bars(i),
      el('dl', {}, facts.map(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]).flat()),
    ),
  );
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

/** The text in its prompt, with the place where it was cut. */
function prompted(i) {
  const { A } = state;
  const prompt = RUN.prompts.find((known) => known.id === A.choices[1]);
  if (!prompt) return null;
  const [tokens, cut] = [numbers(A.tokens)[i], numbers(A.cut)[i]];
  const text = textsOf(A.slice).texts[i];
  if (cut === 0 && prompt.clean === 'none' && prompt.chat === null && prompt.views.every((view) => view === '{text}')) {
    return el('p', { class: 'limit' }, `Prompt ${prompt.id} is the text alone.`);
  }
  // Of a text that this page shortens nobody knows here where it was cut.
  const whole = RUN.shortened === null || !text.endsWith('…');
  const shown = whole ? cut : 0;
  const views = prompt.views
    .slice(0, SHOWN_VIEWS)
    .map((view) =>
      el('p', { class: 'text prompt', tabindex: '0' }, marked(rendered(prompt, view, text), prompt.truncate, tokens, shown)),
    );
  const more = prompt.views.length - views.length;
  const notes = prompt.chat === null ? [] : [`As a message in the model's own chat format${chatOf(prompt.chat)}.`];
  if (more > 0) notes.push(`and ${counted(more, 'more view')}.`);
  if (cut > 0)
    notes.push(
      `${counted(cut, 'token')} of ${grouped(tokens + cut)} were cut${prompt.views.length > 1 ? ' over all views' : ''}${whole ? '; the mark is where their share of the characters ends, the tokens themselves are not in the results' : ''}.`,
    );
  return el(
    'div',
    {},
    el('h4', {}, `As prompted: ${prompt.id}`),
    views,
    notes.length > 0 ? el('p', { class: 'limit' }, notes.join(' ')) : null,
  );
}

/** What a chat adds to the message. */
function chatOf({ system, answer }) {
  return (
    (system === null ? '' : `, after the system's “${system}”`) +
    (answer === null ? '' : `, with an answer that begins “${answer}”`)
  );
}

/** Pieces as elements, what was cut struck out. Characters stand for tokens: results count tokens alone. */
function marked(pieces, truncate, tokens, cut) {
  const whole = pieces.reduce((sum, piece) => sum + piece.words.length, 0);
  const lost = cut === 0 ? 0 : Math.round((whole * cut) / (tokens + cut));
  const shown = (piece, words) => (words === '' ? null : el(piece.slot ? 'span' : 'b', {}, words));
  const scissors = () => el('span', { class: 'cut-mark', title: 'cut about here' }, '✂');
  const gone = (words) => el('del', {}, words);
  if (lost === 0) return pieces.map((piece) => shown(piece, piece.words));
  if (truncate === 'whole-prompt') {
    let left = whole - lost;
    return pieces
      .map((piece) => {
        const kept = Math.max(0, Math.min(piece.words.length, left));
        const ends = left >= 0 && left < piece.words.length;
        left -= piece.words.length;
        return [
          shown(piece, piece.words.slice(0, kept)),
          ends ? scissors() : null,
          kept < piece.words.length ? gone(piece.words.slice(kept)) : null,
        ];
      })
      .flat();
  }
  const slots = pieces.filter((piece) => piece.slot).length;
  return pieces
    .map((piece) => {
      if (!piece.slot) return shown(piece, piece.words);
      const { length } = piece.words;
      const out = Math.min(length, Math.round(lost / slots));
      const from = { tail: 0, middle: Math.round((length - out) / 2) }[truncate] ?? length - out;
      return [
        shown(piece, piece.words.slice(0, from)),
        scissors(),
        gone(piece.words.slice(from, from + out)),
        shown(piece, piece.words.slice(from + out)),
      ];
    })
    .flat();
}
