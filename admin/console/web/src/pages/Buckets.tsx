// biome-ignore-all lint/a11y/useSemanticElements: a table can not hold rows that are not all there
// biome-ignore-all lint/a11y/useFocusableInteractive: rows and cells hold links, which take the focus
import { Tabs } from '@base-ui/react/tabs';
import { type InfiniteData, keepPreviousData, type UseInfiniteQueryResult, useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import { useVirtualizer } from '@tanstack/react-virtual';
import { lazy, Suspense, useDeferredValue, useEffect, useRef, useState } from 'react';
import { type Bucket, type BucketFilter, type BucketPage, bucketPage } from '../api/client';
import { bytes, count } from '../format';
import { Ago, CopyCurl, Empty, Failure, Page, Skeleton, State } from '../ui/kit';
import { NewButton } from './Editing';
import * as q from './queries';

const Matrix = lazy(() => import('./Matrix'));

const here = getRouteApi('/buckets');
const pageSize = 200;
const maxPages = 25;
const states = ['ok', 'syncing', 'conflict', 'stuck'] as const;

export function Buckets() {
  const { view = 'list', ...search } = here.useSearch();
  const navigate = useNavigate({ from: '/buckets' });
  const [text, setText] = useState(search.q ?? '');
  const [from, setFrom] = useState('');
  const summary = useQuery(q.summary);
  const policies = useQuery(q.policies);
  const clusters = useQuery(q.clusters);
  const set = (change: BucketFilter & { view?: 'matrix' }) => navigate({ search: (now: BucketFilter) => ({ ...now, ...change }), replace: true });

  const typed = useDeferredValue(text);
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is typed goes into the address a moment later
  useEffect(() => {
    const later = setTimeout(() => typed !== (search.q ?? '') && set({ q: typed || undefined }), 200);
    return () => clearTimeout(later);
  }, [typed]);

  const list = useInfiniteQuery({
    queryKey: ['buckets', search, from],
    queryFn: ({ pageParam, signal }) => bucketPage(search, pageParam, pageSize, signal),
    initialPageParam: from,
    getNextPageParam: (last) => (last.more ? last.items.at(-1)?.name : undefined),
    maxPages,
    placeholderData: keepPreviousData,
    refetchInterval: 15_000,
  });
  const filtered = Object.values(search).some(Boolean);

  return (
    <Page
      title="Buckets"
      at={list.dataUpdatedAt}
      actions={
        <>
          <NewButton kind="bucket" />
          <CopyCurl path={`/fado/buckets?${new URLSearchParams({ ...search, limit: '200' } as Record<string, string>)}`} />
        </>
      }
    >
      <search className="filters">
        <label className="field grow">
          <span>Find a bucket</span>
          <input type="search" data-find value={text} onChange={(e) => setText(e.target.value)} placeholder="part of a name" spellCheck={false} />
        </label>
        <label className="field">
          <span>Go to name</span>
          <input
            placeholder="name, then Enter"
            spellCheck={false}
            onKeyDown={(e) => e.key === 'Enter' && setFrom(before(e.currentTarget.value))}
            onBlur={(e) => e.currentTarget.value === '' && setFrom('')}
          />
        </label>
        <label className="field">
          <span>Policy</span>
          <select value={search.policy ?? ''} onChange={(e) => set({ policy: e.target.value || undefined })}>
            <option value="">any</option>
            {policies.data?.map((p) => (
              <option key={p.name}>{p.name}</option>
            ))}
          </select>
        </label>
        <label className="field">
          <span>Copy in</span>
          <select value={search.cluster ?? ''} onChange={(e) => set({ cluster: e.target.value || undefined })}>
            <option value="">any cluster</option>
            {clusters.data?.map((c) => (
              <option key={c.name}>{c.name}</option>
            ))}
          </select>
        </label>
        <fieldset className="facets">
          <legend>State</legend>
          {states.map((s) => (
            <label key={s} className={`facet ${search.state === s ? 'on' : ''}`}>
              <input type="checkbox" checked={search.state === s} onChange={(e) => set({ state: e.target.checked ? s : undefined })} />
              <State of={s} /> <span className="quiet">{summary.data ? count(summary.data.buckets[s]) : ''}</span>
            </label>
          ))}
        </fieldset>
      </search>
      <Tabs.Root value={view} onValueChange={(v) => set({ view: v === 'matrix' ? v : undefined })}>
        <Tabs.List className="tabs" aria-label="Ways to see the buckets">
          <Tabs.Tab value="list" className="tab">
            List
          </Tabs.Tab>
          <Tabs.Tab value="matrix" className="tab">
            Matrix
          </Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="list" className="panel">
          <BucketList list={list} filtered={filtered} from={from} clear={() => (setText(''), navigate({ search: {} }))} />
        </Tabs.Panel>
        <Tabs.Panel value="matrix" className="panel">
          <Suspense fallback={<Skeleton rows={10} />}>
            <Matrix filter={search} />
          </Suspense>
        </Tabs.Panel>
      </Tabs.Root>
    </Page>
  );
}

function BucketList({
  list,
  filtered,
  from,
  clear,
}: {
  list: UseInfiniteQueryResult<InfiniteData<BucketPage>>;
  filtered: boolean;
  from: string;
  clear: () => void;
}) {
  return (
    <>
      {list.error && <Failure error={list.error} retry={list.refetch} />}
      {list.data ? (
        list.data.pages[0].total === 0 ? (
          filtered ? (
            <Empty title="No bucket matches">
              <button type="button" className="button" onClick={clear}>
                Clear the filters
              </button>
            </Empty>
          ) : (
            <Empty title="No bucket yet">Declare one in the Caddyfile, or make one here; an existing bucket is adopted as it is.</Empty>
          )
        ) : (
          <Grid
            rows={list.data.pages.flatMap((p) => p.items)}
            total={list.data.pages[0].total}
            more={list.hasNextPage && !list.isFetchingNextPage ? () => list.fetchNextPage() : undefined}
            key={from}
          />
        )
      ) : (
        !list.error && <Skeleton rows={10} />
      )}
    </>
  );
}

/** The greatest name that stands before one: the list begins after it. */
export function before(name: string): string {
  const last = name.charCodeAt(name.length - 1);
  return name === '' ? '' : `${name.slice(0, -1)}${String.fromCharCode(last - 1)}~`;
}

function Grid({ rows, total, more }: { rows: Bucket[]; total: number; more?: () => void }) {
  const box = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({ count: rows.length, getScrollElement: () => box.current, estimateSize: () => 52, overscan: 10 });
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (more && last > rows.length - 50) more();
  }, [last, rows.length, more]);

  function onKeyDown(e: React.KeyboardEvent<HTMLDivElement>) {
    const links = [...(box.current?.querySelectorAll<HTMLAnchorElement>('[role=row] a.main') ?? [])];
    const step = e.key === 'ArrowDown' ? 1 : e.key === 'ArrowUp' ? -1 : 0;
    const i = links.indexOf(document.activeElement as HTMLAnchorElement);
    if (step && i >= 0) {
      e.preventDefault();
      links[i + step]?.focus();
    }
  }

  return (
    <div role="grid" aria-label="Buckets" aria-rowcount={total + 1} className="grid card" onKeyDown={onKeyDown} tabIndex={-1}>
      <div role="row" aria-rowindex={1} className="grid-row grid-head">
        {['Bucket', 'State', 'Primary', 'Copies', 'Objects', 'Behind', 'Policy'].map((h) => (
          <span role="columnheader" key={h}>
            {h}
          </span>
        ))}
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
      <div role="rowgroup" className="grid-body" ref={box} tabIndex={0} aria-label="Rows">
        <div role="presentation" style={{ height: virtual.getTotalSize(), position: 'relative' }}>
          {items.map((v) => (
            <Row key={rows[v.index].name} bucket={rows[v.index]} index={v.index} top={v.start} />
          ))}
        </div>
      </div>
      <p className="card-foot quiet">
        {count(Math.min(rows.length, total))} of {count(total)} read
      </p>
    </div>
  );
}

