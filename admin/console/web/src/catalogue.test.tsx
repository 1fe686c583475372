import { cleanup, screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import type { ReactNode } from 'react';
import { beforeEach, expect, it, vi } from 'vitest';
import { Policies, Zones } from './pages/Catalogue';
import { Clusters } from './pages/Clusters';
import { Replication } from './pages/Replication';
import { type Read, shown as draw } from './testing';

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

it('lists that are empty say why, or what to do', async () => {
  shown(<Clusters />, [['summary'], { clusters: [] }], [['clusters'], []]);
  expect(screen.getByText('No cluster yet').parentElement).toHaveTextContent('make one with New cluster');
  cleanup();
  shown(<Replication />, [['replication', 'failures'], []]);
  expect(screen.getByText('No failure').parentElement).toHaveTextContent('tried again by itself');
});
