import { useQuery } from '@tanstack/react-query';
import { getRouteApi, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import type { Schemas } from '../api/client';
import { bytes, count } from '../format';
import { Ago, BucketLink, ClusterLink, CopyCurl, Empty, Page } from '../ui/kit';
import { ListCard } from '../ui/List';
import { RetryButton } from './actions';
import * as q from './queries';

type Row = Schemas['PendingRow'];

const here = getRouteApi('/buckets/$bucket/pending');

/** Why a row is not worked on now, or who works on it. */
export function waits(r: Row): string {
  if (r.hold === 'conflict') return 'waits for people: a conflict';
  if (r.hold === 'deletes') return 'waits for people: deletes are held';
  if (r.node) return `being copied by ${r.node}`;
  if (r.attempts > 0) return 'waits to be tried again';
  return r.background ? 'waits behind what was written lately' : 'waits for its turn';
}

/** The objects of a bucket that are known to differ somewhere. */
export function Pending() {
  const { bucket: name } = here.useParams();
  const { cluster } = here.useSearch();
  const navigate = useNavigate({ from: '/buckets/$bucket/pending' });
  const [after, setAfter] = useState('');
  const page = useQuery(q.pending(name, cluster, after));
  const bucket = useQuery(q.bucket(name));
  return (
    <Page
      title={`Pending in ${name}`}
      at={page.dataUpdatedAt}
      lead={<BucketLink name={name} />}
      actions={
        <>
          <RetryButton />
          <CopyCurl path={`/fado/buckets/${name}/pending${cluster ? `?cluster=${cluster}` : ''}`} />
        </>
      }
    >
      <search className="filters">
        <label className="field">
          <span>Cluster</span>
          <select value={cluster ?? ''} onChange={(e) => (setAfter(''), navigate({ search: { cluster: e.target.value || undefined }, replace: true }))}>
            <option value="">any</option>
            {bucket.data?.status?.copies.map((c) => (
              <option key={c.cluster}>{c.cluster}</option>
            ))}
          </select>
        </label>
      </search>
      <ListCard
        of={page}
        label="Pending"
        skeleton={8}
        head={['Key', 'Cluster', 'Size', 'Differs', 'State', 'Attempts', 'Next']}
        rows={(p) => p.pending}
        pages={(p) => ({ after, next: p.next, go: setAfter })}
        none={<Empty title="Nothing is pending">Every copy has what the primary has, as far as FaDO knows.</Empty>}
      >
        {(r) => (
          <tr key={`${r.cluster} ${r.key}`}>
            <th scope="row" className="key">
              {r.key}
            </th>
            <td>
              <ClusterLink name={r.cluster} />
            </td>
            <td className="num">{r.size > 0 ? bytes(r.size) : 'not known'}</td>
            <td>
              <Ago time={r.since} />
            </td>
            <td>
              {waits(r)}
              {r.error && <p className="quiet">{r.error}</p>}
            </td>
            <td className="num">{count(r.attempts)}</td>
            <td>{r.next_attempt ? <Ago time={r.next_attempt} /> : <span className="quiet">{r.hold ? 'when people decide' : 'now'}</span>}</td>
          </tr>
        )}
      </ListCard>
    </Page>
  );
}
