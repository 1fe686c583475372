import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import type { Schemas } from '../api/client';
import { bytes, count, counted } from '../format';
import { Ago, Card, ClusterLink, CopyCurl, Empty, Loaded } from '../ui/kit';
import { List } from '../ui/List';
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
                <p>FaDO holds deletes on copies where there are {bounds(h.bound)}.</p>
                <List label="Copies whose deletes are held" head={['Copy in', 'Held', 'Of', 'Since']} rows={h.copies}>
                  {(c) => (
                    <tr key={c.cluster}>
                      <th scope="row">
                        <ClusterLink name={c.cluster} />
                      </th>
                      <td>{counted(c.held, 'delete')} so far</td>
                      <td>{counted(c.objects, 'object')}</td>
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
      {page.data && page.data.deletes.length > 0 && (
        <Card title="Which" flush>
          <List
            label="Held deletes"
            head={['Key', 'Still in', 'Size', 'Deleted']}
            rows={page.data.deletes}
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
