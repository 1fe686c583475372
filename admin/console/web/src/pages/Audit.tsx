import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query';
import { getRouteApi, useNavigate } from '@tanstack/react-router';
import { api, mount, type Schemas, told } from '../api/client';
import { bytes, count, counted } from '../format';
import { Card, CopyCurl, Empty, Failure, Page, Skeleton, Table, useSession } from '../ui/kit';

type Record = Schemas['Audit'];

const here = getRouteApi('/audit');
const pageSize = 200;
const kinds = ['change', 'allowed', 'copy', 'pull', 'invocations', 'refused', 'session', 'checkpoint'] as const;

export type AuditFilter = { kind?: (typeof kinds)[number]; bucket?: string };

export function Audit() {
  const admin = useSession().role === 'admin';
  return (
    <Page
      title="Audit"
      actions={
        admin && (
          <>
            <a className="button" href={`${mount}/api/fado/audit/export`} download="audit.ndjson">
              Export
            </a>
            <CopyCurl path="/fado/audit?newest=true" />
          </>
        )
      }
    >
      {admin ? <Records /> : <Empty title="Audit records are for admins">Sign in with that role to read them.</Empty>}
    </Page>
  );
}

function Records() {
  const filter = here.useSearch();
  const navigate = useNavigate({ from: '/audit' });
  const set = (change: AuditFilter) => navigate({ search: (now: AuditFilter) => ({ ...now, ...change }), replace: true });
  const list = useInfiniteQuery({
    queryKey: ['audit', filter],
    queryFn: ({ pageParam, signal }) =>
      told(api.GET('/fado/audit', { params: { query: { ...filter, newest: 'true', limit: pageSize, ...(pageParam && { before: pageParam }) } }, signal })),
    initialPageParam: '',
    getNextPageParam: (last) => (last.length === pageSize ? String(last.at(-1)?.seq) : undefined),
    placeholderData: keepPreviousData,
    refetchInterval: 15_000,
  });
  const records = list.data?.pages.flat();
  return (
    <>
      <search className="filters">
        <label className="field">
          <span>Kind</span>
          <select value={filter.kind ?? ''} onChange={(e) => set({ kind: (e.target.value || undefined) as AuditFilter['kind'] })}>
            <option value="">any</option>
            {kinds.map((k) => (
              <option key={k}>{k}</option>
            ))}
          </select>
        </label>
        <label className="field grow">
          <span>Bucket</span>
          <input
            data-find
            defaultValue={filter.bucket ?? ''}
            placeholder="its whole name, then Enter"
            spellCheck={false}
            onKeyDown={(e) => e.key === 'Enter' && set({ bucket: e.currentTarget.value.trim() || undefined })}
            onBlur={(e) => set({ bucket: e.target.value.trim() || undefined })}
          />
        </label>
      </search>
      {list.error && <Failure error={list.error} retry={list.refetch} />}
      {records === undefined ? (
        !list.error && <Skeleton rows={10} />
      ) : records.length === 0 ? (
        <Empty title={Object.values(filter).some(Boolean) ? 'No record matches' : 'No record yet'}>The option audit off of the configuration makes none.</Empty>
      ) : (
        <Card label="Audit" flush>
          <Table label="Audit" head={['Number', 'Time', 'Who', 'What', 'On']}>
            {records.map((r) => (
              <tr key={r.seq}>
                <th scope="row" className="num">
                  {count(r.seq)}
                </th>
                <td className="num">
                  <time dateTime={r.at}>{new Date(r.at).toLocaleString()}</time>
                </td>
                <td>{r.actor || 'FaDO'}</td>
                <td>{sentence(r)}</td>
                <td>{r.node}</td>
              </tr>
            ))}
          </Table>
          {list.hasNextPage && (
            <p className="card-foot">
              <button type="button" className="button" onClick={() => list.fetchNextPage()}>
                Older records
              </button>
            </p>
          )}
        </Card>
      )}
    </>
  );
}

/** Which fields changed: ": copies 2 → 1". */
function changes(diff: unknown): string {
  const fields = (diff ?? []) as { field: string; from: string; to: string }[];
  return fields.length === 0 ? '' : `: ${fields.map((f) => `${f.field} ${f.from || 'none'} → ${f.to || 'none'}`).join(', ')}`;
}

/** A record as a sentence. */
export function sentence(r: Record): string {
  const b = r.body as { [field: string]: unknown };
  switch (r.kind) {
    case 'change':
      return `${b.resource} ${b.name} ${b.action}${changes(b.diff)}`;
    case 'allowed':
      return `policy ${b.policy} allows ${(b.clusters as string[]).join(', ') || 'no cluster'}`;
    case 'copy':
      return `copy of ${b.bucket}${b.prefix ? ` below ${b.prefix}` : ''} in ${b.to} ${b.event}${b.from ? `, from ${b.from}` : ''}${
        b.event === 'synced' || b.event === 'carried' ? `: ${counted(Number(b.objects), 'object')}, ${bytes(Number(b.bytes))}` : ''
      }`;
    case 'pull':
      return `${counted(Number(b.objects), 'object')} of ${b.bucket} copied on demand to ${b.to}, from ${b.from}: ${bytes(Number(b.bytes))}`;
    case 'invocations':
      return `${counted(Number(b.count), 'invocation')} on ${b.others ? `other buckets of policy ${b.policy}` : b.bucket}${b.prefix ? ` below ${b.prefix}` : ''} in ${b.run}${
        b.read ? `, reading from ${b.read}` : ''
      }`;
    case 'refused':
      return `${counted(Number(b.count), 'refusal')} by ${b.by}: policy ${b.policy} does not allow ${b.others ? 'other buckets' : b.bucket}${b.prefix ? ` below ${b.prefix}` : ''}${
        b.cluster ? ` in ${b.cluster}` : ' anywhere that was left'
      }`;
    case 'session':
      return `${b.user} ${b.event === 'signed-in' ? 'signed in' : 'signed out'} as ${b.role}, by ${b.how}, from ${b.address}`;
    case 'checkpoint':
      return `checkpoint behind ${counted(Number(b.size), 'record')}`;
    default:
      return r.kind;
  }
}
