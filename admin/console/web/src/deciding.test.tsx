import { Toast } from '@base-ui/react/toast';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { render, screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import type { ReactNode } from 'react';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Bucket } from './pages/Bucket';
import { Overview } from './pages/Overview';
import { OnlineContext, SessionContext } from './ui/kit';

vi.mock('./pages/Plot', () => ({ default: () => null }));
vi.mock('@tanstack/react-router', async (real) => ({
  ...(await real<object>()),
  getRouteApi: () => ({ useParams: () => ({ bucket: 'b' }), useSearch: () => ({}) }),
  useNavigate: () => () => {},
  Link: ({ children, to, params: _, search, ...rest }: { children: ReactNode; to: string; params?: object; search?: object }) => (
    <a href={`${to}?${new URLSearchParams(search as Record<string, string>)}`} {...rest}>
      {children}
    </a>
  ),
}));

beforeEach(() => {
  vi.stubGlobal('fetch', () => new Promise(() => {}));
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

type Read = [unknown[], unknown][];

/** A page, and what makes it lose FaDO and find it again. */
function shown(page: ReactNode, data: Read = [], role: 'operator' | 'admin' = 'admin') {
  const client = new QueryClient({ defaultOptions: { queries: { staleTime: Number.POSITIVE_INFINITY, refetchInterval: false } } });
  for (const [key, value] of data) client.setQueryData(key, value);
  const whole = (online: boolean) => (
    <SessionContext value={{ user: 'x', role, how: 'password', expires: null, sign_out: '', session: '', why: '', data: 'none', s3: '' }}>
      <OnlineContext value={online}>
        <QueryClientProvider client={client}>
          <Toast.Provider>{page}</Toast.Provider>
        </QueryClientProvider>
      </OnlineContext>
    </SessionContext>
  );
  const { rerender } = render(whole(true));
  return (online: boolean) => rerender(whole(online));
}

const reason = (code: string, action: string, text = code, cluster = '') => ({ code, action, text, cluster, since: null });
const copy = (cluster: string, role: string, objects: number, size: number) => ({
  ...{ cluster, role, state: 'synced', objects, bytes: size, zone: '', error: '', cursor: '', losses: [], verified_at: null },
  pending: { objects: 0, bytes: 0, oldest: null },
});
const copies = [copy('c1', 'primary', 10, 2048), copy('c2', 'copy', 9, 1024), copy('c3', 'copy', 1, 1024)];
const bucket = (of: object) => ({ name: 'b', origin: 'api', status: { state: 'stuck', reasons: [], copies, conflicts: 0, primary: 'c1', ...of } });

describe('a bucket with several reasons', () => {
  const reasons = [reason('held-deletes', 'confirm-deletes', '1,000 deletes wait'), reason('copy-failed', 'sync-bucket'), reason('failing', 'retry-failures')];
  it('has the help of each, and that of held deletes on their tab', () => {
    shown(<Bucket />, [[['bucket', 'b'], bucket({ reasons })]]);
    const why = screen.getByRole('region', { name: 'Why' });
    expect(within(why).getByRole('button', { name: 'Sync' })).toBeVisible();
    expect(within(why).getByRole('button', { name: 'Retry all' })).toBeVisible();
    expect(screen.queryByRole('button', { name: 'Apply the deletes' })).toBeNull();
    const alert = screen.getByRole('alert');
    expect(within(alert).getByRole('link', { name: 'Decide about the deletes' })).toHaveAttribute('href', '/buckets/$bucket?tab=deletes');
  });
});

describe('what needs people', () => {
  const summary = (...attention: object[]) => ({
    ...{ at: new Date().toISOString(), status: 'degraded', counts: { buckets: 1, clusters: 0 }, clusters: [], more: 0, attention },
    buckets: { ok: 0, syncing: 0, stuck: 1, conflict: 0 },
  });
  const listed = () => screen.getByRole('list', { name: 'Attention' });
  it('has the help of each reason, once', () => {
    const reasons = [
      reason('held-deletes', 'confirm-deletes'),
      reason('conflicts', 'resolve-conflicts'),
      reason('failing', 'retry-failures', 'in c1'),
      reason('failing', 'retry-failures', 'in c2'),
      reason('hidden', 'release-history', 'hidden', 'c2'),
    ];
    shown(<Overview />, [[['summary'], summary({ kind: 'bucket', name: 'b', state: 'stuck', reasons })]]);
    expect(within(listed()).getByRole('link', { name: 'Decide about the deletes' })).toHaveAttribute('href', '/buckets/$bucket?tab=deletes');
    expect(within(listed()).getByRole('link', { name: 'Decide about the conflicts' })).toHaveAttribute('href', '/buckets/$bucket?tab=conflicts');
    expect(within(listed()).getAllByRole('button', { name: 'Retry all' })).toHaveLength(1);
    expect(within(listed()).getByRole('button', { name: 'Remove the older versions' })).toBeVisible();
    expect(within(listed()).queryByRole('link', { name: 'Look' })).toBeNull();
  });
  it('leads to the bucket where no reason has help', () => {
    shown(<Overview />, [[['summary'], summary({ kind: 'bucket', name: 'b', state: 'stuck', reasons: [reason('no-room', '')] })]]);
    expect(within(listed()).getByRole('link', { name: 'Look' })).toHaveAttribute('href', '/buckets/$bucket?');
  });
  it('names the bucket of a purge', () => {
    shown(<Overview />, [[['summary'], summary({ kind: 'purge', name: 'gone', state: 'failed', reasons: [reason('purge-failing', '')] })]]);
    expect(listed()).toHaveTextContent('Bucket gone, which is being removed');
    expect(within(listed()).getByRole('link', { name: 'Look at the purge of gone' })).toHaveAttribute('href', '/replication?');
    expect(within(listed()).queryByRole('link', { name: 'Replication' })).toBeNull();
  });
});
