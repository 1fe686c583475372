import { useQuery } from '@tanstack/react-query';
import { useId, useState } from 'react';
import { api, type Cluster, may, type Schemas, told } from '../api/client';
import { bytes, count, counted, queryOf } from '../format';
import { Action, Ago, ClusterLink, Confirm, CopyCurl, Empty, useDo, useSession } from '../ui/kit';
import { ListCard } from '../ui/List';
import * as q from './queries';

type Conflict = Schemas['Conflict'];
type Resolution = Schemas['Resolution'];

/** Where an object goes that loses in a cluster. */
export function fate(c: Cluster | undefined): string {
  switch (c?.status?.storage?.capabilities.versioning) {
    case true:
      return 'becomes a noncurrent version, where the bucket keeps versions';
    case false:
      return 'can only be discarded: the storage keeps no versions';
    default:
      return 'becomes a noncurrent version, or can only be discarded: whether the storage keeps versions is not known';
  }
}

/** The cluster whose object was written last; of several the first. */
export const newest = (c: Conflict) => c.copies.reduce((a, b) => (Date.parse(b.last_modified) > Date.parse(a.last_modified) ? b : a)).cluster;

interface Asked {
  key?: string;
  winner: string;
  discard?: boolean;
}

/** How much loses in each cluster, of what is listed. */
export function losers(list: Conflict[], { key, winner }: Pick<Asked, 'key' | 'winner'>): { cluster: string; objects: number; bytes: number }[] {
  const of = new Map<string, { cluster: string; objects: number; bytes: number }>();
  for (const c of list) {
    if (c.copies.length === 0 || (key !== undefined && c.key !== key)) continue; // what none of the storages could tell
    const wins = winner === 'newest' ? newest(c) : winner;
    for (const { cluster, size } of c.copies) {
      if (cluster === wins) continue;
      const sum = of.get(cluster) ?? { cluster, objects: 0, bytes: 0 };
      of.set(cluster, { cluster, objects: sum.objects + 1, bytes: sum.bytes + size });
    }
  }
  return [...of.values()].sort((a, b) => a.cluster.localeCompare(b.cluster));
}

/** Objects that others wrote and that stand in the way of copies: whose wins, and where the others go. */
export function Conflicts({ name, n, primary }: { name: string; n: number; primary?: string }) {
  const [after, setAfter] = useState('');
  const conflicts = useQuery(q.conflicts(name, after));
  const part = after !== '' || Boolean(conflicts.data?.next);
  const clusters = useQuery(q.clusters);
  const [asked, setAsked] = useState<Asked>();
  const [refused, setRefused] = useState<Resolution>();
  const resolve = useDo(
    async (body: Asked) => {
      const r = await told(api.POST('/fado/buckets/{name}/conflicts/resolve', { params: { path: { name } }, body }));
      setRefused(r.refused_total ? r : undefined);
      return r;
    },
    (r) => {
      const { resolved, refused_total } = r as Resolution;
      return `${counted(resolved, 'conflict')} settled${refused_total ? `, ${count(refused_total)} refused` : ''}`;
    },
  );
  const { role } = useSession();
  const discarding = useId();
  const mayDiscard = may(role, 'admin');
  const of = (cluster: string) => clusters.data?.find((c) => c.name === cluster);
  return (
    <div className="stack">
      {refused && (
        <div className="alert" role="alert">
          <div>
            <p>{counted(refused.refused_total, 'object')} stay in conflict, because something would be lost:</p>
            <ul className="named">
              {refused.refused.slice(0, 10).map((r) => (
                <li key={r.key}>
                  <span className="key">{r.key}</span>: {r.reason}
                </li>
              ))}
            </ul>
          </div>
        </div>
      )}
      <ListCard
        of={conflicts}
        title="Conflicts"
        label="Conflicts"
        aside={
          <span className="tools">
            {n > 0 && (
              <>
                <Action onClick={() => setAsked({ winner: 'newest' })}>Let the newest win everywhere</Action>
                <Action least="admin" kind="danger" onClick={() => setAsked({ winner: 'newest', discard: true })}>
                  Discard what loses
                </Action>
              </>
            )}
            <CopyCurl path={`/fado/buckets/${name}/conflicts?${queryOf({ limit: `${q.pageSize}`, after })}`} />
          </span>
        }
        head={['Key', 'What the clusters hold', 'Where it goes if it loses', 'Decide']}
        rows={(page) => page.items}
        pages={(page) => ({ after, next: page.next, go: setAfter })}
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
                  <ClusterLink name={cp.cluster} />
                  {cp.cluster === primary && ' (primary)'}: {bytes(cp.size)}, <Ago time={cp.last_modified} />{' '}
                  <code title={cp.etag}>{cp.etag.slice(0, 12)}</code>
                  {cp.cluster === newest(c) && <span className="pill">newest</span>}
                </p>
              ))}
            </td>
            <td>
              {c.copies.map((cp) => (
                <p key={cp.cluster} className="quiet">
                  in {cp.cluster} it {fate(of(cp.cluster))}
                </p>
              ))}
            </td>
            <td className="tools">
              {c.copies.map((cp) => (
                <Action key={cp.cluster} onClick={() => setAsked({ key: c.key, winner: cp.cluster })}>
                  Let {cp.cluster} win
                </Action>
              ))}
            </td>
          </tr>
        )}
      </ListCard>
      {part && (
        <p className="quiet">
          In all, {counted(n, 'object')} on copies {n === 1 ? 'is' : 'are'} in conflict; what is decided for all decides about those of other pages, too.
        </p>
      )}
      <Confirm
        open={asked !== undefined}
        title={asked?.key ? `Resolve ${asked.key}` : `Resolve ${counted(n, 'conflict')}`}
        action={`Apply to ${counted(asked?.key ? 1 : n, 'conflict')}`}
        typed={asked?.discard ? name : undefined}
        danger={asked?.discard}
        curl={{ path: `/fado/buckets/${name}/conflicts/resolve`, body: asked }}
        onDone={() => asked && resolve.mutate(asked)}
        onClose={() => setAsked(undefined)}
      >
        <p>
          The object of {asked?.winner === 'newest' ? 'the last writer' : asked?.winner} stays and replaces the others.{' '}
          {asked?.discard
            ? 'A loser is kept as a noncurrent version where its bucket keeps versions; elsewhere it is gone for good.'
            : 'A loser is kept as a noncurrent version; where its storage keeps no versions, the conflict is refused and nothing is lost.'}
        </p>
        <ul className="named">
          {asked &&
            losers(conflicts.data?.items ?? [], asked).map((l) => (
              <li key={l.cluster}>
                In {l.cluster} {counted(l.objects, 'object')}, {bytes(l.bytes)}, {l.objects === 1 ? 'loses' : 'lose'}: each {fate(of(l.cluster))}
              </li>
            ))}
        </ul>
        {asked?.key !== undefined && (
          <>
            <label className="check">
              <input
                type="checkbox"
                checked={asked.discard ?? false}
                disabled={!mayDiscard}
                aria-describedby={mayDiscard ? undefined : discarding}
                onChange={(e) => setAsked({ ...asked, discard: e.target.checked || undefined })}
              />
              Discard what loses where no version of it is kept
            </label>
            {!mayDiscard && (
              <p id={discarding} className="quiet">
                Needs the role admin
              </p>
            )}
          </>
        )}
        {!asked?.key && part && <p className="quiet">These are of the conflicts on this page.</p>}
      </Confirm>
    </div>
  );
}
