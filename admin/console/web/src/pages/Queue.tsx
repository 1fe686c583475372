import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { bucketPage } from '../api/client';
import { behindOf } from '../behind';
import { bytes, count } from '../format';
import { Ago, BucketLink, CopyCurl, Empty, State } from '../ui/kit';
import { ListCard } from '../ui/List';

/** So many buckets are shown: those that wait for longest, or for most. */
const shown = 20;

const orders = { pending: 'Most objects', oldest: 'Oldest' } as const;

/** What waits to be copied, bucket by bucket. */
export function Queue() {
  const [order, setOrder] = useState<keyof typeof orders>('pending');
  const buckets = useQuery({
    queryKey: ['buckets', 'queue', order],
    queryFn: ({ signal }) => bucketPage({ order }, '', shown, signal),
    placeholderData: keepPreviousData,
    refetchInterval: 5000,
  });
  return (
    <ListCard
      of={buckets}
      title="Queue"
      label="Queue"
      aside={
        <span className="tools">
          {Object.entries(orders).map(([o, text]) => (
            <button key={o} type="button" className="button" aria-pressed={o === order} onClick={() => setOrder(o as keyof typeof orders)}>
              {text}
            </button>
          ))}
          {buckets.data?.more && (
            <Link to="/buckets" search={{ order }}>
              All buckets, in this order
            </Link>
          )}
          <CopyCurl path={`/fado/buckets?order=${order}&limit=${shown}`} />
        </span>
      }
      head={['Bucket', 'State', 'Objects', 'Bytes', 'Oldest', 'Where to']}
      rows={({ items }) => items.map((b) => ({ b, behind: behindOf(b.status) })).filter(({ behind }) => behind.objects > 0)}
      none={<Empty title="Nothing waits: every copy is in step" />}
    >
      {({ b, behind }) => (
        <tr key={b.name}>
          <th scope="row">
            <BucketLink name={b.name} />
          </th>
          <td>
            <State of={b.status?.state ?? 'unknown'} />
          </td>
          <td className="num">
            <Link to="/buckets/$bucket/pending" params={{ bucket: b.name }}>
              {count(behind.objects)}
              <span className="sr-only"> objects of {b.name}</span>
            </Link>
          </td>
          <td className="num">{bytes(behind.bytes)}</td>
          <td>
            <Ago time={behind.oldest} />
          </td>
          <td>{b.status?.copies.flatMap((c) => (c.pending.objects > 0 ? [c.cluster] : [])).join(', ')}</td>
        </tr>
      )}
    </ListCard>
  );
}
