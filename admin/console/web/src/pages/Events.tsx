import { useQuery, useQueryClient } from '@tanstack/react-query';
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { count } from '../format';
import { CopyCurl, Empty, Loaded, labelled, Page, useSession, useWritten, When } from '../ui/kit';
import { type Logged, What } from './Happened';
import * as q from './queries';

const here = getRouteApi('/events');

const types = [
  'resource',
  'configuration',
  'copy',
  'transfer',
  'storage',
  'function',
  'bucket_stuck',
  'bucket_ok',
  'primary_moved',
  'verification',
  'drain',
] as const;

export type EventFilter = { type?: (typeof types)[number]; bucket?: string; cluster?: string };

export function Events() {
  const filter = here.useSearch();
  const navigate = useNavigate({ from: '/events' });
  const set = (change: EventFilter) => navigate({ search: (now: EventFilter) => ({ ...now, ...change }), replace: true });
  const client = useQueryClient();
  const log = useQuery(q.eventLog(client, filter));
  // Where the tail is stopped, this is what is shown, until another filter is chosen.
  const [stop, setStop] = useState<{ list: Logged[]; at: number; of: string }>();
  const of = JSON.stringify(filter);
  const stopped = stop?.of === of ? stop : undefined;
  const halt = () => log.data && setStop({ list: log.data, at: log.dataUpdatedAt, of });
  const clusters = useQuery(q.clusters);
  const bucket = useWritten(filter.bucket);
  return (
    <Page
      title="Events"
      at={stopped?.at ?? log.dataUpdatedAt}
      actions={
        <>
          <button type="button" className="button" aria-pressed={stopped !== undefined} onClick={() => (stopped ? setStop(undefined) : halt())}>
            {stopped ? 'Follow again' : 'Stop here'}
          </button>
          <CopyCurl path={`/fado/events/log?${new URLSearchParams(filter as Record<string, string>)}`} />
        </>
      }
    >
      <search className="filters">
        <label className="field">
          <span>Type</span>
          <select value={filter.type ?? ''} onChange={(e) => set({ type: (e.target.value || undefined) as EventFilter['type'] })}>
            <option value="">any</option>
            {types.map((t) => (
              <option key={t} value={t}>
                {t.replace('_', ' ')}
              </option>
            ))}
          </select>
        </label>
        <label className="field grow">
          <span>Bucket</span>
          <input data-find {...bucket} placeholder="its whole name, then Enter" spellCheck={false} {...entered((bucket) => set({ bucket }))} />
        </label>
        <label className="field">
          <span>Cluster</span>
          <select value={filter.cluster ?? ''} onChange={(e) => set({ cluster: e.target.value || undefined })}>
            <option value="">any</option>
            {clusters.data?.map((c) => (
              <option key={c.name}>{c.name}</option>
            ))}
          </select>
        </label>
      </search>
      <Loaded of={{ ...log, data: stopped?.list ?? log.data }} rows={10}>
        {(list) => (
          <>
            <Listed list={list} bucket={filter.bucket} />
            <Log list={list} filtered={Object.values(filter).some(Boolean)} />
          </>
        )}
      </Loaded>
    </Page>
  );
}

/** Which events these are, and where to look for what is older. */
function Listed({ list, bucket }: { list: Logged[]; bucket?: string }) {
  const node = useQuery(q.summary).data?.node;
  const admin = useSession().role === 'admin';
  if (list.length === 0) return null;
  return (
    <p className="quiet" role="note">
      {list.length < q.eventsShown ? 'What' : `The last ${count(q.eventsShown)} events that`} {node ? `instance ${node}` : 'this instance'} saw and keeps, from{' '}
      <When day time={list[0].time} /> on, as far as this page has read. It keeps none over a restart, and other instances list what they saw.{' '}
      {admin ? (
        <>
          What people changed, and where copies were made, is in the{' '}
          <Link to="/audit" search={{ bucket }}>
            audit
          </Link>
          , also what is older.
        </>
      ) : (
        'Admins find what is older in the audit.'
      )}
    </p>
  );
}

/** What an input tells when Enter is pressed in it, or when it is left. */
function entered(tell: (text: string | undefined) => void) {
  const take = (e: { currentTarget: HTMLInputElement }) => tell(e.currentTarget.value.trim() || undefined);
  return { onKeyDown: (e: React.KeyboardEvent<HTMLInputElement>) => e.key === 'Enter' && take(e), onBlur: take };
}

const columns = ['Time', 'Type', 'What happened'];

export function Log({ list, filtered }: { list: Logged[]; filtered: boolean }) {
  return (
    <section className="card">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by the keyboard */}
      <div role="log" aria-label="Events" className="scroll log" tabIndex={0}>
        {list.length === 0 ? (
          <Empty title={filtered ? 'No event matches' : 'Nothing has happened yet'}>
            This instance keeps what happened since it started: the last 8,000 events, and the last 2,000 objects copied or removed.
          </Empty>
        ) : (
          <table {...labelled(columns)}>
            <thead>
              <tr>
                {columns.map((h) => (
                  <th key={h} scope="col">
                    {h}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {list.toReversed().map((e) => (
                <tr key={e.seq}>
                  <td className="num">
                    <When time={e.time} />
                  </td>
                  <td>{e.type.replace('_', ' ')}</td>
                  <td>
                    <What e={e} />
                    {e.reason && <p className="quiet">{e.reason}</p>}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </div>
    </section>
  );
}
