// biome-ignore-all lint/a11y/useSemanticElements: a table can not hold rows that are not all there
// biome-ignore-all lint/a11y/useFocusableInteractive: rows and cells hold links, which take the focus
import { Tabs } from '@base-ui/react/tabs';
import { type InfiniteData, keepPreviousData, type UseInfiniteQueryResult, useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { getRouteApi, useNavigate } from '@tanstack/react-router';
import { useVirtualizer } from '@tanstack/react-virtual';
import { lazy, memo, type ReactNode, Suspense, useCallback, useDeferredValue, useEffect, useMemo, useRef, useState } from 'react';
import { type Bucket, type BucketFilter, type BucketOrder, type BucketPage, bucketPage, orderOf } from '../api/client';
import { before } from '../before';
import { bytes, count, queryOf } from '../format';
import { pref } from '../prefs';
import { Ago, CopyCurl, Empty, Failure, Later, Page, Skeleton, State, useWritten } from '../ui/kit';
import { useBucketLinks } from '../ui/links';
import { TabList } from '../ui/TabList';
import { Chosen } from './Chosen';
import { NewButton } from './Editing';
import * as q from './queries';

const Matrix = lazy(() => import('./Matrix'));

const here = getRouteApi('/buckets');
const pageSize = 200;
const maxPages = 25;
const states = ['ok', 'syncing', 'conflict', 'stuck'] as const;

export function Buckets() {
  const { view = 'list', from = '', order, ...search } = here.useSearch();
  const navigate = useNavigate({ from: '/buckets' });
  const [cleared, setCleared] = useState(0);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const facets = useQuery(q.facets(search));
  const set = (change: BucketFilter & { view?: 'matrix'; from?: string; order?: BucketOrder }) =>
    navigate({ search: (now: BucketFilter) => ({ ...now, ...change }), replace: true });
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is not listed is not chosen
  useEffect(() => setChosen(new Set()), [JSON.stringify(search), view]);

  const choose = useCallback((name: string, on: boolean) => setChosen((now) => new Set(on ? [...now, name] : [...now].filter((n) => n !== name))), []);

  const name = useWritten(from);
  const list = useInfiniteQuery({
    queryKey: ['buckets', search, order, from],
    queryFn: ({ pageParam, signal }) => bucketPage({ ...search, order }, pageParam, pageSize, signal),
    initialPageParam: order ? '' : before(from),
    // Pages are not dropped: what was scrolled away would be nowhere.
    getNextPageParam: (last, pages) => (last.more && pages.length < maxPages ? last.items.at(-1)?.name : undefined),
    placeholderData: keepPreviousData,
    refetchInterval: 15_000,
    // To hold thousands of buckets against what they were takes longer than to draw the few that are seen.
    structuralSharing: false,
  });
  const filtered = Object.values(search).some(Boolean);
  const empty = filtered ? (
    <Empty title="No bucket matches">
      <button type="button" className="button" onClick={() => (setCleared(cleared + 1), navigate({ search: view === 'matrix' ? { view } : {} }))}>
        Clear the filters
      </button>
    </Empty>
  ) : (
    <Empty title="No bucket yet">Declare one in the Caddyfile, or make one here; an existing bucket is adopted as it is.</Empty>
  );

  return (
    <Page
      title="Buckets"
      at={list.dataUpdatedAt}
      actions={
        <>
          <NewButton kind="bucket" />
          <CopyCurl path={`/fado/buckets?${queryOf({ ...search, order, limit: '200' })}`} />
        </>
      }
    >
      <search className="filters">
        <Find key={cleared} of={search.q} found={(q) => set({ q })} />
        <label className="field">
          <span>Go to name</span>
          <input
            placeholder="name, then Enter"
            spellCheck={false}
            {...name}
            onKeyDown={(e) => e.key === 'Enter' && set({ from: e.currentTarget.value || undefined, order: undefined })}
            onBlur={(e) => e.currentTarget.value === '' && from && set({ from: undefined })}
          />
        </label>
        <label className="field">
          <span>Policy</span>
          <select value={search.policy ?? ''} onChange={(e) => set({ policy: e.target.value || undefined })}>
            <option value="">any</option>
            <Values of={facets.data?.policies} />
          </select>
        </label>
        <label className="field">
          <span>Copy in</span>
          <select value={search.cluster ?? ''} onChange={(e) => set({ cluster: e.target.value || undefined })}>
            <option value="">any cluster</option>
            <Values of={facets.data?.clusters} />
          </select>
        </label>
        <label className="field">
          <span>Declared by</span>
          <select value={search.origin ?? ''} onChange={(e) => set({ origin: (e.target.value || undefined) as BucketFilter['origin'] })}>
            <option value="">any</option>
            <Values of={facets.data?.origins} names={{ config: 'the configuration', api: 'the API' }} />
          </select>
        </label>
        {view === 'list' && (
          <label className="field">
            <span>Sorted by</span>
            <select value={order ?? 'name'} onChange={(e) => set({ order: orderOf(e.target.value), from: undefined })}>
              {Object.entries(orders).map(([value, text]) => (
                <option key={value} value={value}>
                  {text}
                </option>
              ))}
            </select>
          </label>
        )}
        <fieldset className="facets">
          <legend>State</legend>
          {states.map((s) => (
            <label key={s} className={`facet ${search.state === s ? 'on' : ''}`}>
              <input type="checkbox" checked={search.state === s} onChange={(e) => set({ state: e.target.checked ? s : undefined })} />
              <State of={s} /> <span className="quiet">{facets.data ? count(facets.data.states.find((f) => f.value === s)?.buckets ?? 0) : ''}</span>
            </label>
          ))}
        </fieldset>
      </search>
      <Tabs.Root value={view} onValueChange={(v) => set({ view: v === 'matrix' ? v : undefined })}>
        <TabList label="Ways to see the buckets" of={{ list: 'List', matrix: 'Matrix' }} />
        {/* What is left is taken away at once: to make so many elements inert first takes longer than all else. */}
        <Tabs.Panel value="list" className="panel">
          {view === 'list' && (
            <>
              <Chosen names={[...chosen]} none={() => setChosen(new Set())} />
              <Later rows={10}>
                <BucketList list={list} empty={empty} from={from} chosen={chosen} choose={choose} />
              </Later>
            </>
          )}
        </Tabs.Panel>
        <Tabs.Panel value="matrix" className="panel">
          {view === 'matrix' && (
            <Later rows={10}>
              <Suspense fallback={<Skeleton rows={10} />}>
                <Matrix filter={search} from={from} empty={empty} />
              </Suspense>
            </Later>
          )}
        </Tabs.Panel>
      </Tabs.Root>
    </Page>
  );
}

/** What is typed, which is ahead of the address: it goes there a moment later. */
function Find({ of, found }: { of?: string; found: (text?: string) => void }) {
  const [text, setText] = useState(of ?? '');
  // What else changes the address is shown.
  const told = useRef(of);
  useEffect(() => {
    if (of === told.current) return;
    told.current = of;
    setText(of ?? '');
  }, [of]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: when something is typed
  useEffect(() => {
    const later = setTimeout(() => {
      if (text === (of ?? '')) return;
      told.current = text || undefined;
      found(told.current);
    }, 200);
    return () => clearTimeout(later);
  }, [text]);
  return (
    <label className="field grow">
      <span>Find a bucket</span>
      <input type="search" data-find value={text} onChange={(e) => setText(e.target.value)} placeholder="part of a name" spellCheck={false} />
    </label>
  );
}

const orders: Record<BucketOrder, string> = {
  name: 'name',
  state: 'state, the worst first',
  oldest: 'behind for longest',
  pending: 'most objects behind',
  bytes: 'largest first',
};

/** The values of a filter, with how many buckets each would leave. */
export function Values({ of, names = {} }: { of?: { value: string; buckets: number }[]; names?: { [value: string]: string } }) {
  return of?.map((f) => (
    <option key={f.value} value={f.value}>
      {names[f.value] ?? f.value} ({count(f.buckets)})
    </option>
  ));
}

interface Choosing {
  chosen: ReadonlySet<string>;
  choose: (name: string, on: boolean) => void;
}

function BucketList({
  list,
  empty,
  from,
  ...choosing
}: {
  list: UseInfiniteQueryResult<InfiniteData<BucketPage>>;
  empty: ReactNode;
  from: string;
} & Choosing) {
  // What was done shows before what comes of it is drawn.
  const data = useDeferredValue(list.data);
  const rows = useMemo(() => data?.pages.flatMap((p) => p.items), [data]);
  return (
    <>
      {list.error && <Failure error={list.error} retry={list.refetch} />}
      {data && rows ? (
        data.pages[0].total === 0 ? (
          empty
        ) : (
          <Grid
            rows={rows}
            total={data.pages[0].total}
            ends={data.pages.length >= maxPages && data.pages.at(-1)?.more === true}
            more={list.hasNextPage && !list.isFetchingNextPage ? () => list.fetchNextPage() : undefined}
            key={from}
            {...choosing}
          />
        )
      ) : (
        !list.error && <Skeleton rows={10} />
      )}
    </>
  );
}

function Grid({ rows, total, ends, more, chosen, choose }: { rows: Bucket[]; total: number; ends: boolean; more?: () => void } & Choosing) {
  const box = useRef<HTMLDivElement>(null);
  const links = useBucketLinks();
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => box.current,
    estimateSize: () => (pref('density') === 'compact' ? 40 : 52),
    overscan: 8,
    // Rows are drawn after a scroll, not within it: together they are a task of more than 50 ms where a page is jumped.
    useFlushSync: false,
  });
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
      <div role="rowgroup" className="grid-body" ref={box} tabIndex={0} aria-label="Rows" {...links.props}>
        <div role="presentation" style={{ height: virtual.getTotalSize(), position: 'relative' }}>
          {items.map((v) => (
            <Row
              key={rows[v.index].name}
              bucket={rows[v.index]}
              index={v.index}
              top={v.start}
              on={chosen.has(rows[v.index].name)}
              choose={choose}
              hrefOf={links.hrefOf}
            />
          ))}
        </div>
      </div>
      <p className="card-foot quiet">
        {count(Math.min(rows.length, total))} of {count(total)} read{ends && ', and no more are: narrow them by a filter, or go to a name'}
      </p>
    </div>
  );
}

