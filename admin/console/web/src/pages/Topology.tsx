import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { api, type Schemas, type Summary, told, type Zone } from '../api/client';
import { bytes, count, counted, percent } from '../format';
import { ClusterLink, CopyCurl, Empty, Loaded, Page, State, Table } from '../ui/kit';
import * as q from './queries';

type ClusterSum = Summary['clusters'][number];
type History = Schemas['History'];

/** What flows in and out of a cluster, a second; undefined where nothing is known. */
export interface Flow {
  local?: number;
  remote?: number;
  none?: number;
  copied?: number;
}

/** Over how long flows are summed up. */
const window = 60;

const flowing = {
  queryKey: ['history', 'flows'],
  queryFn: ({ signal }: { signal: AbortSignal }) => {
    const from = new Date(Date.now() - window * 1000).toISOString().replace(/\.\d+/, '');
    const series = ['decisions.local.', 'decisions.remote.', 'decisions.none.', 'copied.'];
    return told(api.GET('/fado/history', { params: { query: { from, series } }, signal }));
  },
  refetchInterval: 5000,
  retry: false,
};

/** The flows of each cluster: the mean of what was measured lately. */
export function flowsOf(h: History | undefined): Map<string, Flow> {
  const flows = new Map<string, Flow>();
  for (const s of h?.series ?? []) {
    const [, kind, cluster] = /^(?:decisions\.)?(local|remote|none|copied)\.(.+)$/.exec(s.name) ?? [];
    const known = s.values.filter((v) => v !== null);
    if (!cluster || known.length === 0) continue;
    const flow = flows.get(cluster) ?? {};
    flow[kind as keyof Flow] = known.reduce((a, b) => a + b, 0) / known.length;
    flows.set(cluster, flow);
  }
  return flows;
}

export interface Place {
  zone: Zone;
  clusters: ClusterSum[];
  inside: Place[];
}

/** Zones with what is in them, by name: a change never reshuffles the rest. */
export function places(zones: Zone[], clusters: ClusterSum[]): Place[] {
  const byName = <T extends { name: string }>(list: T[]) => [...list].sort((a, b) => (a.name < b.name ? -1 : 1));
  const of = (parent: string, seen: string[]): Place[] =>
    byName(zones.filter((z) => (z.parent ?? '') === parent && !seen.includes(z.name))).map((zone) => ({
      zone,
      clusters: byName(clusters.filter((c) => c.zones[0] === zone.name)),
      inside: of(zone.name, [...seen, zone.name]),
    }));
  return of('', []);
}

export function Topology() {
  const summary = useQuery(q.summary);
  const zones = useQuery(q.zones);
  const history = useQuery(flowing);
  const [table, setTable] = useState(false);
  const flows = flowsOf(history.data);
  return (
    <Page
      title="Topology"
      at={summary.dataUpdatedAt}
      actions={
        <>
          <button type="button" className="button" aria-expanded={table} onClick={() => setTable(!table)}>
            {table ? 'Show as boxes' : 'Show as table'}
          </button>
          <CopyCurl path="/fado/history?series=decisions.local.&series=decisions.remote.&series=copied." />
        </>
      }
    >
      <Loaded of={summary} rows={8}>
        {(s) =>
          s.clusters.length === 0 ? (
            <Empty title="No cluster yet">Clusters are storages and function endpoints, each in a zone.</Empty>
          ) : table ? (
            <section className="card">
              <Flows clusters={s.clusters} flows={flows} />
            </section>
          ) : (
            <section aria-label="Topology" className="topology">
              {places(zones.data ?? [], s.clusters).map((p) => (
                <Box key={p.zone.name} place={p} flows={flows} />
              ))}
            </section>
          )
        }
      </Loaded>
    </Page>
  );
}

function Box({ place, flows }: { place: Place; flows: Map<string, Flow> }) {
  return (
    <section className="zone" aria-label={`Zone ${place.zone.name}`}>
      <h2>{place.zone.name}</h2>
      <div className="topology">
        {place.clusters.map((c) => (
          <Card key={c.name} c={c} flow={flows.get(c.name)} />
        ))}
        {place.inside.map((p) => (
          <Box key={p.zone.name} place={p} flows={flows} />
        ))}
        {place.clusters.length + place.inside.length === 0 && <p className="quiet">nothing here</p>}
      </div>
    </section>
  );
}

const rate = (v: number | undefined) => (v === undefined ? 'not known' : `${v > 0 && v < 10 ? v.toFixed(1) : count(Math.round(v))}/s`);

function Card({ c, flow }: { c: ClusterSum; flow: Flow | undefined }) {
  const navigate = useNavigate();
  const full = percent(c.used_bytes, c.capacity);
  return (
    <div className="place">
      <button
        type="button"
        className="link"
        aria-label={`Cluster ${c.name}, zone ${c.zones[0] ?? 'none'}: ${inWords(c)}`}
        onClick={() => navigate({ to: '/clusters/$cluster', params: { cluster: c.name } })}
      >
        {c.name}
      </button>
      {c.storage && (
        <span>
          <State of={c.full ? 'full' : c.storage} label={c.full ? 'storage full' : `storage ${c.storage}`} />
        </span>
      )}
      {c.storage && (
        <span className="quiet">
          {bytes(c.used_bytes)}
          {full !== undefined && ` of ${bytes(c.capacity)}`}
        </span>
      )}
      {c.functions > 0 && (
        <span>
          <State of={c.healthy === c.functions ? 'healthy' : 'degraded'} label={`${c.healthy} of ${counted(c.functions, 'function')}`} />
        </span>
      )}
      {c.functions > 0 && (
        <span className="quiet">
          {rate(flow?.local)} local, {rate(flow?.remote)} remote, {count(c.in_flight)} in flight
        </span>
      )}
      {c.storage && <span className="quiet">{flow?.copied === undefined ? 'copied here: not known' : `${bytes(flow.copied)}/s copied here`}</span>}
      {c.drain && <State of="draining" />}
    </div>
  );
}

/** What a card says, for who does not see it. */
function inWords(c: ClusterSum): string {
  const said = [];
  if (c.storage) said.push(`storage ${c.full ? 'full' : c.storage}`);
  if (c.functions) said.push(`${c.healthy} of ${counted(c.functions, 'function')} healthy`);
  if (c.drain) said.push('draining');
  return said.join(', ');
}

function Flows({ clusters, flows }: { clusters: ClusterSum[]; flows: Map<string, Flow> }) {
  return (
    <Table label="Flows" head={['Cluster', 'Zone', 'Invocations with their data', 'With data from elsewhere', 'Naming no data', 'In flight', 'Copied here']}>
      {clusters.map((c) => {
        const flow = flows.get(c.name);
        return (
          <tr key={c.name}>
            <th scope="row">
              <ClusterLink name={c.name} />
            </th>
            <td>{c.zones[0]}</td>
            <td className="num">{rate(flow?.local)}</td>
            <td className="num">{rate(flow?.remote)}</td>
            <td className="num">{rate(flow?.none)}</td>
            <td className="num">{count(c.in_flight)}</td>
            <td className="num">{flow?.copied === undefined ? 'not known' : `${bytes(flow.copied)}/s`}</td>
          </tr>
        );
      })}
    </Table>
  );
}
