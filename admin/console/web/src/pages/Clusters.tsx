import { useQuery } from '@tanstack/react-query';
import { getRouteApi, useNavigate } from '@tanstack/react-router';
import type { Schemas, Summary } from '../api/client';
import { bytes, count, counted, percent } from '../format';
import { Card, ClusterLink, CopyCurl, Empty, Facts, Loaded, Meter, Page, State, Table } from '../ui/kit';
import { ListCard } from '../ui/List';
import { DrainButton, EditButtons, NewButton } from './Editing';
import * as q from './queries';

export function Clusters() {
  const summary = useQuery(q.summary);
  const clusters = useQuery(q.clusters);
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
      <div className="stack">
        <Loaded of={summary}>{(s) => <ClusterTable s={s} />}</Loaded>
        <ListCard
          of={clusters}
          title="Functions"
          label="Functions"
          head={['Endpoint', 'Cluster', 'State', 'In flight']}
          rows={(list) => list.flatMap((c) => endpoints(c).map((f) => ({ ...f, cluster: c.name })))}
          none={<Empty title="No function endpoint yet">Clusters declare them with function; without one FaDO replicates and does not route.</Empty>}
        >
          {(f) => <Endpoint key={`${f.cluster} ${f.url}`} of={f} cluster={f.cluster} />}
        </ListCard>
      </div>
    </Page>
  );
}

function ClusterTable({ s }: { s: Summary }) {
  return (
    <Card title="Clusters" flush>
      {s.clusters.length === 0 ? (
        <Empty title="No cluster yet">Declare one in the Caddyfile, or POST it to /fado/clusters.</Empty>
      ) : (
        <Table label="Clusters" head={['Cluster', 'Zones', 'Storage', 'Used', 'Functions', 'In flight', 'Changes are noticed by']}>
          {s.clusters.map((c) => (
            <tr key={c.name}>
              <th scope="row">
                <ClusterLink name={c.name} /> {c.drain && <span className="pill">draining</span>}
              </th>
              <td>{c.zones.join(', ') || <span className="quiet">none</span>}</td>
              <td>
                {c.storage ? <State of={c.full ? 'full' : c.storage} /> : <span className="quiet">none</span>}
                {c.error && <p className="quiet">{c.error}</p>}
              </td>
              <td>
                {c.capacity > 0 ? (
                  <Meter
                    label={`Storage used in ${c.name}`}
                    value={percent(c.used_bytes, c.capacity)}
                    text={`${bytes(c.used_bytes)} of ${bytes(c.capacity)}`}
                  />
                ) : (
                  bytes(c.used_bytes)
                )}
              </td>
              <td>
                {c.functions ? (
                  <State of={c.healthy === c.functions ? 'healthy' : c.healthy ? 'degraded' : 'down'} label={`${c.healthy} of ${c.functions}`} />
                ) : (
                  <span className="quiet">none</span>
                )}
              </td>
              <td className="num">{count(c.in_flight)}</td>
              <td>{c.feed || <span className="quiet">not known yet</span>}</td>
            </tr>
          ))}
        </Table>
      )}
    </Card>
  );
}

/** The function endpoints of a cluster, with how much each takes at once. */
const endpoints = (c: Schemas['Cluster']) => (c.status?.functions ?? []).map((f) => ({ ...f, max: c.functions?.find((d) => d.url === f.url)?.max_requests }));

function Endpoint({ of: f, cluster }: { of: ReturnType<typeof endpoints>[number]; cluster?: string }) {
  return (
    <tr>
      <th scope="row" className="key">
        {f.url}
      </th>
      {cluster && (
        <td>
          <ClusterLink name={cluster} />
        </td>
      )}
      <td>
        <State of={f.healthy ? 'healthy' : 'down'} />
        {f.reason && <p className="quiet">{f.reason}</p>}
      </td>
      <td className="num">
        {count(f.in_flight)}
        {f.max ? ` of ${count(f.max)}` : ''}
      </td>
    </tr>
  );
}

const here = getRouteApi('/clusters/$cluster');

export function Cluster() {
  const { cluster: name } = here.useParams();
  const cluster = useQuery(q.cluster(name));
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
              head={['Endpoint', 'State', 'In flight']}
              rows={endpoints}
              none={<Empty title="No function endpoint here" />}
            >
              {(f) => <Endpoint key={f.url} of={f} />}
            </ListCard>
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
            </Card>
          </div>
        )}
      </Loaded>
    </Page>
  );
}

/** A size as the API writes it, in bytes; 0 for what can't be read. */
export function size(text: string | number): number {
  if (typeof text === 'number') return text;
  const m = /^([\d.]+)\s*([KMGTP]?)(i?)B?$/.exec(text);
  if (!m) return 0;
  return Number(m[1]) * (m[3] ? 1024 : 1000) ** ' KMGTP'.indexOf(m[2] || ' ');
}
