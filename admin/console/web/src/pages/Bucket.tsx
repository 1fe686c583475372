import { Tabs } from '@base-ui/react/tabs';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import { lazy, Suspense, useState } from 'react';
import { api, type Bucket as BucketItem, type Schemas, told } from '../api/client';
import { bytes, count, counted, percent } from '../format';
import { Action, Ago, Card, ClusterLink, Confirm, CopyCurl, Empty, Facts, Loaded, Meter, Page, Skeleton, State, Table, useDo } from '../ui/kit';
import { ListCard } from '../ui/List';
import { Activity } from './Activity';
import { Reasons, SyncButton, VerifyButton } from './actions';
import { EditButtons } from './Editing';
import { HeldTab } from './Held';
import * as q from './queries';

const Objects = lazy(() => import('./Objects'));

const here = getRouteApi('/buckets/$bucket');

const tabs = ['copies', 'objects', 'placement', 'conflicts', 'deletes', 'activity', 'settings'] as const;

export function Bucket() {
  const { bucket: name } = here.useParams();
  const { tab = 'copies', prefix = '' } = here.useSearch();
  const navigate = useNavigate({ from: '/buckets/$bucket' });
  const bucket = useQuery(q.bucket(name));
  const st = bucket.data?.status;
  const held = st?.reasons.filter((r) => r.code === 'held-deletes') ?? [];
  const label: Record<(typeof tabs)[number], string> = {
    copies: 'Copies',
    objects: 'Objects',
    placement: 'Placement',
    conflicts: st?.conflicts ? `Conflicts ${count(st.conflicts)}` : 'Conflicts',
    deletes: held.length ? 'Held deletes !' : 'Held deletes',
    activity: 'Activity',
    settings: 'Settings',
  };
  return (
    <Page
      title={name}
      at={bucket.dataUpdatedAt}
      lead={st && <State of={st.state} />}
      actions={
        <>
          <SyncButton bucket={name} />
          <VerifyButton bucket={name} />
          <EditButtons kind="bucket" item={bucket.data} onGone={() => navigate({ to: '/buckets' })} />
          <CopyCurl path={`/fado/buckets/${name}`} />
        </>
      }
    >
      <Loaded of={bucket}>
        {(b) => (
          <div className="stack">
            {held.length > 0 && (
              <div className="alert" role="alert">
                <span>Deletes are held: {held.map((r) => r.text).join('; ')}</span>
              </div>
            )}
            {b.status && b.status.reasons.length > 0 && (
              <Card label="Why">
                <Reasons bucket={name} reasons={b.status.reasons} linked={held.length > 0} />
              </Card>
            )}
            <Tabs.Root value={tab} onValueChange={(t) => navigate({ search: { tab: t === 'copies' ? undefined : t }, replace: true })}>
              <Tabs.List className="tabs" aria-label="Parts of the bucket">
                {tabs.map((t) => (
                  <Tabs.Tab key={t} value={t} className="tab">
                    {label[t]}
                  </Tabs.Tab>
                ))}
              </Tabs.List>
              <Tabs.Panel value="copies" className="panel">
                <Copies b={b} />
              </Tabs.Panel>
              <Tabs.Panel value="objects" className="panel">
                <Suspense fallback={<Skeleton rows={8} />}>
                  <Objects b={b} />
                </Suspense>
              </Tabs.Panel>
              <Tabs.Panel value="placement" className="panel">
                <Placement name={name} prefix={prefix} />
              </Tabs.Panel>
              <Tabs.Panel value="conflicts" className="panel">
                <Conflicts name={name} n={b.status?.conflicts ?? 0} />
              </Tabs.Panel>
              <Tabs.Panel value="deletes" className="panel">
                <HeldTab name={name} held={held.length > 0} />
              </Tabs.Panel>
              <Tabs.Panel value="activity" className="panel">
                <Activity name={name} />
              </Tabs.Panel>
              <Tabs.Panel value="settings" className="panel">
                <Settings b={b} />
              </Tabs.Panel>
            </Tabs.Root>
          </div>
        )}
      </Loaded>
    </Page>
  );
}

