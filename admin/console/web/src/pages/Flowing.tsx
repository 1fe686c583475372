import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useRef, useState } from 'react';
import type { Cluster, Schemas, Summary, Zone } from '../api/client';
import { bytes, count, counted, percent, rate } from '../format';
import { ClusterLink, Empty, Loaded, State, Table } from '../ui/kit';
import { Edges, type Link } from './Edges';
import { DrainButton } from './Editing';
import * as q from './queries';

type ClusterSum = Summary['clusters'][number];
type Flows = Schemas['Flows'];

/** What flows in and out of a cluster, a second; undefined where nothing is known. */
export interface Flow {
  local: number;
  remote: number;
  none: number;
  errors: number;
  /** Bytes copied into it. */
  copied: number;
}

/** The flows of each cluster, summed over its endpoints. */
export function flowsOf(f: Flows | undefined): Map<string, Flow> {
  const flows = new Map<string, Flow>();
  const of = (cluster: string) => {
    const flow = flows.get(cluster) ?? { local: 0, remote: 0, none: 0, errors: 0, copied: 0 };
    flows.set(cluster, flow);
    return flow;
  };
  for (const e of f?.endpoints ?? []) {
    const flow = of(e.cluster);
    flow.local += e.local;
    flow.remote += e.remote;
    flow.none += e.none;
    flow.errors += e.errors;
  }
  for (const c of f?.copies ?? []) of(c.to).copied += c.bytes;
  return flows;
}

/** Whose rates these are, where there are several instances. */
export function ofInstances(f: Flows | undefined): string {
  const nodes = f?.nodes ?? [];
  return nodes.length > 1 ? `, of ${new Intl.ListFormat('en').format(nodes)} together` : '';
}

/** The ways between clusters over which something goes. */
export function linksOf(f: Flows | undefined): Link[] {
  return [
    ...(f?.reads ?? []).map((r) => ({ kind: 'reads' as const, from: r.from, to: r.to, rate: r.invocations, text: `${rate(r.invocations)} read` })),
    ...(f?.copies ?? []).map((c) => ({
      kind: 'copies' as const,
      from: c.from,
      to: c.to,
      rate: c.bytes / 1024,
      text: `${rate(c.objects)} copied, ${bytes(c.bytes)}/s`,
    })),
  ];
}

export interface Place {
  zone: Pick<Zone, 'name'>;
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
  const homeless = byName(clusters.filter((c) => zones.every((z) => z.name !== c.zones[0])));
  return [...of('', []), ...(homeless.length ? [{ zone: { name: 'no zone' }, clusters: homeless, inside: [] }] : [])];
}

/** The clusters of a place and of those inside it. */
const within = (p: Place): ClusterSum[] => [...p.clusters, ...p.inside.flatMap(within)];

/** With more clusters than these, zones are shown folded. */
const unfolded = 40;

export function AsTable({ on, onChange }: { on: boolean; onChange: (on: boolean) => void }) {
  return (
    <button type="button" className="button" aria-pressed={on} onClick={() => onChange(!on)}>
      Show as table
    </button>
  );
}

/** Zones in each other with what flows between their clusters, as a map or as tables. */
export function Flowing({
  clusters,
  table,
  only,
  items,
}: {
  clusters: ClusterSum[];
  table: boolean;
  /** The cluster whose flows are shown; all if there is none. */
  only?: string;
  /** The clusters themselves, where something can be done with them. */
  items?: Cluster[];
}) {
  const zones = useQuery(q.zones);
  const flows = useQuery(q.flows);
  const map = useRef<HTMLElement>(null);
  const of = flowsOf(flows.data);
  if (clusters.length === 0) return <Empty title="No cluster yet">Clusters are storages and function endpoints, each in a zone.</Empty>;
  if (table) return <Loaded of={flows}>{(f) => <Tables f={flowsWith(f, only)} />}</Loaded>;
  return (
    <>
      <section aria-label="Topology" className="topology" ref={map}>
        {places(zones.data ?? [], clusters).map((p) => (
          <Box key={p.zone.name} place={p} flows={of} known={flows.data !== undefined} folds={clusters.length > unfolded} only={only} items={items} />
        ))}
        <Edges links={linksOf(flows.data && flowsWith(flows.data, only))} within={map} />
      </section>
      <p className="quiet legend apart">
        <span className="way copies">copied from one cluster to another</span>
        <span className="way reads">read from another cluster than the function's</span>
        <span>The more flows, the wider the line. Rates are of about a minute{ofInstances(flows.data)}.</span>
      </p>
    </>
  );
}

/** The flows that begin or end in a cluster, or all of them. */
export function flowsWith(f: Flows, cluster: string | undefined): Flows {
  if (!cluster) return f;
  const of = (l: { from: string; to: string }) => l.from === cluster || l.to === cluster;
  return { ...f, endpoints: f.endpoints.filter((e) => e.cluster === cluster), reads: f.reads.filter(of), copies: f.copies.filter(of) };
}

interface Shown {
  flows: Map<string, Flow>;
  known: boolean;
  only?: string;
  items?: Cluster[];
}

