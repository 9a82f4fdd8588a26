// Elements, numbers in words, and lists in pages.

const SHARE = 100;

/** An element with attributes and children; a function as an attribute listens. Text is never read as markup. */
function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name, value);
    else if (name === 'style') Object.assign(element.style, value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined));
  return element;
}

/** A number with so many decimals, half to even as the program writes it, with a true minus sign and no negative zero. */
function decimal(value, places) {
  const exact = Math.abs(value).toFixed(places + 40);
  const [kept, rest] = [exact.slice(0, -40), exact.slice(-40)];
  const tie = /^50*$/.test(rest) && /[02468]\.?$/.test(kept);
  const text = tie ? kept.replace(/\.$/, '') : Math.abs(value).toFixed(places);
  return value < 0 && /[1-9]/.test(text) ? `\u2212${text}` : text;
}

const percent = (share) => (share === null || share === undefined ? '–' : `${decimal(SHARE * share, 1)} %`);

/** A difference of shares in percentage points, with its sign. */
function points(difference) {
  const text = decimal(SHARE * difference, 1);
  return text.startsWith('\u2212') || !/[1-9]/.test(text) ? text : `+${text}`;
}

function bareP(p) {
  if (p < 0.001) return '< 0.001';
  return decimal(p, p < 0.0995 ? 3 : 2);
}

const pValue = (p) => (p < 0.001 ? 'p < 0.001' : `p = ${bareP(p)}`);

const grouped = (count) => String(count).replace(/\B(?=(\d{3})+$)/g, '\u202f');
const counted = (count, noun) => `${grouped(count)} ${noun}${count === 1 ? '' : 's'}`;

/** A menu: values and names, with groups where an option names one. */
function menu(label, options, value, choose) {
  const select = el('select', { change: () => choose(select.value) });
  let group = null;
  for (const option of options) {
    if (option.group && group?.label !== option.group) {
      group = el('optgroup', { label: option.group });
      select.append(group);
    }
    (option.group ? group : select).append(el('option', { value: option.value, selected: option.value === value }, option.name));
  }
  return el('label', { class: 'control' }, el('span', {}, label), select);
}

/** A part of a list, with buttons to the others. `show` makes the element of one item. */
function pages(list, size, frame, show, noun) {
  const holder = el('div', { class: 'pages' });
  const last = Math.max(0, Math.ceil(list.length / size) - 1);
  const turn = (page, focus) => {
    const part = Array.from(list.slice(page * size, (page + 1) * size), show);
    const go = (to, name) =>
      el('button', { type: 'button', disabled: to < 0 || to > last || to === page, click: () => turn(to, name) }, name);
    const [from, to] = [page * size + 1, Math.min(list.length, (page + 1) * size)];
    const where = el('span', {}, `${grouped(from)} to ${grouped(to)} of ${counted(list.length, noun)}`);
    const steps = [go(0, 'First'), go(page - 1, 'Previous'), where, go(page + 1, 'Next'), go(last, 'Last')];
    holder.replaceChildren(
      frame(part),
      ...(last > 0 ? [el('div', { class: 'pager', role: 'group', 'aria-label': 'Pages' }, steps)] : []),
    );
    const buttons = [...holder.querySelectorAll('.pager button:not(:disabled)')];
    if (focus) (buttons.find((button) => button.textContent === focus) ?? buttons[0])?.focus();
  };
  turn(0, null);
  return holder;
}

/** A table that scrolls on its own when the page is narrow. */
function table(caption, heads, rows) {
  const head = el('thead', {}, el('tr', {}, heads));
  const body = el('table', { class: 'live' }, el('caption', { class: 'unseen' }, caption), head, el('tbody', {}, rows));
  return el('div', { class: 'scroll', tabindex: '0', role: 'group', 'aria-label': caption }, body);
}

/** A section of the page, made if the report has none of this name, with a link in the navigation. */
function section(id, title, before) {
  const known = document.getElementById(id)?.closest('section');
  if (known) return known;
  const made = el('section', { 'aria-labelledby': id }, el('h2', { id }, title));
  document.getElementById(before).closest('section').before(made);
  document.querySelector(`nav a[href="#${before}"]`).before(el('a', { href: `#${id}` }, title), ' ');
  return made;
}

/** Puts what the script shows in place of the report's own blocks that `replaced` names, which stay at hand below. */
function replaceBy(part, replaced, ...shown) {
  const own = [...part.children].slice(1);
  const slices = own.some((child) => child.textContent.startsWith('Slice '));
  const end = own.findIndex((child) => child.textContent === 'Failed cells');
  const before = own.slice(0, end < 0 ? own.length : end);
  const moved = before.filter((child) => slices || replaced(child));
  if (moved.length === 0) {
    part.insertBefore(el('div', {}, shown), own[end] ?? null);
    return;
  }
  const details = el('details', { class: 'own' }, el('summary', {}, 'As in report.md'));
  moved[0].before(...shown, details);
  details.append(...moved);
}

const isTable = (child) => child.classList.contains('scroll');
const isFigure = (child) => [child, child.previousElementSibling].some((one) => one?.querySelector(':scope > .figure'));
