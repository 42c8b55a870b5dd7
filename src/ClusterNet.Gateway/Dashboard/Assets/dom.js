// Elements out of plain values. Text is always text: nothing that comes from outside is read as HTML.

/** h('p', {class: 'soft'}, 'text', child, ...); attributes that are null or false are left out, on... are listeners. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'style') Object.assign(element.style, value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.flat().filter(child => child !== null && child !== undefined).map(child => child instanceof Node ? child : String(child)));
  return element;
}

/** Puts children in place of what an element has. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter(child => child !== null && child !== undefined).map(child => child instanceof Node ? child : String(child)));
  return element;
}

const ROWS = 100;

/**
 * A table that is brought up to date in place, so that focus, selection and scrolling stay. It begins with a hundred rows and has a button for more.
 * columns: [{title, number, cell: row => text or node, text: row => what decides whether the cell has changed}]
 */
export function table(caption, columns, keyOf, empty) {
  const body = h('tbody');
  const whole = h('table', {}, h('caption', {}, caption), h('thead', {}, h('tr', {}, columns.map(column => h('th', {scope: 'col', class: column.number ? 'number' : null}, column.title)))), body);
  const none = h('p', {class: 'empty'}, empty);
  const rest = h('span', {class: 'soft'});
  const more = h('p', {class: 'more', hidden: true}, h('button', {type: 'button', class: 'quiet', onclick: () => {
    most *= 4;
    update(all);
  }}, 'Show more'), ' ', rest);
  const element = h('div', {class: 'scroll', role: 'region', 'aria-label': caption, tabindex: 0}, whole, none, more);
  const rows = new Map();
  let most = ROWS;
  let all = [];
  function update(given) {
    all = given;
    const items = all.slice(0, most);
    more.hidden = all.length <= most;
    rest.textContent = `${number(items.length, 0)} of ${number(all.length, 0)} are shown`;
    const keys = new Set(items.map(keyOf));
    for (const [key, row] of rows) {
      if (!keys.has(key)) {
        row.element.remove();
        rows.delete(key);
      }
    }
    let before = null;
    for (const item of items) {
      const key = keyOf(item);
      let row = rows.get(key);
      if (!row) {
        row = {element: h('tr', {}, columns.map(column => h('td', {class: column.number ? 'number' : column.class ?? null}))), texts: []};
        rows.set(key, row);
      }
      columns.forEach((column, i) => {
        const text = JSON.stringify((column.text ?? column.cell)(item) ?? '');
        if (row.texts[i] !== text) {
          row.texts[i] = text;
          fill(row.element.children[i], column.cell(item));
        }
      });
      const next = before ? before.nextSibling : body.firstChild;
      if (next !== row.element) body.insertBefore(row.element, next);
      before = row.element;
    }
    whole.hidden = items.length === 0;
    none.hidden = items.length > 0;
  }
  update([]);
  return {element, update};
}

/** Named figures. */
export function tiles(titles) {
  const values = new Map(titles.map(title => [title, h('dd', {}, '–')]));
  const element = h('dl', {class: 'tiles'}, titles.map(title => h('div', {class: 'tile'}, h('dt', {}, title), values.get(title))));
  return {element, set: (title, ...content) => fill(values.get(title), ...content)};
}

export const pill = (text, kind = '') => h('span', {class: `pill ${kind}`}, text);

export function facts(pairs) {
  return h('dl', {class: 'facts'}, pairs.filter(([, value]) => value !== null && value !== undefined && value !== '').flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]));
}

export function number(value, digits = 4) {
  if (value === null || value === undefined || Number.isNaN(value)) return '–';
  if (value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e7)) return value.toExponential(2);
  return new Intl.NumberFormat('en', {maximumFractionDigits: Math.abs(value) >= 1000 ? 0 : Math.abs(value) >= 100 ? 1 : digits}).format(value);
}

export const percent = value => `${new Intl.NumberFormat('en', {maximumFractionDigits: 1}).format(100 * value)} %`;

export function moment(text) {
  const time = new Date(text);
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
}

const two = value => String(value).padStart(2, '0');
