// What report.html must do in a browser. BENCH is the program, RESULTS a run of the quickstart, PAGES a folder of
// `<name>/report.html` from run records made by hand (`report::tests::look`), CHROMIUM the browser.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { close, faults, open, words } from './browser.mjs';

const { BENCH, RESULTS, PAGES } = process.env;
const quickstart = join(PAGES, 'quickstart');
execFileSync(BENCH, ['report', RESULTS, '--output', quickstart]);
const made = (name) => join(PAGES, name, 'report.html');
const QUICKSTART = made('quickstart');

// Kinds of pages that no record made by hand has: tasks without answers to browse, and several runs.
writeFileSync(
  join(PAGES, 'tasks.toml'),
  `name = "tasks"
[[model]]
id = "tiny-zh"
source = "path:${process.cwd()}/models/tiny-zh"
max_tokens = 40
[[prompt]]
id = "raw"
use = "raw"
[[prompt]]
id = "tailed"
template = "{text} 一词"
truncate = "tail"
[[readout]]
id = "own"
pool = "own"
[[slice]]
id = "test"
dataset = "apps6"
split = "test"
limit = 60
[[task]]
kind = "retrieval"
[[task]]
kind = "knn"
train = { split = "dev" }
[[task]]
kind = "linear-probe"
train = { split = "dev" }
[[task]]
kind = "clustering"
`,
);
const folders = ['home', 'results', 'reports'].flatMap((name) => [`--${name}`, join(PAGES, name === 'reports' ? '.' : name)]);
execFileSync(BENCH, ['run', join(PAGES, 'tasks.toml'), ...folders], { stdio: 'pipe' });
execFileSync(BENCH, ['report', RESULTS, join(PAGES, 'results/tasks'), 'results/baselines/quickstart', '--output', join(PAGES, 'summary')]);

/** All pages but the one that is made to be large. */
const PAGES_TO_READ = readdirSync(PAGES).filter((name) => existsSync(made(name)) && name !== 'large');

after(close);

