import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query';
import { getRouteApi, useNavigate } from '@tanstack/react-router';
import { api, mount, type Schemas, told } from '../api/client';
import { bytes, count, counted, queryOf } from '../format';
import { Card, CopyCurl, Empty, Failure, Page, Skeleton, Table, useSession, useWritten, When } from '../ui/kit';

type Record = Schemas['Audit'];

const here = getRouteApi('/audit');
const pageSize = 200;
const kinds = ['change', 'allowed', 'copy', 'pull', 'invocations', 'refused', 'session', 'action', 'checkpoint'] as const;

const roles = ['viewer', 'operator', 'admin'] as const;
const ways = ['password', 'token', 'link', 'identity', 'endpoint'] as const;
const results = ['done', 'refused', 'failed'] as const;

export type AuditFilter = {
  kind?: (typeof kinds)[number];
  bucket?: string;
  role?: (typeof roles)[number];
  how?: (typeof ways)[number];
  result?: (typeof results)[number];
};

export function Audit() {
  const admin = useSession().role === 'admin';
  return (
    <Page
      title="Audit"
      actions={
        admin && (
          <>
            <Export />
            <CopyRecords />
          </>
        )
      }
      lead={admin && <Exported />}
    >
      {admin ? <Records /> : <Empty title="Audit records are for admins">Sign in with that role to read them.</Empty>}
    </Page>
  );
}

/** The records that are shown, of all pages: all where nothing is filtered. */
function Export() {
  const query = queryOf(here.useSearch()).toString();
  return (
    <a
      className="button"
      href={`${mount}/api/fado/audit/export${query && `?${query}`}`}
      download={query ? 'audit-part.ndjson' : 'audit.ndjson'}
      aria-describedby={query ? exported : undefined}
    >
      Export
    </a>
  );
}

const exported = 'exported';

/** What an export of a part is not good for. */
function Exported() {
  return (
    queryOf(here.useSearch()).size > 0 && (
      <p id={exported} className="quiet">
        Export has what matches the filters. Only all records together are a chain that can be verified: clear the filters to export those.
      </p>
    )
  );
}

function CopyRecords() {
  const search = here.useSearch() as AuditFilter;
  return <CopyCurl path={`/fado/audit?${queryOf({ ...search, newest: 'true', limit: `${pageSize}` })}`} />;
}

