import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { type Bucket, bucketPage } from '../api/client';
import { bytes, count, counted } from '../format';
import { BucketLink, Card, CopyCurl, Empty, Loaded, State, Table } from '../ui/kit';

const most = 200;

/** What a cluster holds of a bucket, and what of it is nowhere else. */
export interface Held {
  bucket: string;
  role: string;
  state: string;
  objects: number;
  bytes: number;
  /** Other clusters that have a whole copy. */
  also: string[];
  /** Objects that no other cluster has yet; bytes of them where they are known. */
  only: number;
  onlyBytes: number;
}

type Size = Pick<Held, 'objects' | 'bytes'>;

/** What a cluster has of a bucket below prefixes, or beside them, of which no other has anything. */
function lonely(cluster: string, { copies, prefixes }: NonNullable<Bucket['status']>): Size {
  const whole = copies.filter((c) => c.cluster === cluster || c.state === 'synced');
  const below = (prefixes ?? []).map((p) => p.copies.filter((c) => c.cluster === cluster || c.state === 'synced'));
  const beside = whole.map((c) => {
    const parts = below.flat().filter((p) => p.cluster === c.cluster);
    return { cluster: c.cluster, objects: c.objects - sum(parts, 'objects'), bytes: c.bytes - sum(parts, 'bytes') };
  });
  const mine = [...below, beside].flatMap((part) => {
    const there = part.filter((c) => c.objects > 0);
    return there.every((c) => c.cluster === cluster) ? there : [];
  });
  return { objects: sum(mine, 'objects'), bytes: sum(mine, 'bytes') };
}

const sum = (of: Size[], what: keyof Size) => of.reduce((n, c) => n + c[what], 0);

/** The buckets of a cluster, those first of which it has most alone. */
export function heldBy(cluster: string, buckets: Bucket[]): Held[] {
  return buckets
    .flatMap((b) => {
      const copies = b.status?.copies ?? [];
      const here = copies.find((c) => c.cluster === cluster);
      if (!here) return [];
      const others = copies.filter((c) => c.cluster !== cluster && c.state === 'synced');
      // What the best of the others lacks is here alone, and what has no place there.
      const alone = others.length && b.status?.prefixes?.length ? lonely(cluster, b.status) : { objects: 0, bytes: 0 };
      const lacks = others.map((c) => c.pending).sort((x, y) => x.objects - y.objects)[0] ?? here;
      return {
        bucket: b.name,
        role: here.role,
        state: here.state,
        objects: here.objects,
        bytes: here.bytes,
        also: others.map((c) => c.cluster),
        only: Math.min(alone.objects + lacks.objects, here.objects),
        onlyBytes: Math.min(alone.bytes + lacks.bytes, here.bytes),
      };
    })
    .sort((a, b) => b.onlyBytes - a.onlyBytes || b.only - a.only);
}

/** The buckets that have data in a cluster, and what would go with it. */
export function Holding({ cluster }: { cluster: string }) {
  const buckets = useQuery({
    queryKey: ['buckets', 'in', cluster],
    queryFn: ({ signal }) => bucketPage({ cluster }, '', most, signal),
    refetchInterval: 15_000,
  });
  return (
    <Card title="Buckets here" flush aside={<CopyCurl path={`/fado/buckets?cluster=${cluster}&limit=${most}`} />}>
      <Loaded of={buckets}>
        {(page) => {
          const held = heldBy(cluster, page.items);
          const only = held.filter((h) => h.only > 0);
          const objects = only.reduce((n, h) => n + h.only, 0);
          const size = only.reduce((n, h) => n + h.onlyBytes, 0);
          if (held.length === 0) return <Empty title="No bucket has data here">Buckets come where their policies allow it and choose it.</Empty>;
          return (
            <>
              <p className="padded" role="note">
                {only.length === 0
                  ? 'Nothing lives only here: every object is in another cluster, too.'
                  : `Only here: ${counted(objects, 'object')} of ${counted(only.length, 'bucket')}, ${bytes(size)}.`}
                {page.total > page.items.length && ` That is of the first ${count(page.items.length)} of ${count(page.total)} buckets.`}
              </p>
              <Table label="Buckets here" head={['Bucket', 'Copy', 'Objects', 'Bytes', 'Also in', 'Only here']}>
                {held.map((h) => (
                  <tr key={h.bucket}>
                    <th scope="row">
                      <BucketLink name={h.bucket} />
                    </th>
                    <td>
                      <State of={h.state} label={h.role === 'primary' ? `primary, ${h.state}` : h.state} />
                    </td>
                    <td className="num">{count(h.objects)}</td>
                    <td className="num">{bytes(h.bytes)}</td>
                    <td>{h.also.join(', ') || <span className="quiet">nowhere</span>}</td>
                    <td className="num">{h.only ? `${counted(h.only, 'object')}, ${bytes(h.onlyBytes)}` : <span className="quiet">nothing</span>}</td>
                  </tr>
                ))}
              </Table>
              {page.total > page.items.length && (
                <p className="card-foot">
                  <Link to="/buckets" search={{ cluster }}>
                    All {count(page.total)} buckets
                  </Link>
                </p>
              )}
            </>
          );
        }}
      </Loaded>
    </Card>
  );
}
