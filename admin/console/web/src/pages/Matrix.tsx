// biome-ignore-all lint/a11y/noNoninteractiveElementToInteractiveRole: a table that keys move in is a grid
import { keepPreviousData, useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { memo, type ReactNode } from 'react';
import { api, type BucketFilter, type Schemas, told } from '../api/client';
import { before } from '../before';
import { bytes, count, counted, given, queryOf, span } from '../format';
import { Age, CopyCurl, Empty, Failure, Skeleton, State, toneOf, useNow } from '../ui/kit';
import { useBucketLinks } from '../ui/links';
import * as q from './queries';

type Page = Schemas['Matrix'];
type Row = Schemas['MatrixRow'];

const pageSize = 100;

/** What the letters of cells say, and the state whose colour they have. */
const meaning: Record<string, [text: string, state: string]> = {
  P: ['primary, synced', 'synced'],
  S: ['synced', 'synced'],
  Y: ['syncing', 'syncing'],
  W: ['waiting', 'waiting'],
  D: ['draining', 'draining'],
  R: ['removing', 'removing'],
  F: ['failed', 'failed'],
  X: ['not allowed', ''],
  '-': ['not chosen', ''],
};

/** What a cell says, in words. */
export function cell(row: Row, cluster: string, letter: string): string {
  const text = letter === 'X' ? `not allowed by policy ${row.policy}` : meaning[letter]?.[0];
  const behind = row.behind.find((b) => b.cluster === cluster);
  const old = behind?.oldest ? `, oldest ${span(Date.now() - Date.parse(behind.oldest))}` : '';
  return `${row.bucket} in ${cluster}: ${text}${behind ? `, ${counted(behind.objects, 'object')} behind, ${bytes(behind.bytes)}${old}` : ''}`;
}

/** More buckets than this are told by their policies first. */
const most = 2000;

interface Shown {
  filter: BucketFilter;
  /** The name that is gone to; '' for the first one. */
  from: string;
  /** What stands there where no bucket is. */
  empty: ReactNode;
}

/**
 * Which cluster holds what, and how fresh. Of very many buckets it is told how many of each policy are where, until one
 * policy or a part of the names is chosen, or a name gone to.
 */
export default function Matrix({ filter, from, empty }: Shown) {
  const facets = useQuery(q.facets(filter));
  const each = <ByBucket filter={filter} from={from} empty={empty} />;
  if (filter.policy || filter.q || from) return each;
  if (!facets.data) return facets.error ? <Failure error={facets.error} retry={facets.refetch} /> : <Skeleton rows={10} />;
  return facets.data.total > most ? <ByPolicy filter={filter} /> : each;
}

/** How many buckets of each policy are where. */
function ByPolicy({ filter }: { filter: BucketFilter }) {
  const matrix = useQuery({
    queryKey: ['buckets', 'matrix', 'policy', filter],
    queryFn: ({ signal }) => told(api.GET('/fado/matrix', { params: { query: { ...given(filter), by: 'policy' } }, signal })),
    placeholderData: keepPreviousData,
    refetchInterval: 15_000,
  });
  if (!matrix.data) return matrix.error ? <Failure error={matrix.error} retry={matrix.refetch} /> : <Skeleton rows={10} />;
  const { clusters, policies = [] } = matrix.data;
  return (
    <>
      {matrix.error && <Failure error={matrix.error} retry={matrix.refetch} />}
      <section className="card">
        <Frame clusters={clusters} first="Policy">
          {policies.map((p, i) => (
            <tr key={p.policy}>
              <th scope="row">
                <Link to="/buckets" search={{ ...filter, view: 'matrix', policy: p.policy }} tabIndex={i === 0 ? 0 : -1}>
                  {p.policy}
                </Link>{' '}
                <span className="quiet">{counted(p.buckets, 'bucket')}</span>
              </th>
              {clusters.map(({ cluster }, n) => (
                <td key={cluster}>
                  <Sum filter={filter} policy={p.policy} cluster={cluster} of={p.cells[n]} />
                </td>
              ))}
            </tr>
          ))}
        </Frame>
        <p className="card-foot quiet">
          More than {count(most)} buckets: counted by policy. Choose a policy, find a bucket, or go to a name, to see them one by one.{' '}
          <Age at={matrix.dataUpdatedAt} /> <CopyCurl path={`/fado/matrix?by=policy&${queryOf(filter)}`} />
        </p>
      </section>
    </>
  );
}

/** What a cell of a policy says, in words. */
export function sum(policy: string, cluster: string, of: Schemas['MatrixCount']): string {
  const trouble = of.not_ok > 0 ? `, ${count(of.not_ok)} of them not ok` : '';
  return `${policy} in ${cluster}: ${counted(of.buckets, 'bucket')}${trouble}${of.allowed ? '' : ', not allowed by the policy'}`;
}

function Sum({ filter, policy, cluster, of }: { filter: BucketFilter; policy: string; cluster: string; of: Schemas['MatrixCount'] }) {
  const text = sum(policy, cluster, of);
  if (of.buckets === 0)
    return (
      <span className={`cell ${of.allowed ? '' : 'never'}`} title={text}>
        <span aria-hidden="true">{of.allowed ? '-' : 'X'}</span>
        <span className="sr-only">{text}</span>
      </span>
    );
  return (
    <Link
      to="/buckets"
      search={{ ...filter, view: 'matrix', policy, cluster }}
      className={`cell sum ${of.not_ok > 0 || !of.allowed ? 'warn' : 'good'}`}
      title={text}
      tabIndex={-1}
    >
      <span aria-hidden="true">{count(of.buckets)}</span>
      {of.not_ok > 0 && <small aria-hidden="true">{count(of.not_ok)} not ok</small>}
      <span className="sr-only">{text}</span>
    </Link>
  );
}

function ByBucket({ filter, from, empty }: Shown) {
  const list = useInfiniteQuery({
    queryKey: ['buckets', 'matrix', filter, from],
    queryFn: ({ pageParam, signal }) =>
      told(api.GET('/fado/matrix', { params: { query: { ...given({ ...filter, after: pageParam }), limit: pageSize } }, signal })),
    initialPageParam: before(from),
    getNextPageParam: (last) => last.next || undefined,
    placeholderData: keepPreviousData,
    refetchInterval: 15_000,
  });
  if (!list.data) return list.error ? <Failure error={list.error} retry={list.refetch} /> : <Skeleton rows={10} />;
  const { clusters } = list.data.pages[0];
  const rows = list.data.pages.flatMap((p) => p.rows);
  if (rows.length === 0) return from ? <Empty title={`No bucket from ${from} on`}>Clear Go to name to see those before it.</Empty> : empty;
  return (
    <>
      {list.error && <Failure error={list.error} retry={list.refetch} />}
      <section className="card">
        <Cells clusters={clusters} rows={rows} />
        <p className="card-foot quiet">
          {counted(rows.length, 'bucket')} shown.{' '}
          {list.hasNextPage && (
            <button type="button" className="button small" onClick={() => list.fetchNextPage()}>
              More
            </button>
          )}{' '}
          <Age at={list.dataUpdatedAt} /> <CopyCurl path={`/fado/matrix?${queryOf({ ...filter, after: before(from), limit: `${pageSize}` })}`} />
        </p>
      </section>
      <p className="legend apart">
        {Object.entries(meaning).map(([letter, [text, state]]) => (
          <span key={letter}>
            <b className={`cell ${state ? toneOf(state) : letter === 'X' ? 'never' : ''}`}>{letter}</b> {text}
          </span>
        ))}
      </p>
    </>
  );
}

/** The head of a matrix, and keys that move in it. */
function Frame({ clusters, first, children }: { clusters: Page['clusters']; first: string; children: ReactNode }) {
  const zones: { zone: string; n: number }[] = [];
  for (const c of clusters) {
    const last = zones.at(-1);
    if (last?.zone === c.zone) last.n++;
    else zones.push({ zone: c.zone, n: 1 });
  }
  function onKeyDown(e: React.KeyboardEvent<HTMLTableElement>) {
    const at = (e.target as HTMLElement).closest('td, th') as HTMLTableCellElement | null;
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[e.key];
    const row = at?.parentElement as HTMLTableRowElement | null;
    if (!at || !row || !step) return;
    e.preventDefault();
    const body = row.parentElement as HTMLTableSectionElement;
    body.rows[row.sectionRowIndex + step[0]]?.cells[at.cellIndex + step[1]]?.querySelector('a')?.focus();
  }
  return (
    <div className="scroll">
      <table role="grid" aria-label="Placement matrix" className="matrix" onKeyDown={onKeyDown}>
        <thead>
          <tr>
            <th scope="col" rowSpan={2}>
              {first}
            </th>
            {zones.map((z, i) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: a zone may come up twice
              <th key={i} scope="colgroup" colSpan={z.n}>
                {z.zone || 'no zone'}
              </th>
            ))}
          </tr>
          <tr>
            {clusters.map((c) => (
              <th key={c.cluster} scope="col">
                {c.cluster}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

function Cells({ clusters, rows }: { clusters: Page['clusters']; rows: Row[] }) {
  const { hrefOf, props } = useBucketLinks();
  return (
    <div {...props}>
      <Frame clusters={clusters} first="Bucket">
        {rows.map((r, i) => (
          <Line key={r.bucket} row={r} clusters={clusters} first={i === 0} hrefOf={hrefOf} />
        ))}
      </Frame>
    </div>
  );
}

/** How long a copy is behind: it goes on where nothing else of a row changes. */
const Old = ({ since }: { since: string }) => span(useNow(5000) - Date.parse(since));

interface LineOf {
  row: Row;
  clusters: Page['clusters'];
  /** Whether the tab key comes to it; the arrows move on from there. */
  first: boolean;
  hrefOf: (bucket: string, search?: object) => string;
}

const Line = memo(function Line({ row, clusters, first, hrefOf }: LineOf) {
  return (
    <tr>
      <th scope="row">
        <a href={hrefOf(row.bucket)} tabIndex={first ? 0 : -1}>
          {row.bucket}
        </a>{' '}
        {row.state !== 'ok' && <State of={row.state} />}
      </th>
      {clusters.map(({ cluster }, n) => {
        const letter = row.cells[n];
        const behind = row.behind.find((b) => b.cluster === cluster);
        const text = cell(row, cluster, letter);
        const [, state] = meaning[letter] ?? ['', ''];
        return (
          <td key={cluster}>
            <a
              href={hrefOf(row.bucket, { tab: 'placement', cluster })}
              className={`cell ${behind ? 'busy' : state ? toneOf(state) : letter === 'X' ? 'never' : ''}`}
              title={text}
              tabIndex={-1}
            >
              <span aria-hidden="true">{letter}</span>
              {behind && (
                <small aria-hidden="true">
                  {count(behind.objects)}
                  {behind.oldest && (
                    <>
                      {' · '}
                      <Old since={behind.oldest} />
                    </>
                  )}
                </small>
              )}
              <span className="sr-only">{text}</span>
            </a>
          </td>
        );
      })}
    </tr>
  );
});
