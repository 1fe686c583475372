import { Toast } from '@base-ui/react/toast';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { render, screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import type { ReactNode } from 'react';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Audit } from './pages/Audit';
import { PauseButton, RetryButton, SyncButton } from './pages/actions';
import { Chosen } from './pages/Chosen';
import { Holding } from './pages/Holding';
import { Metrics } from './pages/Metrics';
import { Replication } from './pages/Replication';
import { Routing } from './pages/Routing';
import { TestConnection } from './pages/TestConnection';
import { SessionContext } from './ui/kit';

const at: { search: object } = { search: {} };
let copied: string[] = [];

vi.mock('./pages/Plot', () => ({ default: () => null }));
vi.mock('@tanstack/react-router', async (real) => ({
  ...(await real<object>()),
  getRouteApi: () => ({ useParams: () => ({}), useSearch: () => at.search }),
  useNavigate: () => () => {},
  Link: ({ children }: { children: ReactNode }) => <a href="/">{children}</a>,
}));

beforeEach(() => {
  copied = [];
  at.search = {};
  vi.stubGlobal('fetch', () => new Promise(() => {}));
});

afterEach(() => vi.unstubAllGlobals());

function shown(page: ReactNode, data: [unknown[], unknown][] = []) {
  const client = new QueryClient({ defaultOptions: { queries: { staleTime: Number.POSITIVE_INFINITY, refetchInterval: false } } });
  for (const [key, value] of data) client.setQueryData(key, value);
  render(
    <SessionContext value={{ user: 'x', role: 'admin', how: 'password', expires: null, sign_out: '', session: '', why: '', data: 'none', s3: '' }}>
      <QueryClientProvider client={client}>
        <Toast.Provider>{page}</Toast.Provider>
      </QueryClientProvider>
    </SessionContext>,
  );
  const user = userEvent.setup();
  vi.spyOn(navigator.clipboard, 'writeText').mockImplementation(async (text) => void copied.push(text));
  return user;
}

const card = (name: string) => within(screen.getByRole('region', { name }));
const url = (command: string) => new URL(/'(http:[^']+)'/.exec(command)?.[1] ?? '');

describe('what is copied as curl', () => {
  it('does what buttons do that ask nothing first', async () => {
    const user = shown(
      <>
        <SyncButton bucket="b" />
        <RetryButton />
        <PauseButton paused />
      </>,
    );
    for (const what of ['Sync', 'Retry all', 'Resume']) await user.click(screen.getByRole('button', { name: `Copy ${what} as curl` }));
    expect(copied).toEqual([
      "curl -X POST 'http://localhost:2019/fado/buckets/b/sync'",
      "curl -X POST 'http://localhost:2019/fado/replication/failures/retry'",
      "curl -X POST 'http://localhost:2019/fado/replication/resume'",
    ]);
  });
  it('is a command for each bucket that is chosen', async () => {
    const user = shown(<Chosen names={['a', 'b']} none={() => {}} />);
    await user.click(screen.getByRole('button', { name: 'Sync 2 buckets' }));
    await user.click(await screen.findByRole('button', { name: 'Copy as curl' }));
    expect(copied).toEqual(["curl -X POST 'http://localhost:2019/fado/buckets/a/sync'\ncurl -X POST 'http://localhost:2019/fado/buckets/b/sync'"]);
    await user.click(screen.getByRole('button', { name: 'Cancel' }));
    await user.click(screen.getByRole('button', { name: 'Verify 2 buckets' }));
    await user.click(await screen.findByRole('checkbox', { name: 'Read the bytes again' }));
    await user.click(screen.getByRole('button', { name: 'Copy as curl' }));
    expect(copied[1].split('\n')[1]).toBe("curl -X POST 'http://localhost:2019/fado/buckets/b/verify?deep=true'");
  });
  it('has no secret in it', async () => {
    const cluster = {
      name: 'c',
      zones: ['eu'],
      storage: { endpoint: 'https://s3', access_key: 'hush', secret_key: 'hush', virtual_host: true },
      functions: [
        { url: 'https://f', header: [{ name: 'Authorization', value: 'hush' }] },
        { url: 'https://g', sign: { type: 'aws', secret_key: '{env.KEY}', session_token: 'hush' } },
      ],
    };
    const user = shown(<TestConnection of={cluster} />);
    await user.click(screen.getByRole('button', { name: 'Copy Test connection as curl' }));
    expect(copied[0]).not.toContain('hush');
    expect(copied[0]).toContain('/fado/clusters/check');
    expect(JSON.parse(/-d '(.*)'$/.exec(copied[0])?.[1] ?? '')).toEqual({
      ...cluster,
      storage: { ...cluster.storage, access_key: '***', secret_key: '***' },
      functions: [
        { url: 'https://f', header: [{ name: 'Authorization', value: '***' }] },
        { url: 'https://g', sign: { type: 'aws', secret_key: '{env.KEY}', session_token: '***' } },
      ],
    });
  });
  it('reads what the cards of a page show', async () => {
    const purge = { bucket: 'b', mode: 'all', clusters: [], error: '', next_attempt: null, since: null };
    let user = shown(<Replication />, [[['replication', 'purges'], [purge]]]);
    for (const name of ['Failures', 'Purges', 'Queue']) await user.click(card(name).getByRole('button', { name: 'Copy as curl' }));
    expect(copied.map((c) => url(c).pathname + url(c).search)).toEqual([
      '/fado/replication/failures?limit=200',
      '/fado/replication/purges',
      '/fado/buckets?order=pending&limit=20',
    ]);
    user = shown(<Holding cluster="c1" />);
    await user.click(card('Buckets here').getByRole('button', { name: 'Copy as curl' }));
    expect(url(copied[3]).search).toBe('?cluster=c1&limit=200');
  });
  it('is of what is filtered and of the range that is shown', async () => {
    at.search = { kind: 'change', bucket: 'b', how: undefined };
    let user = shown(<Audit />);
    await user.click(screen.getByRole('button', { name: 'Copy as curl' }));
    expect(url(copied[0]).search).toBe('?kind=change&bucket=b&newest=true&limit=200');
    document.body.innerHTML = '';
    at.search = { range: '6h', node: 'n1' };
    user = shown(<Metrics />);
    await user.click(screen.getByRole('button', { name: 'Copy as curl' }));
    const asked = url(copied[1]).searchParams;
    expect([asked.get('node'), asked.get('step')]).toEqual(['n1', '60']);
    expect(Math.round((Date.now() - Date.parse(asked.get('from') ?? '')) / 60_000)).toBe(360);
    expect(asked.getAll('series')).toContain('lag.p50');
  });
  it('has what was decided lately', async () => {
    const series = ['decisions.local', 'decisions.remote', 'decisions.none', 'rejections', 'rejections.'];
    const user = shown(<Routing />, [[['history', '15m', 'all', series], { from: '', step: 10, series: [] }]]);
    await user.click(card('Lately').getByRole('button', { name: 'Copy as curl' }));
    expect(url(copied[0]).searchParams.getAll('series')).toEqual(series);
  });
});
