import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import type { Schemas } from '../api/client';
import { bytes, count, counted, percent, span } from '../format';
import { Ago, Card, ClusterLink, CopyCurl, Empty, Loaded, Meter } from '../ui/kit';
import { List } from '../ui/List';
import { Spark } from '../ui/Spark';
import { HeldDeletes } from './actions';
import * as q from './queries';

type Held = Schemas['HeldDeletes'];

/** The bounds in words: "more than 1,000 and more than 10 % of a copy". */
export function bounds(b: Held['bound']): string {
  const parts = [];
  if (b.objects > 0) parts.push(`more than ${count(b.objects)}`);
  if (b.percent > 0) parts.push(`more than ${b.percent} % of a copy's objects`);
  return `${parts.join(' and ')} within ten minutes`;
}

/** How much of a copy the held deletes would take: "1,000 of 2,000 objects, 50 %". */
export function share(held: number, objects: number): string {
  const part = percent(held, objects);
  return `${count(held)} of ${counted(objects, 'object')}${part === undefined ? '' : `, ${part < 1 ? '< 1' : Math.round(part)} %`}`;
}

/** How many of the times lie in each of some equal spans from the first to the last. */
export function course(times: number[], spans = 40): number[] {
  const [first, last] = [Math.min(...times), Math.max(...times)];
  const at = (t: number) => (last > first ? Math.min(spans - 1, Math.floor(((t - first) / (last - first)) * spans)) : 0);
  return times.reduce(
    (sums, t) => (sums[at(t)]++, sums),
    Array.from({ length: spans }, () => 0),
  );
}

/** When deletes were noticed. */
function Course({ deletes }: { deletes: Held['deletes'] }) {
  const times = deletes.map((d) => Date.parse(d.since));
  const values = course(times);
  const text = `${counted(deletes.length, 'delete')} of those listed, noticed within ${span(Math.max(...times) - Math.min(...times))}, at most ${count(Math.max(...values))} at a time`;
  return (
    <div className="card-foot">
      <Spark label={`When they were noticed: ${text}`} lines={[{ label: 'deletes', values }]} />
      <p className="quiet">{text}</p>
    </div>
  );
}

/** Since when the first of a bucket's deletes is held; undefined where that is not known. */
export function heldSince(copies: Held['copies']): string | undefined {
  return copies.flatMap((c) => c.since ?? []).sort((a, b) => Date.parse(a) - Date.parse(b))[0];
}

function HeldSince({ copies }: { copies: Held['copies'] }) {
  const since = heldSince(copies);
  return since ? (
    <>
      {' '}
      The first of these was noticed <Ago time={since} />.
    </>
  ) : null;
}

/** Deletes that wait for people: which, how many, and what is decided about them. */
export function HeldTab({ name, held }: { name: string; held: boolean }) {
  const [after, setAfter] = useState('');
  const page = useQuery(q.heldDeletes(name, after));
  return (
    <div className="stack">
      <Card title="Held deletes" aside={<CopyCurl path={`/fado/buckets/${name}/deletes`} />}>
        <Loaded of={page} rows={3}>
          {(h) =>
            h.copies.length === 0 && !held ? (
              <Empty title="No delete is held">FaDO holds deletes and asks here when there are {bounds(h.bound)}.</Empty>
            ) : (
              <div className="stack">
                <p>
                  FaDO holds deletes on copies where there are {bounds(h.bound)}.
                  <HeldSince copies={h.copies} />
                </p>
                <List label="Copies whose deletes are held" head={['Copy in', 'Held', 'Share of the copy', 'Held since']} rows={h.copies}>
                  {(c) => (
                    <tr key={c.cluster}>
                      <th scope="row">
                        <ClusterLink name={c.cluster} />
                      </th>
                      <td>{counted(c.held, 'delete')} so far</td>
                      <td>
                        <Meter label={`Share of the copy in ${c.cluster}`} value={percent(c.held, c.objects)} text={share(c.held, c.objects)} />
                      </td>
                      <td>
                        <Ago time={c.since} />
                      </td>
                    </tr>
                  )}
                </List>
                <div className="tools">
                  <HeldDeletes bucket={name} />
                </div>
              </div>
            )
          }
        </Loaded>
      </Card>
      {page.data && (page.data.deletes.length > 0 || after !== '') && (
        <Card title="Which" flush>
          <Course deletes={page.data.deletes} />
          <List
            label="Held deletes"
            head={['Key', 'Still in', 'Size', 'Deleted']}
            rows={page.data.deletes}
            none={<Empty title="No delete is held any more" />}
            pages={{ after, next: page.data.next, go: setAfter }}
          >
            {(d) => (
              <tr key={`${d.cluster} ${d.key}`}>
                <th scope="row" className="key">
                  {d.key}
                </th>
                <td>
                  <ClusterLink name={d.cluster} />
                </td>
                <td className="num">{d.size > 0 ? bytes(d.size) : 'not known'}</td>
                <td>
                  <Ago time={d.since} />
                </td>
              </tr>
            )}
          </List>
        </Card>
      )}
    </div>
  );
}