function Copies({ b }: { b: BucketItem }) {
  const copies = b.status?.copies ?? [];
  return (
    <div className="stack">
      <Card title="Copies" flush>
        {copies.length === 0 ? (
          <Empty title="No copy yet">The primary is yet to be chosen: see Placement.</Empty>
        ) : (
          <Table label="Copies" head={['Cluster', 'Role', 'State', 'Objects', 'Behind', 'Compared', 'Keeps']}>
            {copies.map((c) => (
              <tr key={c.cluster}>
                <th scope="row">
                  <ClusterLink name={c.cluster} /> <span className="quiet">{c.zone}</span>
                </th>
                <td>{c.role}</td>
                <td>
                  <State of={c.state} />
                  {c.cursor && <p className="quiet">up to {c.cursor}</p>}
                  {c.error && <p className="quiet">{c.error}</p>}
                </td>
                <td>
                  {count(c.objects)} · {bytes(c.bytes)}
                </td>
                <td>
                  {c.pending.objects > 0 ? (
                    <p>
                      <Link to="/buckets/$bucket/pending" params={{ bucket: b.name }} search={{ cluster: c.cluster }}>
                        {counted(c.pending.objects, 'object')}
                      </Link>
                      , {bytes(c.pending.bytes)}, oldest <Ago time={c.pending.oldest} />
                    </p>
                  ) : (
                    <span className="quiet">nothing</span>
                  )}
                </td>
                <td>
                  <Ago time={c.verified_at} />
                </td>
                <td>{c.losses.length ? c.losses.join('; ') : <span className="quiet">everything</span>}</td>
              </tr>
            ))}
          </Table>
        )}
      </Card>
      <Verification name={b.name} />
    </div>
  );
}

function Verification({ name }: { name: string }) {
  const verification = useQuery(q.verification(name));
  return (
    <Card title="Verification">
      <Loaded of={verification} rows={2}>
        {(v) =>
          v.state === 'never' ? (
            <Empty title="Never verified">Scans compare listings all the time; a verification also tells you when it is done, and can read every byte.</Empty>
          ) : (
            <div className="stack">
              {['waiting', 'running', 'repairing'].includes(v.state) && (
                <Meter
                  label={`Verification of ${name}`}
                  value={percent(v.objects, v.total)}
                  text={v.total > 0 ? `${count(Math.min(v.objects, v.total))} of ${count(v.total)} compared` : `${count(v.objects)} compared`}
                />
              )}
              <Facts
                of={[
                  ['State', <State key="s" of={v.state} />],
                  ['Compared', `${counted(v.objects, 'object')}, ${bytes(v.bytes)}${v.deep ? ', every byte read' : ''}`],
                  [
                    'Result',
                    `${counted(v.mismatches, 'mismatch').replace('mismatchs', 'mismatches')}, ${count(v.repaired)} repaired, ${count(v.unrepairable)} not`,
                  ],
                  ['Began', <Ago key="b" time={v.started} />],
                  ['Ended', v.finished ? <Ago key="e" time={v.finished} /> : 'not yet'],
                ]}
              />
              {v.error && <p className="alert">{v.error}</p>}
              {v.keys.length > 0 && (
                <Table label="Mismatches" head={['Key', 'Cluster', 'What differed', 'State']}>
                  {v.keys.map((m) => (
                    <tr key={`${m.cluster} ${m.key}`}>
                      <th scope="row" className="key">
                        {m.key}
                      </th>
                      <td>{m.cluster}</td>
                      <td>{m.reason}</td>
                      <td>{m.state}</td>
                    </tr>
                  ))}
                </Table>
              )}
            </div>
          )
        }
      </Loaded>
    </Card>
  );
}

