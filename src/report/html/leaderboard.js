// All cells in a table that sorts and filters.

const leaderboard = { sort: 'rank', down: false, filters: new Map(), words: '', rows: null };

function startLeaderboard() {
  // The first slice and task are what the report is about; the others are a choice away.
  const [{ id: slice, task }] = RUN.slices;
  // A task that the slice alone decides is no filter: it would leave nothing of another slice.
  const several = RUN.slices.filter((other) => other.id === slice).length > 1;
  for (const axis of VARYING.filter(({ name }) => name === 'slice' || (several && name === 'task'))) {
    leaderboard.filters.set(axis.place, { slice, task }[axis.name]);
  }
  leaderboard.rows = el('div', { class: 'board' });
  const controls = VARYING.map((axis) => {
    const options = [{ value: '', name: 'all' }, ...axis.choices.map((choice) => ({ value: choice, name: choice }))];
    return menu(axis.name, options, leaderboard.filters.get(axis.place) ?? '', (choice) => {
      leaderboard.filters.set(axis.place, choice);
      showLeaderboard();
    });
  });
  const search = el('input', {
    type: 'search',
    placeholder: 'words of a name or id',
    input: () => {
      leaderboard.words = search.value.toLowerCase();
      showLeaderboard();
    },
  });
  controls.push(el('label', { class: 'control' }, el('span', {}, 'find'), search));
  leaderboard.status = el('p', { class: 'status', role: 'status' });
  const bar = el('div', { class: 'controls', role: 'group', 'aria-label': 'Filter the cells' }, controls);
  replaceBy(
    section('leaderboard', 'Leaderboard'),
    (child) => isFigure(child) || isTable(child) || (child.tagName === 'P' && isTable(child.previousElementSibling ?? child)),
    bar,
    leaderboard.status,
    leaderboard.rows,
  );
}

/** The columns for some cells, each with the value it sorts by; null sorts last. */
function columns(cells) {
  const axes = VARYING.filter((axis) => choicesOf(cells, axis.place).length > 1).map((axis) => ({
    key: axis.name,
    title: axis.name,
    wide: true,
    value: (cell) => cell.choices[axis.place],
    show: (cell) => cell.choices[axis.place],
  }));
  const slices = [...new Set(cells.map(sliceOf))];
  const dev = slices.some((slice) => slice.chosen_on !== null);
  const cuts = cells.some((cell) => cell.metrics.cut_share?.[0] > 0);
  const metric = (name) => (cell) => cell.metrics[name]?.[0] ?? null;
  const titles = new Set(slices.map((slice) => slice.metrics[0].title));
  const title = titles.size === 1 ? [...titles][0] : 'score';
  const further = new Map(slices.flatMap((slice) => slice.metrics.slice(1)).map((one) => [one.name, one]));
  const own = (cell, { name }) => sliceOf(cell).metrics.some((one) => one.name === name);
  return [
    { key: 'rank', title: '#', number: true, value: (cell) => cell.rank, show: (cell) => cell.rank ?? '–' },
    // Queries and clusters have no answers to compare here.
    ...(cells.some((cell) => ANSWERED.includes(cell)) ? [{ key: 'sides', title: 'compare', show: null }] : []),
    { key: 'name', title: 'cell', narrow: true, value: nameOf, show: nameOf },
    ...axes,
    ...(dev
      ? [
          {
            key: 'dev',
            title: 'on dev',
            wide: true,
            number: true,
            high: true,
            value: (cell) => cell.on_dev,
            show: (cell) => written(metricOf(cell), cell.on_dev),
          },
        ]
      : []),
    { key: 'value', title: `${title} [95 %]`, number: true, high: true, value: (cell) => valueOf(cell)[0], show: estimate },
    { key: 'bar', title: '', show: null },
    ...[...further.values()].map((one) => ({
      key: one.name,
      title: one.title,
      number: true,
      high: true,
      value: (cell) => (own(cell, one) ? metric(one.name)(cell) : null),
      show: (cell) => (own(cell, one) ? withInterval(one, cell.metrics[one.name]) : ''),
    })),
    ...(slices.some((slice) => slice.reference !== null) ? againstReference() : []),
    ...(cuts
      ? [
          {
            key: 'cut_share',
            title: slices.some((slice) => slice.kind === 'labels') ? 'texts cut' : 'pairs cut',
            number: true,
            high: true,
            value: metric('cut_share'),
            show: (cell) => percent(metric('cut_share')(cell)),
          },
        ]
      : []),
  ];
}

