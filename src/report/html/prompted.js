// A text under its prompt, with the place where it was cut.

/** The text in its prompt, with the place where it was cut. */
function prompted(i, text) {
  const { A } = state;
  const prompt = RUN.prompts.find((known) => known.id === A.choices[RUN.axes.indexOf('prompt')]);
  if (!prompt) return null;
  // Tokens of a pair are those of both texts, and nobody knows here which of them was cut.
  const [tokens, cut] = ofPairs(A) ? [0, 0] : [numbers(A.tokens)[i], numbers(A.cut)[i]];
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