function Placement({ name, prefix }: { name: string; prefix: string }) {
  const placement = useQuery(q.placement(name, prefix));
  return (
    <Card title="Every cluster" flush aside={<CopyCurl path={`/fado/buckets/${name}/placement`} />}>
      <Loaded of={placement}>
        {(p) => (
          <>
            <p className="card-foot">
              Policy <strong>{p.policy}</strong> chooses {p.chosen.length ? p.chosen.join(', ') : 'no cluster'}
              {p.short && `: ${p.short}`}
            </p>
            <Table label="Every cluster" head={['Cluster', 'Zone', 'Chosen', 'Why']}>
              {p.clusters.map((c) => (
                <tr key={c.cluster}>
                  <th scope="row">
                    <ClusterLink name={c.cluster} />
                  </th>
                  <td>{c.zone}</td>
                  <td>{c.chosen ? <State of="ok" label="chosen" /> : 'no'}</td>
                  <td>{c.reason}</td>
                </tr>
              ))}
            </Table>
          </>
        )}
      </Loaded>
    </Card>
  );
}

type Conflict = Schemas['Conflict'];

function Conflicts({ name, n }: { name: string; n: number }) {
  const conflicts = useQuery(q.conflicts(name));
  const [asked, setAsked] = useState<{ key?: string; winner: string }>();
  const resolve = useDo(
    (body: { key?: string; winner: string }) => told(api.POST('/fado/buckets/{name}/conflicts/resolve', { params: { path: { name } }, body })),
    (r) => {
      const { resolved, refused_total } = r as Schemas['Resolution'];
      return `${counted(resolved, 'conflict')} settled${refused_total ? `, ${count(refused_total)} refused` : ''}`;
    },
  );
  const winners = (c: Conflict) => c.copies.map((cp) => cp.cluster);
  return (
    <>
      <ListCard
        of={conflicts}
        title="Conflicts"
        label="Conflicts"
        aside={n > 0 && <Action onClick={() => setAsked({ winner: 'newest' })}>Let the newest win everywhere</Action>}
        head={['Key', 'What the clusters hold', 'Decide']}
        rows={(list) => list}
        none={<Empty title="No conflict">No object that someone else wrote stands in the way of a copy.</Empty>}
      >
        {(c) => (
          <tr key={c.key}>
            <th scope="row" className="key">
              {c.key}
              <p className="quiet">{c.reason}</p>
            </th>
            <td>
              {c.copies.map((cp) => (
                <p key={cp.cluster}>
                  {cp.cluster}: {bytes(cp.size)}, <Ago time={cp.last_modified} /> <code>{cp.etag.slice(0, 12)}</code>
                </p>
              ))}
            </td>
            <td className="tools">
              {winners(c).map((w) => (
                <Action key={w} onClick={() => setAsked({ key: c.key, winner: w })}>
                  Let {w} win
                </Action>
              ))}
            </td>
          </tr>
        )}
      </ListCard>
      <Confirm
        open={asked !== undefined}
        title={asked?.key ? `Resolve ${asked.key}` : 'Resolve every conflict'}
        action="Apply"
        onDone={() => asked && resolve.mutate(asked)}
        onClose={() => setAsked(undefined)}
      >
        <p>
          The object of {asked?.winner === 'newest' ? 'the last writer' : asked?.winner} stays and replaces the others. A loser is kept as a noncurrent version;
          where its storage keeps no versions, the conflict is refused and nothing is lost.
        </p>
      </Confirm>
    </>
  );
}

function Settings({ b }: { b: BucketItem }) {
  const { status: _, ...item } = b;
  return (
    <Card title="Settings">
      <Facts
        of={[
          ['Declared by', b.origin === 'config' ? 'the configuration: change it there' : 'the API'],
          ['Policy', b.policy || 'default'],
          ['Primary', b.primary || 'chosen by placement'],
          ['Prefix rules', b.prefixes?.length ? b.prefixes.map((p) => `${p.prefix} → ${p.policy}`).join('; ') : 'none'],
        ]}
      />
      <details>
        <summary>As JSON</summary>
        <pre>{JSON.stringify(item, null, 2)}</pre>
      </details>
    </Card>
  );
}
