import { fireEvent, screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import type { ReactNode } from 'react';
import { describe, expect, it, vi } from 'vitest';
import { behindOf } from './behind';
import { verbOf } from './Palette';
import { AllowedBriefly, AllowedClusters } from './pages/Allowed';
import { Promotion, syncOf } from './pages/Bucket';
import { Chosen, ofEach } from './pages/Chosen';
import { clockOf } from './pages/Clusters';
import { Conflicts, fate, losers, newest } from './pages/Conflicts';
import { motion, pace } from './pages/Edges';
import Edit, { itemOf } from './pages/Edit';
import { flowsWith } from './pages/Flowing';
import { course, share } from './pages/Held';
import { behindIn, whyBehind } from './pages/ObjectDialog';
import { Queue } from './pages/Queue';
import { shown as draw, type Read } from './testing';
import { Confirm } from './ui/kit';

vi.mock('@tanstack/react-router', async (real) => (await import('./testrouter')).routerOf(await real()));

/** A page as operators see it. */
const shown = (page: ReactNode, data?: Read, role: 'viewer' | 'operator' | 'admin' = 'operator') => draw(page, data, { role });

describe('buckets that are chosen', () => {
  it('are asked for one by one, and those that refuse are told', async () => {
    let now = 0;
    let most = 0;
    const ask = async (name: string) => {
      most = Math.max(most, ++now);
      await Promise.resolve();
      now--;
      if (name === 'b3') throw new Error('no such bucket');
    };
    const names = Array.from({ length: 10 }, (_, i) => `b${i}`);
    expect(await ofEach(names, ask)).toEqual(['b3: no such bucket']);
    expect(most).toBeLessThanOrEqual(4);
    await expect(ofEach(['b3'], ask)).rejects.toThrow('b3: no such bucket');
  });
  it('are synced by operators, verified after a question, and neither by viewers', async () => {
    const none = vi.fn();
    const { rerender: _, unmount } = shown(<Chosen names={['a', 'b']} none={none} />);
    await userEvent.click(screen.getByRole('button', { name: 'Sync 2 buckets' }));
    expect(await screen.findByRole('alertdialog', { name: 'Sync 2 buckets' })).toHaveTextContent('by their listings');
    await userEvent.click(screen.getByRole('button', { name: 'Cancel' }));
    await userEvent.click(screen.getByRole('button', { name: 'Verify 2 buckets' }));
    expect(await screen.findByRole('alertdialog', { name: 'Verify 2 buckets' })).toHaveTextContent('Compares every copy');
    unmount();
    shown(<Chosen names={['a']} none={none} />, [], 'viewer');
    expect(screen.getByRole('button', { name: 'Sync 1 bucket' })).toHaveAccessibleDescription('Needs the role operator');
    await userEvent.click(screen.getByRole('button', { name: 'Choose none' }));
    expect(none).toHaveBeenCalledOnce();
  });
});

const conflict = {
  key: 'k.txt',
  reason: 'it is not of FaDO',
  copies: [
    { cluster: 'c1', etag: 'aaa', size: 1, last_modified: '2026-01-01T00:00:00Z' },
    { cluster: 'c2', etag: 'bbb', size: 2, last_modified: '2026-01-02T00:00:00Z' },
  ],
};
const storing = (name: string, versioning: boolean | null) => ({ name, status: { functions: [], storage: { capabilities: { versioning } } } }) as never;

describe('a conflict', () => {
  it('says where the loser goes', () => {
    expect(newest(conflict)).toBe('c2');
    const other = { ...conflict, key: 'other', copies: conflict.copies.map((c) => ({ ...c, size: 5 })) };
    expect(losers([conflict, other], { winner: 'newest' })).toEqual([{ cluster: 'c1', objects: 2, bytes: 6 }]);
    expect(losers([{ ...conflict, copies: [] }, other], { winner: 'newest' })).toEqual([{ cluster: 'c1', objects: 1, bytes: 5 }]);
    expect(losers([conflict, other], { winner: 'c1', key: 'k.txt' })).toEqual([{ cluster: 'c2', objects: 1, bytes: 2 }]);
    expect(fate(storing('c1', true))).toMatch(/^becomes a noncurrent version/);
    expect(fate(storing('c1', false))).toMatch(/^can only be discarded/);
    expect(fate(storing('c1', null))).toMatch(/is not known$/);
    expect(fate(undefined)).toMatch(/is not known$/);
  });
  it('is settled for all with the count, and what loses discarded only by admins who type the name', async () => {
    const data: [unknown[], unknown][] = [
      [['bucket', 'b', 'conflicts', ''], { items: [conflict], next: '' }],
      [['clusters'], [storing('c1', true), storing('c2', false)]],
    ];
    const { unmount } = shown(<Conflicts name="b" n={3} primary="c1" />, data);
    expect(screen.getByText('in c2 it can only be discarded: the storage keeps no versions')).toBeVisible();
    expect(screen.getByRole('button', { name: 'Discard what loses' })).toHaveAccessibleDescription('Needs the role admin');
    await userEvent.click(screen.getByRole('button', { name: 'Let the newest win everywhere' }));
    expect(await screen.findByRole('button', { name: 'Apply to 3 conflicts' })).toBeEnabled();
    expect(screen.getByRole('alertdialog')).toHaveTextContent('In c1 1 object, 1 B, loses: each becomes a noncurrent version');
    unmount();
    shown(<Conflicts name="b" n={3} primary="c1" />, data, 'admin');
    await userEvent.click(screen.getByRole('button', { name: 'Discard what loses' }));
    const apply = await screen.findByRole('button', { name: 'Apply to 3 conflicts' });
    expect(apply).toBeDisabled();
    await userEvent.type(screen.getByLabelText('Type b to confirm'), 'b');
    expect(apply).toBeEnabled();
  });
});

describe('a move of the primary that is prepared', () => {
  const copy = (cluster: string, role: string, objects: number) => ({ cluster, role, objects, bytes: 1024 * objects, pending: { objects: 0, bytes: 0 } });
  const st = { primary: 'c1', copies: [copy('c1', 'primary', 7), copy('c2', 'copy', 6)] } as never;
  it('is made by admins who type the name, and are told what is there', async () => {
    const { unmount } = shown(<Promotion name="b" st={st} of={{ to: 'c2', ready: false, reason: '1 object is missing' }} />, [], 'admin');
    expect(screen.getByRole('button', { name: 'Move the primary now' })).toHaveAccessibleDescription('Not ready: 1 object is missing');
    unmount();
    shown(<Promotion name="b" st={st} of={{ to: 'c2', ready: true, reason: '' }} />, [], 'admin');
    await userEvent.click(screen.getByRole('button', { name: 'Move the primary now' }));
    const dialog = await screen.findByRole('alertdialog', { name: 'Move the primary of b to c2' });
    expect(dialog).toHaveTextContent('c1 → c2');
    expect(dialog).toHaveTextContent('6 objects, 6.0 KiB');
    const move = screen.getByRole('button', { name: 'Move it now' });
    expect(move).toBeDisabled();
    await userEvent.type(screen.getByLabelText('Type b to confirm'), 'b');
    expect(move).toBeEnabled();
  });
});

describe('copies that are being made', () => {
  const copy = (cluster: string, role: string, state: string, objects: number) => ({ cluster, role, state, objects });
  it('are measured each, all together, and the slowest named', () => {
    const copies = [
      copy('c2', 'copy', 'syncing', 30),
      copy('c1', 'primary', 'synced', 40),
      copy('c3', 'copy', 'syncing', 10),
      copy('c4', 'copy', 'synced', 40),
    ];
    expect(syncOf({ copies } as never)).toEqual({
      of: [
        { cluster: 'c2', done: 30 },
        { cluster: 'c3', done: 10 },
      ],
      total: 40,
      slowest: 'c3',
      done: 40,
      all: 80,
    });
    expect(syncOf({ copies: copies.slice(1, 2) } as never)).toBeUndefined();
    expect(syncOf(undefined)).toBeUndefined();
  });
});

describe('an item as JSON', () => {
  it('is one by its name, or says why not', () => {
    expect(itemOf('{"name":"p","copies":2}', 'p')).toEqual({ name: 'p', copies: 2 });
    expect(itemOf('{"name":')).toMatch(/^It is no JSON/);
    expect([itemOf('[]'), itemOf('null'), itemOf('{}')]).toEqual([
      'An item is an object with its fields',
      'An item is an object with its fields',
      'An item has a name',
    ]);
    expect(itemOf('{"name":"q"}', 'p')).toBe('The name stays p');
  });
  it('and the fields of its form say the same', async () => {
    const item = { name: 'p', copies: 2, prefer: ['c1'], origin: 'api' };
    shown(
      <Edit kind="policy" item={item} latest={item} onClose={() => {}} />,
      [
        [['zones'], []],
        [['clusters'], []],
      ],
      'admin',
    );
    const json = await screen.findByLabelText('As JSON');
    await userEvent.clear(screen.getByLabelText('Copies'));
    await userEvent.type(screen.getByLabelText('Copies'), '3');
    expect(JSON.parse((json as HTMLTextAreaElement).value)).toEqual({ name: 'p', copies: 3, prefer: ['c1'] });
    fireEvent.change(json, { target: { value: '{"name":"p","copies":1,"prefer":["c2","c1"],"pull_ttl":"1h"}' } });
    expect(screen.getByLabelText('Copies')).toHaveValue('1');
    expect(screen.getByLabelText('Prefer')).toHaveValue('c2, c1');
    fireEvent.change(json, { target: { value: '{"name":"other"}' } });
    expect(json).toHaveAccessibleDescription('The name stays p');
    expect(json).toBeInvalid();
    expect((json as HTMLTextAreaElement).checkValidity()).toBe(false);
    expect(screen.getByLabelText('Copies')).toHaveValue('1');
  });
});

describe('where a policy lets data be', () => {
  const key = (of: object) => ['policies', 'allowed', { name: 'draft', zones: [], exclude_zones: [], clusters: [], ...of }];
  const berlin = { cluster: 'berlin', zone: 'eu', allowed: true, reason: 'allowed', takes_copies: true };
  const edge = { cluster: 'edge', zone: 'eu', allowed: true, reason: 'allowed', takes_copies: false };
  const virginia = { cluster: 'virginia', zone: 'us', allowed: false, reason: "not in the policy's zones eu", takes_copies: true };
  it('is told of every cluster with the reason', () => {
    shown(<AllowedClusters of={{ zones: ['eu'] }} />, [[key({ zones: ['eu'] }), [berlin, edge, virginia]]]);
    expect(screen.getByRole('row', { name: /^berlin/ })).toHaveTextContent('berlineuallowedallowedtaken');
    expect(screen.getByRole('row', { name: /^edge/ })).toHaveTextContent('allowednone');
    expect(screen.getByRole('row', { name: /^virginia/ })).toHaveTextContent("virginiausnonot in the policy's zones eunone");
  });
  it('is told briefly while it is written, by the fields that say so alone', () => {
    shown(<AllowedBriefly of={{ zones: ['eu'], copies: 'nonsense' } as never} />, [[key({ zones: ['eu'] }), [berlin, edge, virginia]]]);
    expect(screen.getByRole('status')).toHaveTextContent('It allows 2 of 3 clusters:');
    expect(screen.getAllByRole('listitem').map((li) => li.textContent)).toEqual(['berlin', 'edge no copies']);
  });
  it('may be nowhere', () => {
    shown(<AllowedBriefly of={{ clusters: ['c9'] }} />, [[key({ clusters: ['c9'] }), [virginia]]]);
    expect(screen.getByRole('status')).toHaveTextContent('It allows 0 of 1 cluster; data under it could be nowhere.');
  });
});

describe('what waits to be copied', () => {
  const bucket = (name: string, objects: number) => ({
    name,
    status: {
      state: 'syncing',
      copies: [
        { cluster: 'c1', pending: { objects: 0, bytes: 0, oldest: null } },
        { cluster: 'c2', pending: { objects, bytes: 2048, oldest: '2026-01-01' } },
      ],
    },
  });
  it('is told bucket by bucket, and where to', () => {
    shown(<Queue />, [[['buckets', 'queue', 'pending'], { items: [bucket('b1', 3), bucket('b2', 0)], total: 2, more: false }]]);
    expect(screen.getAllByRole('row')).toHaveLength(2);
    const row = screen.getByRole('row', { name: /^b1/ });
    expect(row).toHaveTextContent('3');
    expect(row).toHaveTextContent('2.0 KiB');
    expect(row).toHaveTextContent(/c2$/);
  });
  it('may be nothing', () => {
    shown(<Queue />, [[['buckets', 'queue', 'pending'], { items: [bucket('b2', 0)], total: 1, more: false }]]);
    expect(screen.getByText('Nothing waits: every copy is in step')).toBeVisible();
  });
});

describe('small answers', () => {
  it('tell how clocks differ', () => {
    expect([clockOf(null), clockOf(undefined), clockOf(-1.2), clockOf(4), clockOf(-7200)]).toEqual([
      'not told',
      'not told',
      'as here',
      '4 s ahead',
      '2 h behind',
    ]);
  });
  it('sum up what copies are behind by', () => {
    const pending = (objects: number, oldest: string | null) => ({ pending: { objects, bytes: 10 * objects, oldest } });
    expect(behindOf({ copies: [pending(0, null), pending(2, '2026-01-02'), pending(1, '2026-01-01')] } as never)).toEqual({
      objects: 3,
      bytes: 30,
      oldest: '2026-01-01',
    });
  });
  it('say where an object is behind, and why', () => {
    const copy = (cluster: string, state: string, error = '') => ({ cluster, state, error });
    const b = {
      status: { copies: [copy('c1', 'synced'), copy('c2', 'synced'), copy('c3', 'syncing'), copy('c4', 'synced', 'no room'), copy('c5', 'removing')] },
    } as never;
    expect(behindIn(b, ['c1']).map(whyBehind)).toEqual(['c2: not known to have it', 'c3: syncing', 'c4: no room']);
  });
  it('tell the share of a copy that held deletes take, and when they came', () => {
    expect(share(1000, 2000)).toBe('1,000 of 2,000 objects, 50 %');
    expect(share(1, 2000)).toBe('1 of 2,000 objects, < 1 %');
    expect(share(1, 0)).toBe('1 of 0 objects');
    expect(course([0, 1, 2, 10], 5)).toEqual([2, 1, 0, 0, 1]);
    expect(course([7, 7], 3)).toEqual([2, 0, 0]);
  });
  it('show the flows of one cluster', () => {
    const f = {
      node: 'n',
      nodes: [],
      window: 60,
      endpoints: [{ cluster: 'c1' }, { cluster: 'c2' }],
      reads: [{ from: 'c2', to: 'c3', invocations: 1 }],
      copies: [{ from: 'c1', to: 'c2', objects: 1, bytes: 1 }],
    } as never;
    const of = flowsWith(f, 'c1');
    expect([of.endpoints.length, of.reads.length, of.copies.length]).toEqual([1, 0, 1]);
    expect(flowsWith(f, undefined)).toBe(f);
  });
  it('move on ways only where motion is allowed, and not too fast', () => {
    expect([pace(0), pace(1e9)]).toEqual([4, 0.8]);
    vi.stubGlobal('matchMedia', (query: string) => ({ matches: query.includes('no-preference') }));
    expect(motion()).toBe(true);
    vi.stubGlobal('matchMedia', () => ({ matches: false }));
    expect(motion()).toBe(false);
  });
  it('find a verb with its bucket', () => {
    expect(verbOf('sync reports')).toEqual({ verb: 'sync', name: 'reports' });
    expect([verbOf('sync'), verbOf('synchrotron data')]).toEqual([undefined, undefined]);
  });
  it('offer the request of a question as curl', async () => {
    const copied = vi.fn(async () => {});
    Object.defineProperty(navigator, 'clipboard', { value: { writeText: copied }, configurable: true });
    shown(
      <Confirm open title="Pause" action="Pause" curl={{ path: '/fado/replication/pause' }} onDone={() => {}} onClose={() => {}}>
        Really?
      </Confirm>,
    );
    (await screen.findByRole('button', { name: 'Copy as curl' })).click();
    await waitFor(() => expect(copied).toHaveBeenCalledWith("curl -X POST 'http://localhost:2019/fado/replication/pause'"));
  });
});
