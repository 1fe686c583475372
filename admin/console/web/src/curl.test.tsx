import { cleanup, screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import type { ReactNode } from 'react';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Audit } from './pages/Audit';
import { PauseButton, RetryButton, SyncButton } from './pages/actions';
import { Chosen } from './pages/Chosen';
import { Holding } from './pages/Holding';
import { Metrics } from './pages/Metrics';
import { Planned } from './pages/Plan';
import { Replication } from './pages/Replication';
import { Routing } from './pages/Routing';
import { TestConnection } from './pages/TestConnection';
import { shown as draw, type Read } from './testing';
import { at } from './testrouter';

let copied: string[] = [];

vi.mock('./pages/Plot', () => ({ default: () => null }));
vi.mock('@tanstack/react-router', async (real) => (await import('./testrouter')).routerOf(await real()));

beforeEach(() => {
  copied = [];
  at.search = {};
  vi.stubGlobal('fetch', () => new Promise(() => {}));
});

afterEach(() => vi.unstubAllGlobals());

/** A page, and who presses its buttons: what is copied is kept. */
function shown(page: ReactNode, data?: Read) {
  draw(page, data);
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
  it('keeps what is no secret, and what names the place of one', async () => {
    const cluster = {
      name: 'c',
      storage: { endpoint: 'https://s3', access_key: '{env.ID}', secret_key: '{hush}' },
      functions: [
        {
          url: 'https://f',
          header: [
            { name: 'X-Tenant', value: 'acme' },
            { name: 'Authorization', value: 'Bearer {env.TOKEN}' },
            { name: 'X-Api-Key', value: 'hush' },
          ],
          sign: { type: 'aws', access_key: 'AKIA', secret_key: 'hush {' },
        },
      ],
    };
    const user = shown(<TestConnection of={cluster} />);
    await user.click(screen.getByRole('button', { name: 'Copy Test connection as curl' }));
    const { storage, functions } = JSON.parse(/-d '(.*)'$/.exec(copied[0])?.[1] ?? '');
    expect(storage).toEqual({ ...cluster.storage, secret_key: '***' });
    expect(functions[0].header.map((h: { value: string }) => h.value)).toEqual(['acme', 'Bearer {env.TOKEN}', '***']);
    expect(functions[0].sign).toEqual({ type: 'aws', access_key: 'AKIA', secret_key: '***' });
  });
  it('has none of a plan either, and says what to do about it', async () => {
    const cluster = { name: 'c', zones: ['eu'], storage: { endpoint: 'https://s3', access_key: '***', secret_key: 'hush' }, functions: [] };
    const planned = (doc: object) => draw(<Planned title="New" doc={doc as never} ask="Preview" verb={() => 'Apply'} done="" onClose={() => {}} />);
    const user = shown(<Planned title="New" doc={{ fado: 1, clusters: [cluster] } as never} ask="Preview" verb={() => 'Apply'} done="" onClose={() => {}} />);
    await user.click(screen.getByRole('button', { name: 'Copy as curl' }));
    expect(JSON.parse(/-d '(.*)'$/.exec(copied[0])?.[1] ?? '').clusters[0].storage).toEqual({ endpoint: 'https://s3', access_key: '***', secret_key: '***' });
    expect(screen.getByText(/^The command has \*\*\* where secrets are/)).toBeVisible();
    cleanup();
    planned({ fado: 1, clusters: [{ ...cluster, storage: { ...cluster.storage, secret_key: '***' } }] });
    expect(screen.queryByText(/^The command has/)).toBeNull();
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
    const exported = screen.getByRole('link', { name: 'Export' });
    expect(exported.getAttribute('href')).toMatch(/\/audit\/export\?kind=change&bucket=b$/);
    expect(exported).toHaveAccessibleDescription(/^Export has what matches the filters\. Only all records together/);
    cleanup();
    at.search = {};
    shown(<Audit />);
    expect(screen.getByRole('link', { name: 'Export' }).getAttribute('href')).toMatch(/\/audit\/export$/);
    expect(screen.queryByText(/^Export has/)).toBeNull();
    cleanup();
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
