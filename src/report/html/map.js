// The map of a slice's texts: the pointer or the arrow keys pick a spot, a click or Enter leads to its text.

/** How far from a spot the pointer still picks it. Unit: pixels of the figure. */
const REACH = 14;

const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function startMaps() {
  RUN.slices.forEach(({ map }, slice) => {
    const figure = map && document.querySelector(`.figure[data-file="${map.file}"]`);
    if (figure) startMap(figure, slice, map);
  });
}

function startMap(figure, slice, map) {
  const svg = figure.querySelector('svg');
  const [samples, x, y] = [map.samples, map.x, map.y].map(numbers);
  const cell = RUN.cells[map.cell];
  const ring = svg.appendChild(document.createElementNS(svg.namespaceURI, 'circle'));
  ring.setAttribute('r', '8');
  ring.setAttribute('class', 'ring');
  const hint = 'Point at a text, or move from text to text with the arrow keys; a click or Enter opens it below.';
  const status = el('p', { class: 'status', role: 'status' }, hint);
  figure.closest('p').after(status);
  figure.setAttribute('role', 'group');
  figure.setAttribute('aria-label', 'Map of the texts; arrow keys move from text to text, Enter opens one');
  let picked = null;
  const pick = (spot) => {
    picked = spot;
    svg.style.cursor = spot === null ? '' : 'pointer';
    ring.setAttribute('visibility', spot === null ? 'hidden' : 'visible');
    if (spot === null) return;
    ring.setAttribute('cx', x[spot]);
    ring.setAttribute('cy', y[spot]);
    status.replaceChildren(...spotLine(cell, slice, samples[spot], open));
  };
  const open = () => {
    choose('A', cell);
    browse({ open: samples[picked] });
  };
  const near = ({ clientX, clientY }) => {
    const box = svg.getBoundingClientRect();
    const scale = svg.viewBox.baseVal.width / box.width;
    const found = nearest(x, y, [scale * (clientX - box.left), scale * (clientY - box.top)]);
    return found !== null && found.far <= REACH ? found.spot : null;
  };
  pick(null);
  svg.addEventListener('pointermove', (event) => {
    const spot = near(event);
    if (spot !== picked) pick(spot);
  });
  svg.addEventListener('click', (event) => {
    pick(near(event));
    if (picked !== null) open();
  });
  figure.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && picked !== null) open();
    else if (WAYS[event.key]) pick(picked === null ? 0 : beyond(x, y, picked, WAYS[event.key]));
    else return;
    event.preventDefault();
    ring.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  });
}

/** What a spot is: a link to its text, what it was answered, and how it begins. */
function spotLine(cell, slice, sample, open) {
  const { labels } = RUN.slices[slice];
  const { ids, texts } = textsOf(slice);
  const gold = numbers(RUN.slices[slice].gold)[sample];
  const predicted = cell.predicted === null ? null : numbers(cell.predicted)[sample];
  return [
    el('button', { type: 'button', class: 'link', click: open }, ids[sample]),
    ' ',
    predicted === null ? labels[gold] : answer(labels, predicted, gold),
    ...(predicted === null || predicted === gold ? [] : [` for ${labels[gold]}`]),
    `: ${shortened(texts[sample], 70)}`,
  ];
}

function nearest(x, y, [across, down]) {
  let found = null;
  for (let spot = 0; spot < x.length; spot += 1) {
    const far = Math.hypot(x[spot] - across, y[spot] - down);
    if (found === null || far < found.far) found = { spot, far };
  }
  return found;
}

/** The next spot on one side of another: near, and rather ahead than aside; itself where there is none. */
function beyond(x, y, from, [across, down]) {
  let found = { spot: from, far: Infinity };
  for (let spot = 0; spot < x.length; spot += 1) {
    const [right, below] = [x[spot] - x[from], y[spot] - y[from]];
    const ahead = right * across + below * down;
    const aside = Math.abs(right * down) + Math.abs(below * across);
    const far = ahead + 2 * aside;
    // Spots in one place follow each other as the texts do.
    const next = ahead > 0 || (ahead === 0 && aside === 0 && spot > from);
    if (next && spot !== from && far < found.far) found = { spot, far };
  }
  return found.spot;
}
