// Jobs, and one job as it goes: loss, metrics, throughput, and what happened to it.
import {h, fill, table, tiles, pill, facts, number, moment} from './dom.js';
import {get, events, repeat, pause, ApiError} from './api.js';
import {lineChart} from './charts.js';

export const ACTIVE = ['preparing', 'training'];
const STATES = {completed: 'good', failed: 'bad', cancelled: 'warn', interrupted: 'warn'};

const jobLink = name => h('a', {href: `#/jobs/${encodeURIComponent(name)}`}, name);

export function jobTable(caption, empty) {
  return table(caption, [
    {title: 'Job', cell: job => jobLink(job.job), text: job => job.job},
    {title: 'State', cell: job => pill(job.status, STATES[job.status] ?? ''), text: job => job.status},
    {title: 'Progress', cell: job => h('progress', {value: job.steps, max: Math.max(1, job.total_steps), 'aria-label': `${job.job}: ${job.steps} of ${job.total_steps} steps`}), text: job => [job.steps, job.total_steps]},
    {title: 'Steps', number: true, cell: job => `${number(job.steps, 0)} / ${number(job.total_steps, 0)}`},
    {title: 'Model', cell: job => job.model ? h('a', {href: `#/models/${encodeURIComponent(job.model)}`}, `${job.model}:${job.version}`) : '–', text: job => `${job.model}:${job.version}`},
    {title: 'Submitted', cell: job => moment(job.submitted), class: 'time'},
  ], job => job.job, empty);
}

export function jobs(main, {signal, session, failed}) {
  if (!session.scopes.includes('operate')) {
    fill(main, h('h1', {}, 'Jobs'), h('p', {class: 'soft'}, 'Jobs need the scope "operate".'));
    return;
  }
  const all = jobTable('All jobs, the newest first', 'No job has been submitted yet. "clusternet train FILE", or POST /api/jobs.');
  fill(main, h('h1', {}, 'Jobs'), h('section', {class: 'card'}, all.element));
  repeat(async () => {
    try {
      all.update((await get('/api/jobs', signal)).jobs.toReversed());
    } catch (error) {
      if (!signal.aborted) failed(error);
      throw error;
    }
  }, 2000, signal);
}