interface RowOf extends Pick<Choosing, 'choose'> {
  bucket: Bucket;
  index: number;
  top: number;
  on: boolean;
  hrefOf: (bucket: string) => string;
}

const Row = memo(function Row({ bucket, index, top, on, choose, hrefOf }: RowOf) {
  const st = bucket.status;
  const behind = st?.copies.reduce(
    (sum, c) => ({
      objects: sum.objects + c.pending.objects,
      bytes: sum.bytes + c.pending.bytes,
      oldest: [sum.oldest, c.pending.oldest].filter(Boolean).sort()[0] ?? null,
    }),
    { objects: 0, bytes: 0, oldest: null as string | null | undefined },
  );
  const primary = st?.copies.find((c) => c.role === 'primary');
  return (
    <div role="row" aria-rowindex={index + 2} className="grid-row" style={{ top }}>
      <span role="rowheader">
        <a className="main" href={hrefOf(bucket.name)}>
          {bucket.name}
        </a>
        <input type="checkbox" className="choose" aria-label={`Choose ${bucket.name}`} checked={on} onChange={(e) => choose(bucket.name, e.target.checked)} />
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
            {count(behind.objects)} · {bytes(behind.bytes)}
            <span className="reason">
              oldest <Ago time={behind.oldest} />
            </span>
          </>
        ) : (
          <span className="quiet">nothing</span>
        )}
      </Cell>
      <Cell label="Policy">{bucket.policy || <span className="quiet">default</span>}</Cell>
    </div>
  );
});

function Cell({ children, label }: { children: ReactNode; label?: string }) {
  return (
    <span role="gridcell" data-label={label}>
      {children}
    </span>
  );
}
