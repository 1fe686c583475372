import { useQuery } from '@tanstack/react-query';
import { getRouteApi, useNavigate } from '@tanstack/react-router';
import { type FormEvent, useState } from 'react';
import { count } from '../format';
import { Card, ClusterLink, CopyCurl, Empty, Failure, Page, Skeleton, State, Table } from '../ui/kit';
import * as q from './queries';

const here = getRouteApi('/routing');

const reasons: Record<string, string> = {
  'unknown-bucket': 'FaDO does not know the bucket.',
  'no-fresh-copy': 'No cluster that may serve it holds the current version.',
  'no-endpoint': 'No function endpoint is free and healthy where the data may be used.',
  'zone-forbidden': 'The policy allows no cluster that has a function.',
  'no-bucket': 'The request names no bucket.',
};

/** What a curl command says to data_aware: its headers of FaDO. */
export function parseCurl(text: string): { bucket?: string; object?: string; data?: string } {
  const header = (name: string) => {
    const m = new RegExp(`(?:-H|--header)[ =]*(['"])${name}:\\s*(.*?)\\1`, 'i').exec(text);
    return m?.[2];
  };
  return { bucket: header('X-FaDO-Bucket'), object: header('X-FaDO-Object'), data: header('X-FaDO-Data') };
}

export function Routing() {
  const search = here.useSearch();
  const navigate = useNavigate({ from: '/routing' });
  const [bucket, setBucket] = useState(search.bucket ?? '');
  const [object, setObject] = useState(search.object ?? '');
  const [data, setData] = useState(search.data ?? '');
  const asked = Boolean(search.bucket || search.data);
  const query = { bucket: list(search.bucket), object: list(search.object), data: list(search.data) };
  const route = useQuery({ ...q.route(query), enabled: asked });
  const params = new URLSearchParams(Object.entries(search).filter((e): e is [string, string] => Boolean(e[1])));

  function explain(e: FormEvent) {
    e.preventDefault();
    navigate({ search: { bucket: bucket || undefined, object: object || undefined, data: data || undefined } });
  }

  function paste(text: string) {
    const found = parseCurl(text);
    setBucket(found.bucket ?? '');
    setObject(found.object ?? '');
    setData(found.data ?? '');
  }

  return (
    <Page title="Routing" at={asked ? route.dataUpdatedAt : undefined} actions={asked && <CopyCurl path={`/fado/route?${params}`} />}>
      <div className="stack">
        <Card title="Where would this invocation go?">
          <form className="filters" onSubmit={explain}>
            <label className="field grow">
              <span>Bucket</span>
              <input data-find value={bucket} onChange={(e) => setBucket(e.target.value)} spellCheck={false} />
            </label>
            <label className="field grow">
              <span>Object</span>
              <input value={object} onChange={(e) => setObject(e.target.value)} spellCheck={false} placeholder="optional: a key in that bucket" />
            </label>
            <label className="field grow">
              <span>Data</span>
              <input value={data} onChange={(e) => setData(e.target.value)} spellCheck={false} placeholder="optional: s3://bucket/key" />
            </label>
            <button type="submit" className="button primary">
              Explain
            </button>
          </form>
          <details>
            <summary>Paste a request</summary>
            <label className="field">
              <span>Paste a request</span>
              <textarea rows={3} spellCheck={false} placeholder="curl -H 'X-FaDO-Bucket: reports' …" onChange={(e) => paste(e.target.value)} />
            </label>
          </details>
        </Card>
        {!asked && <Empty title="Name a bucket">The answer is what data_aware would decide now, with why every other endpoint is out.</Empty>}
        {asked && route.error && <Failure error={route.error} retry={route.refetch} />}
        {asked && route.isPending && <Skeleton rows={5} />}
        {asked && route.data && <Decision r={route.data} />}
      </div>
    </Page>
  );
}

const list = (v?: string) => (v ? [v] : undefined);

function Decision({ r }: { r: NonNullable<ReturnType<typeof useQuery<import('../api/client').Schemas['Route']>>['data']> }) {
  const fresh = r.candidates.filter((c) => c.fresh);
  const free = r.candidates.filter((c) => c.eligible);
  const clusters = (of: typeof r.candidates) => [...new Set(of.map((c) => c.cluster))].join(', ') || 'none';
  return (
    <>
      <Card title="Decision">
        <div className="decision">
          {r.decision ? (
            <>
              <State of={r.decision.locality === 'local' ? 'ok' : 'degraded'} label={r.decision.locality} />
              <p>
                Goes to <ClusterLink name={r.decision.cluster} /> <code>{r.decision.url}</code>
              </p>
            </>
          ) : (
            <>
              <State of="failed" label={r.reason || 'refused'} />
              <p>{reasons[r.reason] ?? 'The request would be refused.'}</p>
            </>
          )}
        </div>
        <ol className="steps" aria-label="Decision">
          <li>
            <span>Hits</span> clusters that hold the current version: {clusters(fresh)}
          </li>
          <li>
            <span>Free endpoints</span> {count(free.length)} of {count(r.candidates.length)} may take it: {clusters(free)}
          </li>
          <li>
            <span>Balance</span> {r.decision ? `the first of them, with ${count(r.candidates[0]?.in_flight ?? 0)} in flight` : 'nothing to choose from'}
          </li>
        </ol>
      </Card>
      <Card title="Candidates" flush>
        {r.candidates.length === 0 ? (
          <Empty title="No cluster has a function endpoint" />
        ) : (
          <Table label="Candidates" head={['Cluster', 'Endpoint', 'May take it', 'Locality', 'Current there', 'Healthy', 'In flight', 'Why']}>
            {r.candidates.map((c) => (
              <tr key={`${c.cluster} ${c.url}`}>
                <th scope="row">
                  <ClusterLink name={c.cluster} /> <span className="quiet">{c.zone}</span>
                </th>
                <td className="key">{c.url || <span className="quiet">none</span>}</td>
                <td>{c.eligible ? <State of="ok" label="yes" /> : <State of="down" label="no" />}</td>
                <td>{c.locality || '–'}</td>
                <td>{c.fresh ? 'yes' : 'no'}</td>
                <td>{c.healthy ? 'yes' : 'no'}</td>
                <td className="num">{count(c.in_flight)}</td>
                <td>{c.reason || <span className="quiet">nothing against it</span>}</td>
              </tr>
            ))}
          </Table>
        )}
      </Card>
    </>
  );
}
