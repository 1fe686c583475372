import { useQuery, useQueryClient } from '@tanstack/react-query';
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import type { Schemas, Summary } from '../api/client';
import { bytes, count, counted, rate } from '../format';
import { Ago, BucketLink, Card, ClusterLink, CopyCurl, Empty, Loaded, Page, State } from '../ui/kit';
import { Spark } from '../ui/Spark';
import { Help, PauseButton, Since } from './actions';
import { AsTable, Flowing } from './Flowing';
import { What } from './Happened';
import { type Line, latest, linesOf, measured, measurers, together } from './history';
import * as q from './queries';

const here = getRouteApi('/');

export function Overview() {
  const summary = useQuery(q.summary);
  const { view } = here.useSearch();
  const navigate = useNavigate({ from: '/' });
  const table = view === 'table';
  return (
    <Page title="Overview" at={summary.data ? Date.parse(summary.data.at) : 0} actions={<CopyCurl path="/fado/summary" />}>
      <Loaded of={summary} rows={8}>
        {(s) => (
          <div className="stack">
            <div className="figures">
              <BucketFigure s={s} />
              <Figure label="Clusters" to="/clusters" value={count(s.counts.clusters)} note={clusterNote(s)} />
              <Courses />
            </div>
            <Attention s={s} />
            <div className="card">
              <header>
                <h2>Topology</h2>
                <AsTable on={table} onChange={(on) => navigate({ search: { view: on ? 'table' : undefined }, replace: true, resetScroll: false })} />
              </header>
              <div className="card-body">
                <Flowing clusters={s.clusters} table={table} />
              </div>
            </div>
            <Changes />
          </div>
        )}
      </Loaded>
    </Page>
  );
}

const courses = ['decisions.local', 'decisions.remote', 'decisions.none', 'rejections', 'lag.p99', 'backlog.objects', 'throughput.bytes', 'throughput.objects'];

/** What matters most over the last hour, of all instances. */
function Courses() {
  const replication = useQuery(q.replication);
  const told = useQuery(measurers);
  const history = useQuery(measured('1h', 'all', courses, 360));
  const h = history.data && together(history.data, told.data?.nodes ?? []);
  const line = (name: string, label: string) => (h ? linesOf({ series: { [name]: label } }, h) : []);
  const decisions = [
    ...line('decisions.local', 'local'),
    ...line('decisions.remote', 'remote'),
    ...line('decisions.none', 'no data named'),
    ...line('rejections', 'refused'),
  ];
  const lags = line('lag.p99', 'p99');
  const now = (l: Line | undefined) => latest(l) ?? 0;
  const all = decisions.reduce((n, l) => n + now(l), 0);
  const local = now(decisions.find((l) => l.label === 'local'));
  const known = decisions.some((l) => latest(l) !== undefined);
  const copied = latest(line('throughput.bytes', '')[0]);
  const unknown = history.error ? 'no history is kept' : 'not known yet';
  const r = replication.data;
  return (
    <>
      <Figure
        label="Invocations"
        to="/metrics"
        value={known ? rate(all) : '–'}
        note={!known ? unknown : all > 0 ? `${Math.round((100 * local) / all)} % where their data is` : 'none now'}
      >
        <Course name="Invocations by locality" lines={decisions} unit={rate} />
      </Figure>
      <Figure
        label="Lag, p99"
        to="/replication"
        value={r ? lag(r.lag_ms.p99) : '–'}
        note={!r ? 'not known yet' : r.lag_ms.p99 > 0 ? `p50 ${lag(r.lag_ms.p50)}` : 'nothing copied lately'}
      >
        <Course name="Lag, p99" lines={lags} unit={lag} />
      </Figure>
      <Figure label="Waiting to be copied" to="/replication" value={r ? count(r.queue.objects) : '–'} note={r ? bytes(r.queue.bytes) : 'not known yet'}>
        <Course name="Waiting to be copied" lines={line('backlog.objects', 'objects')} unit={(v) => count(Math.round(v))} />
      </Figure>
      <Figure
        label="Throughput"
        to="/metrics"
        value={copied === undefined ? '–' : `${bytes(copied)}/s`}
        note={copied === undefined ? unknown : `${rate(latest(line('throughput.objects', '')[0]) ?? 0)} objects`}
      >
        <Course name="Throughput" lines={line('throughput.bytes', 'copied')} unit={(v) => `${bytes(v)}/s`} />
      </Figure>
    </>
  );
}

