import { cleanup, screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import type { ReactNode } from 'react';
import { beforeEach, expect, it, vi } from 'vitest';
import { Policies, Zones } from './pages/Catalogue';
import { Clusters } from './pages/Clusters';
import { Events } from './pages/Events';
import { Replication } from './pages/Replication';
import { shown as draw, type Read } from './testing';

vi.mock('@tanstack/react-router', async (real) => (await import('./testrouter')).routerOf(await real()));

beforeEach(() => {
  vi.stubGlobal('fetch', () => new Promise(() => {}));
  return () => vi.unstubAllGlobals();
});

/** A page as viewers see it, with what is already read. */
const shown = (page: ReactNode, ...data: Read) => draw(page, data, { role: 'viewer' });

it('zones are shown as text to viewers, too', async () => {
  shown(<Zones />, [
    ['zones'],
    [
      { name: 'eu', origin: 'api' },
      { name: 'eu-de', parent: 'eu', origin: 'api' },
    ],
  ]);
  const row = within(screen.getByRole('row', { name: /eu-de in eu/ }));
  await userEvent.click(row.getByText('Show'));
  await userEvent.click(row.getByText('As Caddyfile'));
  expect(row.getByText(/^zone eu-de/)).toHaveTextContent('zone eu-de');
  await userEvent.click(row.getByText('As JSON'));
  expect(row.getByText(/"parent": "eu"/)).toBeVisible();
});

it('policies tell how many buckets use each', () => {
  const policies = [{ name: 'gold' }, { name: 'none' }];
  shown(<Policies />, [['policies'], policies], [['facets', {}], { policies: [{ value: 'gold', buckets: 90_000 }] }]);
  expect(screen.getByRole('link', { name: '90,000 buckets of gold' })).toBeVisible();
  expect(screen.getByRole('link', { name: '0 buckets of none' })).toBeVisible();
});

it('policies tell how many copies are in which state', () => {
  const sum = (policy: string, cluster: string, of: object) => ({
    policy,
    cluster,
    synced: 0,
    syncing: 0,
    waiting: 0,
    draining: 0,
    removing: 0,
    failed: 0,
    ...of,
  });
  const copies = [sum('gold', 'c1', { synced: 1000 }), sum('gold', 'c2', { synced: 900, failed: 100 }), sum('', 'c1', { removing: 5 })];
  shown(<Policies />, [['policies'], [{ name: 'gold' }, { name: 'none' }]], [['summary', 'copies'], copies]);
  expect(screen.getByRole('row', { name: /^gold/ })).toHaveTextContent(/1,900 synced100 failed$/);
  expect(screen.getByRole('row', { name: /^none/ })).toHaveTextContent(/none$/);
});

it('events say which they are, and where older ones are', () => {
  const event = (seq: number) => ({ seq, time: '2026-01-02T03:04:05Z', type: 'storage', cluster: 'c1', state: 'up' });
  const read = (n: number): Read => [
    [['summary'], { node: 'n1' }],
    [['clusters'], []],
    [['events', {}], Array.from({ length: n }, (_, i) => event(i + 1))],
  ];
  shown(<Events />, ...read(2));
  expect(screen.getByRole('note')).toHaveTextContent(
    /^What instance n1 saw and keeps, from .*4:05.* on, as far as this page has read\. It keeps none over a restart/,
  );
  expect(screen.getByRole('note')).toHaveTextContent('Admins find what is older in the audit.');
  cleanup();
  draw(<Events />, read(1000));
  expect(screen.getByRole('note')).toHaveTextContent(/^The last 1,000 events that instance n1 saw/);
  expect(within(screen.getByRole('note')).getByRole('link', { name: 'audit' })).toHaveAttribute('href', expect.stringContaining('/audit'));
});

it('lists that are empty say why, or what to do', async () => {
  shown(<Clusters />, [['summary'], { clusters: [] }], [['clusters'], []]);
  expect(screen.getByText('No cluster yet').parentElement).toHaveTextContent('make one with New cluster');
  cleanup();
  shown(<Replication />, [['replication', 'failures', ''], { items: [], next: '', total: 0 }]);
  expect(screen.getByText('No failure').parentElement).toHaveTextContent('tried again by itself');
});
