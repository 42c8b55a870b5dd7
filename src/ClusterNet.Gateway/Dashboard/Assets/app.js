// Which section is shown, who looks, and whether the gateway answers.
import {h, fill} from './dom.js';
import {get, key, onConnection, repeat, ApiError} from './api.js';
import {overview} from './overview.js';
import {jobs, job} from './jobs.js';
import {models, model} from './models.js';
import {predict} from './predict.js';

const routes = [
  [/^$/, 'Overview', overview],
  [/^jobs$/, 'Jobs', jobs],
  [/^jobs\/([^/]+)$/, 'Jobs', job],
  [/^models$/, 'Models', models],
  [/^models\/([^/]+)$/, 'Models', model],
  [/^predict$/, 'Predict', predict],
  [/^predict\/([^/]+)$/, 'Predict', predict],
];
const main = document.getElementById('main');
const dialog = document.getElementById('key-dialog');
const connection = document.getElementById('connection');
let shown = new AbortController();
let session = null;

onConnection(state => {
  const text = state === 'live' ? 'live' : 'connection lost, trying again';
  if (connection.textContent === text) return;
  connection.textContent = text;
  connection.className = `pill ${state === 'live' ? 'good' : 'bad'}`;
});

function show() {
  if (!session) return;
  const path = location.hash.replace(/^#\/?/, '');
  const [pattern, section, view] = routes.find(([pattern]) => pattern.test(path)) ?? routes[0];
  shown.abort();
  shown = new AbortController();
  for (const link of document.querySelectorAll('#nav a')) {
    if (link.textContent === section) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  const parameters = (pattern.exec(path) ?? []).slice(1).map(decodeURIComponent);
  document.title = [...parameters, section, 'ClusterNet'].join(' · ');
  fill(main);
  view(main, {signal: shown.signal, session, parameters, failed: error => failed(error)});
}

/** What went wrong, above what is shown; a key that is asked for, in a dialog. */
function failed(error) {
  if (error instanceof ApiError && error.status === 401) ask('The key is not accepted any more.');
  else if (error instanceof ApiError) main.querySelector('.note')?.remove(), main.prepend(h('p', {class: 'note', role: 'alert'}, error.message));
}

function ask(why) {
  document.getElementById('key-error').textContent = why ?? '';
  if (!dialog.open) dialog.showModal();
}

async function enter() {
  session = await get('/api/session');
  const may = session.scopes.length > 0;
  document.getElementById('caller').textContent = session.authentication_required ? session.name : 'no authentication';
  document.getElementById('node').textContent = `gateway ${session.node}`;
  document.getElementById('sign-out').hidden = !key.get();
  if (may) return true;
  ask(key.get() ? 'This key allows nothing here.' : '');
  return false;
}

document.getElementById('key-form').addEventListener('submit', async event => {
  event.preventDefault();
  const field = document.getElementById('key');
  key.set(field.value.trim());
  field.value = '';
  try {
    if (!await enter()) return;
    dialog.close();
    show();
  } catch (error) {
    key.set(null);
    ask(error.message);
  }
});
dialog.addEventListener('cancel', event => event.preventDefault());
document.getElementById('sign-out').addEventListener('click', () => {
  key.set(null);
  location.reload();
});
addEventListener('hashchange', () => {
  show();
  main.focus({preventScroll: true});
  scrollTo(0, 0);
});

const begun = new AbortController();
repeat(async () => {
  try {
    if (await enter()) show();
    begun.abort();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 401) {
      begun.abort();
      key.set(null);
      ask('The key is not accepted.');
    }
  }
}, 2000, begun.signal);