/** The course of a figure over the last hour; nothing where nothing is known. */
function Course({ name, lines, unit }: { name: string; lines: { label: string; values: (number | null)[] }[]; unit: (v: number) => string }) {
  // What is before the first value takes no room: an instance may have begun a minute ago.
  const begin = Math.min(...lines.map((l) => l.values.findIndex((v) => v !== null)).filter((i) => i >= 0));
  if (begin === Number.POSITIVE_INFINITY) return null;
  // Lines that are nothing but nought lie on each other.
  const some = lines.filter((l) => l.values.some((v) => v));
  const drawn = some.length ? some : lines.slice(0, 1);
  const most = lines.map((l) => `${lines.length > 1 ? `${l.label} ` : ''}${unit(Math.max(0, ...l.values.map((v) => v ?? 0)))}`);
  return <Spark label={`${name} in the last hour, at most ${most.join(', ')}`} lines={drawn.map((l) => ({ ...l, values: l.values.slice(begin) }))} />;
}

/** How far back changes are shown here, and how many of them. */
const changesBack = 3600_000;
const changesShown = 8;

/** What was changed in the catalogue lately. */
function Changes() {
  const log = useQuery(q.eventLog(useQueryClient(), { type: 'resource' }));
  return (
    <Card
      title="Changes of the last hour"
      flush
      aside={
        <Link to="/events" search={{ type: 'resource' }}>
          All events
        </Link>
      }
    >
      <Loaded of={log} rows={2}>
        {(list: Schemas['LoggedEvent'][]) => {
          const late = list.filter((e) => Date.now() - Date.parse(e.time) < changesBack).toReversed();
          if (late.length === 0)
            return (
              <Empty title="Nothing was changed">Zones, clusters, policies and buckets are as they were an hour ago, as far as this instance has run.</Empty>
            );
          return (
            <ul className="changes" aria-label="Changes">
              {late.slice(0, changesShown).map((e) => (
                <li key={e.seq}>
                  <span>
                    <What e={e} />
                  </span>
                  <span className="quiet">
                    <Ago time={e.time} />
                  </span>
                </li>
              ))}
              {late.length > changesShown && <li className="quiet">and {count(late.length - changesShown)} more</li>}
            </ul>
          );
        }}
      </Loaded>
    </Card>
  );
}

