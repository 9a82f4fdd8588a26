// A text under its prompt, with the characters that were cut from it.

/** What each text lost, by its place: `triples` of the page's data. */
const lossesOf = remembered((place) => {
  const triples = numbers(place);
  const known = new Map();
  for (let at = 0; at < triples.length; at += 3) known.set(triples[at], [triples[at + 1], triples[at + 2]]);
  return known;
});

/** The first character that a text lost under a view of its prompt, and the first after those; null where it lost none. */
function lostBy(cell, view, part, i) {
  if (cell.left_out === null) return null;
  return lossesOf(cell.left_out).get((2 * view + part) * goldOf(cell).length + i) ?? null;
}

/** A text of a sample, its first or second one, in its prompt. */
function prompted(i, text, part) {
  const { A } = state;
  const prompt = RUN.prompts.find((known) => known.id === A.choices[RUN.axes.indexOf('prompt')]);
  if (!prompt) return null;
  const [tokens, cut] = [numbers(A.tokens)[i], numbers(A.cut)[i]];
  const model = A.choices[RUN.axes.indexOf('model')];
  const served = RUN.servers.includes(model) ? [`What the server of ${model} cuts by itself it does not tell.`] : [];
  if (cut === 0 && prompt.clean === 'none' && prompt.chat === null && prompt.views.every((view) => view === '{text}')) {
    return el('p', { class: 'limit' }, [`Prompt ${prompt.id} is the text alone.`, ...served].join(' '));
  }
  const lost = prompt.views.map((_, view) => lostBy(A, view, part, i));
  const shown = prompt.views.slice(0, SHOWN_VIEWS).map((view, place) => {
    const pieces = rendered(prompt, view, text);
    return { pieces, lost: lost[place], here: lost[place] !== null && isHere(prompt, pieces, text, lost[place]) };
  });
  const more = prompt.views.length - shown.length;
  const notes = prompt.chat === null ? [] : [`As a message in the model's own chat format${chatOf(prompt.chat)}.`];
  if (more > 0) notes.push(`and ${counted(more, 'more view')}.`);
  notes.push(...cutNotes(prompt, [tokens, cut], lost, shown), ...served);
  return el(
    'div',
    {},
    el('h4', {}, `As prompted: ${prompt.id}`),
    shown.map((view) => el('p', { class: 'text prompt', tabindex: '0' }, marked(view.pieces, prompt.truncate, view.here ? view.lost : null))),
    notes.length > 0 ? el('p', { class: 'limit' }, notes.join(' ')) : null,
  );
}

/** Whether the page holds what was cut: it may hold the beginning of a text alone, and no columns that a prompt names. */
function isHere(prompt, pieces, text, [start]) {
  const shortened = RUN.shortened !== null && text.endsWith('…');
  if (prompt.truncate === 'whole-prompt') return !shortened && !pieces.some((piece) => piece.named);
  return !shortened || start < RUN.shortened;
}

/** How much was cut, and what the marks say. */
function cutNotes(prompt, [tokens, cut], lost, shown) {
  const own = lost.find((view) => view !== null);
  // Tokens of a pair are those of both texts: the other one may be the one that was cut.
  if (cut === 0 || (ofPairs(state.A) && RUN.cuts_known && !own)) return [];
  const { A } = state;
  const over = [prompt.views.length > 1 && ' over all views', ofPairs(A) && ' of both texts'].filter(Boolean).join('');
  const where = [
    [!RUN.cuts_known, 'where, these results do not say: an older version wrote them'],
    [!own, 'where, nobody can tell in this chat format'],
    [shown.some((view) => view.here), 'what is struck out was left out, to the character'],
    [true, `from character ${grouped((own ?? [0])[0] + 1)} of the ${prompt.truncate === 'whole-prompt' ? 'prompt' : 'text'} on, which this page does not hold whole`],
  ].find(([holds]) => holds)[1];
  return [`${counted(cut, 'token')} of ${grouped(tokens + cut)} were cut${over}: ${where}.`];
}

/** What a chat adds to the message. */
function chatOf({ system, answer }) {
  return (
    (system === null ? '' : `, after the system's “${system}”`) +
    (answer === null ? '' : `, with an answer that begins “${answer}”`)
  );
}

/** Pieces as elements, the characters that were lost struck out: those of every slot, or of the prompt as a whole. */
function marked(pieces, truncate, lost) {
  const shown = (piece, letters) => (letters.length === 0 ? null : el(piece.slot ? 'span' : 'b', {}, letters.join('')));
  const scissors = () => el('span', { class: 'cut-mark', title: 'cut here' }, '✂');
  let before = 0;
  return pieces.flatMap((piece, place) => {
    const letters = [...piece.words];
    const first = truncate === 'whole-prompt' ? before : piece.trimmed;
    before += letters.length;
    if (lost === null || (truncate !== 'whole-prompt' && !piece.slot)) return [shown(piece, letters)];
    const [start, end] = lost.map((at) => Math.min(letters.length, Math.max(0, at - first)));
    const last = place === pieces.length - 1;
    const begins = truncate !== 'whole-prompt' || (lost[0] >= first && (lost[0] < before || last));
    return [
      shown(piece, letters.slice(0, start)),
      begins ? scissors() : null,
      end > start ? el('del', {}, letters.slice(start, end).join('')) : null,
      shown(piece, letters.slice(end)),
    ];
  });
}
