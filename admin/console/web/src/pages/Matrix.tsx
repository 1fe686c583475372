// biome-ignore-all lint/a11y/noNoninteractiveElementToInteractiveRole: a table that keys move in is a grid
import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { api, type BucketFilter, type Schemas, told } from '../api/client';
import { bytes, count, counted, span } from '../format';
import { Age, CopyCurl, Empty, Failure, Skeleton, State, toneOf } from '../ui/kit';

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
  return (
    <Frame clusters={clusters} first="Bucket">
      {rows.map((r, i) => (
        <tr key={r.bucket}>
          <th scope="row">
            <Link to="/buckets/$bucket" params={{ bucket: r.bucket }} tabIndex={i === 0 ? 0 : -1}>
              {r.bucket}
            </Link>{' '}
            {r.state !== 'ok' && <State of={r.state} />}
          </th>
          {clusters.map((c, n) => {
            const letter = r.cells[n];
            const behind = r.behind.find((b) => b.cluster === c.cluster);
            const text = cell(r, c.cluster, letter);
            const [, state] = meaning[letter] ?? ['', ''];
            return (
              <td key={c.cluster}>
                <Link
                  to="/buckets/$bucket"
                  params={{ bucket: r.bucket }}
                  search={{ tab: 'placement', cluster: c.cluster }}
                  className={`cell ${behind ? 'busy' : state ? toneOf(state) : letter === 'X' ? 'never' : ''}`}
                  title={text}
                  tabIndex={-1}
                >
                  <span aria-hidden="true">{letter}</span>
                  {behind && <small aria-hidden="true">{count(behind.objects)}</small>}
                  <span className="sr-only">{text}</span>
                </Link>
              </td>
            );
          })}
        </tr>
      ))}
    </Frame>
  );
}
