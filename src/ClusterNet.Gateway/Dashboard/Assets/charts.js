// Lines over steps or time, by Apache ECharts, each with the same numbers as a table for those who do not see them.
import {h, fill, number} from './dom.js';

const all = new Set();
const dark = matchMedia('(prefers-color-scheme: dark)');
dark.addEventListener('change', () => all.forEach(chart => chart.redraw()));
addEventListener('resize', () => all.forEach(chart => chart.resize()));

const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/**
 * A chart. draw({series: [{name, points: [[x, y], ...], dots}], marks: [{x, name, bad}]}) draws it anew.
 * options: {title, x, y, xText: value => text}
 */
export function lineChart(options) {
  const canvas = h('div', {class: 'chart', role: 'img', 'aria-label': options.title});
  const rows = h('tbody');
  const head = h('thead');
  const details = h('details', {}, h('summary', {}, 'Show as table'), h('div', {class: 'scroll', tabindex: 0, role: 'region', 'aria-label': `${options.title}, as a table`}, h('table', {}, head, rows)));
  const element = h('figure', {class: 'card'}, h('figcaption', {}, options.title), canvas, details);
  const xText = options.xText ?? (value => number(value, 0));
  let chart = null;
  let data = {series: [], marks: []};
  details.addEventListener('toggle', tabulate);

  function redraw() {
    if (!canvas.isConnected || element.hidden) return;
    chart ??= echarts.init(canvas, null, {renderer: 'canvas'});
    if (chart.getWidth() !== canvas.clientWidth) chart.resize();
    const [from, to] = range();
    const hasMarksAlone = from !== 'dataMin' && !data.series.some(series => series.points.length);
    const ink = colour('--ink'), soft = colour('--soft'), line = colour('--line');
    chart.setOption({
      animation: false,
      aria: {enabled: true, label: {description: describe()}},
      textStyle: {fontFamily: 'inherit'},
      grid: {left: 8, right: 18, top: 36, bottom: 28, containLabel: true},
      legend: {top: 0, left: 0, icon: 'roundRect', itemHeight: 4, textStyle: {color: ink}},
      // drawn, not written into the page: the page's policy takes no styles from scripts' HTML
      tooltip: {trigger: 'axis', renderMode: 'richText', backgroundColor: colour('--card'), borderColor: line, textStyle: {color: ink, fontSize: 12},
        formatter: items => [`${options.x} ${xText(items[0].value[0])}`, ...items.map(item => `${item.seriesName}: ${number(item.value[1])}`)].join('\n')},
      xAxis: {type: 'value', minInterval: 1, name: options.x, nameLocation: 'middle', nameGap: 26, min: from, max: to, nameTextStyle: {color: soft}, axisLabel: {color: soft, formatter: xText, hideOverlap: true}, axisLine: {lineStyle: {color: line}}, splitLine: {show: false}},
      yAxis: {type: 'value', name: '', scale: options.scale ?? false, ...(hasMarksAlone ? {min: 0, max: 1} : {}), axisLabel: {color: soft, formatter: value => number(value, 3)}, splitLine: {lineStyle: {color: line, opacity: .6}}},
      series: data.series.map((series, i) => ({
        type: 'line', name: series.name, data: series.points, showSymbol: series.points.length < (series.dots ? 60 : 3), symbolSize: 6, lineStyle: {width: 2}, color: colour(`--series-${i % 4 + 1}`), sampling: 'lttb',
        markLine: i > 0 || !data.marks?.length ? undefined : {
          symbol: 'none', silent: true, animation: false,
          data: data.marks.map(mark => ({xAxis: mark.x, name: mark.name, lineStyle: {color: colour(mark.bad ? '--bad' : '--soft'), type: mark.bad ? 'solid' : 'dashed', width: 1.5}, label: {formatter: mark.name, color: colour(mark.bad ? '--bad' : '--soft'), fontSize: 11}})),
        },
      })),
    }, {notMerge: true});
    canvas.setAttribute('aria-label', describe());
    tabulate();
  }

  /** Where the points are, and the marks: one beyond the last point is seen too. */
  function range() {
    let [from, to] = [Infinity, -Infinity];
    for (const x of [...data.series.flatMap(series => series.points.map(point => point[0])), ...(data.marks ?? []).map(mark => mark.x)]) {
      from = Math.min(from, x);
      to = Math.max(to, x);
    }
    return from < to ? [from, to] : from === to ? [from, from + 1] : ['dataMin', 'dataMax'];
  }

  function describe() {
    const parts = data.series.filter(series => series.points.length).map(series => {
      const ys = series.points.map(point => point[1]);
      return `${series.name}: ${ys.length} points, from ${number(ys[0])} to ${number(ys[ys.length - 1])}, lowest ${number(ys.reduce((a, b) => Math.min(a, b)))}, highest ${number(ys.reduce((a, b) => Math.max(a, b)))}`;
    });
    const marks = (data.marks ?? []).map(mark => `${mark.name} at ${options.x} ${xText(mark.x)}`);
    return `${options.title}. ${[...parts, ...marks].join('. ') || 'No data yet'}`;
  }

  function tabulate() {
    if (!details.open) return;
    const xs = [...new Set(data.series.flatMap(series => series.points.map(point => point[0])))].sort((a, b) => a - b);
    const stride = Math.max(1, Math.ceil(xs.length / 200));
    const maps = data.series.map(series => new Map(series.points));
    fill(head, h('tr', {}, h('th', {scope: 'col', class: 'number'}, options.x), data.series.map(series => h('th', {scope: 'col', class: 'number'}, series.name))));
    fill(rows, xs.filter((_, i) => i % stride === 0 || i === xs.length - 1).map(x => h('tr', {}, h('td', {class: 'number'}, xText(x)), maps.map(map => h('td', {class: 'number'}, number(map.get(x)))))));
  }

  const self = {
    element,
    redraw,
    resize: () => chart?.resize(),
    draw(next) {
      data = next;
      redraw();
    },
    dispose() {
      all.delete(self);
      chart?.dispose();
    },
  };
  all.add(self);
  return self;
}
