// A form out of a model's signature, and what the model says. Values go to the gateway as they are typed; answers are shown with all their digits.
import {h, fill, number} from './dom.js';
import {get, post, ApiError} from './api.js';

// more columns than these have no fields of their own: a row brings their values
const FIELDS = 60;

export function predict(main, {signal, session, parameters: [wanted], failed}) {
  if (!session.scopes.includes('predict')) {
    fill(main, h('h1', {}, 'Predict'), h('p', {class: 'soft'}, 'Predictions need the scope "predict".'));
    return;
  }
  const model = h('select', {id: 'model'});
  const version = h('select', {id: 'version'});
  const fields = h('div');
  const answer = h('section', {class: 'card', 'aria-live': 'polite', hidden: true, tabindex: -1});
  const send = h('button', {type: 'submit'}, 'Predict');
  const form = h('form', {novalidate: true}, h('div', {class: 'row'}, h('div', {}, h('label', {for: 'model'}, 'Model'), model), h('div', {}, h('label', {for: 'version'}, 'Version'), version)), fields, send);
  fill(main, h('h1', {}, 'Predict'), h('section', {class: 'card'}, form), answer);
  let signature = null;
  let known = [];
  let readers = [];
  model.addEventListener('change', () => choose(model.value));
  version.addEventListener('change', describe);
  form.addEventListener('submit', event => {
    event.preventDefault();
    ask();
  });
  begin();

  async function begin() {
    try {
      known = (await get('/api/serving', signal)).versions;
      const names = [...new Set(known.map(item => item.model))].sort();
      if (!names.length) {
        fill(main, h('h1', {}, 'Predict'), h('p', {class: 'empty'}, 'No model is registered yet: a job that completes registers one.'));
        return;
      }
      fill(model, names.map(name => h('option', {}, name)));
      model.value = names.includes(wanted) ? wanted : names[0];
      await choose(model.value);
    } catch (error) {
      if (!signal.aborted) failed(error);
    }
  }

  async function choose(name) {
    const versions = known.filter(item => item.model === name);
    fill(version, h('option', {value: ''}, 'by traffic'), [...new Set(versions.flatMap(item => item.labels))].sort().map(label => h('option', {value: label}, label)), versions.map(item => h('option', {value: item.version}, item.version)));
    await describe();
  }

  async function describe() {
    answer.hidden = true;
    const of = `/api/models/${encodeURIComponent(model.value)}`;
    try {
      signature = await get(`${of}/signature${version.value ? `?version=${encodeURIComponent(version.value)}` : ''}`, signal);
    } catch (error) {
      if (!signal.aborted) failed(error);
      return;
    }
    const columns = signature.inputs.filter(input => input.shape.length === 1);
    readers = [];
    if (columns.length === signature.inputs.length) {
      const inputs = columns.map((column, i) => i < FIELDS ? columnField(column, `field-${i}`) : columnOfRow(column));
      const others = columns.length - FIELDS;
      readers = inputs.map(input => input.read);
      const row = h('textarea', {id: 'row', rows: 2, spellcheck: false, 'aria-describedby': 'row-help'});
      row.addEventListener('input', () => {
        const cells = row.value.trim().split('\n').at(-1).split(/[\t,;]/).map(cell => cell.trim());
        if (cells.length > 1) inputs.forEach((input, i) => input.write(cells[i] ?? ''));
      });
      fill(fields, h('div', {class: 'fields'}, inputs.slice(0, FIELDS).map(input => input.element)),
        others > 0 ? h('p', {class: 'soft', id: 'other-columns'}, `${number(others, 0)} more columns get their values from a row below, and are missing without one.`) : null,
        h('details', {open: others > 0}, h('summary', {}, 'Paste a row'), h('p', {class: 'soft', id: 'row-help'}, `Values of ${columns.length} columns in this order, with commas or tabs between them.`), h('label', {for: 'row'}, 'Row'), row));
    } else {
      const array = arrayField(signature.inputs[0]);
      readers = [array.read];
      fill(fields, h('div', {class: 'fields'}), array.element);
    }
  }

  async function ask() {
    let inputs;
    try {
      inputs = readers.map(read => read());
    } catch (error) {
      return show(h('p', {class: 'error'}, error.message));
    }
    send.disabled = true;
    const started = performance.now();
    try {
      const path = `/v2/models/${encodeURIComponent(model.value)}${version.value ? `/versions/${encodeURIComponent(version.value)}` : ''}/infer`;
      const said = await post(path, {inputs}, signal);
      show(...answered(said, performance.now() - started));
    } catch (error) {
      if (signal.aborted) return;
      show(h('p', {class: 'error'}, error instanceof ApiError ? error.message : 'The gateway does not answer. Try again.'));
    } finally {
      send.disabled = false;
    }
  }

  function show(...content) {
    fill(answer, h('h2', {}, 'Answer'), h('div', {class: 'answer'}, content));
    answer.hidden = false;
    answer.scrollIntoView({block: 'nearest'});
  }

  function answered(said, took) {
    const outputs = Object.fromEntries(said.outputs.map(output => [output.name, output.data]));
    const parts = [];
    if (outputs.class) parts.push(h('p', {class: 'value', id: 'answer-class'}, `${signature.target}: ${outputs.class[0]}`));
    if (outputs.value) parts.push(h('p', {class: 'value', id: 'answer-value'}, `${signature.target}: ${String(outputs.value[0])}`));
    if (outputs.probabilities) parts.push(h('div', {class: 'scroll'}, h('table', {}, h('caption', {}, 'Probability of each class'), h('tbody', {}, signature.classes.map((name, i) => {
      const value = outputs.probabilities[i];
      return h('tr', {}, h('th', {scope: 'row'}, name), h('td', {}, h('div', {class: 'bar'}, h('span', {style: {width: `${100 * value}%`}}))), h('td', {class: 'number mono', 'data-probability': name}, String(value)));
    })))));
    parts.push(h('p', {class: 'soft'}, `${said.model_name}:${said.model_version}, answered in ${number(took, 1)} ms`));
    return parts;
  }
}

