// The answer at a glance: the best cell of each slice that the report is about, and what it is held against.

function showHeadline() {
  const dev = new Set(RUN.slices.map((slice) => slice.chosen_on));
  const slices = RUN.slices.map((_, place) => place).filter((place) => !dev.has(place));
  const rows = slices.map(headlineOf).filter(Boolean);
  // Where nothing is held against anything, one row is enough.
  const shown = rows.length > 0 && rows.every((tiles) => tiles.length === 1) ? [rows.flat()] : rows;
  document.getElementById('the-answer').after(...shown.map((tiles) => el('div', { class: 'tiles' }, tiles)));
}

function headlineOf(place) {
  const cells = RUN.cells.filter((cell) => cell.slice === place && cell.rank !== null).sort((a, b) => a.rank - b.rank);
  if (cells.length === 0) return null;
  const [best] = cells;
  const reference = RUN.cells[sliceOf(best).reference];
  const floor = cells.find((cell) => cell.floor);
  const against = [['the reference', reference], ...(best.floor ? [] : [['the lexical floor', floor]])];
  const several = RUN.slices.length > 1 ? ` on ${sliceOf(best).title}` : '';
  const metric = metricOf(best);
  const [value, low, high] = valueOf(best);
  const main = tile(
    written(metric, value),
    `${metric.share ? '' : `${metric.title}, times 100; `}best cell${several}: ${nameOf(best)}`,
    { low: Math.min(0, low ?? value), high: 1 },
    [value, low, high],
    chanceOf(best),
    'chance',
  );
  const others = against.filter(([, cell]) => cell && cell !== best && cell.tokens !== null && best.tokens !== null);
  return [main, ...others.map(([name, cell]) => differenceTile(name, best, cell))];
}

/** What guessing would score: one label of all, no correlation, or the share of pairs that are the same; null where nobody knows. */
function chanceOf(cell) {
  const { kind, labels } = sliceOf(cell);
  const { name } = metricOf(cell);
  if (name === 'accuracy' && kind === 'labels') return 1 / labels.length;
  if (name === 'spearman') return 0;
  if (kind === 'classes') return goldOf(cell).reduce((sum, gold) => sum + gold, 0) / Math.max(1, goldOf(cell).length);
  return null;
}

function differenceTile(name, best, cell) {
  const pair = compared(best, cell);
  const [low, high] = pair.interval ?? [null, null];
  const reach = 1.15 * Math.max(0.02, Math.abs(pair.difference), Math.abs(low), Math.abs(high));
  return tile(
    points(pair.difference),
    `points over ${name}${low === null ? '' : `, 95 % ${points(low)} to ${points(high)}`}`,
    { low: -reach, high: reach },
    [pair.difference, low, high],
    0,
    '0',
  );
}

/** A number with its interval on a scale, and a mark to hold it against. */
function tile(number, words, scale, estimate, mark, name) {
  return el(
    'div',
    { class: 'tile' },
    el('p', { class: 'big' }, number),
    drawnInterval(scale, estimate, mark, name),
    el('p', {}, words),
  );
}

/** An interval as a line with a dot, and a named mark across, if any. */
function drawnInterval(scale, [value, low, high], mark, name) {
  const late = mark > (scale.low + 2 * scale.high) / 3;
  return el(
    'div',
    { class: 'interval broad', 'aria-hidden': 'true' },
    mark === null ? null : el('i', { class: 'mark', style: { left: at(scale, mark) } }),
    low === null ? null : el('i', { class: 'range', style: { left: at(scale, low), right: `calc(100% - ${at(scale, high)})` } }),
    el('i', { class: 'dot', style: { left: at(scale, value) } }),
    mark === null ? null : el('span', { class: 'zero', style: late ? { right: `calc(100% - ${at(scale, mark)})` } : { left: at(scale, mark) } }, name),
  );
}