function Records() {
  const filter = here.useSearch();
  const navigate = useNavigate({ from: '/audit' });
  const bucket = useWritten(filter.bucket);
  const set = (change: AuditFilter) => navigate({ search: (now: AuditFilter) => ({ ...now, ...change }), replace: true });
  const list = useInfiniteQuery({
    queryKey: ['audit', filter],
    queryFn: ({ pageParam, signal }) => auditPage({ ...filter, newest: 'true', limit: pageSize, ...(pageParam && { before: pageParam }) }, signal),
    initialPageParam: '',
    getNextPageParam: (last) => last.next,
    placeholderData: keepPreviousData,
    refetchInterval: 15_000,
  });
  const records = list.data?.pages.flatMap((p) => p.records);
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
        <Choice label="Role" of={roles} is={filter.role} set={(role) => set({ role })} />
        <Choice label="Came by" of={ways} is={filter.how} set={(how) => set({ how })} />
        <Choice label="Result" of={results} is={filter.result} set={(result) => set({ result })} />
        <label className="field grow">
          <span>Bucket</span>
          <input
            data-find
            {...bucket}
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
          <Table label="Audit" head={['Number', 'Time', 'Who', 'Role', 'Came by', 'What', 'Result', 'On']}>
            {records.map((r) => (
              <tr key={r.seq}>
                <th scope="row" className="num">
                  {count(r.seq)}
                </th>
                <td className="num">
                  <When day time={r.at} />
                </td>
                <td>{r.actor || 'FaDO'}</td>
                <td>{of(r, 'role')}</td>
                <td>{of(r, 'how')}</td>
                <td>
                  {sentence(r)}
                  {(r.kind === 'change' || r.kind === 'action') && of(r, 'address') && <p className="quiet">from {of(r, 'address')}</p>}
                  {of(r, 'request') && <p className="quiet">request {of(r, 'request')}</p>}
                </td>
                <td>{resultOf(r)}</td>
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

/** A filter with few values. */
function Choice<T extends string>({ label, of: values, is, set }: { label: string; of: readonly T[]; is?: T; set: (to?: T) => void }) {
  return (
    <label className="field">
      <span>{label}</span>
      <select value={is ?? ''} onChange={(e) => set((e.target.value || undefined) as T | undefined)}>
        <option value="">any</option>
        {values.map((v) => (
          <option key={v}>{v}</option>
        ))}
      </select>
    </label>
  );
}

/** A page of records, and the number behind which the next one begins. */
async function auditPage(query: object, signal: AbortSignal) {
  const call = await api.GET('/fado/audit', { params: { query }, signal });
  const records = await told(Promise.resolve(call));
  const next = /[?&]before=(\d+)/.exec(call.response.headers.get('Link') ?? '')?.[1];
  return { records, next };
}

/** What the body of a record says; '' for nothing. */
const of = (r: Record, field: string) => String((r.body as { [field: string]: unknown })[field] ?? '');

/** What became of what a record tells. */
export function resultOf(r: Record): (typeof results)[number] {
  if (r.kind === 'refused' || (r.kind === 'session' && of(r, 'event') === 'sign-in-failed')) return 'refused';
  return r.kind === 'action' && of(r, 'state') === 'failed' ? 'failed' : 'done';
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
      return session(b);
    case 'action':
      return `${r.actor.replace(/^console /, '') || 'FaDO'} ${done(b)}${b.state === 'failed' ? `, which failed with status ${b.status}` : ''}`;
    case 'checkpoint':
      return `checkpoint behind ${counted(Number(b.size), 'record')}`;
    default:
      return r.kind;
  }
}

/** What people had done: "applied the held deletes of reports". */
function done(b: { [field: string]: unknown }): string {
  const w = (b.with ?? {}) as { [parameter: string]: string };
  switch (b.action) {
    case 'sync-bucket':
      return `had ${b.name} compared and synced`;
    case 'verify-bucket':
      return `had ${b.name} verified${w.deep === 'true' ? ', its bytes too' : ''}`;
    case 'confirm-deletes':
      return `applied the held deletes of ${b.name}`;
    case 'reject-deletes':
      return `rejected the held deletes of ${b.name}`;
    case 'resolve-conflicts':
      return `decided ${w.keys === 'one' ? 'a conflict' : 'all conflicts'} of ${b.name} for ${w.winner}${w.discard === 'true' ? ', discarding what loses' : ''}`;
    case 'release-history':
      return `removed the older versions of ${b.name} in ${w.cluster}`;
    case 'trust-side':
      return `said that ${w.cluster} is right about ${b.name}`;
    case 'delete-bucket':
      return `had ${w.purge === 'copies' ? 'all copies but the primary' : 'all data'} of ${b.name} removed`;
    case 'delete-cluster':
      return `gave up ${b.name} and what only its storage had`;
    case 'retry-failures':
      return 'had all failures retried';
    case 'pause-replication':
      return 'paused replication';
    case 'resume-replication':
      return 'resumed replication';
    case 'rebalance':
      return 'began a rebalance';
    case 'stop-rebalance':
      return 'stopped the rebalance';
    case 'make-link':
      return `made a sign-in link with the role ${w.role}`;
    default:
      return [b.action, b.resource, b.name].filter(Boolean).join(' ');
  }
}

/** What became of a session or a token, or who was not let in. */
function session(b: { [field: string]: unknown }): string {
  switch (b.event) {
    case 'signed-in':
      return `${b.user} signed in as ${b.role}, by ${b.how}, from ${b.address}`;
    case 'signed-out':
      return b.user ? `${b.user} signed out as ${b.role}, by ${b.how}, from ${b.address}` : `session ${b.session} ended, from ${b.address}`;
    case 'sign-in-failed':
      return `sign-in ${b.user ? `as ${b.user} ` : ''}failed, by ${b.how}, from ${b.address}`;
    case 'token-made':
      return `token ${b.user} made, with the role ${b.role}, from ${b.address}`;
    case 'token-revoked':
      return `token ${b.session} revoked, from ${b.address}`;
    case 'url-signed':
      return `${b.user} may ${b.operation} ${b.key} of ${b.bucket} by a URL, from ${b.address}`;
    default:
      return `${b.event}, from ${b.address}`;
  }
}
