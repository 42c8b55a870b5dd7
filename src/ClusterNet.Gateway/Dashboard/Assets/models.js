// Models: which versions there are, which answer, and how fast.
import {h, fill, table, pill, facts, number, percent, moment} from './dom.js';
import {get, repeat} from './api.js';
import {lineChart} from './charts.js';

const STATES = {ready: 'good', loading: 'warn', draining: 'warn', failed: 'bad'};

/** Requests a second, out of counts that grow. */
export class Rates {
  #last = new Map();
  #rates = new Map();

  update(versions) {
    const now = performance.now();
    for (const version of versions) {
      const name = `${version.model}:${version.version}`;
      const before = this.#last.get(name);
      if (before) this.#rates.set(name, Math.max(0, version.requests - before.requests) / ((now - before.at) / 1000));
      this.#last.set(name, {requests: version.requests, at: now});
    }
  }

  of(version) {
    return this.#rates.get(`${version.model}:${version.version}`) ?? null;
  }
}

/** What is in use first, then by name, the newest version first. */
export const inOrder = versions => versions.toSorted((a, b) => isInUse(b) - isInUse(a) || a.model.localeCompare(b.model) || b.version - a.version);
const isInUse = version => version.state !== 'unloaded' || version.share > 0 || version.labels.length > 0;

const failures = version => Object.values(version.failures).reduce((sum, count) => sum + count, 0);

export function servedTable(caption, empty, isOfOne = false) {
  return table(caption, [
    isOfOne
      ? {title: 'Version', number: true, cell: version => version.version}
      : {title: 'Version', cell: version => h('a', {href: `#/models/${encodeURIComponent(version.model)}`}, `${version.model}:${version.version}`), text: version => `${version.model}:${version.version}`},
    {title: 'Labels', cell: version => h('span', {class: 'pills'}, version.labels.map(label => pill(label))), text: version => version.labels},
    {title: 'State', cell: version => h('span', {title: version.reason}, pill(version.state, STATES[version.state] ?? '')), text: version => [version.state, version.reason]},
    {title: 'Traffic', number: true, cell: version => percent(version.share)},
    {title: 'Requests', number: true, cell: version => number(version.requests, 0)},
    {title: 'Per second', number: true, cell: version => number(version.rate, 1)},
    {title: 'Failures', number: true, cell: version => h('span', {class: failures(version) ? 'error' : null, title: Object.entries(version.failures).map(([kind, count]) => `${kind}: ${count}`).join(', ')}, number(failures(version), 0)), text: version => version.failures},
    {title: 'p50 ms', number: true, cell: version => number(version.latency_milliseconds?.p50, 2)},
    {title: 'p90 ms', number: true, cell: version => number(version.latency_milliseconds?.p90, 2)},
    {title: 'p99 ms', number: true, cell: version => number(version.latency_milliseconds?.p99, 2)},
    {title: 'Waiting', number: true, cell: version => number(version.waiting, 0)},
    {title: 'Batch', number: true, cell: version => version.batches ? number(version.samples / version.batches, 1) : '–'},
  ], version => `${version.model}:${version.version}`, empty);
}

export function models(main, {signal, session, failed}) {
  if (!session.scopes.includes('predict')) {
    fill(main, h('h1', {}, 'Models'), h('p', {class: 'soft'}, 'Models need the scope "predict".'));
    return;
  }
  const served = servedTable('All versions. Latency is that of the last one to two minutes; a batch is the mean number of samples computed together.', 'No model is registered yet: a job that completes registers one.');
  const rates = new Rates();
  fill(main, h('h1', {}, 'Models'), h('section', {class: 'card'}, served.element));
  repeat(async () => {
    try {
      const {versions} = await get('/api/serving', signal);
      rates.update(versions);
      served.update(inOrder(versions).map(version => ({...version, rate: rates.of(version)})));
    } catch (error) {
      if (!signal.aborted) failed(error);
      throw error;
    }
  }, 2000, signal);
}