/** What goes to the gateway of a column; null where it is no value. */
function tensorOf(column, text) {
  const isText = column.datatype === 'BYTES';
  const value = text === '' ? null : isText ? text : Number(text);
  return value === null || isText || Number.isFinite(value) ? {name: column.name, datatype: column.datatype, shape: [1], data: [value]} : null;
}

const noNumber = (column, text) => new Error(`${column.name}: '${text}' is no number`);

/** A column without a field: its value comes with a row. */
function columnOfRow(column) {
  let text = '';
  return {
    write(cell) {
      text = cell;
    },
    read() {
      const tensor = tensorOf(column, text);
      if (!tensor) throw noNumber(column, text);
      return tensor;
    },
  };
}

/** One raw column: a number, or one of its categories. Empty is missing. */
function columnField(column, id) {
  const isText = column.datatype === 'BYTES';
  const input = column.categories
    ? h('select', {id}, h('option', {value: ''}, '(missing)'), column.categories.map(category => h('option', {}, category)))
    : h('input', {id, inputmode: isText ? null : 'decimal', placeholder: 'missing', autocomplete: 'off', spellcheck: 'false'});
  const element = h('div', {}, h('label', {for: id}, column.name), input);
  return {
    element,
    write(text) {
      input.value = text;
    },
    read() {
      const text = input.value.trim();
      input.classList.remove('wrong');
      const tensor = tensorOf(column, text);
      if (!tensor) {
        input.classList.add('wrong');
        input.focus();
        throw noNumber(column, text);
      }
      return tensor;
    },
  };
}

/** An array: as JSON, out of a file, or, where it has the shape of a picture, out of a picture. */
function arrayField(input) {
  const shape = input.shape.slice(1);
  const [channels, height, width] = shape.length === 3 ? shape : [1, ...shape];
  const isPicture = shape.length >= 2 && height > 1 && width > 1 && (channels === 1 || channels === 3);
  const text = h('textarea', {id: 'array', spellcheck: false, 'aria-describedby': 'array-help'});
  const file = h('input', {type: 'file', id: 'array-file', accept: isPicture ? '.json,image/*' : '.json'});
  const wrong = h('p', {class: 'error', role: 'alert'});
  file.addEventListener('change', async () => {
    const chosen = file.files[0];
    if (!chosen) return;
    wrong.textContent = '';
    try {
      text.value = chosen.type.startsWith('image/') ? JSON.stringify(await pixels(chosen, channels, height, width)) : await chosen.text();
    } catch {
      wrong.textContent = `${chosen.name} can't be read`;
    }
  });
  return {
    element: h('div', {}, h('label', {for: 'array'}, `${input.name}, values of shape [${shape.join(', ')}]`), text,
      h('p', {class: 'soft', id: 'array-help'}, 'JSON, nested or flat, or a file.', isPicture ? ` A picture is scaled to ${width} × ${height}, ${channels === 1 ? 'grey' : 'red, green and blue'}, 0 to 255.` : ''),
      h('label', {for: 'array-file'}, 'File'), file, wrong),
    read() {
      let data;
      try {
        data = JSON.parse(text.value);
      } catch {
        throw new Error(`${input.name}: this is no JSON`);
      }
      return {name: input.name, datatype: input.datatype, shape: [1, ...shape], data: Array.isArray(data) ? data.flat(Infinity) : [data]};
    },
  };
}

async function pixels(file, channels, height, width) {
  const picture = await createImageBitmap(file, {resizeWidth: width, resizeHeight: height, resizeQuality: 'high'});
  const canvas = h('canvas', {width, height});
  const context = canvas.getContext('2d');
  context.drawImage(picture, 0, 0);
  const rgba = context.getImageData(0, 0, width, height).data;
  const values = [];
  for (let channel = 0; channel < channels; channel++) {
    for (let i = 0; i < rgba.length; i += 4) values.push(channels === 1 ? Math.round(0.299 * rgba[i] + 0.587 * rgba[i + 1] + 0.114 * rgba[i + 2]) : rgba[i + channel]);
  }
  return values;
}
