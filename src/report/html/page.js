// Starts the parts of the page, and keeps the two cells that they are about.

const state = { A: null, B: null };

/** Makes a cell A or B; both stand on one slice. */
function choose(side, cell) {
  state[side] = cell;
  const other = side === 'A' ? 'B' : 'A';
  if (state[other].slice !== cell.slice) state[other] = rivalOf(cell);
  if (side === 'A') {
    const { words, order } = samples.filter;
    const known = browser().orders.some(([key]) => key === order);
    samples.filter = { ...EVERYTHING, words, order: known ? order : EVERYTHING.order };
  }
  refresh();
}

/** What a cell is held against: the reference of its slice, else the best other cell, else itself. */
function rivalOf(cell) {
  const reference = RUN.cells[sliceOf(cell).reference];
  const kept = ANSWERED.filter((other) => other.slice === cell.slice && other !== cell);
  return kept.find((other) => other === reference) ?? kept[0] ?? cell;
}

function refresh() {
  markSides();
  showCompare();
  showConfusion();
  showAgreement();
  showSamples();
}

function start() {
  if (RUN.cells.length === 0) return;
  showHeadline();
  startLeaderboard();
  showLeaderboard();
  if (ANSWERED.length === 0) return;
  [state.A] = ANSWERED;
  state.B = rivalOf(state.A);
  startCompare();
  startConfusion();
  startAgreement();
  startMaps();
  startSamples();
  refresh();
}

start();