function Row({ bucket, index, top }: { bucket: Bucket; index: number; top: number }) {
  const st = bucket.status;
  const behind = st?.copies.reduce(
    (sum, c) => ({
      objects: sum.objects + c.pending.objects,
      oldest: [sum.oldest, c.pending.oldest].filter(Boolean).sort()[0] ?? null,
    }),
    { objects: 0, oldest: null as string | null | undefined },
  );
  const primary = st?.copies.find((c) => c.role === 'primary');
  return (
    <div role="row" aria-rowindex={index + 2} className="grid-row" style={{ transform: `translateY(${top}px)` }}>
      <span role="rowheader">
        <Link className="main" to="/buckets/$bucket" params={{ bucket: bucket.name }}>
          {bucket.name}
        </Link>
      </span>
      <Cell>
        <State of={st?.state ?? 'unknown'} />
        {st?.reason && (
          <span className="reason" title={st.reason}>
            {st.reason}
          </span>
        )}
      </Cell>
      <Cell label="Primary">{st?.primary || <span className="quiet">not chosen</span>}</Cell>
      <Cell label="Copies">{st ? `${st.copies.filter((c) => c.state === 'synced').length} of ${st.copies.length} synced` : '–'}</Cell>
      <Cell label="Objects">{primary ? `${count(primary.objects)} · ${bytes(primary.bytes)}` : '–'}</Cell>
      <Cell label="Behind">
        {behind && behind.objects > 0 ? (
          <>
            {count(behind.objects)}, oldest <Ago time={behind.oldest} />
          </>
        ) : (
          <span className="quiet">nothing</span>
        )}
      </Cell>
      <Cell label="Policy">{bucket.policy || <span className="quiet">default</span>}</Cell>
    </div>
  );
}

function Cell({ children, label }: { children: React.ReactNode; label?: string }) {
  return (
    <span role="gridcell" data-label={label}>
      {children}
    </span>
  );
}