/** Milliseconds of lag; with nothing copied lately there is none to tell. */
export const lag = (ms: number) => (ms <= 0 ? '–' : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

function clusterNote(s: Summary): string {
  const down = s.clusters.filter((c) => c.storage === 'down').length;
  const functions = s.clusters.reduce((n, c) => n + c.functions, 0);
  const healthy = s.clusters.reduce((n, c) => n + c.healthy, 0);
  const up = down ? `${counted(down, 'storage')} down` : 'all storages up';
  return functions ? `${up} · ${healthy} of ${functions} functions healthy` : up;
}

function BucketFigure({ s }: { s: Summary }) {
  const parts = [
    ['ok', s.buckets.ok],
    ['syncing', s.buckets.syncing],
    ['conflict', s.buckets.conflict],
    ['stuck', s.buckets.stuck],
  ] as const;
  const all = parts.reduce((n, [, v]) => n + v, 0);
  return (
    <div className="figure">
      <Link to="/buckets" className="figure-label">
        Buckets
      </Link>
      <strong>{count(s.counts.buckets)}</strong>
      <div className="bar" aria-hidden="true">
        {parts.map(([state, n]) => n > 0 && <i key={state} className={state} style={{ flexGrow: Math.max(n, all / 50) }} />)}
      </div>
      <ul className="legend">
        {parts.map(([state, n]) => (
          <li key={state}>
            <Link to="/buckets" search={{ state }}>
              <State of={state} label={`${count(n)} ${state}`} />
            </Link>
          </li>
        ))}
      </ul>
    </div>
  );
}

function Figure({
  label,
  value,
  note,
  to,
  children,
}: {
  label: string;
  value: string;
  note: string;
  to: '/clusters' | '/replication' | '/metrics';
  children?: ReactNode;
}) {
  return (
    <div className="figure">
      <Link to={to} className="figure-label">
        {label}
      </Link>
      <strong>{value}</strong>
      <span className="quiet">{note}</span>
      {children}
    </div>
  );
}

function Attention({ s }: { s: Summary }) {
  return (
    <Card title="Attention" flush aside={s.attention.length > 0 && <span className="pill">{count(s.attention.length + s.more)}</span>}>
      {s.attention.length === 0 ? (
        <Empty title="Nothing needs you">Every bucket is where its policy wants it, or on its way there.</Empty>
      ) : (
        <ul className="attention" aria-label="Attention">
          {s.attention.slice(0, 50).map((a) => (
            <li key={`${a.kind} ${a.name} ${a.reasons[0]?.text}`}>
              <State of={a.state} />
              <div>
                <p>
                  <Subject kind={a.kind} name={a.name} />
                </p>
                {a.reasons.map((r) => (
                  <p key={r.text} className="quiet">
                    {r.text}
                    <Since time={r.since} />
                  </p>
                ))}
              </div>
              <div className="tools">
                {a.kind === 'replication' ? <PauseButton paused /> : <AttentionHelp kind={a.kind} name={a.name} reasons={a.reasons} />}
              </div>
            </li>
          ))}
        </ul>
      )}
      {s.attention.length + s.more > 50 && (
        <p className="card-foot tools">
          <span>and {count(s.attention.length + s.more - 50)} more</span>
          {s.buckets.stuck > 0 && (
            <Link to="/buckets" search={{ state: 'stuck' }}>
              All {count(s.buckets.stuck)} stuck buckets
            </Link>
          )}
          {s.buckets.conflict > 0 && (
            <Link to="/buckets" search={{ state: 'conflict' }}>
              All {count(s.buckets.conflict)} buckets in conflict
            </Link>
          )}
        </p>
      )}
    </Card>
  );
}

function AttentionHelp({ kind, name, reasons }: Pick<Summary['attention'][number], 'kind' | 'name' | 'reasons'>) {
  if (kind === 'cluster' || kind === 'function') {
    return (
      <Link className="button" to="/clusters/$cluster" params={{ cluster: name }}>
        Look<span className="sr-only"> at {name}</span>
      </Link>
    );
  }
  if (kind === 'purge') {
    return (
      <Link className="button" to="/replication">
        Look<span className="sr-only"> at the purge of {name}</span>
      </Link>
    );
  }
  if (kind !== 'bucket') return null;
  // What helps of several reasons alike is there once; older versions are given up cluster by cluster.
  const helps = new Map(reasons.filter((r) => r.action).map((r) => [r.action === 'release-history' ? `${r.action} ${r.cluster}` : r.action, r]));
  if (helps.size > 0) return [...helps].map(([key, r]) => <Help key={key} bucket={name} reason={r} />);
  return (
    <Link className="button" to="/buckets/$bucket" params={{ bucket: name }}>
      Look
    </Link>
  );
}

function Subject({ kind, name }: { kind: string; name: string }) {
  switch (kind) {
    case 'bucket':
      return (
        <>
          Bucket <BucketLink name={name} />
        </>
      );
    case 'cluster':
      return (
        <>
          Cluster <ClusterLink name={name} />
        </>
      );
    case 'function':
      return (
        <>
          A function of <ClusterLink name={name} />
        </>
      );
    case 'purge':
      // It is forgotten: it has no page of its own any more.
      return <>Bucket {name}, which is being removed</>;
    case 'store':
      return <>The database</>;
    default:
      return <Link to="/replication">Replication</Link>;
  }
}
