import { Tabs } from '@base-ui/react/tabs';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi, useNavigate } from '@tanstack/react-router';
import type { Reason, Schemas, Summary } from '../api/client';
import { bytes, count, counted, percent, rate, span } from '../format';
import { AsText } from '../ui/AsText';
import { Card, ClusterLink, CopyCurl, Empty, Facts, Loaded, Meter, Page, State, Table } from '../ui/kit';
import { ListCard } from '../ui/List';
import { TabList } from '../ui/TabList';
import { Reasons } from './actions';
import { DrainButton, EditButtons, NewButton } from './Editing';
import { flowsOf, ofInstances } from './Flowing';
import { Holding } from './Holding';
import * as q from './queries';

const over = getRouteApi('/clusters');

const named = { clusters: 'Clusters', functions: 'Functions', storage: 'Storage' };

export function Clusters() {
  const { tab = 'clusters' } = over.useSearch();
  const navigate = useNavigate({ from: '/clusters' });
  const summary = useQuery(q.summary);
  const clusters = useQuery(q.clusters);
  const flows = useQuery(q.flows);
  return (
    <Page
      title="Clusters"
      at={summary.dataUpdatedAt}
      actions={
        <>
          <NewButton kind="cluster" />
          <CopyCurl path="/fado/clusters" />
        </>
      }
    >
      <Tabs.Root value={tab} onValueChange={(t) => navigate({ search: { tab: t === 'clusters' ? undefined : (t as 'functions' | 'storage') }, replace: true })}>
        <TabList label="Clusters by" of={named} />
        <Tabs.Panel value="clusters" className="panel">
          <Loaded of={summary}>{(s) => <ClusterTable s={s} flows={flows.data} clusters={clusters.data ?? []} />}</Loaded>
        </Tabs.Panel>
        <Tabs.Panel value="functions" className="panel">
          <ListCard
            of={clusters}
            title="Functions"
            label="Functions"
            head={['Endpoint', 'Cluster', 'State', 'In flight', ...flowing]}
            rows={(list) => list.flatMap((c) => endpoints(c).map((f) => ({ ...f, cluster: c.name })))}
            none={<Empty title="No function endpoint yet">Clusters declare them with function; without one FaDO replicates and does not route.</Empty>}
          >
            {(f) => <Endpoint key={`${f.cluster} ${f.url}`} of={f} cluster={f.cluster} listed flow={flowAt(flows.data, f.cluster, f.url)} />}
          </ListCard>
        </Tabs.Panel>
        <Tabs.Panel value="storage" className="panel">
          <Storages of={clusters} />
        </Tabs.Panel>
      </Tabs.Root>
    </Page>
  );
}

function ClusterTable({ s, flows, clusters }: { s: Summary; flows: Schemas['Flows'] | undefined; clusters: Schemas['Cluster'][] }) {
  const of = flowsOf(flows);
  const rates = (name: string) => {
    const f = of.get(name);
    return flows ? `${rate(f ? f.local + f.remote + f.none : 0)}, ${bytes(f?.copied ?? 0)}/s copied in` : 'not known';
  };
  return (
    <Card title="Clusters" flush>
      {s.clusters.length === 0 ? (
        <Empty title="No cluster yet">Declare one in the Caddyfile, or make one with New cluster.</Empty>
      ) : (
        <Table label="Clusters" head={['Cluster', 'Zones', 'Storage', 'Used', 'Functions', 'Invocations', 'Changes are noticed by']}>
          {s.clusters.map((c) => (
            <tr key={c.name}>
              <th scope="row">
                <ClusterLink name={c.name} /> {c.drain && <span className="pill">draining</span>}
              </th>
              <td>{c.zones.join(', ') || <span className="quiet">none</span>}</td>
              <td>
                {c.storage ? <State of={c.full ? 'full' : c.storage} /> : <span className="quiet">none</span>}
                {c.error && <p className="quiet">{c.error}</p>}
                <p className="quiet">{kind(clusters.find((of) => of.name === c.name))}</p>
              </td>
              <td>
                <Used cluster={c.name} used={c.used_bytes} capacity={c.capacity} />
              </td>
              <td>
                {c.functions ? (
                  <State of={c.healthy === c.functions ? 'healthy' : c.healthy ? 'degraded' : 'down'} label={`${c.healthy} of ${c.functions}`} />
                ) : (
                  <span className="quiet">none</span>
                )}
              </td>
              <td>{rates(c.name)}</td>
              <td>{c.feed || <span className="quiet">not known yet</span>}</td>
            </tr>
          ))}
        </Table>
      )}
    </Card>
  );
}

