import { useQuery } from '@tanstack/react-query';
import { counted } from '../format';
import { Card, ClusterLink, Empty, Loaded, State, Table } from '../ui/kit';
import * as q from './queries';

/** Where a policy lets data be. */
export interface Residency {
  zones?: string[];
  exclude_zones?: string[];
  clusters?: string[];
}

/** The clusters that a policy allows now, and why the others are not. */
export function AllowedClusters({ of }: { of: Residency }) {
  const allowed = useQuery(q.allowed(of));
  return (
    <Card title="Allowed clusters" flush>
      <Loaded of={allowed}>
        {(list) =>
          list.length === 0 ? (
            <Empty title="No cluster yet">Policies choose among clusters: make one on the page Clusters.</Empty>
          ) : (
            <Table label="Allowed clusters" head={['Cluster', 'Zone', 'Allowed', 'Why', 'New copies']}>
              {list.map((c) => (
                <tr key={c.cluster}>
                  <th scope="row">
                    <ClusterLink name={c.cluster} />
                  </th>
                  <td>{c.zone || <span className="quiet">none</span>}</td>
                  <td>{c.allowed ? <State of="ok" label="allowed" /> : 'no'}</td>
                  <td>{c.reason}</td>
                  <td>{c.allowed && c.takes_copies ? 'taken' : <span className="quiet">none</span>}</td>
                </tr>
              ))}
            </Table>
          )
        }
      </Loaded>
    </Card>
  );
}

/** The same in a few words, of a policy that is being written. */
export function AllowedBriefly({ of }: { of: Residency }) {
  const allowed = useQuery(q.allowed(of));
  const list = allowed.data ?? [];
  const yes = list.filter((c) => c.allowed);
  return (
    <section aria-label="Allowed clusters">
      <p role="status">
        {allowed.error ? (
          <span className="field-error">{allowed.error.message}</span>
        ) : (
          allowed.data && `It allows ${yes.length} of ${counted(list.length, 'cluster')}${yes.length ? ':' : '; data under it could be nowhere.'}`
        )}
      </p>
      {!allowed.error && (
        <ul className="chips">
          {yes.map((c) => (
            <li key={c.cluster} className="yes">
              {c.cluster}
              {!c.takes_copies && <span className="quiet"> no copies</span>}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
