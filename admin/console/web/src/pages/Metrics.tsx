import { useQuery } from '@tanstack/react-query';
import { getRouteApi, useNavigate } from '@tanstack/react-router';
import { lazy, Suspense, useId, useMemo, useState } from 'react';
import type { Schemas } from '../api/client';
import { bytes, count, span } from '../format';
import { Card, CopyCurl, Empty, Loaded, Page, Table, When } from '../ui/kit';
import { type Logged, What } from './Happened';
import { csv, historyPath, known, type Line, linesOf, marks, measured, measurers, type Range, ranges, together } from './history';
import * as q from './queries';
import { Silent } from './Silent';

const Plot = lazy(() => import('./Plot'));

type History = Schemas['History'];

const here = getRouteApi('/metrics');

const number = (v: number) => (v > 0 && v < 10 && !Number.isInteger(v) ? v.toFixed(1) : count(Math.round(v)));
const perSecond = (v: number) => `${number(v)}/s`;
const milliseconds = (v: number) => (v < 1000 ? `${number(v)} ms` : span(v));

interface Figure {
  title: string;
  unit: (v: number) => string;
  /** Names of series; one that ends with a point stands for all that begin so. */
  series: Record<string, string>;
}

const figures: Figure[] = [
  { title: 'Replication lag', unit: milliseconds, series: { 'lag.p50': 'p50', 'lag.p99': 'p99' } },
  {
    title: 'Decisions by locality',
    unit: perSecond,
    series: { 'decisions.local': 'local', 'decisions.remote': 'remote', 'decisions.none': 'no data named', rejections: 'refused' },
  },
  { title: 'Refused, by reason', unit: perSecond, series: { 'rejections.': '' } },
  { title: 'Throughput', unit: (v) => `${bytes(v)}/s`, series: { 'throughput.bytes': 'copied' } },
  { title: 'Backlog', unit: number, series: { 'backlog.objects': 'objects' } },
  { title: 'Bytes of the backlog', unit: bytes, series: { 'backlog.bytes': 'bytes' } },
  { title: 'Oldest of the backlog', unit: (v) => span(v * 1000), series: { 'backlog.oldest': 'known for' } },
  { title: 'Errors of replication', unit: perSecond, series: { errors: 'all kinds', 'errors.': '' } },
  { title: 'In flight', unit: number, series: { 'in_flight.': '' } },
  { title: 'In flight, by function', unit: number, series: { 'in_flight_at.': '' } },
  { title: 'Storage used', unit: bytes, series: { 'used.': '' } },
];

const asked = figures.flatMap((f) => Object.keys(f.series));

/** How many values each line has. */
const values = 360;

/** The instance that stands for all. */
const all = 'all';

/** What is in the address. */
type Chosen = { range?: Range; node?: string };

export function Metrics() {
  const { range = '1h', node = all } = here.useSearch();
  const navigate = useNavigate({ from: '/metrics' });
  const set = (change: Chosen) => navigate({ search: (now: Chosen) => ({ ...now, ...change }), replace: true });
  const told = useQuery(measurers);
  const history = useQuery(measured(range, node, asked, values));
  const nodes = told.data?.nodes ?? [];
  const events = useQuery(marks);
  const clusters = useQuery(q.summary).data?.clusters ?? [];
  const capacity = Object.fromEntries(clusters.filter((c) => c.capacity > 0).map((c) => [c.name, c.capacity]));
  return (
    <Page title="Metrics" at={history.dataUpdatedAt} actions={<CopyCurl path={() => historyPath(range, node, asked, values)} />}>
      <div className="filters">
        <fieldset className="facets" aria-label="Range">
          {(Object.keys(ranges) as Range[]).map((r) => (
            <button key={r} type="button" className="button" aria-pressed={r === range} onClick={() => set({ range: r === '1h' ? undefined : r })}>
              {r}
            </button>
          ))}
        </fieldset>
        {(nodes.length > 1 || node !== all) && (
          <label className="field">
            <span>Instance</span>
            <select value={node} onChange={(e) => set({ node: e.target.value === all ? undefined : e.target.value })}>
              <option value={all}>all together</option>
              {nodes.map((n) => (
                <option key={n.node} value={n.node}>
                  {n.node}
                  {n.this ? ' (this one)' : n.silent ? ' (silent)' : ''}
                </option>
              ))}
              {node !== all && nodes.every((n) => n.node !== node) && <option value={node}>{node} (not known)</option>}
            </select>
          </label>
        )}
      </div>
      <Silent />
      <Loaded of={history} rows={8}>
        {(h) =>
          h.series.length === 0 ? (
            <Empty title="Nothing is measured yet">This instance measures every few seconds; it keeps that until it ends.</Empty>
          ) : (
            <>
              <div className="plots">
                {figures.map((f) => (
                  <Shown
                    key={f.title}
                    figure={f}
                    h={node === all ? together(h, nodes) : h}
                    marks={(events.data ?? []).map((e) => Date.parse(e.time) / 1000)}
                    most={f.title === 'Storage used' ? capacity : {}}
                  />
                ))}
              </div>
              <Marks events={(events.data ?? []).filter((e) => e.time >= h.from)} />
            </>
          )
        }
      </Loaded>
    </Page>
  );
}