/** The storages of all clusters: what they are, how full, and how their changes are noticed. */
function Storages({ of }: { of: ReturnType<typeof useQuery<Schemas['Cluster'][]>> }) {
  return (
    <ListCard
      of={of}
      title="Storage"
      label="Storage"
      head={['Cluster', 'State', 'Kind', 'Used', 'Clock', 'Changes are noticed by']}
      rows={(list) => list.filter((c) => c.storage)}
      none={<Empty title="No storage yet">Clusters declare theirs with storage; FaDO keeps copies in them.</Empty>}
    >
      {(c) => {
        const st = c.status?.storage;
        return (
          <tr key={c.name}>
            <th scope="row">
              <ClusterLink name={c.name} />
              <p className="quiet key">{c.storage?.endpoint}</p>
            </th>
            <td>
              <State of={st?.full ? 'full' : (st?.state ?? 'unknown')} />
              {st?.error && <p className="quiet">{st.error}</p>}
            </td>
            <td>{kind(c) || <span className="quiet">not known yet</span>}</td>
            <td>
              <Used cluster={c.name} used={st?.used_bytes ?? 0} capacity={size(c.storage?.capacity ?? 0)} />
            </td>
            <td>{clockOf(st?.clock_skew_s)}</td>
            <td>{st?.feed || <span className="quiet">not known yet</span>}</td>
          </tr>
        );
      }}
    </ListCard>
  );
}

/** How full a storage is, where its size is declared. */
function Used({ cluster, used, capacity }: { cluster: string; used: number; capacity: number }) {
  if (capacity <= 0) return bytes(used);
  return <Meter label={`Storage used in ${cluster}`} value={percent(used, capacity)} text={`${bytes(used)} of ${bytes(capacity)}`} />;
}

/** How a storage's clock differs; a second is what answers can't tell. */
export function clockOf(skew: number | null | undefined): string {
  if (skew === null || skew === undefined) return 'not told';
  if (Math.abs(skew) < 2) return 'as here';
  return `${span(Math.abs(skew) * 1000)} ${skew > 0 ? 'ahead' : 'behind'}`;
}

/** The function endpoints of a cluster, with how much each takes at once. */
const endpoints = (c: Schemas['Cluster']) => (c.status?.functions ?? []).map((f) => ({ ...f, max: c.functions?.find((d) => d.url === f.url)?.max_requests }));

/** What a storage is, and what it lacks of what FaDO can use. */
function kind(c: Schemas['Cluster'] | undefined): string {
  const can = c?.status?.storage?.capabilities;
  if (!can?.provider) return '';
  const lacks = Object.entries(can).flatMap(([k, v]) => (v === false ? [k.replaceAll('_', ' ')] : []));
  return lacks.length ? `${can.provider}, without ${lacks.join(', ')}` : can.provider;
}

/** What a function endpoint answered lately; undefined where it is not known. */
const flowAt = (f: Schemas['Flows'] | undefined, cluster: string, url: string) => f?.endpoints.find((e) => e.cluster === cluster && e.url === url);

const flowing = ['Invocations', 'p50', 'p99', 'Errors'];

const took = (ms: number | null | undefined) =>
  ms === null || ms === undefined ? 'none' : ms < 1000 ? `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms` : span(ms);

function Endpoint({
  of: f,
  cluster,
  listed,
  flow,
}: {
  of: ReturnType<typeof endpoints>[number];
  cluster: string;
  /** Among those of other clusters. */
  listed?: boolean;
  flow: Schemas['Flows']['endpoints'][number] | undefined;
}) {
  return (
    <tr>
      <th scope="row" className="key">
        {f.url}
      </th>
      {listed && (
        <td>
          <ClusterLink name={cluster} />
        </td>
      )}
      <td>
        <State of={f.healthy ? 'healthy' : 'down'} />
        {f.reason && <p className="quiet">{f.reason}</p>}
      </td>
      <td className="num">
        {count(flow?.in_flight ?? f.in_flight)}
        {f.max ? ` of ${count(f.max)}` : ''}
      </td>
      {flow ? (
        <>
          <td className="num">{rate(flow.local + flow.remote + flow.none)}</td>
          <td className="num">{took(flow.p50_ms)}</td>
          <td className="num">{took(flow.p99_ms)}</td>
          <td className="num">{rate(flow.errors)}</td>
        </>
      ) : (
        <td colSpan={flowing.length} className="quiet">
          not known
        </td>
      )}
    </tr>
  );
}

const here = getRouteApi('/clusters/$cluster');

