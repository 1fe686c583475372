import { screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import type { ReactNode } from 'react';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { api } from './api/client';
import { HeldDeletes } from './pages/actions';
import { Bucket } from './pages/Bucket';
import { Cluster } from './pages/Clusters';
import { Conflicts } from './pages/Conflicts';
import { Remove } from './pages/Edit';
import { HeldTab } from './pages/Held';
import { Overview } from './pages/Overview';
import { Planned } from './pages/Plan';
import { TestConnection } from './pages/TestConnection';
import { shown as draw, type Read } from './testing';
import { at } from './testrouter';
import { Confirm } from './ui/kit';

vi.mock('./pages/Plot', () => ({ default: () => null }));
vi.mock('@tanstack/react-router', async (real) => (await import('./testrouter')).routerOf(await real()));

beforeEach(() => {
  at.params = { bucket: 'b' };
  vi.stubGlobal('fetch', () => new Promise(() => {}));
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

/** A page, and what makes it lose FaDO and find it again. */
const shown = (page: ReactNode, data?: Read, role: 'operator' | 'admin' = 'admin') => draw(page, data, { role }).online;

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

describe('a reason that no operation ends', () => {
  const why = (code: string, cluster = 'c2') => {
    shown(<Bucket />, [[['bucket', 'b'], bucket({ reasons: [reason(code, '', `${code} it is`, cluster)] })]]);
    return within(screen.getByRole('region', { name: 'Why' }));
  };
  it.each([
    ['storage-full', 'Look at c2', '/clusters/$cluster?', /Make room in c2/],
    ['storage-down', 'Look at c2', '/clusters/$cluster?', /Look why FaDO can’t use the storage of c2/],
    ['key-refused', 'Pending in c2', '/buckets/$bucket/pending?cluster=c2', /Rename these objects/],
  ])('says what helps, and leads there: %s', (code, link, to, text) => {
    const w = why(code);
    expect(w.getByText(text)).toBeVisible();
    expect(w.getByRole('link', { name: link })).toHaveAttribute('href', to);
    expect(w.queryByRole('button', { name: 'Retry all' })).toBeNull();
  });
  it('has damaged objects verified', () => {
    const w = why('damaged', '');
    expect(w.getByText(/repaired from it/)).toBeVisible();
    expect(w.getByRole('button', { name: 'Verify' })).toBeVisible();
  });
  it('has nothing to say where nothing but time helps', () => {
    const w = why('copy-state');
    expect(w.getByRole('listitem')).toHaveTextContent(/^copy-state it is$/);
  });
});

describe('a cluster that is not as it should be', () => {
  const cluster = (...reasons: object[]) => ({ name: 'b', origin: 'api', drain: true, status: { storage: null, functions: [], reasons } });
  it('says why, since when, and has the help of each reason', () => {
    const since = new Date(Date.now() - 7200_000).toISOString();
    const reasons = [
      { ...reason('storage-down', '', 'Its storage is down: AccessDenied'), since },
      reason('storage-refuses', 'patch-cluster', 'Its storage refuses FaDO.'),
      reason('drain-stuck', '', 'Not all leaves it: bucket x stays'),
    ];
    shown(<Cluster />, [[['cluster', undefined], cluster(...reasons)]]);
    const [down, refuses, drain] = within(screen.getByRole('region', { name: 'Why' })).getAllByRole('listitem');
    expect(down).toHaveTextContent('Its storage is down: AccessDenied · since 2 h ago');
    expect(within(down).queryByRole('button')).toBeNull();
    expect(within(refuses).getByRole('button', { name: 'Edit' })).toBeVisible();
    expect(within(refuses).queryByRole('button', { name: 'Delete' })).toBeNull();
    expect(within(drain).getByRole('button', { name: 'Undo drain' })).toBeVisible();
  });
  it('has no such card where all is well', () => {
    shown(<Cluster />, [[['cluster', undefined], cluster()]]);
    expect(screen.queryByRole('region', { name: 'Why' })).toBeNull();
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

const none = { buckets: 0, copies: 0, objects: 0, bytes: 0, seconds: { low: 0, high: 0 }, egress: 0, estimated: false };
const moves = { buckets: [], total: none, removed: { copies: 0, objects: 0, bytes: 0 }, next: '' };
const routes = { changed: 0, examples: [], refused: { before: 0, after: 0 }, local: { before: 0, after: 0 } };
const change = { action: 'delete', kind: 'bucket', name: 'b', fields: [] };
const plan = { revision: 7, changes: [change], changes_total: 1, changes_next: '', violations: [], blocked: false, moves, routes };

/** The API gives this for plans, and keeps what it is sent. */
function planning(of: object = plan) {
  const sent: unknown[] = [];
  vi.spyOn(api, 'POST').mockImplementation((async (path: string, init: object) => {
    sent.push([path, init]);
    return { data: of, response: new Response() };
  }) as never);
  vi.spyOn(api, 'GET').mockImplementation((async () => ({ data: {}, response: new Response(null, { headers: { ETag: '"t1"' } }) })) as never);
  return sent;
}

describe('a bucket that is forgotten', () => {
  const data: Read = [[['bucket', 'b'], bucket({})]];
  const rows = async () => within(await screen.findByRole('table', { name: 'What is removed' })).getAllByRole('row');
  it('with all data tells what goes, and where', async () => {
    planning();
    shown(<Remove kind="bucket" name="b" onClose={() => {}} />, data);
    await userEvent.click(await screen.findByRole('radio', { name: /^Remove all data/ }));
    expect((await rows()).slice(1).map((r) => r.textContent)).toEqual(['c1, the primary102.0 KiB', 'c291.0 KiB', 'c311.0 KiB']);
    expect(screen.getByText(/^All data of b is removed, in every cluster/)).toHaveTextContent('20 objects, 4.0 KiB in 3 clusters');
  });
  it('with its copies tells those alone', async () => {
    planning();
    shown(<Remove kind="bucket" name="b" onClose={() => {}} />, data);
    await userEvent.click(await screen.findByRole('radio', { name: /^Remove the copies/ }));
    expect((await rows()).slice(1).map((r) => r.textContent)).toEqual(['c291.0 KiB', 'c311.0 KiB']);
    expect(screen.getByText(/^The data of b is removed/)).toHaveTextContent('10 objects, 2.0 KiB in 2 clusters');
  });
  it('says so where that is not known', async () => {
    planning();
    shown(<Remove kind="bucket" name="b" onClose={() => {}} />);
    await userEvent.click(await screen.findByRole('radio', { name: /^Remove all data/ }));
    expect(await screen.findByText(/^All data of b is removed/)).toHaveTextContent('How much that is is not known.');
  });
});

describe('a plan', () => {
  const planned = (of: object) => {
    planning({ ...plan, ...of });
    shown(<Planned title="Edit" doc={{ fado: 1 } as never} verb={() => 'Apply'} done="" onClose={() => {}} />);
    return screen.findByRole('region', { name: 'Plan' });
  };
  it('says how much of it is not listed', async () => {
    const m = { bucket: 'b', prefix: '', add: ['c2'], remove: [], primary: null, objects: 1, bytes: 1, seconds: 0, egress: 0 };
    const buckets = [m, { ...m, prefix: 'raw/' }, { ...m, bucket: 'd' }];
    const shown = await planned({ changes_total: 1500, changes_next: 'x', moves: { ...moves, buckets, total: { ...none, buckets: 1200 }, next: 'y' } });
    expect(within(shown).getByText('and 1,499 changes more')).toBeVisible();
    expect(within(shown).getByText('and moves of 1,198 buckets more')).toBeVisible();
  });
  it('says that there are more moves also of the buckets that are listed', async () => {
    const m = { bucket: 'b', prefix: '', add: ['c2'], remove: [], primary: null, objects: 1, bytes: 1, seconds: 0, egress: 0 };
    const shown = await planned({ moves: { ...moves, buckets: [m], total: { ...none, buckets: 1 }, next: 'y' } });
    expect(within(shown).getByText('and more moves of these buckets')).toBeVisible();
    expect(within(shown).queryByText(/changes more/)).toBeNull();
  });
  it('names rules whose invocations run elsewhere', async () => {
    const examples = [
      { bucket: 'b', prefix: '', before: ['c1'], after: ['c2', 'c3'] },
      { bucket: 'b', prefix: 'raw/', before: ['c1'], after: [] },
    ];
    const shown = await planned({ routes: { ...routes, changed: 12, examples } });
    const table = within(shown).getByRole('table', { name: 'Where invocations run' });
    expect(
      within(table)
        .getAllByRole('row')
        .slice(1)
        .map((r) => [...r.children].map((c) => c.textContent)),
    ).toEqual([
      ['b ', 'c1', 'c2, c3'],
      ['b raw/', 'c1', 'nowhere with their data'],
    ]);
    expect(within(shown).getByText('and 10 rules more')).toBeVisible();
  });
});

describe('a conflict of one key', () => {
  const on = (cluster: string) => ({ cluster, size: 1, etag: 'e', last_modified: '2026-01-01T00:00:00Z' });
  const storing = (name: string, versioning: boolean) => ({ name, status: { storage: { capabilities: { versioning } } } });
  const data: Read = [
    [['bucket', 'b', 'conflicts', ''], { items: [{ key: 'k.txt', reason: '', copies: [on('c1'), on('c2')] }], next: '' }],
    [['clusters'], [storing('c1', true), storing('c2', false)]],
  ];
  const opened = async (role?: 'operator') => {
    shown(<Conflicts name="b" n={3} primary="c1" />, data, role);
    await userEvent.click(screen.getByRole('button', { name: 'Let c1 win' }));
    return within(await screen.findByRole('alertdialog'));
  };
  it('is settled by admins also where the loser is kept by nothing, once they type the name', async () => {
    const sent = planning({ resolved: 1, refused: [], refused_total: 0 });
    vi.spyOn(api, 'GET').mockImplementation((() => new Promise(() => {})) as never);
    const dialog = await opened();
    const apply = dialog.getByRole('button', { name: 'Apply to 1 conflict' });
    expect(apply).toBeEnabled();
    await userEvent.click(dialog.getByRole('checkbox', { name: /^Discard what loses/ }));
    expect(apply).toBeDisabled();
    await userEvent.type(dialog.getByLabelText('Type b to confirm'), 'b');
    await userEvent.click(apply);
    await waitFor(() => expect(sent).toMatchObject([['/fado/buckets/{name}/conflicts/resolve', { body: { key: 'k.txt', winner: 'c1', discard: true } }]]));
  });
  it('lets no one else discard it', async () => {
    const dialog = await opened('operator');
    const box = dialog.getByRole('checkbox', { name: /^Discard what loses/ });
    expect(box).toBeDisabled();
    expect(box).toHaveAccessibleDescription('Needs the role admin');
    expect(dialog.getByRole('button', { name: 'Apply to 1 conflict' })).toBeEnabled();
  });
});

describe('the tab of held deletes', () => {
  const copy = (cluster: string, since: string | null) => ({ cluster, held: 2, objects: 10, since });
  const tab = (...copies: object[]) =>
    shown(<HeldTab name="b" held />, [[['bucket', 'b', 'deletes', ''], { bound: { objects: 10, percent: 0 }, copies, deletes: [], next: '' }]]);
  it('tells since when the first of them is held', () => {
    const hours = (n: number) => new Date(Date.now() - n * 3_600_000).toISOString();
    tab(copy('c2', hours(2)), copy('c3', hours(5)), copy('c4', null));
    expect(screen.getByText(/^FaDO holds deletes/)).toHaveTextContent(/The first of these was noticed 5 h ago\.$/);
    expect(screen.getByRole('columnheader', { name: 'Held since' })).toBeVisible();
  });
  it('tells no time where none is known', () => {
    tab(copy('c2', null));
    expect(screen.getByText(/^FaDO holds deletes/)).not.toHaveTextContent('noticed');
  });
});

describe('held deletes', () => {
  const row = (key: string, cluster: string, size: number) => ({ key, cluster, size, since: '2026-01-01T00:00:00Z' });
  const deletes = [row('k1', 'c2', 1024), row('k1', 'c3', 1024), ...Array.from({ length: 8 }, (_, i) => row(`k${i + 2}`, 'c2', i ? 1024 : 0))];
  const held = (cluster: string, n: number) => ({ cluster, held: n, objects: 5000, since: null });
  const page = { bound: { objects: 10, percent: 0 }, copies: [held('c2', 2000), held('c3', 1)], deletes, next: 'k9' };
  it.each([
    ['Apply the deletes', 'Apply the deletes (2,001 deletes)'],
    ['Bring the objects back', 'Bring them back (2,001 deletes)'],
  ])('are told before it is decided: %s', async (button, action) => {
    shown(<HeldDeletes bucket="b" />, [[['bucket', 'b', 'deletes', ''], page]]);
    await userEvent.click(screen.getByRole('button', { name: button }));
    const dialog = await screen.findByRole('alertdialog');
    expect(within(dialog).getByRole('button', { name: action })).toBeVisible();
    expect(dialog).toHaveTextContent('2,000 deletes in c2, 1 delete in c3');
    expect(dialog).toHaveTextContent('9.0 KiB in the first 10 deletes, 1 of unknown size');
    const keys = within(dialog).getByRole('list', { name: 'Some of the keys' });
    expect(
      within(keys)
        .getAllByRole('listitem')
        .map((li) => li.textContent),
    ).toEqual(['k1', 'k2', 'k3', 'k4', 'k5', 'and more']);
  });
});

describe('while FaDO can not be reached', () => {
  const away = 'FaDO can not be reached';
  it('a plan that is open is not applied', async () => {
    const sent = planning();
    const online = shown(<Planned title="Edit" doc={{ fado: 1 } as never} verb={() => 'Apply'} done="" onClose={() => {}} />);
    const apply = await screen.findByRole('button', { name: 'Apply' });
    expect(apply).not.toHaveAttribute('aria-disabled');
    online(false);
    expect(apply).toHaveAttribute('aria-disabled', 'true');
    expect(apply).toHaveAccessibleDescription(away);
    const before = sent.length;
    await userEvent.click(apply);
    expect(sent).toHaveLength(before);
    online(true);
    expect(apply).not.toHaveAttribute('aria-disabled');
  });
  it('a question that is open is not answered', async () => {
    const done = vi.fn();
    const online = shown(
      <Confirm open title="Pause" action="Go" onDone={done} onClose={done}>
        text
      </Confirm>,
    );
    online(false);
    const go = await screen.findByRole('button', { name: 'Go' });
    expect(go).toHaveAttribute('aria-disabled', 'true');
    expect(go).toHaveAccessibleDescription(away);
    await userEvent.click(go);
    expect(done).not.toHaveBeenCalled();
    online(true);
    await userEvent.click(go);
    expect(done).toHaveBeenCalledTimes(2);
  });
  it('no connection is tested', async () => {
    const sent = planning();
    const online = shown(<TestConnection of={{ name: 'c' }} />);
    online(false);
    const test = screen.getByRole('button', { name: 'Test connection' });
    expect(test).toHaveAttribute('aria-disabled', 'true');
    expect(test).toHaveAccessibleDescription(away);
    await userEvent.click(test);
    expect(sent).toEqual([]);
  });
});