/** How many marks are listed unless all are asked for. */
const marksListed = 20;

/** What is marked in the figures, in words. */
function Marks({ events }: { events: Logged[] }) {
  const [full, setFull] = useState(false);
  const listed = full ? events : events.slice(-marksListed);
  if (events.length === 0) return null;
  return (
    <Card title="Marked in the figures" flush>
      <Table label="Marks" head={['Time', 'What happened']}>
        {listed.toReversed().map((e) => (
          <tr key={e.seq}>
            <th scope="row">
              <When time={e.time} />
            </th>
            <td className="sentence">
              <What e={e} />
            </td>
          </tr>
        ))}
      </Table>
      {listed.length < events.length && (
        <p className="card-foot tools">
          <span className="quiet">
            The last {count(listed.length)} of {count(events.length)} are listed.
          </span>
          <button type="button" className="button small" onClick={() => setFull(true)}>
            List all
          </button>
        </p>
      )}
    </Card>
  );
}

/** Has the browser save a text. */
function save(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: 'text/csv' }));
  const link = Object.assign(document.createElement('a'), { href: url, download: name });
  link.click();
  URL.revokeObjectURL(url);
}

function Shown({ figure, h, marks, most }: { figure: Figure; h: History; marks: number[]; most: Record<string, number> }) {
  const [table, setTable] = useState(false);
  const id = useId();
  const lines = useMemo(() => linesOf(figure, h), [figure, h]);
  const from = Date.parse(h.from) / 1000;
  const { unit } = figure;
  return (
    <figure className="card" aria-labelledby={id}>
      <figcaption>
        <h2 id={id}>{figure.title}</h2>
        <span className="spacer" />
        <button
          type="button"
          className="button small"
          onClick={() => save(`${figure.title.toLowerCase().replace(/[^a-z]+/g, '-')}.csv`, csv(from, h.step, lines))}
        >
          CSV<span className="sr-only"> of {figure.title}</span>
        </button>
        <button type="button" className="button small" aria-expanded={table} onClick={() => setTable(!table)}>
          {table ? 'Hide data' : 'Show data'}
          <span className="sr-only"> of {figure.title}</span>
        </button>
      </figcaption>
      <ul className="legend">
        {lines.map((l, i) => (
          <li key={l.label}>
            <i className={`line-${i % 5}`} aria-hidden="true" /> {l.label}: {inWords(l, unit)}
            {most[l.label] !== undefined && ` of ${unit(most[l.label])}`}
          </li>
        ))}
      </ul>
      <Suspense fallback={<div className="plot" />}>
        <Plot from={from} step={h.step} lines={lines} unit={unit} marks={marks} />
      </Suspense>
      {table && (
        <div className="log">
          <Table label={`Data of ${figure.title}`} head={['Time', ...lines.map((l) => l.label)]}>
            {(lines[0]?.values ?? [])
              .map((_, i) => i)
              .reverse()
              .map((i) => (
                <tr key={i}>
                  <th scope="row">
                    <When time={(from + i * h.step) * 1000} />
                  </th>
                  {lines.map((l) => (
                    <td key={l.label} className="num">
                      {known(l.values[i], unit)}
                    </td>
                  ))}
                </tr>
              ))}
          </Table>
        </div>
      )}
    </figure>
  );
}

/** How many of the last values tell what is now: the very last one may not be known yet. */
const lately = 3;

/** A line in words: what it is now, and what it was at most. */
function inWords(l: Line, unit: (v: number) => string): string {
  const values = l.values.filter((v) => v !== null);
  if (values.length === 0) return 'not known';
  const late = l.values.slice(-lately).findLast((v) => v !== null);
  return `${late === undefined ? 'nothing lately' : unit(late)}, at most ${unit(Math.max(...values))}`;
}
