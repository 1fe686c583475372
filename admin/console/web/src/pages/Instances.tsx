import { useQuery } from '@tanstack/react-query';
import { counted, span } from '../format';
import { Ago, Card, ClusterLink, CopyCurl, Facts, Failure, Loaded, Page, State, Table } from '../ui/kit';
import * as q from './queries';
import { Silent } from './Silent';

export function Instances() {
  const nodes = useQuery(q.nodes);
  return (
    <Page title="Instances" at={nodes.dataUpdatedAt} actions={<CopyCurl path="/fado/nodes" />}>
      <Loaded of={nodes}>
        {(n) => (
          <div className="stack">
            {n.trouble && <Failure error={new Error(`The store does not answer: ${n.trouble}`)} />}
            <Silent />
            <Card label="Instances" flush>
              <Table label="Instances" head={['Instance', 'Version', 'Does', 'Looks after', 'Listens to', 'Routes by', 'Lease']}>
                {n.instances.map((i) => (
                  <tr key={i.id || i.node}>
                    <th scope="row">
                      {i.node} {i.this && <span className="pill">this one</span>}
                    </th>
                    <td>{i.version || <span className="quiet">not told</span>}</td>
                    <td>
                      <State of={i.replicates ? 'up' : 'unknown'} label={i.replicates ? 'routes and copies' : 'routes and serves'} />
                    </td>
                    <td>
                      {i.parts} of {counted(n.parts, 'part')} of the buckets
                    </td>
                    <td>
                      {i.feeds.length === 0 ? (
                        <span className="quiet">no storage</span>
                      ) : (
                        i.feeds.map((name) => (
                          <span key={name} className="listed">
                            <ClusterLink name={name} />
                          </span>
                        ))
                      )}
                    </td>
                    <td>{i.behind > 0 ? `${counted(i.behind, 'change')} behind` : 'the newest catalogue'}</td>
                    <td>
                      {i.lease_until ? (
                        <>
                          ends <Ago time={i.lease_until} />, unless renewed
                        </>
                      ) : (
                        <span className="quiet">needs none: the store is its own</span>
                      )}
                    </td>
                  </tr>
                ))}
              </Table>
            </Card>
            <Card title="Store">
              <Facts
                of={[
                  ['Kind', n.store],
                  ['State', <State key="s" of={n.trouble ? 'unavailable' : 'up'} />],
                  ['Without it this instance goes by what it knew', n.snapshot_age_s > 0 ? `${span(n.snapshot_age_s * 1000)} ago` : 'now'],
                ]}
              />
            </Card>
          </div>
        )}
      </Loaded>
    </Page>
  );
}