function againstReference() {
  return [
    {
      key: 'difference',
      title: '± reference',
      number: true,
      high: true,
      value: (cell) => cell.difference?.[0] ?? null,
      show: difference,
    },
    {
      key: 'p',
      title: `p (${RUN.correction})`,
      number: true,
      value: (cell) => cell.p,
      show: (cell) => (cell.p === null ? '' : bareP(cell.p)),
    },
  ];
}

function estimate(cell) {
  return withInterval(metricOf(cell), valueOf(cell));
}

function withInterval(metric, [value, low, high] = [null, null, null]) {
  const places = metric.share ? 1 : 2;
  return withEnds(written(metric, value), low, high, (end) => decimal(SHARE * end, places));
}

/** A value and its interval, which stand below each other where there is no room beside. */
function withEnds(value, low, high, show) {
  const part = (words) => el('span', { class: 'part' }, words);
  return low === null ? part(value) : [part(value), ' ', part(`[${show(low)}, ${show(high)}]`)];
}

function difference(cell) {
  if (RUN.cells[sliceOf(cell).reference] === cell) return 'reference';
  if (cell.difference === null) return '–';
  const [value, low, high] = cell.difference;
  return withEnds(points(value), low, high, points);
}

/** Whether a cell has the choices asked for. */
function chosen(cell) {
  return [...leaderboard.filters].every(([place, choice]) => choice === '' || cell.choices[place] === choice);
}

/** Whether its name or id has the words asked for. */
function named(cell) {
  const text = `${cell.id} ${cell.choices.join(' ')}`.toLowerCase();
  return leaderboard.words.split(/\s+/).every((word) => text.includes(word));
}

/** Failed cells last, whichever way the others stand. */
function inOrder(cells, column) {
  const order = (a, b) => {
    const [x, y] = [column.value(a), column.value(b)];
    if (x === null || y === null) return (x === null) - (y === null) || a.slice - b.slice;
    const way = typeof x === 'string' ? x.localeCompare(y) : x - y;
    return (leaderboard.down ? -way : way) || a.slice - b.slice || (a.rank ?? Infinity) - (b.rank ?? Infinity);
  };
  return [...cells].sort(order);
}

function showLeaderboard() {
  const kept = RUN.cells.filter(chosen);
  const all = columns(kept);
  const column = all.find((one) => one.key === leaderboard.sort) ?? all[0];
  const cells = inOrder(kept.filter(named), column);
  const scale = scaleOf(cells);
  const failed = cells.filter((cell) => cell.failed !== null).length;
  leaderboard.status.textContent = `${counted(cells.length, 'cell')} of ${grouped(RUN.cells.length)}${failed > 0 ? `, ${failed} without a score` : ''}`;
  const heads = all.map((one) => headOf(one, column, scale));
  const frame = (rows) => table('Cells of the run', heads, rows);
  leaderboard.rows.replaceChildren(pages(cells, 25, frame, (cell) => rowOf(cell, all, scale), 'cell'));
}

/** Right-aligned, or shown on wide or narrow screens alone. */
function kindOf(one) {
  return [one.number && 'number', one.wide && 'wide', one.narrow && 'narrow'].filter(Boolean).join(' ') || null;
}

