import { act, fireEvent, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import type { ReactNode } from 'react';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { api, listPage, own, signals } from './api/client';
import { before } from './before';
import { stale } from './live';
import { uploads } from './objects/upload';
import Palette from './Palette';
import { Access } from './pages/Access';
import { Activity } from './pages/Activity';
import { Bucket } from './pages/Bucket';
import { Buckets } from './pages/Buckets';
import { Chosen } from './pages/Chosen';
import { Conflicts } from './pages/Conflicts';
import { Remove } from './pages/Edit';
import { DrainButton, EditButtons } from './pages/Editing';
import { Events } from './pages/Events';
import { heldBy } from './pages/Holding';
import { Metrics } from './pages/Metrics';
import { ObjectDialog } from './pages/ObjectDialog';
import Objects from './pages/Objects';
import { Overview } from './pages/Overview';
import { Planned } from './pages/Plan';
import { Queue } from './pages/Queue';
import { Replication } from './pages/Replication';
import { Routing, supposed } from './pages/Routing';
import { Silent } from './pages/Silent';
import { moment, timeOfDay } from './prefs';
import { shown as draw, type Read } from './testing';
import { at, went } from './testrouter';
import { When } from './ui/kit';

// It draws, which there is nothing for here; whether it is loaded before a test ends is a matter of time.
vi.mock('./pages/Plot', () => ({ default: () => null }));
vi.mock('@tanstack/react-router', async (real) => (await import('./testrouter')).routerOf(await real()));

beforeEach(() => {
  vi.stubGlobal('fetch', () => new Promise(() => {}));
});

afterEach(() => {
  Object.assign(at, { params: {}, search: {} });
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

/** A page of one who may write objects, that can be drawn once more. */
function shown(page: () => ReactNode, data?: Read) {
  const { again, client } = draw(page, data, { data: 'write', s3: 'http://s3' });
  return Object.assign(again, { client });
}

/** Answers of the admin API that come when they are told to. */
function answers(method: 'GET' | 'POST') {
  const given: ((data: unknown) => void)[] = [];
  const call = () => new Promise((done) => given.push((data) => done({ data, response: new Response() })));
  vi.spyOn(api, method).mockImplementation(call as never);
  return given;
}

describe('a plan', () => {
  it('is of what was previewed, not of what was written while it was made', async () => {
    const given = answers('POST');
    let copies = 2;
    const redraw = shown(() => (
      <Planned
        title="Edit p"
        doc={{ fado: 1, policies: [{ name: 'p', copies }] } as never}
        ask="Preview"
        verb={(n) => `Apply ${n}`}
        done="done"
        onClose={() => {}}
      />
    ));
    await userEvent.click(await screen.findByRole('button', { name: 'Preview' }));
    copies = 9;
    redraw();
    const moves = { buckets: [], total: { copies: 0 }, removed: { copies: 0 }, next: '' };
    const plan = { revision: 1, changes: [], changes_total: 1, violations: [], blocked: false, moves, routes: { changed: 0 } };
    await act(async () => given[0](plan));
    expect(screen.queryByRole('button', { name: 'Apply 1' })).toBeNull();
    copies = 2;
    redraw();
    expect(screen.getByRole('button', { name: 'Apply 1' })).toBeEnabled();
  });
});

describe('a folder that is dropped on the objects', () => {
  it('is uploaded file by file, with their paths below the prefix', async () => {
    Object.assign(at, { params: { bucket: 'b' }, search: { tab: 'objects', prefix: 'logs/' } });
    const add = vi.spyOn(uploads, 'add').mockImplementation(() => {});
    shown(
      () => <Objects b={{ name: 'b', status: { copies: [] } } as never} />,
      [[['bucket', 'b', 'objects', 'logs/', ''], { objects: [], common_prefixes: [] }]],
    );
    const file = new File(['x'], '1.txt');
    const inside = [[{ name: '1.txt', isFile: true, file: (done: (f: File) => void) => done(file) }], []];
    const entry = { name: 'may', isDirectory: true, createReader: () => ({ readEntries: (done: (e: unknown) => void) => done(inside.shift()) }) };
    const dataTransfer = { files: [new File([], 'may')], items: [{ kind: 'file', webkitGetAsEntry: () => entry }] };
    fireEvent.drop(screen.getByLabelText('Upload a folder'), { dataTransfer });
    await waitFor(() => expect(add).toHaveBeenCalledWith('b', [{ key: 'logs/may/1.txt', file }]));
  });
});

describe('what was done', () => {
  it('is told of those it was done with, also if others are chosen since', async () => {
    const given = answers('POST');
    let names = ['a', 'b'];
    const redraw = shown(() => <Chosen names={names} none={() => {}} />);
    await userEvent.click(screen.getByRole('button', { name: 'Sync 2 buckets' }));
    await userEvent.click(within(await screen.findByRole('alertdialog')).getByRole('button', { name: 'Sync 2 buckets' }));
    names = [];
    redraw();
    await act(async () => given.map((give) => give({})));
    expect(await screen.findByText('2 buckets are being compared')).toBeInTheDocument();
  });
});

describe('a form', () => {
  const policy = (of: object) => ({ name: 'gold', origin: 'api', copies: 2, zones: ['eu'], prefer: [], ...of });
  const opened = async () => {
    answers('GET');
    answers('POST');
    const at: { item?: ReturnType<typeof policy> } = { item: policy({}) };
    const redraw = shown(() => <EditButtons kind="policy" item={at.item} />);
    await userEvent.click(screen.getByRole('button', { name: 'Edit' }));
    await userEvent.clear(await screen.findByLabelText('Copies'));
    await userEvent.type(screen.getByLabelText('Copies'), '3');
    return (item?: ReturnType<typeof policy>) => {
      at.item = item;
      redraw();
    };
  };
  it('says that its item has changed since, and takes the new one when told to', async () => {
    const becomes = await opened();
    expect(screen.queryByText(/since this was opened/)).toBeNull();
    becomes(policy({ zones: ['eu', 'us'], origin: 'api', status: {} }));
    expect(screen.getByRole('alert')).toHaveTextContent('gold has changed since this was opened: zones. Applying this takes that back.');
    expect(screen.getByLabelText('Copies')).toHaveValue('3');
    await userEvent.click(screen.getByRole('button', { name: 'Take the new one' }));
    expect(screen.queryByRole('alert')).toBeNull();
    expect(screen.getByLabelText('Copies')).toHaveValue('2');
    expect(JSON.parse((screen.getByLabelText('As JSON') as HTMLTextAreaElement).value)).toEqual({ name: 'gold', copies: 2, zones: ['eu', 'us'] });
  });
  it('says nothing of what only the server tells, nor of another item', async () => {
    const becomes = await opened();
    becomes(policy({ status: { buckets: 3 } }));
    expect(screen.queryByRole('alert')).toBeNull();
    becomes(policy({ name: 'another', copies: 1 }));
    expect(screen.queryByRole('alert')).toBeNull();
  });
  it('stays where its item was deleted, and says so', async () => {
    const becomes = await opened();
    becomes(undefined);
    expect(screen.getByRole('alert')).toHaveTextContent('gold was deleted since this was opened. Applying this makes it again.');
    expect(screen.getByLabelText('Copies')).toHaveValue('3');
  });
});

describe('a drain', () => {
  it('is asked about as the button said, also if another began it meanwhile', async () => {
    answers('POST');
    let drain = false;
    const redraw = shown(() => <DrainButton cluster={{ name: 'paris', origin: 'api', drain } as never} />);
    await userEvent.click(screen.getByRole('button', { name: 'Drain' }));
    expect(await screen.findByRole('dialog', { name: 'Drain paris' })).toBeVisible();
    drain = true;
    redraw();
    expect(screen.getByRole('dialog')).toHaveAccessibleName('Drain paris');
  });
});

describe('a bucket after another', () => {
  const copies = [{ cluster: 'c1', role: 'primary', state: 'synced', objects: 1, bytes: 1, pending: { objects: 0 }, losses: [] }];
  const bucket = (name: string) => ({ name, origin: 'api', status: { state: 'ok', reasons: [], copies, conflicts: 0 } });
  const object = (key: string) => ({ key, size: 1, last_modified: '2026-01-01T00:00:00Z', clusters: ['c1'], etag: 'e' });
  const listing = (...keys: string[]) => ({ objects: keys.map(object), common_prefixes: [], next: '' });
  const read: [unknown[], unknown][] = ['a', 'b', 'c'].map((name) => [['bucket', name], bucket(name)]);
  it('has none of its objects chosen, and none of the other one', async () => {
    Object.assign(at, { params: { bucket: 'a' }, search: { tab: 'objects' } });
    const redraw = shown(
      () => <Bucket />,
      [...read, [['bucket', 'a', 'objects', '', ''], listing('k.txt')], [['bucket', 'b', 'objects', '', ''], listing('k.txt')]],
    );
    await userEvent.click(await screen.findByRole('checkbox', { name: 'Choose k.txt' }));
    expect(screen.getByRole('button', { name: 'Delete 1 object' })).toBeVisible();
    at.params = { bucket: 'b' };
    redraw();
    expect(await screen.findByRole('checkbox', { name: 'Choose k.txt' })).not.toBeChecked();
    expect(screen.queryByRole('button', { name: 'Delete 1 object' })).toBeNull();
    at.params = { bucket: 'c' };
    redraw();
    expect(screen.queryByText('k.txt')).toBeNull();
  });
});

describe('events that are stopped', () => {
  const event = (seq: number, name: string) => ({ seq, time: new Date().toISOString(), type: 'resource', kind: 'zone', op: 'changed', name });
  it('are those of the filter that is shown', async () => {
    const redraw = shown(
      () => <Events />,
      [
        [['events', {}], [event(1, 'of-all')]],
        [['events', { cluster: 'c1' }], [event(2, 'of-c1')]],
        [['clusters'], []],
      ],
    );
    await userEvent.click(screen.getByRole('button', { name: 'Stop here' }));
    at.search = { cluster: 'c1' };
    redraw();
    expect(await screen.findByText('of-c1')).toBeVisible();
    expect(screen.queryByText('of-all')).toBeNull();
    expect(screen.getByRole('button', { name: 'Stop here' })).toBeVisible();
  });
  it('are as old as they were when they were stopped', async () => {
    const client = shown(
      () => <Events />,
      [
        [['events', {}], [event(1, 'of-all')]],
        [['clusters'], []],
      ],
    ).client;
    const log = (ago: number) => act(async () => client.setQueryData(['events', {}], [event(1, 'of-all')], { updatedAt: Date.now() - ago }));
    await log(30_000);
    await userEvent.click(screen.getByRole('button', { name: 'Stop here' }));
    await log(0);
    expect(screen.getByText(/^as of 3\d s ago$/)).toBeVisible();
  });
});

describe('a time of the day', () => {
  it('has its day where that is another one', () => {
    const long = Date.now() - 3 * 86_400_000;
    shown(() => <When time={long} />);
    expect(screen.getByText(moment(long))).toBeVisible();
  });
  it('has none today', () => {
    const now = Date.now();
    shown(() => <When time={now} />);
    expect(screen.getByText(timeOfDay(now))).toBeVisible();
  });
});

describe('the palette', () => {
  it('finds the bucket of a name before those that contain it', async () => {
    const names = [...'abcdefghi'].map((c) => `${c}-reports`).concat('reports', 'reports-old');
    vi.spyOn(api, 'GET').mockImplementation((async (path: string, { params }: { params: { query: { after?: string } } }) => {
      const found = names.filter((n) => n > (params?.query?.after ?? '')).slice(0, 8);
      return { data: path === '/fado/buckets' ? found.map((name) => ({ name })) : [], response: new Response() };
    }) as never);
    shown(
      () => <Palette pages={[]} paused={false} onDo={() => {}} onClose={() => {}} />,
      [
        [['clusters'], []],
        [['policies'], []],
      ],
    );
    await userEvent.type(await screen.findByRole('combobox'), 'reports');
    await waitFor(() => expect(screen.getAllByRole('option').length).toBeGreaterThan(3));
    expect(
      screen
        .getAllByRole('option')
        .slice(0, 3)
        .map((o) => o.firstChild?.textContent),
    ).toEqual(['reports', 'reports-old', 'a-reports']);
  });
});

describe('Enter in the palette', () => {
  const opened = (names: string[]) => {
    const given: (() => void)[] = [];
    vi.spyOn(api, 'GET').mockImplementation(
      ((path: string) =>
        new Promise((done) =>
          given.push(() => done({ data: path === '/fado/buckets' ? names.map((name) => ({ name })) : [], response: new Response() })),
        )) as never,
    );
    const pages = [
      { to: '/audit', name: 'Audit' },
      { to: '/access', name: 'Access' },
    ];
    shown(
      () => <Palette pages={pages} paused={false} onDo={() => {}} onClose={() => {}} />,
      [
        [['clusters'], []],
        [['policies'], []],
      ],
    );
    went.length = 0;
    return () => act(async () => given.splice(0).map((give) => give()));
  };
  // A person types on before what was typed is drawn.
  const typed = (text: string) =>
    act(async () => {
      const input = screen.getByRole('combobox');
      fireEvent.change(input, { target: { value: text } });
      fireEvent.keyDown(input, { key: 'Enter' });
    });
  it('goes to what was typed, not to what the list had for less of it', async () => {
    const come = opened([]);
    await screen.findByRole('combobox');
    await typed('acc');
    await come();
    await waitFor(() => expect(went).toEqual([{ to: '/access' }]));
  });
  it('waits for the buckets of that name', async () => {
    const come = opened(['access-logs']);
    await screen.findByRole('combobox');
    await typed('acc');
    expect(went).toEqual([]);
    await come();
    await waitFor(() => expect(went).toEqual([{ to: '/buckets/$bucket', params: { bucket: 'access-logs' } }]));
  });
  it('goes nowhere once people type on', async () => {
    const come = opened([]);
    await screen.findByRole('combobox');
    await typed('acc');
    fireEvent.change(screen.getByRole('combobox'), { target: { value: 'au' } });
    await come();
    await come();
    await waitFor(() => expect(screen.getAllByRole('option')[0]).toHaveTextContent('Audit'));
    expect(went).toEqual([]);
  });
});

describe('what needs people', () => {
  it('names the kinds of those that are not listed', () => {
    const attention = Array.from({ length: 60 }, (_, i) => ({ kind: 'bucket', name: `b${i}`, state: 'conflict', reasons: [] }));
    const buckets = { ok: 0, syncing: 0, stuck: 0, conflict: 70 };
    const summary = { at: new Date().toISOString(), status: 'degraded', counts: { buckets: 70, clusters: 0 }, buckets, clusters: [], attention, more: 10 };
    shown(() => <Overview />, [[['summary'], summary]]);
    expect(screen.queryByText(/0 stuck buckets/)).toBeNull();
    expect(screen.getByRole('link', { name: 'All 70 buckets in conflict' })).toHaveAttribute('href', '/buckets?state=conflict');
  });
});

describe('what lives only in a cluster, of a bucket with prefix rules', () => {
  const copy = (cluster: string, objects: number) => ({ cluster, role: 'copy', state: 'synced', objects, bytes: objects, pending: { objects: 0, bytes: 0 } });
  const of = (prefixes: object[], ...copies: object[]) =>
    heldBy('c1', [{ name: 'b', status: { copies, prefixes } }] as never).map((h) => [h.only, h.onlyBytes]);
  it('is what no other cluster has below a prefix', () => {
    expect(of([{ prefix: 'raw/', copies: [copy('c1', 40)] }], copy('c1', 100), copy('c2', 60))).toEqual([[40, 40]]);
  });
  it('is the rest where others have a prefix alone', () => {
    expect(of([{ prefix: 'raw/', copies: [copy('c1', 40), copy('c2', 40)] }], copy('c1', 100), copy('c2', 40))).toEqual([[60, 60]]);
  });
  it('is nothing where others together have all', () => {
    expect(of([{ prefix: 'raw/', copies: [copy('c1', 40), copy('c2', 40)] }], copy('c1', 100), copy('c2', 40), copy('c3', 60))).toEqual([[0, 0]]);
  });
});

describe('secrets of tokens', () => {
  it('stay until people have each of them', async () => {
    let made = 0;
    vi.stubGlobal('fetch', async (_: unknown, init?: RequestInit) =>
      Response.json(init?.method === 'POST' ? { id: `${++made}`, name: `t${made}`, secret: `fado_${made}` } : []),
    );
    shown(() => <Access />);
    for (const name of ['t1', 't2']) {
      await userEvent.type(await screen.findByPlaceholderText('what it is for'), name);
      await userEvent.click(screen.getByRole('button', { name: 'New token' }));
      await userEvent.click(await screen.findByRole('button', { name: 'Make it' }));
      await screen.findByText(`fado_${name.slice(1)}`);
    }
    expect(screen.getByText('fado_1')).toBeVisible();
    await userEvent.click(screen.getAllByRole('button', { name: /^I have it/ })[0]);
    expect(screen.queryByText('fado_1')).toBeNull();
    expect(screen.getByText('fado_2')).toBeVisible();
  });
});

describe('an instance that has told nothing', () => {
  it('is not taken for another whose name begins with its own', () => {
    shown(
      () => <Silent />,
      [
        [['history', 'series'], { kept: true, nodes: [{ node: 'fado-10', this: true, last: null, silent: false }] }],
        [
          ['nodes'],
          {
            instances: [
              { id: '1', node: 'fado-1' },
              { id: '10', node: 'fado-10', this: true },
            ],
          },
        ],
      ],
    );
    expect(screen.getAllByRole('listitem').map((li) => li.textContent)).toEqual(['fado-1 has not told what it measures yet, or keeps no history.']);
  });
});

describe('a proxy that answers for FaDO', () => {
  const heard: string[] = [];
  const note = (e: Event) => heard.push(e.type);
  const asked = async (response: Response) => {
    heard.length = 0;
    vi.stubGlobal('fetch', async () => response);
    for (const s of ['answered', 'unreachable']) signals.addEventListener(s, note);
    await own('GET', 'session').catch(() => {});
    for (const s of ['answered', 'unreachable']) signals.removeEventListener(s, note);
    return heard;
  };
  it('is not FaDO', async () => {
    for (const status of [502, 503, 504]) expect(await asked(new Response('<h1>Bad gateway</h1>', { status }))).toEqual(['unreachable']);
  });
  it('is not taken for FaDO that says that its database is away', async () => {
    expect(await asked(Response.json({ error: 'the database does not answer' }, { status: 503 }))).toEqual(['answered']);
  });
});

describe('a list that ends before what there is', () => {
  const failure = (i: number) => ({ bucket: 'b', key: `k${i}`, cluster: 'c1', error: 'no', attempts: 1, next_attempt: null, since: null });
  it('goes on with failures, and says how many there are', async () => {
    const items = Array.from({ length: 200 }, (_, i) => failure(i));
    const redraw = shown(
      () => <Replication />,
      [
        [['replication', 'failures', ''], { items, next: 'b/c1/k199', total: 201 }],
        [['replication', 'failures', 'b/c1/k199'], { items: [failure(200)], next: '', total: 201 }],
      ],
    );
    expect(screen.getByText('201 failures in all')).toBeVisible();
    expect(screen.queryByText('k200')).toBeNull();
    await userEvent.click(screen.getByRole('button', { name: 'Next page' }));
    expect(await screen.findByRole('row', { name: /k200/ })).toBeVisible();
    expect(screen.queryByRole('button', { name: 'Next page' })).toBeNull();
    // What this page had is settled: there is a way back.
    act(() => void redraw.client.setQueryData(['replication', 'failures', 'b/c1/k199'], { items: [], next: '', total: 200 }));
    expect(await screen.findByText('Nothing is left on this page')).toBeVisible();
    expect(screen.queryByText('No failure')).toBeNull();
    expect(screen.getByRole('button', { name: 'Retry all' })).toBeVisible();
    await userEvent.click(screen.getByRole('button', { name: 'From the beginning' }));
    expect(await screen.findByRole('row', { name: /k199/ })).toBeVisible();
  });
  it('goes on with conflicts, and says that all are decided about', async () => {
    const conflict = (key: string) => ({ key, reason: '', copies: [{ cluster: 'c1', size: 1, etag: 'e', last_modified: '2026-01-01T00:00:00Z' }] });
    shown(
      () => <Conflicts name="b" n={2} />,
      [
        [['bucket', 'b', 'conflicts', ''], { items: [conflict('one')], next: 'one' }],
        [['bucket', 'b', 'conflicts', 'one'], { items: [conflict('two')], next: '' }],
      ],
    );
    expect(screen.getByText(/^In all, 2 objects on copies are in conflict/)).toBeVisible();
    await userEvent.click(screen.getByRole('button', { name: 'Next page' }));
    expect(await screen.findByRole('row', { name: /^two/ })).toBeVisible();
    expect(screen.getByText(/^In all, 2 objects on copies are in conflict/)).toBeVisible();
  });
  it('is told where it goes on by the headers of a list', async () => {
    const headers = { Link: '</fado/replication/failures?after=b%2Fc1%2Fa%26b&limit=200>; rel="next"', 'X-Total-Count': '450' };
    expect(await listPage(Promise.resolve({ data: [1], response: new Response(null, { headers }) }))).toEqual({ items: [1], next: 'b/c1/a&b', total: 450 });
    expect(await listPage(Promise.resolve({ data: [], response: new Response() }))).toEqual({ items: [], next: '', total: undefined });
  });
  it('says so of the queue, and leads to the rest', () => {
    const items = Array.from({ length: 20 }, (_, i) => ({ name: `b${i}`, status: { copies: [{ cluster: 'c1', pending: { objects: 1, bytes: 1 } }] } }));
    shown(() => <Queue />, [[['buckets', 'queue', 'pending'], { items, total: 500, more: true }]]);
    expect(screen.getByRole('link', { name: 'All buckets, in this order' })).toHaveAttribute('href', '/buckets?order=pending');
  });
  it('says so of what is on record of a bucket, and leads to all of it', async () => {
    const record = (seq: number) => ({ seq, at: new Date().toISOString(), kind: 'change', actor: 'ada', body: {} });
    const key = ['audit', 'bucket', 'b'];
    const records = Array.from({ length: 50 }, (_, i) => record(i));
    const redraw = shown(
      () => <Activity name="b" />,
      [
        [['events', { bucket: 'b' }], []],
        [key, records],
      ],
    );
    expect(screen.getByText('The last 50 are listed; there may be more.')).toBeVisible();
    expect(screen.getByRole('link', { name: 'All in the audit' })).toHaveAttribute('href', '/audit?bucket=b');
    act(() => redraw.client.setQueryData(key, records.slice(1)));
    await waitFor(() => expect(screen.queryByText(/^The last 50/)).toBeNull());
  });
  it('says so of what was written astray, and lists all that is known', async () => {
    const former = (strays: number, keys: number) => ({
      cluster: 'c2',
      since: '2026-01-01T00:00:00Z',
      strays,
      keys: Array.from({ length: keys }, (_, i) => `k${i}`),
    });
    const st = (of: object) => ({ state: 'stuck', reasons: [], copies: [], conflicts: 0, primary: 'c1', former_primaries: [of] });
    const bucket = (of: object) => ({ name: 'a', origin: 'api', status: st(of) });
    at.params = { bucket: 'a' };
    const redraw = shown(() => <Bucket />, [[['bucket', 'a'], bucket(former(120, 25))]]);
    expect(screen.queryByText('k10')).toBeNull();
    expect(screen.getByText('and 110 objects more')).toBeVisible();
    await userEvent.click(screen.getByRole('button', { name: 'List 25' }));
    expect(screen.getByText('k24')).toBeVisible();
    expect(screen.getByText('and 95 objects more, whose keys are not told')).toBeVisible();
    act(() => redraw.client.setQueryData(['bucket', 'a'], bucket(former(3, 3))));
    await waitFor(() => expect(screen.queryByText(/more/)).toBeNull());
  });
  it('says so of buckets, and goes no further by itself', async () => {
    const page = (n: number) => ({ items: Array.from({ length: 200 }, (_, i) => ({ name: `b${n}-${i}` })), total: 100_000, more: true });
    const pages = Array.from({ length: 25 }, (_, n) => page(n));
    shown(() => <Buckets />, [[['buckets', {}, undefined, ''], { pages, pageParams: pages.map((_, n) => `${n}`) }]]);
    expect(await screen.findByText(/^5,000 of 100,000 read/)).toHaveTextContent('and no more are: narrow them by a filter, or go to a name');
  });
});

describe('what is typed to find buckets', () => {
  it('is what they are filtered by, also after the address has changed', async () => {
    at.search = { q: 'rep' };
    const redraw = shown(() => <Buckets />);
    expect(screen.getByLabelText('Find a bucket')).toHaveValue('rep');
    at.search = {};
    redraw();
    expect(screen.getByLabelText('Find a bucket')).toHaveValue('');
  });
  it('is so of events, too', async () => {
    at.search = { bucket: 'reports' };
    const redraw = shown(() => <Events />);
    expect(screen.getByLabelText('Bucket')).toHaveValue('reports');
    at.search = {};
    redraw();
    expect(screen.getByLabelText('Bucket')).toHaveValue('');
  });
});

describe('the matrix of buckets', () => {
  const matrix = (...rows: object[]) => ({ data: { clusters: [{ cluster: 'c1', zone: '' }], rows, next: '' }, response: new Response() });
  const answered = (...rows: object[]) => {
    const asked: unknown[] = [];
    vi.spyOn(api, 'GET').mockImplementation((async (path: string, { params }: { params: { query: object } }) => {
      if (path === '/fado/facets') return { data: { total: 90_000, states: [], policies: [], clusters: [], origins: [] }, response: new Response() };
      if (path === '/fado/matrix') asked.push(params.query);
      return path === '/fado/matrix' ? matrix(...rows) : { data: [], response: new Response() };
    }) as never);
    return asked;
  };
  it('goes to a name, is in no other order, and says in its cells for how long a copy is behind', async () => {
    at.search = { view: 'matrix', from: 'b7' };
    const oldest = new Date(Date.now() - 600_000).toISOString();
    const asked = answered({ bucket: 'b7', state: 'ok', policy: 'p', cells: 'S', behind: [{ cluster: 'c1', objects: 3, bytes: 5, oldest }] });
    shown(() => <Buckets />);
    expect(await screen.findByText('3 · 10 min')).toBeVisible();
    expect(asked).toEqual([{ after: before('b7'), limit: 100 }]);
    expect(screen.queryByLabelText('Sorted by')).toBeNull();
  });
  it('says of an installation without buckets that there is none yet', async () => {
    at.search = { view: 'matrix' };
    answered();
    shown(() => <Buckets />, [[['facets', {}], { total: 0, states: [], policies: [], clusters: [], origins: [] }]]);
    expect(await screen.findByText('No bucket yet')).toBeVisible();
  });
});

describe('a list of buckets in another order', () => {
  it('is one by names where people go to a name', async () => {
    at.search = { order: 'bytes' };
    shown(() => <Buckets />);
    await userEvent.type(screen.getByLabelText('Go to name'), 'reports{Enter}');
    const to = went.at(-1) as { search: (now: object) => object };
    expect(to.search({ order: 'bytes', q: 'r' })).toEqual({ q: 'r', from: 'reports', order: undefined });
  });
});

describe('an object that is looked at', () => {
  it('is not read again with every change of its bucket', async () => {
    const asked: string[] = [];
    vi.stubGlobal('fetch', async (_: unknown, init?: RequestInit) => {
      if (init?.method !== 'POST') return new Response('text', { headers: { 'Content-Type': 'text/plain' } });
      const { operation } = JSON.parse(String(init.body));
      asked.push(operation);
      return Response.json({ method: 'GET', url: `http://s3/${operation}`, expires: '' });
    });
    const listed = { key: 'k.txt', size: 4, last_modified: '2026-01-01T00:00:00Z', clusters: [], etag: 'e1' };
    const { client } = shown(() => <ObjectDialog b={{ name: 'a' } as never} name="k.txt" listed={listed as never} onClose={() => {}} />);
    expect(await screen.findByLabelText('Content of k.txt')).toHaveTextContent('text');
    const before = asked.length;
    await act(async () => {
      await Promise.all(stale({ kinds: ['transfer'], buckets: ['a'], missed: false }).map((f) => client.invalidateQueries(f)));
    });
    expect(asked.slice(before)).toEqual([]);
  });

  it('is asked for again where its storage is busy, and not where it is not there', async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
    let head = 0;
    let gone = 0;
    vi.stubGlobal('fetch', async (url: unknown, init?: RequestInit) => {
      if (init?.method === 'POST') {
        const { operation, key } = JSON.parse(String(init.body));
        return Response.json({ method: 'GET', url: `http://s3/${key}/${operation}`, expires: '' });
      }
      if (String(url).endsWith('k.txt/head') && head++ === 0) return new Response('<Error><Code>SlowDown</Code></Error>', { status: 503 });
      if (String(url).endsWith('none.txt/head')) {
        gone++;
        return new Response('<Error><Code>NoSuchKey</Code></Error>', { status: 404 });
      }
      return new Response('text', { headers: { 'Content-Type': 'text/plain' } });
    });
    const listed = { key: 'k.txt', size: 4, last_modified: '2026-01-01T00:00:00Z', clusters: [], etag: 'e1' };
    shown(() => <ObjectDialog b={{ name: 'a' } as never} name="k.txt" listed={listed as never} onClose={() => {}} />);
    await act(() => vi.advanceTimersByTimeAsync(2000));
    expect(await screen.findByLabelText('Content of k.txt')).toHaveTextContent('text');
    expect(head).toBe(2);
    shown(() => <ObjectDialog b={{ name: 'a' } as never} name="none.txt" onClose={() => {}} />);
    await act(() => vi.advanceTimersByTimeAsync(5000));
    expect(gone).toBe(1);
    vi.useRealTimers();
  });
});

describe('a draft policy in the address', () => {
  it('that is no JSON is told, and the page is there', () => {
    expect(supposed({ bucket: 'b', down: 'c1', policy: '{"name' })).toMatchObject({ down: ['c1'] });
    at.search = { bucket: 'b', policy: '{"name' };
    shown(() => <Routing />);
    expect(screen.getByRole('alert')).toHaveTextContent('The policy in the address is no JSON');
  });
});

describe('what was measured of some alone', () => {
  const summary = {
    at: '',
    status: 'ok',
    counts: { buckets: 0, clusters: 0 },
    buckets: { ok: 0, syncing: 0, stuck: 0, conflict: 0 },
    clusters: [],
    attention: [],
    more: 0,
  };
  const courses = [
    'decisions.local',
    'decisions.remote',
    'decisions.none',
    'rejections',
    'lag.p99',
    'backlog.objects',
    'throughput.bytes',
    'throughput.objects',
  ];
  const one = (name: string, ...values: (number | null)[]) => ({ node: 'n', name, values });
  it('is no share of what runs where its data is, if nothing does', () => {
    const history = { from: '', step: 10, series: [one('decisions.remote', 4)] };
    shown(
      () => <Overview />,
      [
        [['summary'], { ...summary, at: new Date().toISOString() }],
        [['history', '1h', 'all', courses], history],
      ],
    );
    expect(screen.getByText('0 % where their data is')).toBeVisible();
  });
  it('does not say that nothing was refused, where that is not known', async () => {
    const asked = ['decisions.local', 'decisions.remote', 'decisions.none', 'rejections', 'rejections.'];
    const key = ['history', '15m', 'all', asked];
    const of = (...values: (number | null)[]) => ({ from: '', step: 10, series: [one('rejections', ...values)] });
    const redraw = shown(() => <Routing />, [[key, of(null, null)]]);
    expect(screen.getByText('Whether something was refused within 15 minutes is not known.')).toBeVisible();
    await act(async () => redraw.client.setQueryData(key, of(null, 0)));
    expect(await screen.findByText('Nothing was refused within 15 minutes.')).toBeVisible();
  });
});

describe('a bucket that is forgotten', () => {
  it('is not said to keep its data where that is removed', async () => {
    const moves = { buckets: [], total: { copies: 0 }, removed: { copies: 0 }, next: '' };
    const plan = { revision: 1, changes: [], changes_total: 1, violations: [], blocked: false, moves, routes: { changed: 0 } };
    vi.spyOn(api, 'GET').mockImplementation((async () => ({ data: {}, response: new Response() })) as never);
    vi.spyOn(api, 'POST').mockImplementation((async () => ({ data: plan, response: new Response() })) as never);
    shown(() => <Remove kind="bucket" name="reports" onClose={() => {}} />);
    expect(await screen.findByText('No data moves.')).toBeVisible();
    await userEvent.click(screen.getByRole('radio', { name: /^Remove all data/ }));
    expect(screen.queryByText('No data moves.')).toBeNull();
    expect(screen.getByRole('region', { name: 'Plan' })).toHaveTextContent('All data of reports is removed, in every cluster.');
    await userEvent.click(screen.getByRole('radio', { name: /^Remove the copies/ }));
    expect(screen.getByRole('region', { name: 'Plan' })).toHaveTextContent('The data of reports is removed in every cluster but that of its primary.');
  });
});

describe('what is done in another way than by applying its plan', () => {
  const moves = { buckets: [], total: { copies: 0 }, removed: { copies: 0 }, next: '' };
  const plan = { revision: 7, changes: [], changes_total: 1, violations: [], blocked: false, moves, routes: { changed: 0 } };
  let revision = 7;
  let status = 200;
  const sent: unknown[] = [];
  beforeEach(() => {
    [revision, status] = [7, 200];
    sent.length = 0;
    const does = async (path: string, init: { params: object }) => {
      sent.push([path, init.params]);
      return status < 300 ? { data: {}, response: new Response() } : { error: { error: 'it is another one' }, response: new Response(null, { status }) };
    };
    vi.spyOn(api, 'GET').mockImplementation((async () => ({ data: {}, response: new Response(null, { headers: { ETag: '"t1"' } }) })) as never);
    vi.spyOn(api, 'POST').mockImplementation((async () => ({ data: { ...plan, revision }, response: new Response() })) as never);
    vi.spyOn(api, 'PATCH').mockImplementation(does as never);
    vi.spyOn(api, 'DELETE').mockImplementation(does as never);
  });
  const drain = async () => {
    shown(() => <DrainButton cluster={{ name: 'paris', origin: 'api', drain: false } as never} />);
    await userEvent.click(screen.getByRole('button', { name: 'Drain' }));
    await userEvent.click(await within(await screen.findByRole('dialog')).findByRole('button', { name: 'Drain' }));
  };
  it('is done to what was previewed alone: a drain', async () => {
    await drain();
    await waitFor(() => expect(sent).toEqual([['/fado/clusters/{name}', { path: { name: 'paris' }, header: { 'If-Match': '"t1"' } }]]));
  });
  it('is done to what was previewed alone: a bucket that is forgotten with its data', async () => {
    shown(() => <Remove kind="bucket" name="b" onClose={() => {}} />);
    await userEvent.click(await screen.findByRole('radio', { name: /^Remove all data/ }));
    await userEvent.type(await screen.findByLabelText('Type b to confirm'), 'b');
    await userEvent.click(screen.getByRole('button', { name: 'Forget, and remove all data' }));
    await waitFor(() => expect(sent).toEqual([['/fado/buckets/{name}', { path: { name: 'b' }, query: { purge: 'all' }, header: { 'If-Match': '"t1"' } }]]));
  });
  it('is refused where that has changed, and previewed again', async () => {
    status = 412;
    await drain();
    expect(await screen.findByText(/^The catalogue has changed since/)).toBeVisible();
    status = 200;
    await userEvent.click(screen.getByRole('button', { name: 'Preview again' }));
    await waitFor(() => expect(screen.queryByText(/^The catalogue has changed since/)).toBeNull());
  });
  it('is not done where something else has changed since the plan', async () => {
    shown(() => <DrainButton cluster={{ name: 'paris', origin: 'api', drain: false } as never} />);
    await userEvent.click(screen.getByRole('button', { name: 'Drain' }));
    const button = await within(await screen.findByRole('dialog')).findByRole('button', { name: 'Drain' });
    revision = 8;
    await userEvent.click(button);
    expect(await screen.findByText(/^The catalogue has changed since/)).toBeVisible();
    expect(sent).toEqual([]);
  });
});

describe('metrics', () => {
  const event = (seq: number) => ({ seq, time: new Date().toISOString(), type: 'configuration', state: `s${seq}` });
  const history = (node: string, value: number) => ({ from: '2026-01-01T00:00:00Z', step: 10, series: [{ node, name: 'backlog.objects', values: [value] }] });
  const nodes = { kept: true, nodes: ['a', 'b'].map((node) => ({ node, silent: false, last: null })) };
  const page = (node: string) => {
    at.search = { node };
    return <Metrics />;
  };
  it('of an instance are not shown as those of another one', async () => {
    let node = 'a';
    const redraw = shown(() => page(node), [[['history', 'series'], nodes]]);
    const asked = redraw.client
      .getQueryCache()
      .getAll()
      .map((query) => query.queryKey)
      .find((k) => k[0] === 'history' && k[2] === 'a') as unknown[];
    act(() => redraw.client.setQueryData(asked, history('a', 4711)));
    expect(await screen.findByText(/objects: 4,711/)).toBeVisible();
    node = 'b';
    redraw();
    expect(screen.queryByText(/objects: 4,711/)).toBeNull();
  });
  it('say how many of the marks are listed, and list all', async () => {
    const redraw = shown(
      () => page('a'),
      [
        [['history', 'series'], nodes],
        [['history', 'marks'], Array.from({ length: 25 }, (_, i) => event(i))],
      ],
    );
    const asked = redraw.client
      .getQueryCache()
      .getAll()
      .map((query) => query.queryKey)
      .find((k) => k[0] === 'history' && k[2] === 'a') as unknown[];
    act(() => redraw.client.setQueryData(asked, history('a', 1)));
    const table = await screen.findByRole('table', { name: 'Marks' });
    expect(within(table).getAllByRole('row')).toHaveLength(21);
    expect(screen.getByText(/^The last 20 of 25/)).toBeVisible();
    await userEvent.click(screen.getByRole('button', { name: 'List all' }));
    expect(within(table).getAllByRole('row')).toHaveLength(26);
    expect(screen.queryByText(/^The last 20/)).toBeNull();
  });
});

describe('a verification', () => {
  it('has never compared more than there is', () => {
    const none = { objects: 0, bytes: 0 };
    const status = {
      ...{ paused: false, queue: { ...none, oldest: null }, rate: none, lag_ms: { p50: 0, p99: 0 }, workers: 1, nodes: ['n'], transfers: [] },
      verifications: [{ bucket: 'b', state: 'running', objects: 120, total: 100 }],
    };
    shown(() => <Replication />, [[['replication'], status]]);
    expect(screen.getByText('100 of 100')).toBeVisible();
  });
});
