import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { type Bucket, bucketPage, type Policy as PolicyItem, type Schemas, type Zone } from '../api/client';
import { count, counted } from '../format';
import { AsText } from '../ui/AsText';
import { Card, ClusterLink, CopyCurl, Empty, Facts, Loaded, Page, State, Table } from '../ui/kit';
import { ListCard } from '../ui/List';
import { AllowedClusters } from './Allowed';
import { EditButtons, NewButton } from './Editing';
import { PlacementTable } from './PlacementTable';
import * as q from './queries';

const where = (p: PolicyItem) =>
  [
    p.zones?.length && `in ${p.zones.join(', ')}`,
    p.exclude_zones?.length && `not in ${p.exclude_zones.join(', ')}`,
    p.clusters?.length && `only ${p.clusters.join(', ')}`,
  ]
    .filter(Boolean)
    .join('; ') || 'anywhere';

export function Policies() {
  const policies = useQuery(q.policies);
  const used = useQuery(q.facets({})).data?.policies;
  const copies = useQuery(q.copySums).data;
  return (
    <Page
      title="Policies"
      at={policies.dataUpdatedAt}
      actions={
        <>
          <NewButton kind="policy" />
          <CopyCurl path="/fado/policies" />
        </>
      }
    >
      <Loaded of={policies}>
        {(list) =>
          list.length === 0 ? (
            <Empty title="No policy yet">Buckets follow the built-in policy default: one copy, in any zone.</Empty>
          ) : (
            <Card label="Policies" flush>
              <Table label="Policies" head={['Policy', 'Copies', 'Where', 'Prefers', 'Writes', 'On a miss', 'Buckets', 'Their copies']}>
                {list.map((p) => (
                  <tr key={p.name}>
                    <th scope="row">
                      <Link to="/policies/$policy" params={{ policy: p.name }}>
                        {p.name}
                      </Link>
                    </th>
                    <td>{p.copies ?? 1}</td>
                    <td>{where(p)}</td>
                    <td>{p.prefer?.join(', ') || <span className="quiet">nothing</span>}</td>
                    <td>{p.writes ?? 'primary'}</td>
                    <td>{p.on_miss ?? 'remote'}</td>
                    <td>
                      <Link to="/buckets" search={{ policy: p.name }}>
                        {used ? count(used.find((f) => f.value === p.name)?.buckets ?? 0) : 'Show'}
                        <span className="sr-only">
                          {' '}
                          {used ? 'buckets' : 'the buckets'} of {p.name}
                        </span>
                      </Link>
                    </td>
                    <td>{copies ? <CopyStates of={copies.filter((c) => c.policy === p.name)} /> : <span className="quiet">not known yet</span>}</td>
                  </tr>
                ))}
              </Table>
            </Card>
          )
        }
      </Loaded>
    </Page>
  );
}

const copyStates = ['synced', 'syncing', 'waiting', 'draining', 'removing', 'failed'] as const;

/** How many copies are in which state, those states that there are. */
function CopyStates({ of }: { of: Schemas['CopySum'][] }) {
  const there = copyStates.map((state) => [state, of.reduce((n, c) => n + c[state], 0)] as const).filter(([, n]) => n > 0);
  if (there.length === 0) return <span className="quiet">none</span>;
  return (
    <ul className="legend">
      {there.map(([state, n]) => (
        <li key={state}>
          <State of={state} label={`${count(n)} ${state}`} />
        </li>
      ))}
    </ul>
  );
}

/** The copies of a policy's buckets, cluster by cluster. */
function CopiesOf({ policy }: { policy: string }) {
  const sums = useQuery(q.copySums);
  return (
    <ListCard
      of={sums}
      title="Copies"
      label="Copies"
      head={['Cluster', 'Copies']}
      rows={(all) => all.filter((c) => c.policy === policy)}
      none={<Empty title="No copy yet">No bucket, and no prefix of one, that follows this policy has a copy.</Empty>}
    >
      {(c) => (
        <tr key={c.cluster}>
          <th scope="row">
            <ClusterLink name={c.cluster} />
          </th>
          <td>
            <CopyStates of={[c]} />
          </td>
        </tr>
      )}
    </ListCard>
  );
}

const here = getRouteApi('/policies/$policy');

export function Policy() {
  const { policy: name } = here.useParams();
  const navigate = useNavigate();
  const policies = useQuery(q.policies);
  return (
    <Page
      title={name}
      at={policies.dataUpdatedAt}
      actions={
        <>
          <EditButtons kind="policy" item={policies.data?.find((p) => p.name === name)} onGone={() => navigate({ to: '/policies' })} />
          <CopyCurl path={`/fado/policies/${name}`} />
        </>
      }
    >
      <Loaded of={policies}>
        {(list) => {
          const p = list.find((x) => x.name === name);
          if (!p) return <Empty title={`There is no policy ${name}`}>It may have been deleted, or have another name.</Empty>;
          return (
            <div className="split">
              <Card title="What it promises">
                <Facts
                  of={[
                    ['Copies', `${p.copies ?? 1}${p.copies === 'all' ? ' allowed clusters' : ', the primary counted'}`],
                    ['Where', where(p)],
                    ['Spread over', `${p.spread ?? 'zone'}s`],
                    ['Prefers', p.prefer?.join(', ') || 'nothing'],
                    ['Writes', p.writes === 'anywhere' ? 'anywhere: the last writer wins' : 'at the primary'],
                    ['Balance', p.balance ? String((p.balance as { policy?: string }).policy) : 'as data_aware says'],
                    ['On a miss', p.on_miss ?? 'remote'],
                    ['Declared by', p.origin === 'config' ? 'the configuration: change it there' : 'the API'],
                  ]}
                />
                <p>
                  <Link to="/buckets" search={{ policy: name }}>
                    Buckets that use it
                  </Link>
                </p>
              </Card>
              <Card title="As text">
                <AsText kind="policy" item={p} />
              </Card>
              <AllowedClusters of={p} />
              <CopiesOf policy={name} />
              <Uses policy={name} />
            </div>
          );
        }}
      </Loaded>
    </Page>
  );
}