export function Cluster() {
  const { cluster: name } = here.useParams();
  const cluster = useQuery(q.cluster(name));
  const flows = useQuery(q.flows);
  const navigate = useNavigate();
  const st = cluster.data?.status;
  return (
    <Page
      title={name}
      at={cluster.dataUpdatedAt}
      lead={st?.storage && <State of={st.storage.full ? 'full' : st.storage.state} />}
      actions={
        <>
          <DrainButton cluster={cluster.data} />
          <EditButtons kind="cluster" item={cluster.data} onGone={() => navigate({ to: '/clusters' })} />
          <CopyCurl path={`/fado/clusters/${name}`} />
        </>
      }
    >
      <Loaded of={cluster}>
        {(c) => (
          <div className="stack">
            {st && st.reasons.length > 0 && (
              <Card label="Why">
                <Reasons reasons={st.reasons} help={(r) => <ClusterHelp of={r} cluster={c} />} />
              </Card>
            )}
            {st?.drain && (
              <Card title={`Drain of ${name}`}>
                <Facts
                  of={[
                    [
                      'State',
                      <State key="s" of={st.drain.state === 'done' ? 'done' : 'draining'} label={st.drain.state === 'done' ? 'Drained' : 'draining'} />,
                    ],
                    [
                      'Still there',
                      <Meter
                        key="m"
                        label={`Drain of ${name}`}
                        value={st.drain.state === 'done' ? 100 : undefined}
                        text={`${counted(st.drain.buckets, 'bucket')}, ${counted(st.drain.objects, 'object')}, ${bytes(st.drain.bytes)}`}
                      />,
                    ],
                    ['What does not leave by itself', st.drain.reason || 'nothing'],
                  ]}
                />
              </Card>
            )}
            <Card title="Storage">
              {st?.storage && c.storage ? (
                <>
                  <Facts
                    of={[
                      ['State', <State key="s" of={st.storage.full ? 'full' : st.storage.state} />],
                      ['Why', st.storage.error || 'it answers'],
                      ['Endpoint', <code key="e">{c.storage.endpoint}</code>],
                      ['Kind', st.storage.capabilities.provider || 'not known yet'],
                      [
                        'Used',
                        c.storage.capacity ? (
                          <Meter
                            key="u"
                            label={`Storage used in ${name}`}
                            value={percent(st.storage.used_bytes, size(c.storage.capacity))}
                            text={`${bytes(st.storage.used_bytes)} of ${c.storage.capacity}`}
                          />
                        ) : (
                          bytes(st.storage.used_bytes)
                        ),
                      ],
                      ['Clock', clockOf(st.storage.clock_skew_s)],
                      ['Changes are noticed by', st.storage.feed || 'not known yet'],
                    ]}
                  />
                  <h3>What it can do</h3>
                  <ul className="chips">
                    {Object.entries(st.storage.capabilities).map(
                      ([k, v]) =>
                        typeof v === 'boolean' && (
                          <li key={k} className={v ? 'yes' : 'no'}>
                            {v ? '✓' : '–'} {k.replaceAll('_', ' ')}
                            <span className="sr-only">{v ? ': yes' : ': no'}</span>
                          </li>
                        ),
                    )}
                  </ul>
                </>
              ) : (
                <Empty title="This cluster has no storage">It runs functions that read their data from elsewhere.</Empty>
              )}
            </Card>
            <ListCard
              of={cluster}
              title="Functions"
              label="Functions"
              head={['Endpoint', 'State', 'In flight', ...flowing]}
              rows={endpoints}
              none={<Empty title="No function endpoint here">No invocation is sent here. Edit adds one, or function in the Caddyfile.</Empty>}
            >
              {(f) => <Endpoint key={f.url} of={f} cluster={name} flow={flowAt(flows.data, name, f.url)} />}
            </ListCard>
            {flows.data && <p className="quiet">Rates and times are of about a minute{ofInstances(flows.data)}.</p>}
            <Holding cluster={name} />
            <Card title="Settings">
              <Facts
                of={[
                  ['Declared by', c.origin === 'config' ? 'the configuration: change it there' : 'the API'],
                  ['Zones', c.zones?.join(', ') || 'none'],
                  [
                    'Labels',
                    Object.entries(c.labels ?? {})
                      .map(([k, v]) => `${k}=${v}`)
                      .join(', ') || 'none',
                  ],
                ]}
              />
              <AsText kind="cluster" item={c} />
            </Card>
          </div>
        )}
      </Loaded>
    </Page>
  );
}

/** What helps with what is not as it should be in a cluster. */
function ClusterHelp({ of, cluster }: { of: Reason; cluster: Schemas['Cluster'] }) {
  if (of.code === 'drain-stuck') return <DrainButton cluster={cluster} />;
  return of.action === 'patch-cluster' ? <EditButtons kind="cluster" item={cluster} only="edit" /> : null;
}

/** A size as the API writes it, in bytes; 0 for what can't be read. */
export function size(text: string | number): number {
  if (typeof text === 'number') return text;
  const m = /^([\d.]+)\s*([KMGTP]?)(i?)B?$/.exec(text);
  if (!m) return 0;
  return Number(m[1]) * (m[3] ? 1024 : 1000) ** ' KMGTP'.indexOf(m[2] || ' ');
}