export function model(main, {signal, session, parameters: [name], failed}) {
  const mayOperate = session.scopes.includes('operate');
  const served = servedTable(`Versions of ${name}`, 'There is no such version.', true);
  const traffic = h('section', {class: 'card'});
  const about = h('section', {class: 'card'});
  const rate = lineChart({title: 'Predictions per second, since this page was opened', x: 'after', xText: value => `${number(value, 0)} s`});
  const latency = lineChart({title: 'Latency p99 in ms, since this page was opened', x: 'after', xText: value => `${number(value, 0)} s`});
  const rates = new Rates();
  const started = performance.now();
  const history = new Map();
  fill(main, h('h1', {}, name), h('p', {}, h('a', {href: `#/predict/${encodeURIComponent(name)}`}, 'Ask it for a prediction')),
    h('section', {class: 'card'}, h('h2', {}, 'Versions'), served.element), h('div', {class: 'grid'}, rate.element, latency.element), h('p'), h('div', {class: 'grid'}, traffic, about));
  traffic.hidden = !mayOperate;
  signal.addEventListener('abort', () => [rate, latency].forEach(chart => chart.dispose()));

  repeat(guarded(async () => {
    const versions = (await get('/api/serving', signal)).versions.filter(version => version.model === name);
    rates.update(versions);
    served.update(inOrder(versions).map(version => ({...version, rate: rates.of(version)})));
    const at = (performance.now() - started) / 1000;
    for (const version of versions) {
      if (rates.of(version) === null || (version.share === 0 && version.requests === 0)) continue;
      const seen = history.get(version.version) ?? history.set(version.version, {rates: [], latencies: []}).get(version.version);
      seen.rates.push([at, rates.of(version)]);
      if (version.latency_milliseconds) seen.latencies.push([at, version.latency_milliseconds.p99]);
    }
    rate.element.hidden = ![...history.values()].some(seen => seen.rates.some(point => point[1] > 0));
    latency.element.hidden = ![...history.values()].some(seen => seen.latencies.length);
    rate.draw({series: [...history].map(([version, seen]) => ({name: `version ${version}`, points: seen.rates}))});
    latency.draw({series: [...history].map(([version, seen]) => ({name: `version ${version}`, points: seen.latencies}))});
  }), 2000, signal);
  repeat(guarded(async () => {
    const newest = await get(`/api/models/${encodeURIComponent(name)}`, signal);
    fill(about, h('h2', {}, `Newest version: ${newest.version}`), facts([
      ['Kind', `${newest.kind}, ${number(newest.parameters, 0)} parameters`],
      ['Task', `${newest.task} of ${newest.target}`],
      ['Classes', newest.classes.join(', ')],
      ['Job', mayOperate ? h('a', {href: `#/jobs/${encodeURIComponent(newest.job)}`}, newest.job) : newest.job],
      ['Weights of step', number(newest.step, 0)],
      ['Seed', newest.seed],
      ['SHA-256 of the weights', h('span', {class: 'mono'}, newest.weights_sha256)],
      ['Fingerprint of the data', h('span', {class: 'mono'}, newest.data_fingerprint)],
      ['Registered', moment(newest.registered)],
      ...Object.entries(newest.metrics).map(([part, values]) => [`On the ${part} part`, ['accuracy', 'roc-auc', 'f1', 'r2', 'mae', 'loss'].filter(metric => metric in values).map(metric => `${metric} ${number(values[metric])}`).join(', ')]),
    ]));
  }), 10_000, signal);
  if (mayOperate) repeat(guarded(async () => {
    const now = await get(`/api/models/${encodeURIComponent(name)}/traffic`, signal);
    fill(traffic, h('h2', {}, 'Traffic'), h('table', {}, h('caption', {}, 'Share of the requests, by version'), h('tbody', {}, Object.entries(now.shares).map(([version, share]) =>
      h('tr', {}, h('th', {scope: 'row'}, `version ${version}`), h('td', {}, h('div', {class: 'bar'}, h('span', {style: {width: `${100 * share}%`}}))), h('td', {class: 'number'}, percent(share)))))),
      h('p'), facts([
        ['Arms', now.arms.map(arm => `${arm.target}: ${arm.weight}`).join(', ') || 'the label production, else the newest version'],
        ['Labels', Object.entries(now.labels).map(([label, version]) => `${label}: ${version}`).join(', ')],
        ['Shadows', now.shadows.join(', ')],
        ['Rollback', now.rollback ? `of ${now.rollback.canary}, beyond ${percent(now.rollback.max_error_rate)} errors${now.rollback.max_latency_milliseconds ? ` or ${number(now.rollback.max_latency_milliseconds, 0)} ms` : ''}` : ''],
        ['Unloaded', now.unloaded ? 'yes: requests are refused until it is loaded again' : ''],
        ...Object.entries(now.differences).map(([version, seen]) => [`Shadow ${version}`, `${seen.differing} of ${seen.compared} differ, by ${number(seen.max_difference)} at most; ${seen.failed} failed`]),
      ]));
  }), 3000, signal);

  function guarded(task) {
    return () => task().catch(error => {
      if (!signal.aborted) failed(error);
      throw error;
    });
  }
}
