import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { Summary } from '../api/client';
import { bytes, count, counted, percent } from '../format';
import { BucketLink, Card, ClusterLink, CopyCurl, Empty, Loaded, Meter, Page, State, Table } from '../ui/kit';
import { Help, PauseButton, RetryButton } from './actions';
import * as q from './queries';

export function Overview() {
  const summary = useQuery(q.summary);
  const replication = useQuery(q.replication);
  return (
    <Page title="Overview" at={summary.data ? Date.parse(summary.data.at) : 0} actions={<CopyCurl path="/fado/summary" />}>
      <Loaded of={summary} rows={8}>
        {(s) => (
          <div className="stack">
            <div className="figures">
              <BucketFigure s={s} />
              <Figure label="Clusters" to="/clusters" value={count(s.counts.clusters)} note={clusterNote(s)} />
              <Figure
                label="Waiting to be copied"
                to="/replication"
                value={replication.data ? count(replication.data.queue.objects) : '–'}
                note={replication.data ? bytes(replication.data.queue.bytes) : 'not known yet'}
              />
              <Figure
                label="Lag, p99"
                to="/replication"
                value={replication.data ? lag(replication.data.lag_ms.p99) : '–'}
                note={
                  !replication.data ? 'not known yet' : replication.data.lag_ms.p99 > 0 ? `p50 ${lag(replication.data.lag_ms.p50)}` : 'nothing copied lately'
                }
              />
            </div>
            <Attention s={s} />
            <ClusterTable s={s} />
          </div>
        )}
      </Loaded>
    </Page>
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

function Figure({ label, value, note, to }: { label: string; value: string; note: string; to: '/clusters' | '/replication' }) {
  return (
    <div className="figure">
      <Link to={to} className="figure-label">
        {label}
      </Link>
      <strong>{value}</strong>
      <span className="quiet">{note}</span>
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
                  </p>
                ))}
              </div>
              <div className="tools">
                {a.kind === 'replication' ? <PauseButton paused /> : a.kind === 'bucket' && <AttentionHelp name={a.name} reasons={a.reasons} />}
              </div>
            </li>
          ))}
        </ul>
      )}
      {s.attention.length + s.more > 50 && (
        <p className="card-foot">
          <Link to="/buckets" search={{ state: 'stuck' }}>
            All {count(s.buckets.stuck)} stuck buckets
          </Link>
        </p>
      )}
    </Card>
  );
}

function AttentionHelp({ name, reasons }: { name: string; reasons: Summary['attention'][number]['reasons'] }) {
  const reason = reasons.find((r) => r.action);
  if (reason?.action === 'retry-failures') return <RetryButton />;
  if (reason?.action === 'sync-bucket') return <Help bucket={name} reason={reason} />;
  const tab = reason?.action === 'resolve-conflicts' ? 'conflicts' : reason?.action === 'confirm-deletes' ? 'deletes' : undefined;
  return (
    <Link className="button" to="/buckets/$bucket" params={{ bucket: name }} search={{ tab }}>
      {tab ? 'Decide' : 'Look'}
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
    case 'store':
      return <>The database</>;
    default:
      return <Link to="/replication">Replication</Link>;
  }
}

export function ClusterTable({ s }: { s: Summary }) {
  return (
    <Card title="Clusters" flush>
      {s.clusters.length === 0 ? (
        <Empty title="No cluster yet">Declare one in the Caddyfile, or POST it to /fado/clusters.</Empty>
      ) : (
        <Table label="Clusters" head={['Cluster', 'Zones', 'Storage', 'Used', 'Functions', 'In flight', 'Changes are noticed by']}>
          {s.clusters.map((c) => (
            <tr key={c.name}>
              <th scope="row">
                <ClusterLink name={c.name} /> {c.drain && <span className="pill">draining</span>}
              </th>
              <td>{c.zones.join(', ') || <span className="quiet">none</span>}</td>
              <td>
                {c.storage ? <State of={c.full ? 'full' : c.storage} /> : <span className="quiet">none</span>}
                {c.error && <p className="quiet">{c.error}</p>}
              </td>
              <td>
                {c.capacity > 0 ? (
                  <Meter
                    label={`Storage used in ${c.name}`}
                    value={percent(c.used_bytes, c.capacity)}
                    text={`${bytes(c.used_bytes)} of ${bytes(c.capacity)}`}
                  />
                ) : (
                  bytes(c.used_bytes)
                )}
              </td>
              <td>
                {c.functions ? (
                  <State of={c.healthy === c.functions ? 'healthy' : c.healthy ? 'degraded' : 'down'} label={`${c.healthy} of ${c.functions}`} />
                ) : (
                  <span className="quiet">none</span>
                )}
              </td>
              <td className="num">{count(c.in_flight)}</td>
              <td>{c.feed || <span className="quiet">not known yet</span>}</td>
            </tr>
          ))}
        </Table>
      )}
    </Card>
  );
}
