// The run's data, decoded when it is first used.

const RUN = JSON.parse(document.getElementById('run').textContent);

/** An array of the page by its place. */
const numbers = remembered((place) => {
  const element = document.getElementById(`array-${place}`);
  const text = atob(element.textContent);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  const kinds = { u8: Uint8Array, u16: Uint16Array, u32: Uint32Array, f32: Float32Array, f64: Float64Array };
  return new kinds[element.dataset.kind](bytes.buffer);
});

/** Ids and texts of a slice. */
const textsOf = remembered((slice) => JSON.parse(document.getElementById(`texts-${slice}`).textContent));

/** The same in small letters, for searching. */
const searchable = remembered((slice) => {
  const { ids, texts, partners } = textsOf(slice);
  return texts.map((text, i) => `${ids[i]}\n${text}\n${partners?.[i] ?? ''}`.toLowerCase());
});

/** What a cell has on an axis that is not for its samples. */
const NO_CHOICE = '-';

/** The choices of some cells on an axis. */
const choicesOf = (cells, place) => [...new Set(cells.map((cell) => cell.choices[place]))].filter((id) => id !== NO_CHOICE);

/** Axes on which the run's cells differ. */
const VARYING = RUN.axes
  .map((name, place) => ({ name, place, choices: choicesOf(RUN.cells, place) }))
  .filter((axis) => axis.choices.length > 1);

/** What tells a cell from the others of its task on its slice. */
function nameOf(cell) {
  const own = (axis) => axis.name !== 'slice' && axis.name !== 'task' && cell.choices[axis.place] !== NO_CHOICE;
  const axes = VARYING.filter(own);
  return axes.length > 0 ? axes.map((axis) => cell.choices[axis.place]).join(' · ') : cell.choices[1];
}

const sliceOf = (cell) => RUN.slices[cell.slice];
const goldOf = (cell) => numbers(sliceOf(cell).gold);
const ofPairs = (cell) => sliceOf(cell).kind !== 'labels';

/** The metric that a cell is ranked by, and its value with the ends of its interval. */
const metricOf = (cell) => sliceOf(cell).metrics[0];
const valueOf = (cell) => cell.metrics[metricOf(cell).name] ?? [null, null, null];

/** A value of a metric: a share as `72.5 %`, any other number times a hundred as `82.03`. */
function written(metric, value) {
  if (metric.share) return percent(value);
  return value === null || value === undefined ? '–' : decimal(SHARE * value, 2);
}

/** Cells whose answers the page keeps, best first. */
const ANSWERED = RUN.cells.filter((cell) => cell.tokens !== null).sort((a, b) => a.slice - b.slice || a.rank - b.rank);

/** Per sample: best minus second-best score, gold minus best other score, and the gold label's rank; null without scores. */
const marginsOf = remembered((place) => {
  const cell = RUN.cells[place];
  const labels = sliceOf(cell).labels.length;
  if (cell.scores === null || labels < 2) return null;
  const [scores, gold] = [numbers(cell.scores), goldOf(cell)];
  const margin = new Float32Array(gold.length);
  const goldMargin = new Float32Array(gold.length);
  const rank = new Uint32Array(gold.length);
  for (let i = 0; i < gold.length; i += 1) {
    const own = scores[i * labels + gold[i]];
    let [first, second, other] = [-Infinity, -Infinity, -Infinity];
    rank[i] = 1;
    for (let label = 0; label < labels; label += 1) {
      const score = scores[i * labels + label];
      if (score > first) [first, second] = [score, first];
      else if (score > second) second = score;
      if (label !== gold[i] && score > other) other = score;
      if (score > own) rank[i] += 1;
    }
    margin[i] = first - second;
    goldMargin[i] = own - other;
  }
  return { margin, goldMargin, rank };
});

const marginsFor = (cell) => marginsOf(RUN.cells.indexOf(cell));

/** Decimals with which this cell's scores show two digits of their spread. */
function placesFor(cell) {
  const margins = marginsFor(cell);
  if (!margins) return 3;
  let sum = 0;
  for (const margin of margins.margin) sum += margin;
  const mean = sum / Math.max(1, margins.margin.length);
  return [3, 4, 5].find((places) => mean >= 10 ** (1 - places)) ?? 6;
}

/** A text under one view of a prompt, as pieces of fixed words, text, and columns by their names; `trimmed` are characters lost before. */
function rendered(prompt, view, text) {
  const sentence = prompt.clean === 'prompteol' ? cleaned(text) : text;
  const pieces = [];
  let at = 0;
  const fixed = (words) => {
    if (words === '') return;
    const last = pieces.at(-1);
    if (last && !last.slot && !last.named) last.words += words;
    else pieces.push({ words, slot: false, named: false, trimmed: 0 });
  };
  for (const found of view.matchAll(/\{\{|\}\}|\{[^{}]+\}/g)) {
    fixed(view.slice(at, found.index));
    if (found[0] === '{text}') pieces.push({ words: sentence, slot: true, named: false, trimmed: 0 });
    else if (found[0].length > 2) pieces.push({ words: found[0], slot: false, named: true, trimmed: 0 });
    else fixed(found[0][0]);
    at = found.index + found[0].length;
  }
  fixed(view.slice(at));
  if (prompt.clean === 'prompteol' && pieces.length > 0) {
    const [first] = pieces;
    const { length } = first.words;
    first.words = first.words.trimStart();
    first.trimmed = length - first.words.length;
    pieces.at(-1).words = pieces.at(-1).words.trimEnd();
  }
  return pieces;
}

/** The published clean-up of a sentence. */
function cleaned(text) {
  let sentence = text === '' || /[.?"']$/.test(text) ? text : `${text}.`;
  sentence = sentence.replaceAll('"', "'");
  return sentence.endsWith('?') ? `${sentence.slice(0, -1)}.` : sentence;
}

function remembered(make) {
  const known = new Map();
  return (key) => {
    if (!known.has(key)) known.set(key, make(key));
    return known.get(key);
  };
}