function Box({ place, folds, ...shown }: Shown & { place: Place; folds: boolean }) {
  const { flows } = shown;
  const [open, setOpen] = useState(false);
  const all = within(place);
  const folded = folds && !open && all.length > 0;
  return (
    <section className="zone" aria-label={`Zone ${place.zone.name}`} data-clusters={folded ? all.map((c) => c.name).join(' ') : undefined}>
      <h2>
        {folds && all.length > 0 ? (
          <button type="button" className="link" aria-expanded={open} onClick={() => setOpen(!open)}>
            {place.zone.name}
          </button>
        ) : (
          place.zone.name
        )}
      </h2>
      {folded ? (
        <p className="quiet">{folding(all, flows)}</p>
      ) : (
        <div className="topology">
          {place.clusters.map((c) => (
            <Card key={c.name} c={c} {...shown} />
          ))}
          {place.inside.map((p) => (
            <Box key={p.zone.name} place={p} folds={folds} {...shown} />
          ))}
          {all.length + place.inside.length === 0 && <p className="quiet">nothing here</p>}
        </div>
      )}
    </section>
  );
}

/** What a folded zone holds, in words. */
export function folding(clusters: ClusterSum[], flows: Map<string, Flow>): string {
  const wrong = clusters.filter((c) => c.storage === 'down' || c.full || c.healthy < c.functions).length;
  const total = clusters.reduce((n, c) => {
    const f = flows.get(c.name);
    return n + (f ? f.local + f.remote + f.none : 0);
  }, 0);
  return `${counted(clusters.length, 'cluster')}, ${wrong ? `${count(wrong)} in trouble` : 'all well'}, ${rate(total)}`;
}

function Card({ c, flows, known, only, items }: Shown & { c: ClusterSum }) {
  const navigate = useNavigate();
  const flow = flows.get(c.name);
  const item = items?.find((i) => i.name === c.name);
  const full = percent(c.used_bytes, c.capacity);
  const n = (v: number | undefined) => (known ? rate(v ?? 0) : 'not known');
  return (
    <div className={only && only !== c.name ? 'place apart' : 'place'} data-clusters={c.name} aria-current={only === c.name ? 'true' : undefined}>
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
      {c.storage && c.feed && <span className="quiet feed">changes: {c.feed}</span>}
      {c.error && <span className="quiet">{c.error}</span>}
      {c.functions > 0 && (
        <span>
          <State of={c.healthy === c.functions ? 'healthy' : 'degraded'} label={`${c.healthy} of ${counted(c.functions, 'function')}`} />
        </span>
      )}
      {c.functions > 0 && (
        <span className="quiet">
          {n(flow?.local)} local, {n(flow?.remote)} remote, {count(c.in_flight)} in flight
        </span>
      )}
      {c.storage && <span className="quiet">{known ? `${bytes(flow?.copied ?? 0)}/s copied here` : 'copied here: not known'}</span>}
      {c.drain && <State of="draining" />}
      {item && (
        <span className="tools above">
          <DrainButton cluster={item} listed />
        </span>
      )}
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

const ms = (v: number | null) => (v === null ? '–' : v < 10 ? `${v.toFixed(1)} ms` : `${count(Math.round(v))} ms`);

function Tables({ f }: { f: Flows }) {
  return (
    <div className="stack">
      <section className="card">
        {f.endpoints.length === 0 ? (
          <Empty title="No function endpoint yet">Clusters declare them with function; without one FaDO replicates and does not route.</Empty>
        ) : (
          <Table label="Flows" head={['Cluster', 'Endpoint', 'With their data', 'Reading elsewhere', 'Naming no data', 'Errors', 'p50', 'p99', 'In flight']}>
            {f.endpoints.map((e) => (
              <tr key={`${e.cluster} ${e.url}`}>
                <th scope="row">
                  <ClusterLink name={e.cluster} />
                </th>
                <td className="key">{e.url}</td>
                <td className="num">{rate(e.local)}</td>
                <td className="num">{rate(e.remote)}</td>
                <td className="num">{rate(e.none)}</td>
                <td className="num">{rate(e.errors)}</td>
                <td className="num">{ms(e.p50_ms)}</td>
                <td className="num">{ms(e.p99_ms)}</td>
                <td className="num">{count(e.in_flight)}</td>
              </tr>
            ))}
          </Table>
        )}
        <p className="quiet">Rates are of about a minute{ofInstances(f)}.</p>
      </section>
      <section className="card">
        {f.reads.length + f.copies.length === 0 ? (
          <Empty title="Nothing goes from one cluster to another now">Nothing was copied, and no function read elsewhere, within about a minute.</Empty>
        ) : (
          <Table label="Ways" head={['From', 'To', 'What', 'Rate']}>
            {linksOf(f).map((l) => (
              <tr key={`${l.kind} ${l.from} ${l.to}`}>
                <th scope="row">
                  <ClusterLink name={l.from} />
                </th>
                <td>
                  <ClusterLink name={l.to} />
                </td>
                <td>{l.kind === 'reads' ? 'read by functions' : 'copied'}</td>
                <td className="num">{l.text}</td>
              </tr>
            ))}
          </Table>
        )}
      </section>
    </div>
  );
}