test('every page is right and readable on a phone and on a desk, even of a run that has nothing to show', async () => {
  assert.ok(PAGES_TO_READ.length > 20, PAGES_TO_READ.join());
  const faulty = [];
  for (const name of PAGES_TO_READ) {
    for (const width of [375, 1280]) {
      const { page, wrong } = await open(made(name), { width });
      await page.evaluate(() => document.querySelectorAll('details.own, .card:first-child').forEach((one) => (one.open = true)));
      const found = await page.evaluate(() => ({
        wide: document.documentElement.scrollWidth,
        images: document.images.length,
        // What arithmetic on nothing leaves behind.
        nonsense: document.querySelector('main').innerText.match(/\bNaN\b|(?<!(is|or) )\bundefined\b|Infinity|\[object|\bnull\b|\binf\b|(?<![\w.-])[-\u2212]0(\.0+)?(?![.\d])/g),
        claims: [...document.querySelectorAll('h2, h3, p, li, td, th')].filter((one) => /\(\)|: *\.$|, *\.$| {2}$/.test(one.textContent)).map((one) => one.textContent),
        empty: [...document.querySelectorAll('section')].filter((one) => one.textContent.trim() === one.querySelector('h2').textContent.trim()).length,
        // Words that leave their figure.
        cut: [...document.querySelectorAll('.figure svg')].flatMap((svg) => {
          const paper = svg.getBoundingClientRect();
          const scale = paper.width / svg.viewBox.baseVal.width;
          const outside = (text) => {
            const box = text.getBoundingClientRect();
            return Math.max(paper.left - box.left, box.right - paper.right, paper.top - box.top, box.bottom - paper.bottom) > 2 * scale;
          };
          return [...svg.querySelectorAll('text')].filter(outside).map((text) => text.textContent);
        }),
      }));
      const wanted = { wide: width, images: 0, nonsense: null, claims: [], empty: 0, cut: [] };
      if (!isDeepStrictEqual([wrong, found], [[], wanted])) faulty.push({ name, width, wrong, found });
      await page.close();
    }
  }
  assert.deepEqual(faulty, []);
});

test('a run of 300 cells, of one text or of one label shows what it has and claims no more', async () => {
  const texts = {
    '300-cells': [/^300 cells of 300$/, 25],
    'one-sample': [/^2 cells of 2$/, 2],
    'one-label': [/^2 cells of 2$/, 2],
    'reference-failed': [/^3 cells of 3, 1 without a score$/, 3],
    'no-sample': [/^2 cells of 2$/, 2],
  };
  for (const [name, [status, rows]] of Object.entries(texts)) {
    const { page, wrong } = await open(made(name));
    assert.match((await words(page, 'section[aria-labelledby="leaderboard"] .status'))[0], status, name);
    assert.equal((await page.$$('.board tbody tr')).length, rows, name);
    assert.deepEqual(wrong, [], name);
    await page.close();
  }
  const { page } = await open(made('one-sample'));
  assert.match((await words(page, '.told'))[0], /^0\.0 points.*It may be noise\. Exact McNemar on 1 text: p = 1\.00/);
  await page.close();
});

test('a comparison has the numbers of the program', async () => {
  const { page } = await open(QUICKSTART);
  const ids = await page.evaluate(() => ANSWERED.filter((cell) => cell.slice === 0).map((cell) => cell.id));
  const [candidate, ...others] = ids;
  const sides = others.map((id) => `${RESULTS}#${id}`);
  const json = execFileSync(BENCH, ['compare', ...sides, `${RESULTS}#${candidate}`, '--format', 'json'], { maxBuffer: 1 << 28 });
  const told = JSON.parse(json);
  assert.ok(told.length > 10);
  for (const { pairs } of told) {
    const [wanted] = pairs;
    const found = await page.evaluate(
      (a, b) => {
        const cell = (id) => RUN.cells.find((known) => known.id === id);
        const [A, B] = [cell(a), cell(b)];
        choose('A', A);
        choose('B', B);
        const [gold, x, y] = [goldOf(A), numbers(A.predicted), numbers(B.predicted)];
        const sides = [...gold].map((label, i) => [verdict(label, x[i], y[i]), textsOf(A.slice).ids[i]]);
        const flips = sides.filter(([side]) => side === 'wins' || side === 'losses').map(([, id]) => id);
        return { ...paired(gold, x, y), flips, words: document.querySelector('.told').textContent };
      },
      wanted.candidate_cell,
      wanted.baseline_cell,
    );
    const { difference, wins, losses, p_value: p } = wanted.paired;
    const interval = [difference.interval.low, difference.interval.high];
    assert.deepEqual([found.difference, found.interval, found.n], [difference.value, interval, difference.n]);
    assert.deepEqual([found.wins, found.losses], [wins, losses]);
    assert.ok(Math.abs(found.p - p) <= 1e-12 * p, `${found.p} ${p}`);
    assert.deepEqual(found.flips.sort(), wanted.flips.map((flip) => flip.sample).sort());
    assert.match(found.words, new RegExp(`${counted(wins - losses)}.* points`));
  }
  await page.close();

  function counted(gain) {
    return gain > 0 ? '^\\+' : gain < 0 ? '^\u2212' : '^0';
  }
});

test('the exact test agrees with scipy beyond what runs show', async () => {
  const { page } = await open(QUICKSTART);
  // `scipy.stats.binomtest(b, b + c, 0.5).pvalue`, as in `stats`.
  const known = [
    [3, 1, 0.625],
    [10, 2, 0.03857421875],
    [120, 90, 0.045114087864840696],
    [900, 100, 1.3403435580012592e-161],
  ];
  for (const [b, c, p] of known) {
    const found = await page.evaluate((wins, losses) => mcnemarExact(wins, losses), b, c);
    assert.ok(Math.abs(found - p) <= 1e-9 * p, `${found} ${p}`);
  }
  assert.deepEqual(await page.evaluate(() => [mcnemarExact(7, 7), mcnemarExact(500000, 0)]), [1, 0]);
  assert.deepEqual(
    await page.evaluate(() =>
      [
        [0.25, 1],
        [0.75, 1],
        [-12.25, 1],
        [-0.04, 1],
        [2.5, 0],
      ].map(([value, places]) => decimal(value, places)),
    ),
    ['0.2', '0.8', '\u221212.2', '0.0', '2'],
  );
  await page.close();
});

test('prompts are rendered as the program renders them', async () => {
  const { page } = await open(QUICKSTART);
  const shown = (clean, view, text) =>
    page.evaluate(
      (...all) =>
        rendered({ clean: all[0] }, all[1], all[2])
          .map(({ words, slot }) => (slot ? `<${words}>` : words))
          .join(''),
      clean,
      view,
      text,
    );
  // The cases of `prompt::template` and `prompt::clean`.
  assert.equal(await shown('none', '词：{text} {{{text}}}', '好'), '词：<好> {<好>}');
  assert.equal(await shown('none', '<{text}>', '{text}}'), '<<{text}}>>');
  assert.equal(await shown('prompteol', ' a {text}: ', 'Is he "smoking"?'), "a <Is he 'smoking'.>:");
  const cleaned = ['A man is smoking', 'Is he smoking?', 'He said "no"', 'What?!', '"', '?', '', '好玩吗？'];
  const wanted = ['A man is smoking.', 'Is he smoking.', "He said 'no'", 'What?!.', "'", '.', '', '好玩吗？.'];
  assert.deepEqual(await page.evaluate((texts) => texts.map(cleaned), cleaned), wanted);
  await page.close();
});

test('what others wrote is shown as they wrote it, a chat around a prompt too', async () => {
  const { page, wrong } = await open(made('hostile'));
  await page.evaluate(() => document.querySelector('.card summary').click());
  await page.waitForSelector('.whole');
  const [shown] = await words(page, '.whole');
  assert.match(shown, /<\/script><img src=x onerror=alert\(1\)>/);
  assert.match(shown, /chat format, after the system's “<\/script>.*, with an answer that begins “It is”/);
  assert.deepEqual(wrong, []);
  await page.close();
});

test('the leaderboard says what the table of report.md says', async () => {
  const { page } = await open(QUICKSTART);
  const rows = (selector) =>
    page.$$eval(selector, (found) => found.map((row) => [...row.cells].map((cell) => cell.textContent.trim())));
  const [own, live] = [await rows('details.own tbody tr'), await rows('.board tbody tr')];
  const heads = await words(page, '.board thead th');
  const column = (name) => heads.findIndex((head) => head.startsWith(name));
  assert.ok(own.length > 15);
  own.forEach((row, i) => {
    const [, , , , , dev, accuracy, f1, difference, p] = row;
    const shown = ['on dev', 'accuracy', 'macro F1', '± reference', 'p (Holm)'].map((name) => live[i][column(name)]);
    assert.deepEqual(shown, [dev, accuracy, f1, difference, p]);
  });
  const [best, gain] = await words(page, '.tile .big');
  const answer = await words(page, 'section[aria-labelledby="the-answer"] tbody tr');
  assert.ok((await words(page, 'strong'))[0].includes(best), best);
  assert.ok(
    answer.some((row) => row.includes(`reference`) && row.includes(`${gain} [`)),
    gain,
  );
  await page.close();
});

test('columns sort and axes filter, and say so', async () => {
  const { page } = await open(QUICKSTART);
  const values = async () => (await words(page, '.board tbody tr')).map((row) => Number(/([\d.]+) % \[/.exec(row)[1]));
  await page.click('button[data-key="value"]');
  const falling = await values();
  assert.deepEqual(
    falling,
    [...falling].sort((a, b) => b - a),
  );
  await page.click('button[data-key="value"]');
  assert.deepEqual(
    await values(),
    [...falling].reverse().sort((a, b) => a - b),
  );
  assert.deepEqual(await page.$$eval('.board th[aria-sort]', (heads) => heads.map((head) => head.ariaSort)), ['ascending']);
  const model = await page.evaluateHandle(() =>
    [...document.querySelectorAll('label')].find((one) => one.textContent.startsWith('model')).querySelector('select'),
  );
  await model.select('char-ngram');
  const left = await page.$$eval('.board tbody tr', (rows) => rows.map((row) => row.className));
  assert.ok(left.length > 0 && left.every((name) => name === 'floor'), left.join());
  assert.match((await words(page, '.status'))[0], new RegExp(`^${left.length} cells of \\d+$`));
  await page.close();
});

test('a count of the confusion matrix leads to its texts', async () => {
  const { page } = await open(QUICKSTART);
  const count = await page.$eval('button.heat.miss', (button) => {
    button.click();
    return button.textContent;
  });
  assert.match((await words(page, '.samples'))[0] ?? '', /✗/);
  assert.ok((await words(page, '[role=status]')).some((line) => line.startsWith(`${count} text`)));
  assert.equal(await page.evaluate(() => document.activeElement.id), 'samples');
  await page.close();
});

test('a text that changed sides leads to itself, and another slice to its own cells', async () => {
  const { page, wrong } = await open(made('two'));
  await page.evaluate(() =>
    choose(
      'A',
      RUN.cells.find((cell) => cell.slice === 1 && cell.rank === 1),
    ),
  );
  assert.deepEqual(await page.evaluate(() => [sliceOf(state.A).id, sliceOf(state.B).id]), ['other', 'other']);
  const id = await page.$eval('.compare button.link', (button) => {
    button.click();
    return button.textContent;
  });
  assert.equal((await words(page, '.card[open] .id'))[0], id);
  assert.deepEqual(wrong, []);
  await page.close();
});

test('a text opens with its prompt, its cut and all its scores, and is found by its words', async () => {
  const { page, wrong } = await open(made('demo'));
  await page.evaluate(() =>
    choose(
      'A',
      RUN.cells.find((cell) => cell.choices[1] === 'cot-zh' && cell.predicted !== null),
    ),
  );
  await page.type('.controls input[placeholder^="words of the text"]', 'test:8');
  await page.waitForFunction(() => document.querySelectorAll('.cards > li').length === 11);
  await page.evaluate(() => document.querySelectorAll('.card summary')[0].click());
  await page.waitForSelector('.whole');
  const [prompt, scores, cut, text, note] = await page.$eval('.whole', (whole) => [
    whole.querySelector('.prompt').textContent,
    whole.querySelectorAll('.scores tr').length,
    whole.querySelector('del').textContent,
    whole.querySelector('.text').textContent,
    whole.querySelector('.limit').textContent,
  ]);
  assert.match(prompt, /^仔细思考后，用一个词总结这句话：第8款/);
  assert.equal(scores, 6);
  // The record made by hand cuts the last third.
  assert.equal(cut, text.slice(text.length - Math.floor(text.length / 3)));
  assert.match(note, /^37 tokens of 77 were cut: what is struck out was left out, to the character\.$/);
  await page.click('.controls input[placeholder^="words of the text"]', { clickCount: 3 });
  await page.keyboard.type('nothing like this');
  await page.waitForFunction(() =>
    [...document.querySelectorAll('[role=status]')].some((one) => one.textContent === 'No text fits.'),
  );
  assert.deepEqual(wrong, []);
  await page.close();
});

test('what was cut is marked where it was cut, and not where nobody knows', async () => {
  const { page } = await open(made('demo'));
  const shown = (truncate, view, text, lost, clean = 'none') =>
    page.evaluate(
      (...all) => {
        const [truncate, view, text, lost, clean] = all;
        const names = { B: 'fixed', SPAN: '', DEL: 'cut' };
        const parts = marked(rendered({ clean }, view, text), truncate, lost).filter(Boolean);
        return parts.map((one) => (one.className === 'cut-mark' ? '✂' : `${names[one.tagName]}<${one.textContent}>`)).join(' ');
      },
      truncate,
      view,
      text,
      lost,
      clean,
    );
  // The cases of `embed::char_ngram`, and an emoji of two UTF-16 units.
  assert.equal(await shown('head', '({text})', '一二三四五六', [4, 6]), 'fixed<(> <一二三四> ✂ cut<五六> fixed<)>');
  assert.equal(await shown('tail', '({text})', '一😀三四五六', [0, 2]), 'fixed<(> ✂ cut<一😀> <三四五六> fixed<)>');
  assert.equal(await shown('middle', '({text})', '一二三四五六', [2, 4]), 'fixed<(> <一二> ✂ cut<三四> <五六> fixed<)>');
  assert.equal(await shown('whole-prompt', '({text})', '一二三四五六', [6, 8]), 'fixed<(> <一二三四五> ✂ cut<六> cut<)>');
  assert.equal(await shown('whole-prompt', '({text})', '一', [3, 3]), 'fixed<(> <一> fixed<)> ✂');
  assert.equal(await shown('head', '{text}|{text}', '一二三', [2, 3]), '<一二> ✂ cut<三> fixed<|> <一二> ✂ cut<三>');
  assert.equal(await shown('head', '({text})', '一', null), 'fixed<(> <一> fixed<)>');
  // A clean-up takes white space from before the text, whose characters are counted as they were.
  assert.equal(await shown('head', '{text} means', '  one two', [5, 10], 'prompteol'), '<one> ✂ cut< two.> fixed< means>');
  // Through the debugger: the page's policy runs no words as a script.
  const note = (change) =>
    page.evaluate(`(() => {
      const cell = ANSWERED.find((one) => one.left_out !== null);
      const { cuts_known, servers, shortened } = RUN;
      const { left_out } = cell;
      choose('A', cell);
      ${change};
      const i = [...numbers(cell.cut)].findIndex((cut) => cut > 0);
      const said = prompted(i, RUN.shortened === null ? textsOf(0).texts[i] : '第1…', 0);
      Object.assign(RUN, { cuts_known, servers, shortened });
      cell.left_out = left_out;
      return [said.querySelector('.limit').textContent, said.querySelectorAll('del').length];
    })()`);
  assert.match((await note('RUN.cuts_known = false; cell.left_out = null'))[0], /where, these results do not say: an older version wrote them/);
  assert.match((await note('cell.left_out = null'))[0], /where, nobody can tell in this chat format/);
  assert.match((await note("RUN.servers = ['tiny-zh']"))[0], /What the server of tiny-zh cuts by itself it does not tell\.$/);
  assert.deepEqual((await note('RUN.shortened = 2'))[1], 0);
  assert.match((await note('RUN.shortened = 2'))[0], /from character \d+ of the text on, which this page does not hold whole/);
  await page.close();
  // A real run: the tail of these texts was kept. Its first task comes first, and its four answers share a row.
  const { page: tasks, wrong } = await open(made('tasks'));
  const kept = await tasks.evaluate(() => {
    const cell = ANSWERED.find((one) => one.choices[1] === 'tailed');
    choose('A', cell);
    const i = [...numbers(cell.cut)].findIndex((cut) => cut > 0);
    const said = prompted(i, textsOf(cell.slice).texts[i], 0);
    return [said.querySelector('.prompt').firstChild.className, said.querySelector('del').nextSibling.textContent, textsOf(cell.slice).texts[i]];
  });
  assert.deepEqual(await tasks.evaluate(() => RUN.slices.map((slice) => slice.task)), ['retrieval', 'knn', 'linear-probe', 'clustering']);
  assert.deepEqual(await tasks.$$eval('.tiles', (rows) => rows.map((row) => row.children.length)), [4]);
  assert.equal(kept[0], 'cut-mark');
  assert.ok(kept[2].endsWith(kept[1]) && kept[1].length > 5 && kept[1].length < kept[2].length, kept.join('|'));
  assert.deepEqual(wrong, []);
  await tasks.close();
});

test('a spot of the map leads to its text, by pointer and by keyboard', async () => {
  const { page, wrong } = await open(made('demo'));
  const status = () => page.$eval('.figure[data-file="map.svg"]', (figure) => figure.closest('p').nextElementSibling.textContent);
  assert.match(await status(), /^Point at a text, or move from text to text with the arrow keys/);
  await page.focus('.figure[data-file="map.svg"]');
  await page.keyboard.press('ArrowRight');
  const first = await status();
  assert.match(first, /^test:1 .*休闲益智.*: 第1款休闲益智应用/);
  await page.keyboard.press('ArrowRight');
  assert.notEqual(await status(), first);
  const [id] = (await status()).split(' ');
  await page.keyboard.press('Enter');
  assert.equal((await words(page, '.card[open] .id'))[0], id);
  assert.deepEqual(await page.evaluate(() => [document.activeElement.id, state.A.rank]), ['samples', 1]);
  // Every text can be reached by a pointer, and each way leads somewhere.
  const spots = await page.evaluate(() => {
    const svg = document.querySelector('.figure[data-file="map.svg"] svg');
    svg.scrollIntoView({ block: 'center' });
    const { map } = RUN.slices[0];
    const box = svg.getBoundingClientRect();
    const scale = box.width / svg.viewBox.baseVal.width;
    const [x, y] = [numbers(map.x), numbers(map.y)];
    const ways = Object.values(WAYS).map((way) => [...x].filter((_, spot) => beyond(x, y, spot, way) !== spot).length);
    const at = (spot) => [box.left + scale * x[spot], box.top + scale * y[spot], textsOf(0).ids[numbers(map.samples)[spot]]];
    return { ways, count: x.length, some: [3, 77, 159].map(at) };
  });
  assert.equal(spots.count, 160);
  assert.ok(spots.ways.every((moved) => moved >= 158), spots.ways.join());
  for (const [x, y, wanted] of spots.some) {
    await page.mouse.move(x, y);
    assert.equal((await status()).split(' ')[0], wanted);
  }
  await page.mouse.click(spots.some[2][0], spots.some[2][1]);
  assert.equal((await words(page, '.card[open] .id'))[0], spots.some[2][2]);
  assert.deepEqual(wrong, []);
  await page.close();
});

test('pairs are ranked, compared and browsed as texts are', async () => {
  for (const name of ['scores', 'classes']) {
    const { page, wrong } = await open(made(name));
    const rows = (selector) =>
      page.$$eval(selector, (found) => found.map((row) => [...row.cells].map((cell) => cell.textContent.trim())));
    const own = await rows('details.own .scroll:first-of-type tbody tr');
    const live = await rows('.board tbody tr');
    assert.equal(own.length, 4);
    const heads = await words(page, '.board thead th');
    const column = (title) => heads.findIndex((head) => head.startsWith(title));
    const value = { scores: 'Spearman', classes: 'average precision' }[name];
    own.forEach((row, i) => {
      assert.equal(live[i][column(value)], row[3]);
      assert.equal(live[i][column('± reference')], row.at(-5));
      assert.equal(live[i][column('p (Holm)')], row.at(-4));
    });
    // Any two cells: the reference's comparisons are those of report.md, from the same resamples.
    const told = await page.evaluate(() => {
      const reference = RUN.cells[RUN.slices[0].reference];
      return ANSWERED.filter((cell) => cell !== reference).map((cell) => {
        choose('A', cell);
        choose('B', reference);
        const { difference, interval } = compared(state.A, state.B);
        return [`${points(difference)} [${points(interval[0])}, ${points(interval[1])}]`, document.querySelector('.told').textContent];
      });
    });
    const wanted = own.map((row) => row.at(-5)).filter((cell) => cell !== 'reference');
    assert.deepEqual(
      told.map(([gap]) => gap),
      wanted,
    );
    assert.match(told[0][1], /Resampling on 200 pairs: p .* as one comparison, p .* corrected \(Bonferroni\) for all 6 pairs of cells/);
    // A count leads to its pairs, which show both texts, gold and cosine.
    const count = await page.$eval('button.heat', (button) => {
      button.click();
      return button.textContent;
    });
    assert.ok((await words(page, '[role=status]')).some((line) => line.startsWith(`${count} pair`)));
    await page.evaluate(() => document.querySelector('.card summary').click());
    await page.waitForSelector('.whole');
    const [shown] = await words(page, '.whole');
    assert.match(shown, /First text.*First text of pair \d+.*Second text.*Second text \| of pair \d+.*cell A ?cosine [\d.−]+, rank \d+ %/);
    await page.evaluate(() => browse({ words: 'second text | of pair 17' }));
    assert.deepEqual(await words(page, '.samples .id'), ['test:17', 'test:117', ...Array.from({ length: 10 }, (_, i) => `test:17${i}`)]);
    await page.evaluate(() => browse({ order: 'above' }));
    const apart = await page.evaluate(() => found().map((i) => rankedFor(state.A).above[i]));
    assert.deepEqual(
      apart,
      [...apart].sort((a, b) => b - a),
    );
    assert.deepEqual(wrong, []);
    await page.close();
  }
});

test('a run of texts and of pairs has one leaderboard, and each part says what it is about', async () => {
  const { page, wrong } = await open(made('mixed'));
  assert.equal(await page.$$eval('section[aria-labelledby="leaderboard"] > .scroll', (tables) => tables.length), 0, 'no second table below');
  const slice = await page.evaluateHandle(() =>
    [...document.querySelectorAll('label')].find((one) => one.textContent.startsWith('slice')).querySelector('select'),
  );
  assert.ok((await words(page, '.board thead th')).some((head) => head.startsWith('accuracy')));
  await slice.select('alike');
  assert.ok((await words(page, '.board thead th')).some((head) => head.startsWith('Spearman')));
  assert.match((await words(page, '.agreement, .confusion')).join(' '), /Cell A is about labels: pick a cell of pairs/);
  await page.evaluate(() => choose('A', ANSWERED.find(ofPairs)));
  assert.match((await words(page, '.confusion')).join(' '), /Cell A is about pairs: pick a cell of labels/);
  assert.equal(await page.evaluate(() => state.B.slice === state.A.slice), true);
  await slice.select('');
  assert.ok((await words(page, '.board thead th')).some((head) => head.startsWith('score')));
  assert.deepEqual(wrong, []);
  await page.close();
});

test('equal values share their mean rank', async () => {
  const { page } = await open(QUICKSTART);
  assert.deepEqual(await page.evaluate(() => [...ranks([0.3, 0.1, 0.3, 0.2])]), [3.5, 1, 3.5, 2]);
  await page.close();
});

test('the keyboard reaches and works everything', async () => {
  const { page } = await open(QUICKSTART);
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Skip to the report');
  await page.keyboard.press('Enter');
  await page.focus('button[data-key="macro_f1"]');
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.closest('th').ariaSort), 'descending', 'focus stays on the head');
  assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), 'none');
  await page.focus('.board tbody tr:nth-child(3) button.side:last-child');
  await page.keyboard.press('Space');
  assert.equal(
    await page.evaluate(() => [document.activeElement.textContent, document.activeElement.ariaPressed].join()),
    'B,true',
  );
  assert.equal(
    await page.$$eval('button.side[aria-pressed="true"]', (pressed) =>
      pressed
        .map((one) => one.textContent)
        .sort()
        .join(),
    ),
    'A,B',
  );
  await page.focus('.card summary');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.card[open] .whole');
  await page.close();
});

