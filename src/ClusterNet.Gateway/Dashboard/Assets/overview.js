// Members and roles, where shards are, what is trained and served, and what happens.
import {h, fill, table, tiles, pill, number, percent, moment} from './dom.js';
import {get, events, repeat, pause} from './api.js';
import {ACTIVE, jobTable} from './jobs.js';
import {Rates, servedTable} from './models.js';

const NODES = {up: 'good', joining: 'warn', leaving: 'warn', exiting: 'warn', down: 'bad', removed: 'bad', weaklyup: 'warn'};

export function overview(main, {signal, session, failed}) {
  const may = scope => session.scopes.includes(scope);
  const figures = tiles(['Nodes', 'Jobs in progress', 'Training', 'Models ready', 'Predictions', 'Waiting']);
  const nodes = table('Members of the cluster', [
    {title: 'Address', cell: node => node.address, class: 'mono'},
    {title: 'State', cell: node => pill(node.reachable ? node.status : 'unreachable', node.reachable ? NODES[node.status.toLowerCase()] : 'bad'), text: node => node.status + node.reachable},
    {title: 'Roles', cell: node => h('span', {class: 'pills'}, node.roles.map(role => pill(role))), text: node => node.roles},
  ], node => node.address, 'No members are known.');
  const shards = table('Parameter shards and job coordinators, by node', [
    {title: 'Kind', cell: region => region.kind},
    {title: 'Node', cell: region => region.address, class: 'mono'},
    {title: 'Entities', number: true, cell: region => region.entities},
    {title: 'By shard', cell: region => Object.entries(region.shards).map(([shard, count]) => `${shard}: ${count}`).join(', ') || '–'},
  ], region => `${region.kind} ${region.address}`, 'No node has any.');
  const jobs = jobTable('Jobs in progress, and the latest', 'No job has been submitted yet. "clusternet train FILE", or POST /api/jobs.');
  const served = servedTable('Versions with traffic', 'No model is registered yet: a job that completes registers one.');
  const log = table('What happened lately, the newest first', [
    {title: 'When', cell: event => moment(event.at), class: 'time'},
    {title: 'What', cell: event => pill(event.kind, /unreachable|down|removed|fail/.test(event.kind) ? 'bad' : ''), text: event => event.kind},
    {title: 'Details', cell: event => event.message},
  ], event => event.id, 'Nothing yet.');
  fill(main, h('h1', {}, 'Overview'), figures.element,
    may('operate') ? h('div', {class: 'grid'}, card('Cluster', nodes.element), card('Shards', shards.element)) : h('p', {class: 'soft'}, 'Members, shards, jobs and events need the scope "operate".'),
    h('p'),
    may('operate') ? card('Jobs', jobs.element) : null,
    may('predict') ? card('Models', served.element) : null,
    may('operate') ? card('Events', log.element) : null);

  const rates = new Rates();
  if (may('predict')) repeat(guarded(async () => {
    const {versions} = await get('/api/serving', signal);
    rates.update(versions);
    served.update(versions.filter(version => version.share > 0 || version.requests > 0).map(version => ({...version, rate: rates.of(version)})));
    figures.set('Models ready', versions.filter(version => version.state === 'ready').length, h('small', {}, ` of ${versions.length} versions`));
    figures.set('Predictions', number(versions.reduce((sum, version) => sum + (rates.of(version) ?? 0), 0), 1), h('small', {}, ' /s'));
    figures.set('Waiting', versions.reduce((sum, version) => sum + version.waiting, 0), h('small', {}, ' requests'));
  }), 2000, signal);
  if (!may('operate')) return;
  repeat(guarded(async () => {
    const found = (await get('/api/cluster', signal)).nodes;
    nodes.update(found);
    figures.set('Nodes', found.filter(node => node.reachable && node.status.toLowerCase() === 'up').length, h('small', {}, ` of ${found.length} up`));
  }), 2000, signal);
  repeat(guarded(async () => shards.update((await get('/api/cluster/shards', signal)).regions)), 4000, signal);
  repeat(guarded(async () => {
    const all = (await get('/api/jobs', signal)).jobs.toReversed();
    const active = all.filter(job => ACTIVE.includes(job.status));
    jobs.update([...active, ...all.filter(job => !active.includes(job)).slice(0, 5)]);
    figures.set('Jobs in progress', active.length);
    const speeds = await Promise.all(active.slice(0, 8).map(async job => (await get(`/api/jobs/${encodeURIComponent(job.job)}`, signal)).progress.samples_per_second));
    figures.set('Training', number(speeds.reduce((sum, speed) => sum + speed, 0), 0), h('small', {}, ' samples/s'));
  }), 2000, signal);
  follow();

  async function follow() {
    const latest = [];
    let last = null;
    while (!signal.aborted) {
      try {
        for await (const {data} of events('/api/events/stream', signal, last)) {
          // a gateway that began anew counts anew
          if (latest[0] && data.id <= latest[0].id) latest.length = 0;
          last = String(data.id);
          latest.unshift(data);
          latest.length = Math.min(latest.length, 100);
          log.update(latest.slice(0, 20));
        }
        last = null;
      } catch { /* asked again below */ }
      await pause(2000, signal);
    }
  }

  function guarded(task) {
    return () => task().catch(error => {
      if (!signal.aborted) failed(error);
      throw error;
    });
  }
}

const card = (title, ...content) => h('section', {class: 'card'}, h('h2', {}, title), ...content);