function headOf(one, sorted, scale) {
  if (one.key === 'bar') return el('th', { scope: 'col', class: 'bar' }, ends(scale));
  if (one.key === 'sides') return el('th', { scope: 'col' }, one.title);
  const here = one === sorted;
  const turn = () => {
    leaderboard.down = here ? !leaderboard.down : Boolean(one.high);
    leaderboard.sort = one.key;
    showLeaderboard();
    leaderboard.rows.querySelector(`button[data-key="${one.key}"]`).focus();
  };
  const arrow = el('span', { 'aria-hidden': 'true', class: 'arrow' }, here ? (leaderboard.down ? '▼' : '▲') : '↕');
  const order = here ? (leaderboard.down ? 'descending' : 'ascending') : null;
  const button = el('button', { type: 'button', 'data-key': one.key, click: turn }, one.title, arrow);
  return el('th', { scope: 'col', class: kindOf(one), 'aria-sort': order }, button);
}

function rowOf(cell, all, scale) {
  const pick = (side) =>
    el(
      'button',
      {
        type: 'button',
        class: 'side',
        'data-cell': cell.id,
        'aria-pressed': String(state[side] === cell),
        disabled: cell.tokens === null,
        'aria-label': `Make ${nameOf(cell)} cell ${side}`,
        click: () => choose(side, cell),
      },
      side,
    );
  if (cell.failed !== null) {
    const named = all.filter((one) => one.show && !one.number);
    const width = all.filter((one) => !one.narrow).length - named.filter((one) => one.wide).length - 2;
    const reason = el('td', { colspan: String(width), class: 'failed' }, `no score: ${cell.failed}`);
    return el(
      'tr',
      {},
      el('td', { class: 'number' }, '–'),
      el('td', {}),
      named.map((one) => el('td', { class: kindOf(one) }, one.show(cell))),
      reason,
    );
  }
  const shown = all.map((one) => {
    if (one.key === 'bar') return el('td', { class: 'bar' }, bar(cell, scale));
    if (one.key === 'sides') return el('td', { class: 'sides' }, pick('A'), pick('B'));
    return el('td', { class: kindOf(one) }, one.show(cell));
  });
  return el('tr', { class: cell.floor ? 'floor' : null, 'data-cell': cell.id }, shown);
}

/** Shows which rows are the two cells, and leaves the table where it is. */
function markSides() {
  for (const button of leaderboard.rows.querySelectorAll('button.side')) {
    button.setAttribute('aria-pressed', String(state[button.textContent]?.id === button.dataset.cell));
  }
}

/** The range that holds all intervals, with some air. */
function scaleOf(cells) {
  const shares = cells.every((cell) => metricOf(cell).share);
  const known = cells.flatMap(valueOf).filter((value) => value !== null);
  const least = shares ? 0 : -1;
  const low = Math.max(least, Math.min(1, ...known) - 0.02);
  const high = Math.min(1, Math.max(least, ...known) + 0.02);
  return high > low ? { low, high, unit: shares ? ' %' : '' } : { low: 0, high: 1, unit: '' };
}

const at = (scale, value) => `${(SHARE * (value - scale.low)) / (scale.high - scale.low)}%`;

function ends(scale) {
  return el(
    'span',
    { class: 'ends' },
    el('span', {}, decimal(SHARE * scale.low, 0)),
    el('span', {}, decimal(SHARE * scale.high, 0) + scale.unit),
  );
}

/** The interval as a line with a dot, and the reference as a mark across. */
function bar(cell, scale) {
  const [value, low, high] = valueOf(cell);
  const reference = RUN.cells[sliceOf(cell).reference];
  const marked = reference ? valueOf(reference)[0] : null;
  const inside = marked !== null && marked >= scale.low && marked <= scale.high;
  const parts = [
    inside ? el('i', { class: 'mark', style: { left: at(scale, marked) } }) : null,
    low === null ? null : el('i', { class: 'range', style: { left: at(scale, low), right: `calc(100% - ${at(scale, high)})` } }),
    el('i', { class: 'dot', style: { left: at(scale, value) } }),
  ];
  return el('div', { class: 'interval', 'aria-hidden': 'true' }, parts);
}