export function job(main, {signal, parameters: [name], failed}) {
  const path = `/api/jobs/${encodeURIComponent(name)}`;
  const state = h('span', {role: 'status'});
  const bar = h('progress', {value: 0, max: 1, 'aria-label': 'Steps done'});
  const figures = tiles(['Step', 'Epoch', 'Training loss', 'Throughput', 'Staleness', 'Checkpoint']);
  const loss = lineChart({title: 'Loss', x: 'step'});
  const metrics = lineChart({title: 'Metrics on the validation part', x: 'step', scale: true});
  const throughput = lineChart({title: 'Throughput', x: 'step'});
  const staleness = lineChart({title: 'Staleness: the most steps that a gradient was behind', x: 'step'});
  const choice = h('select', {id: 'metric'});
  const marks = table('Generations and failures, the newest first', [
    {title: 'Generation', number: true, cell: mark => mark.generation},
    {title: 'When', cell: mark => moment(mark.at), class: 'time'},
    {title: 'At step', number: true, cell: mark => mark.step ?? '–'},
    {title: 'Went back to step', number: true, cell: mark => mark.generation > 1 ? mark.restore_step ?? '–' : '–'},
    {title: 'Why', cell: mark => mark.reason},
  ], mark => mark.generation, 'The job runs as it was planned at first.');
  const leftOut = table('Nodes that can\'t have its workers', [
    {title: 'Node left out', cell: node => node.node, class: 'mono'},
    {title: 'Why', cell: node => node.reason},
  ], node => node.node, '');
  const result = h('section', {class: 'card', hidden: true});
  fill(main, h('h1', {}, name, ' ', state), bar, h('p'), figures.element, h('div', {class: 'grid'}, loss.element,
    (metrics.element.insertBefore(h('div', {class: 'row'}, h('div', {}, h('label', {for: 'metric'}, 'Metric'), choice)), metrics.element.children[1]), metrics.element)), h('p'),
    result, h('section', {class: 'card'}, h('h2', {}, 'What happened'), marks.element, leftOut.element), h('div', {class: 'grid'}, throughput.element, staleness.element));
  signal.addEventListener('abort', () => [loss, metrics, throughput, staleness].forEach(chart => chart.dispose()));

  let details = null;
  let losses = [];
  let paces = [];
  choice.addEventListener('change', drawMetrics);
  follow();

  async function follow() {
    while (!signal.aborted) {
      try {
        await refresh();
        if (!ACTIVE.includes(details.progress.status)) {
          // it may be resumed
          await pause(3000, signal);
          continue;
        }
        for await (const {data} of events(`${path}/progress`, signal)) await moved(data);
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof ApiError) failed(error);
        await pause(2000, signal);
      }
    }
  }

  async function refresh() {
    details = await get(path, signal);
    losses = details.losses.map(point => [point.step, point.loss]);
    paces = details.paces;
    progress(details.progress);
    marks.update(details.generations.toReversed());
    leftOut.update(details.left_out);
    leftOut.element.hidden = !details.left_out.length;
    figures.set('Checkpoint', details.checkpoints.length ? number(details.checkpoints.at(-1), 0) : '–', h('small', {}, ' step'));
    const names = Object.keys(details.history.at(-1)?.validation ?? {});
    if (names.length !== choice.options.length) {
      const before = choice.value;
      fill(choice, names.map(metric => h('option', {}, metric)));
      choice.value = [before, 'roc-auc', 'accuracy', 'r2', 'loss'].find(metric => names.includes(metric)) ?? names[0];
    }
    draw();
    result.hidden = !details.result;
    if (details.result) fill(result, h('h2', {}, 'Result'), facts([
      ['Model', h('a', {href: `#/models/${encodeURIComponent(details.result.model)}`}, `${details.result.model}:${details.result.version}`)],
      ['Weights of step', number(details.result.selected_step, 0)],
      ['SHA-256 of the weights', h('span', {class: 'mono'}, details.result.weights_sha256)],
      ['Throughput', `${number(details.result.samples_per_second, 0)} samples/s`],
      ...Object.entries(details.result.metrics).map(([part, values]) => [`On the ${part} part`, ['accuracy', 'roc-auc', 'f1', 'r2', 'mae', 'loss'].filter(metric => metric in values).map(metric => `${metric} ${number(values[metric])}`).join(', ')]),
    ]));
  }

  async function moved(now) {
    progress(now);
    if (now.training_loss !== null && (!losses.length || now.step > losses.at(-1)[0])) losses.push([now.step, now.training_loss]);
    if (now.samples_per_second > 0 && now.step > (paces.at(-1)?.step ?? 0)) paces.push(now);
    const latest = details.history.at(-1)?.epoch ?? 0;
    // an epoch was judged, or what was computed after a checkpoint is computed again
    if ((now.latest_epoch && now.latest_epoch.epoch !== latest) || now.status !== details.progress.status || (losses.length && now.step < losses.at(-1)[0])) await refresh();
    else draw();
  }

  function progress(now) {
    fill(state, pill(now.status, STATES[now.status] ?? ''));
    bar.max = Math.max(1, now.total_steps);
    bar.value = now.step;
    figures.set('Step', number(now.step, 0), h('small', {}, ` / ${number(now.total_steps, 0)}`));
    figures.set('Epoch', number(now.epoch, 0), h('small', {}, ` / ${number(now.total_epochs, 0)}`));
    figures.set('Training loss', number(now.training_loss));
    figures.set('Throughput', number(now.samples_per_second, 0), h('small', {}, ' samples/s'));
    const mode = details?.consistency ?? '';
    figures.set('Staleness', now.max_staleness ?? 0, h('small', {}, ` steps at most, ${mode}${details?.staleness_bound ? `, bound ${details.staleness_bound}` : ''}`));
    main.querySelector('.note')?.remove();
    if (now.failure) main.prepend(h('p', {class: 'note', role: 'alert'}, now.failure));
  }

  function marksOf() {
    const went = details.generations.filter(generation => generation.generation > 1).map(generation => ({x: generation.restore_step ?? generation.step, name: `generation ${generation.generation}`, bad: generation.restore_step !== null})).filter(mark => mark.x !== null);
    const end = details.progress.failure ? [{x: details.progress.step, name: 'failed', bad: true}] : [];
    const best = details.result ? [{x: details.result.selected_step, name: 'selected'}] : [];
    return [...went, ...end, ...best];
  }

  function draw() {
    const series = [{name: 'training, by step', points: losses}];
    if (details.history.length) series.push({name: 'training, by epoch', points: details.history.map(epoch => [epoch.step, epoch.training_loss]), dots: true});
    const validation = details.history.filter(epoch => 'loss' in epoch.validation);
    if (validation.length) series.push({name: 'validation', points: validation.map(epoch => [epoch.step, epoch.validation.loss]), dots: true});
    loss.draw({series, marks: marksOf()});
    drawMetrics();
    throughput.element.hidden = paces.length === 0;
    throughput.draw({series: [{name: 'samples per second', points: paces.map(pace => [pace.step, pace.samples_per_second])}], marks: marksOf()});
    const stale = paces.filter(pace => pace.max_staleness !== null);
    staleness.element.hidden = stale.length === 0;
    staleness.draw({series: [{name: 'steps', points: stale.map(pace => [pace.step, pace.max_staleness])}], marks: marksOf()});
  }

  function drawMetrics() {
    const has = details.history.filter(epoch => choice.value in epoch.validation);
    metrics.element.hidden = has.length === 0;
    if (has.length) metrics.draw({series: [{name: choice.value, points: has.map(epoch => [epoch.step, epoch.validation[choice.value]]), dots: true}], marks: marksOf()});
  }
}