test('light and dark, narrow and wide, without a serious fault of accessibility', async () => {
  const ways = [['light', 375], ['dark', 1280], ['dark', 375], ['light', 1280]];
  const often = ['quickstart', 'demo', 'tasks', 'scores'];
  for (const name of PAGES_TO_READ) {
    for (const [scheme, width] of often.includes(name) ? ways : ways.slice(0, 2)) {
      const { page } = await open(made(name), { scheme, width });
      const paper = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      assert.equal(paper, scheme === 'dark' ? 'rgb(13, 17, 23)' : 'rgb(255, 255, 255)');
      const opened = await page.evaluate(() => {
        const summary = document.querySelector('.card summary');
        summary?.click();
        return Boolean(summary);
      });
      if (opened) await page.waitForSelector('.whole');
      assert.deepEqual([name, scheme, width, await faults(page)], [name, scheme, width, []]);
      await page.close();
    }
  }
});

test('a hundred thousand texts are there within two seconds', async () => {
  const start = performance.now();
  const { page, wrong } = await open(made('large'));
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  const opened = performance.now() - start;
  const took = (work) =>
    page.evaluate(`(() => { const start = performance.now(); ${work}; return performance.now() - start; })()`);
  const search = await took("samples.filter.words = '第99999款'; listSamples()");
  assert.deepEqual(await words(page, '.samples .id'), ['test:99999']);
  const rival = await took("choose('B', ANSWERED[3])");
  const order = await took("samples.filter = { ...EVERYTHING, order: 'confident' }; listSamples()");
  console.log(
    `opened ${opened.toFixed(0)} ms, first search ${search.toFixed(0)}, another cell ${rival.toFixed(0)}, sorted ${order.toFixed(0)}`,
  );
  assert.ok(opened < 2000, `${opened} ms`);
  assert.ok(Math.max(search, rival, order) < 1000, `${search} ${rival} ${order} ms`);
  assert.deepEqual(wrong, []);
  await page.close();
});

test('without JavaScript the answer, the tables and the figures are there', async () => {
  const { page } = await open(QUICKSTART, { script: false });
  const text = await page.evaluate(() => document.body.innerText).catch(() => null);
  const html = text ?? (await page.content());
  for (const part of ['Best cell', 'Leaderboard', 'Most confused', 'need JavaScript']) assert.ok(html.includes(part), part);
  assert.ok((await page.$$('.figure svg')).length >= 4 && (await page.$$('table')).length > 8);
  await page.close();
});