/** The rule of a bucket that a policy is for: "" for the whole bucket; undefined for none. */
export const ruleOf = (b: Bucket, policy: string) => ((b.policy || 'default') === policy ? '' : b.prefixes?.find((r) => r.policy === policy)?.prefix);

const shown = 200;

/** The buckets that use a policy, and where one of them may be now, cluster by cluster. */
function Uses({ policy }: { policy: string }) {
  const buckets = useQuery({
    queryKey: ['buckets', 'of policy', policy],
    queryFn: ({ signal }) => bucketPage({ policy }, '', shown, signal),
    refetchInterval: 15_000,
  });
  const [chosen, setChosen] = useState('');
  const b = buckets.data?.items.find((x) => x.name === chosen) ?? buckets.data?.items[0];
  return (
    <Card title="Explain a placement" flush>
      <Loaded of={buckets}>
        {({ items, total }) =>
          b ? (
            <>
              <div className="filters padded">
                <label className="field grow">
                  <span>
                    {total > items.length
                      ? `Of the first ${items.length} of ${count(total)} buckets that use it`
                      : `Of ${counted(total, 'bucket')} that use it`}
                  </span>
                  <select value={b.name} onChange={(e) => setChosen(e.target.value)}>
                    {items.map((x) => (
                      <option key={x.name}>{x.name}</option>
                    ))}
                  </select>
                </label>
              </div>
              <Explained bucket={b.name} prefix={ruleOf(b, policy) ?? ''} />
            </>
          ) : (
            <Empty title="No bucket uses it">Choose it in a bucket, or for a prefix of one.</Empty>
          )
        }
      </Loaded>
    </Card>
  );
}

function Explained({ bucket, prefix }: { bucket: string; prefix: string }) {
  const placement = useQuery(q.placement(bucket, prefix));
  return <Loaded of={placement}>{(p) => <PlacementTable label="Placement" of={p.clusters} />}</Loaded>;
}

/** The zones in the order of a tree, each with its depth. */
export function tree(zones: Zone[]): { zone: Zone; depth: number }[] {
  const out: { zone: Zone; depth: number }[] = [];
  const seen = new Set<string>();
  const visit = (parent: string, depth: number) => {
    for (const zone of zones) {
      if ((zone.parent ?? '') !== parent || seen.has(zone.name)) continue;
      seen.add(zone.name);
      out.push({ zone, depth });
      visit(zone.name, depth + 1);
    }
  };
  visit('', 0);
  return out;
}

export function Zones() {
  const zones = useQuery(q.zones);
  const clusters = useQuery(q.clusters);
  const policies = useQuery(q.policies);
  return (
    <Page
      title="Zones"
      at={zones.dataUpdatedAt}
      actions={
        <>
          <NewButton kind="zone" />
          <CopyCurl path="/fado/zones" />
        </>
      }
    >
      <Loaded of={zones}>
        {(list) =>
          list.length === 0 ? (
            <Empty title="No zone yet">Zones say where clusters are, so that policies can say where data may be.</Empty>
          ) : (
            <Card label="Zones" flush>
              <Table label="Zones" head={['Zone', 'Clusters', 'Policies that name it', 'As text', 'Change']}>
                {tree(list).map(({ zone, depth }) => (
                  <tr key={zone.name}>
                    <th scope="row">
                      <span className="indent" style={{ paddingLeft: depth * 20 }}>
                        {depth > 0 && <span aria-hidden="true">└ </span>}
                        {zone.name}
                        {zone.parent && <span className="sr-only"> in {zone.parent}</span>}
                      </span>
                    </th>
                    <td>
                      {clusters.data
                        ?.filter((c) => c.zones?.includes(zone.name))
                        .map((c) => (
                          <span key={c.name} className="listed">
                            <ClusterLink name={c.name} />
                          </span>
                        ))}
                    </td>
                    <td>
                      {policies.data
                        ?.filter((p) => p.zones?.includes(zone.name) || p.exclude_zones?.includes(zone.name))
                        .map((p) => (
                          <span key={p.name} className="listed">
                            <Link to="/policies/$policy" params={{ policy: p.name }}>
                              {p.name}
                            </Link>
                            {p.exclude_zones?.includes(zone.name) && ' (excluded)'}
                          </span>
                        ))}
                    </td>
                    <td>
                      <details>
                        <summary>
                          Show<span className="sr-only"> {zone.name} as text</span>
                        </summary>
                        <AsText kind="zone" item={zone} />
                      </details>
                    </td>
                    <td className="tools">
                      <EditButtons kind="zone" item={zone} listed />
                    </td>
                  </tr>
                ))}
              </Table>
            </Card>
          )
        }
      </Loaded>
    </Page>
  );
}
