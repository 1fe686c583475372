import { Tabs } from '@base-ui/react/tabs';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import { lazy, Suspense, useState } from 'react';
import { api, type Bucket as BucketItem, type Schemas, told } from '../api/client';
import { behindOf } from '../behind';
import { bytes, count, counted, percent } from '../format';
import { AsText } from '../ui/AsText';
import { Action, Ago, Card, ClusterLink, Confirm, CopyCurl, Empty, Facts, Loaded, Meter, Page, Skeleton, State, Table, useDo } from '../ui/kit';
import { TabList } from '../ui/TabList';
import { Activity } from './Activity';
import { DecideLink, Reasons, SyncButton, VerifyButton } from './actions';
import { Conflicts } from './Conflicts';
import { EditButtons, MoveButton } from './Editing';
import { HeldTab } from './Held';
import { PlacementTable } from './PlacementTable';
import * as q from './queries';

const Objects = lazy(() => import('./Objects'));

const here = getRouteApi('/buckets/$bucket');

export function Bucket() {
  const { bucket: name } = here.useParams();
  const { tab = 'copies', prefix = '', cluster } = here.useSearch();
  const navigate = useNavigate({ from: '/buckets/$bucket' });
  const bucket = useQuery(q.bucket(name));
  const st = bucket.data?.status;
  const behind = behindOf(st);
  const held = st?.reasons.filter((r) => r.code === 'held-deletes') ?? [];
  const label = {
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
      lead={
        st && (
          <p className="lead">
            <State of={st.state} />
            <span>
              {st.primary ? (
                <>
                  written in <ClusterLink name={st.primary} />
                </>
              ) : (
                'no primary yet'
              )}
            </span>
            <span className="quiet">
              {behind.objects > 0 ? (
                <>
                  {counted(behind.objects, 'object')} behind, {bytes(behind.bytes)}, oldest <Ago time={behind.oldest} />
                </>
              ) : (
                'nothing is behind'
              )}
            </span>
          </p>
        )
      }
      actions={
        <>
          <SyncButton bucket={name} />
          <VerifyButton bucket={name} />
          <MoveButton bucket={bucket.data} />
          <EditButtons kind="bucket" item={bucket.data} onGone={() => navigate({ to: '/buckets' })} />
          <CopyCurl path={`/fado/buckets/${name}`} />
        </>
      }
    >
      <Loaded of={bucket}>
        {(b) => (
          // What is chosen and asked of one bucket is not of another one.
          <div className="stack" key={name}>
            {held.length > 0 && (
              <div className="alert" role="alert">
                <span>Deletes are held: {held.map((r) => r.text).join('; ')}</span>
                <DecideLink bucket={name} tab="deletes" />
              </div>
            )}
            {b.status && b.status.reasons.length > 0 && (
              <Card label="Why">
                <Reasons bucket={name} reasons={b.status.reasons} elsewhere="held-deletes" />
              </Card>
            )}
            {st?.promotion && <Promotion name={name} st={st} of={st.promotion} />}
            {st?.former_primaries?.map((f) => f.strays > 0 && <Strays key={f.cluster} of={f} primary={st.primary} />)}
            <Tabs.Root value={tab} onValueChange={(t) => navigate({ search: { tab: t === 'copies' ? undefined : t }, replace: true })}>
              <TabList label="Parts of the bucket" of={label} />
              <Tabs.Panel value="copies" className="panel">
                <Copies b={b} />
              </Tabs.Panel>
              <Tabs.Panel value="objects" className="panel">
                <Suspense fallback={<Skeleton rows={8} />}>
                  <Objects b={b} />
                </Suspense>
              </Tabs.Panel>
              <Tabs.Panel value="placement" className="panel">
                <Placement b={b} prefix={prefix} cluster={cluster} />
              </Tabs.Panel>
              <Tabs.Panel value="conflicts" className="panel">
                <Conflicts name={name} n={b.status?.conflicts ?? 0} primary={b.status?.primary} />
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

/** A move of the primary that waits for people. */
export function Promotion({ name, st, of }: { name: string; st: NonNullable<BucketItem['status']>; of: Schemas['Promotion'] }) {
  const [open, setOpen] = useState(false);
  const copy = st.copies.find((c) => c.cluster === of.to);
  const promote = useDo(() => told(api.POST('/fado/buckets/{name}/promote', { params: { path: { name } } })), `${name} is about to be written in ${of.to}`);
  return (
    <Card title="A move of the primary is prepared" aside={<State of={of.ready ? 'ok' : 'waiting'} label={of.ready ? 'ready' : 'not ready'} />}>
      <div className="tools">
        <p>
          From then on the bucket is written in <ClusterLink name={of.to} />. {of.reason}
        </p>
        <Action least="admin" kind="primary" off={of.ready ? undefined : `Not ready: ${of.reason}`} onClick={() => setOpen(true)}>
          Move the primary now
        </Action>
      </div>
      <Confirm
        open={open}
        title={`Move the primary of ${name} to ${of.to}`}
        action="Move it now"
        typed={name}
        danger
        curl={{ path: `/fado/buckets/${name}/promote` }}
        onDone={() => promote.mutate(undefined)}
        onClose={() => setOpen(false)}
      >
        <Facts
          of={[
            ['Primary', `${st.primary || 'nowhere'} → ${of.to}`],
            [`In ${of.to}`, copy ? `${counted(copy.objects, 'object')}, ${bytes(copy.bytes)}` : 'not known'],
            ['Behind there', copy?.pending.objects ? `${counted(copy.pending.objects, 'object')}, ${bytes(copy.pending.bytes)}` : 'nothing'],
          ]}
        />
        <p>
          Writers have to write in {of.to} from then on: what is written in {st.primary || 'the former primary'} afterwards is in no copy, and is told as a
          conflict or as written astray. Stop them first.
        </p>
      </Confirm>
    </Card>
  );
}

/** Objects that were written where the bucket is not written any more. */
function Strays({ of, primary }: { of: Schemas['FormerPrimary']; primary: string }) {
  const [full, setFull] = useState(false);
  const keys = full ? of.keys : of.keys.slice(0, 10);
  const more = of.strays - keys.length;
  return (
    <div className="alert" role="alert">
      <div>
        <p>
          {counted(of.strays, 'object')} {of.strays === 1 ? 'was' : 'were'} written in {of.cluster} after the primary moved to {primary},{' '}
          <Ago time={of.since} />: no copy gets what is written there. A writer was not told.
        </p>
        <ul className="named">
          {keys.map((k) => (
            <li key={k} className="key">
              {k}
            </li>
          ))}
          {more > 0 && (
            <li>
              and {counted(more, 'object')} more{keys.length === of.keys.length && ', whose keys are not told'}
            </li>
          )}
        </ul>
        {keys.length < of.keys.length && (
          <button type="button" className="button small" onClick={() => setFull(true)}>
            List {count(of.keys.length)}
          </button>
        )}
      </div>
    </div>
  );
}

/** How far copies are that are being made: each against the primary, all together, and the one that is behind most. */
export function syncOf(st: BucketItem['status']) {
  const copies = st?.copies ?? [];
  const total = copies.find((c) => c.role === 'primary')?.objects ?? 0;
  if (total === 0) return undefined;
  const of = copies.filter((c) => c.state === 'syncing' && c.role !== 'primary').map((c) => ({ cluster: c.cluster, done: Math.min(c.objects, total) }));
  if (of.length === 0) return undefined;
  const slowest = of.reduce((a, b) => (b.done < a.done ? b : a)).cluster;
  return { of, total, slowest, done: of.reduce((n, c) => n + c.done, 0), all: of.length * total };
}

function Copies({ b }: { b: BucketItem }) {
  const copies = b.status?.copies ?? [];
  const sync = syncOf(b.status);
  return (
    <div className="stack">
      <Card title="Copies" flush>
        {sync && sync.of.length > 1 && (
          <div className="card-foot">
            <Meter
              label={`Sync of ${counted(sync.of.length, 'copy').replace('copys', 'copies')}`}
              value={percent(sync.done, sync.all)}
              text={`${count(sync.done)} of ${count(sync.all)} in ${sync.of.length} copies; the slowest is ${sync.slowest}`}
            />
          </div>
        )}
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
                  {sync?.of.map(
                    (s) =>
                      s.cluster === c.cluster && (
                        <Meter
                          key={s.cluster}
                          label={`Sync of ${c.cluster}`}
                          value={percent(s.done, sync.total)}
                          text={`${count(s.done)} of ${count(sync.total)}`}
                        />
                      ),
                  )}
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
      {b.status && (
        <Card title="How changes are noticed">
          <Facts
            of={[
              ['At the primary', b.status.feed || 'not known yet'],
              ['Copies are like it as of', b.status.compared_at ? <Ago key="c" time={b.status.compared_at} /> : 'not compared yet'],
            ]}
          />
        </Card>
      )}
      <Verification name={b.name} />
    </div>
  );
}

function Verification({ name }: { name: string }) {
  const verification = useQuery(q.verification(name));
  return (
    <Card title="Verification" aside={<CopyCurl path={`/fado/buckets/${name}/verify`} />}>
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

function Placement({ b, prefix, cluster }: { b: BucketItem; prefix: string; cluster?: string }) {
  const { name } = b;
  const placement = useQuery(q.placement(name, prefix));
  const navigate = useNavigate({ from: '/buckets/$bucket' });
  const rules = b.prefixes ?? [];
  const copies = b.status?.prefixes?.find((p) => p.prefix === prefix)?.copies;
  const path = `/fado/buckets/${name}/placement${prefix ? `?prefix=${encodeURIComponent(prefix)}` : ''}`;
  return (
    <Card title="Every cluster" flush aside={<CopyCurl path={path} />}>
      {(rules.length > 0 || prefix) && (
        <div className="card-foot">
          <label className="field">
            <span>Keys</span>
            <select value={prefix} onChange={(e) => navigate({ search: { tab: 'placement', prefix: e.target.value || undefined, cluster }, replace: true })}>
              <option value="">that no prefix rule covers</option>
              {[...new Set([...rules.map((r) => r.prefix), ...(prefix ? [prefix] : [])])].map((p) => (
                <option key={p} value={p}>
                  below {p}
                </option>
              ))}
            </select>
          </label>
        </div>
      )}
      <Loaded of={placement}>
        {(p) => (
          <>
            <p className="card-foot">
              Policy{' '}
              <Link to="/policies/$policy" params={{ policy: p.policy }}>
                {p.policy}
              </Link>{' '}
              chooses {p.chosen.length ? p.chosen.join(', ') : 'no cluster'}
              {p.short && `: ${p.short}`}
            </p>
            <PlacementTable label="Every cluster" of={p.clusters} current={cluster} copies={copies} />
          </>
        )}
      </Loaded>
    </Card>
  );
}

function Settings({ b }: { b: BucketItem }) {
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
      <AsText kind="bucket" item={b} />
    </Card>
  );
}
