// biome-ignore-all lint/a11y/noNoninteractiveElementToInteractiveRole: a table that keys move in is a grid
import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query';
import { memo, type ReactNode } from 'react';
import { api, type BucketFilter, type Schemas, told } from '../api/client';
import { bytes, count, counted, span } from '../format';
import { Age, CopyCurl, Empty, Failure, Skeleton, State, toneOf } from '../ui/kit';
import { useBucketLinks } from '../ui/links';

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

/** Which cluster holds what, and how fresh. */
export default function Matrix({ filter }: { filter: BucketFilter }) {
  const list = useInfiniteQuery({
    queryKey: ['buckets', 'matrix', filter],
    queryFn: ({ pageParam, signal }) => {
      const query = Object.fromEntries(Object.entries({ ...filter, after: pageParam }).filter(([, v]) => v));
      return told(api.GET('/fado/matrix', { params: { query: { ...query, limit: pageSize } }, signal }));
    },
    initialPageParam: '',
    getNextPageParam: (last) => last.next || undefined,
    placeholderData: keepPreviousData,
    refetchInterval: 15_000,
  });
  if (!list.data) return list.error ? <Failure error={list.error} retry={list.refetch} /> : <Skeleton rows={10} />;
  const { clusters } = list.data.pages[0];
  const rows = list.data.pages.flatMap((p) => p.rows);
  if (rows.length === 0) return <Empty title="No bucket matches" />;
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
          <Age at={list.dataUpdatedAt} />{' '}
          <CopyCurl path={`/fado/matrix?${new URLSearchParams(Object.entries(filter).filter((e): e is [string, string] => Boolean(e[1])))}`} />
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
  const links = useBucketLinks();
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
    <div className="scroll" {...links.props}>
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
  const { hrefOf } = useBucketLinks();
  return (
    <Frame clusters={clusters} first="Bucket">
      {rows.map((r, i) => (
        <Line key={r.bucket} row={r} clusters={clusters} first={i === 0} hrefOf={hrefOf} />
      ))}
    </Frame>
  );
}

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
              {behind && <small aria-hidden="true">{count(behind.objects)}</small>}
              <span className="sr-only">{text}</span>
            </a>
          </td>
        );
      })}
    </tr>
  );
});
