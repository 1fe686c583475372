import { QueryClient } from '@tanstack/react-query';
import { render, screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { describe, expect, it, vi } from 'vitest';
import { may } from './api/client';
import { before as greatestBefore } from './before';
import { stale } from './live';
import { sentence } from './pages/Audit';
import { ruleOf, tree } from './pages/Catalogue';
import { size } from './pages/Clusters';
import { bow, width } from './pages/Edges';
import { clean } from './pages/Edit';
import { flowsOf, folding, linksOf, ofInstances, places } from './pages/Flowing';
import { bounds } from './pages/Held';
import { heldBy } from './pages/Holding';
import { csv, latest, linesOf, together } from './pages/history';
import { cell, sum } from './pages/Matrix';
import { waits } from './pages/Pending';
import { fieldErrors, move } from './pages/Plan';
import { parseCurl, refusals, shellWords, supposed } from './pages/Routing';
import { offers } from './pages/TestConnection';
import { Action, SessionContext, State } from './ui/kit';
import { strokes } from './ui/Spark';

vi.mock('@tanstack/react-router', async (real) => (await import('./testrouter')).routerOf(await real()));

describe('what is read again', () => {
  const keys = [['summary'], ['bucket', 'a'], ['bucket', 'b'], ['clusters'], ['events', {}], ['history', '1h'], ['flows'], ['replication'], ['tokens']];
  function read(change: Parameters<typeof stale>[0]): string[] {
    const client = new QueryClient();
    for (const key of keys) client.setQueryData(key, 1);
    for (const f of stale(change)) client.invalidateQueries(f);
    return keys.filter((key) => client.getQueryState(key)?.isInvalidated).map((key) => JSON.stringify(key));
  }
  const all = keys.map((key) => JSON.stringify(key));
  it('is everything after what was missed', () => {
    expect(read({ kinds: [], buckets: [], missed: true })).toEqual(all);
    expect(read({ kinds: ['resource'], buckets: [], missed: true })).toEqual(all);
  });
  it('is everything after a change of the catalogue, but what is measured', () => {
    const rest = all.filter((key) => !/history|flows|replication/.test(key));
    expect(read({ kinds: ['resource'], buckets: ['a'], missed: false })).toEqual(rest);
    expect(read({ kinds: ['configuration', 'copy'], buckets: [], missed: false })).toEqual(rest);
  });
  it('is what the change was about', () => {
    expect(read({ kinds: ['transfer'], buckets: ['b'], missed: false })).toEqual(['["summary"]', '["bucket","b"]', '["events",{}]', '["replication"]']);
    expect(read({ kinds: ['storage'], buckets: [], missed: false })).toEqual(['["summary"]', '["clusters"]', '["events",{}]']);
    expect(read({ kinds: [], buckets: [], missed: false })).toEqual([]);
  });
});

describe('names and sizes', () => {
  it('go to a name by what stands before it', () => {
    for (const name of ['b-099990', 'a', 'reports']) {
      expect(greatestBefore(name) < name).toBe(true);
      expect(greatestBefore(name) > name.slice(0, -1)).toBe(true);
    }
    expect(greatestBefore('')).toBe('');
  });
  it('read sizes as the API writes them', () => {
    expect([size('500GiB'), size('2TB'), size(17), size('1KiB'), size('rubbish')]).toEqual([500 * 1024 ** 3, 2e12, 17, 1024, 0]);
  });
  it('show zones as a tree, once each', () => {
    const zones = [{ name: 'de', parent: 'eu' }, { name: 'eu' }, { name: 'ber', parent: 'de' }] as never;
    expect(tree(zones).map(({ zone, depth }) => `${depth} ${zone.name}`)).toEqual(['0 eu', '1 de', '2 ber']);
  });
  it('find the rule of a bucket that a policy is for', () => {
    const b = { name: 'b', policy: 'gold', prefixes: [{ prefix: 'raw/', policy: 'cheap' }] } as never;
    expect([ruleOf(b, 'gold'), ruleOf(b, 'cheap'), ruleOf(b, 'default'), ruleOf({ name: 'c' } as never, 'default')]).toEqual(['', 'raw/', undefined, '']);
  });
  it('read a pasted request', () => {
    expect(parseCurl(`curl -i -H 'X-FaDO-Bucket: reports' -H "x-fado-object: q1/a b.txt" http://h/`)).toEqual({
      bucket: 'reports',
      object: 'q1/a b.txt',
      data: undefined,
    });
    expect(parseCurl('curl http://h/')).toEqual({ bucket: undefined, object: undefined, data: undefined });
    expect(
      parseCurl("curl --header=X-FaDO-Bucket:a \\\n -H'X-FaDO-Bucket: b' -H 'X-FaDO-Object: k' -H 'X-FaDO-Object: it'\\''s' -H 'X-FaDO-Data: s3://c/d' h"),
    ).toEqual({
      bucket: 'a, b',
      object: undefined,
      data: "s3://c/d s3://a/k s3://a/it's",
    });
  });
  it('reads words as a shell does', () => {
    expect(shellWords(`a 'b c'"d \\"e" f\\ g \\\n h`)).toEqual(['a', 'b cd "e', 'f g', 'h']);
  });
  it('asks what would be only where something is supposed', () => {
    expect(supposed({ bucket: 'b' })).toBeUndefined();
    expect(supposed({ bucket: 'b', down: 'c1,c2', spill: '3' })).toEqual({ bucket: ['b'], object: undefined, data: undefined, down: ['c1', 'c2'], spill: 3 });
  });
});

describe('words', () => {
  const record = (kind: string, body: object) => sentence({ seq: 1, at: '', node: 'n', kind, actor: '', prev: '', hash: '', body: body as never });
  it('tell what an audit record says', () => {
    expect(record('change', { resource: 'policy', name: 'gold', action: 'changed' })).toBe('policy gold changed');
    expect(record('session', { event: 'signed-in', session: 's', user: 'ada', role: 'admin', how: 'password', address: '::1' })).toBe(
      'ada signed in as admin, by password, from ::1',
    );
    const by = { address: '::1', session: 'x1', user: '', role: '', how: 'password' };
    expect(record('session', { ...by, event: 'sign-in-failed' })).toBe('sign-in failed, by password, from ::1');
    expect(record('session', { ...by, event: 'sign-in-failed', user: 'ada' })).toBe('sign-in as ada failed, by password, from ::1');
    expect(record('session', { ...by, event: 'token-made', user: 'ci', role: 'viewer' })).toBe('token ci made, with the role viewer, from ::1');
    expect(record('session', { ...by, event: 'token-revoked' })).toBe('token x1 revoked, from ::1');
    expect(record('session', { ...by, event: 'signed-out' })).toBe('session x1 ended, from ::1');
    expect(record('session', { ...by, event: 'url-signed', user: 'ada', operation: 'get', bucket: 'b', key: 'k' })).toBe(
      'ada may get k of b by a URL, from ::1',
    );
    expect(record('allowed', { policy: 'gold', clusters: [] })).toBe('policy gold allows no cluster');
    expect(record('copy', { event: 'synced', bucket: 'b', prefix: 'x/', from: 'c1', to: 'c2', objects: 1, bytes: 2048 })).toBe(
      'copy of b below x/ in c2 synced, from c1: 1 object, 2.0 KiB',
    );
  });
  it('tell what people had done', () => {
    const did = (action: string, more: object = {}, actor = 'console ada') =>
      sentence({ seq: 1, at: '', node: 'n', kind: 'action', actor, prev: '', hash: '', body: { action, state: 'done', ...more } as never });
    const reports = { resource: 'bucket', name: 'reports' };
    expect(did('confirm-deletes', reports)).toBe('ada applied the held deletes of reports');
    expect(did('pause-replication', {}, 'admin 192.0.2.1')).toBe('admin 192.0.2.1 paused replication');
    expect(did('resolve-conflicts', { ...reports, with: { winner: 'c1', keys: 'one', discard: 'true' } })).toBe(
      'ada decided a conflict of reports for c1, discarding what loses',
    );
    expect(did('delete-bucket', { ...reports, with: { purge: 'all' } })).toBe('ada had all data of reports removed');
    expect(did('trust-side', { ...reports, with: { cluster: 'c2' }, state: 'failed', status: 409 })).toBe(
      'ada said that c2 is right about reports, which failed with status 409',
    );
    expect(did('later-action', reports)).toBe('ada later-action bucket reports');
  });
  it('tell the bounds of deletes, why a row waits, and what a storage offers', () => {
    expect(bounds({ objects: 1000, percent: 10 })).toBe("more than 1,000 and more than 10 % of a copy's objects within ten minutes");
    expect(bounds({ objects: 10, percent: 0 })).toBe('more than 10 within ten minutes');
    const object = { key: 'k', cluster: 'c', size: 1, since: '' };
    const row = { ...object, hold: '', attempts: 0, next_attempt: null, error: '', cause: '', background: false, node: '' } as const;
    expect(waits(row)).toBe('waits for its turn');
    expect(waits({ ...row, hold: 'deletes' })).toContain('people');
    expect(waits({ ...row, attempts: 2 })).toBe('waits to be tried again');
    expect(waits({ ...row, node: 'n1' })).toBe('being copied by n1');
    const capabilities = { provider: 'MinIO', versioning: true, tags: false } as never;
    expect(offers({ state: 'up', error: '', capabilities, clock_skew_s: -9.6, took_ms: 3.2 })).toBe(
      'MinIO; answered in 3 ms; its clock is 10 s behind; offers versioning',
    );
  });
  it('tell what a cell of the matrix says', () => {
    const row = { bucket: 'reports', state: 'ok', policy: 'eu', cells: 'PSX', behind: [{ cluster: 'c2', objects: 1, bytes: 3, oldest: null }] } as const;
    expect(['c1', 'c2', 'c3'].map((c, i) => cell(row as never, c, row.cells[i]))).toEqual([
      'reports in c1: primary, synced',
      'reports in c2: synced, 1 object behind, 3 B',
      'reports in c3: not allowed by policy eu',
    ]);
    expect(sum('eu', 'c1', { allowed: true, buckets: 90_000, not_ok: 1_200 })).toBe('eu in c1: 90,000 buckets, 1,200 of them not ok');
    expect(sum('eu', 'c2', { allowed: false, buckets: 1, not_ok: 0 })).toBe('eu in c2: 1 bucket, not allowed by the policy');
  });
});

describe('changes', () => {
  it('tell which field is wrong', () => {
    expect(fieldErrors('buckets[0].name: "No_Good": expected lower-case; buckets[0].prefixes[0].policy: "x": no such policy')).toEqual({
      name: 'buckets[0].name: "No_Good": expected lower-case',
      prefixes: 'buckets[0].prefixes[0].policy: "x": no such policy',
    });
    expect(fieldErrors('clusters[0].storage.endpoint: "": expected a URL')).toHaveProperty('endpoint');
    expect(fieldErrors('the database does not answer')).toEqual({});
  });
  it('send what people can write, and nothing that is empty', () => {
    expect(
      clean({
        name: 'b',
        policy: '',
        prefixes: [],
        origin: 'api',
        status: { state: 'ok' },
        storage: { endpoint: 'http://s', region: '' },
        drain: false,
        weight: 0,
      }),
    ).toEqual({
      name: 'b',
      storage: { endpoint: 'http://s' },
      weight: 0,
    });
  });
  it('name moves', () => {
    const to = (m: object) => move({ bucket: 'b', prefix: '', add: [], remove: [], primary: null, objects: 0, bytes: 0, seconds: 0, egress: 0, ...m });
    expect(to({ add: ['virginia'], remove: ['berlin'], primary: { from: 'berlin', to: 'virginia' } })).toBe('berlin → virginia');
    expect(to({ add: ['paris'], remove: ['rome'] })).toBe('+ paris; − rome');
  });
});

describe('what was measured', () => {
  const h = {
    from: '',
    step: 1,
    series: [
      { node: 'a', name: 'used.c1', values: [1, null] },
      { node: 'a', name: 'decisions.local.c1', values: [null, 2, 4] },
      { node: 'a', name: 'decisions.local', values: [9] },
      { node: 'a', name: 'copied.c2', values: [null] },
    ],
  };
  it('is drawn by the names of series', () => {
    expect(linesOf({ series: { 'used.': '', 'decisions.local': 'local' } }, h).map((l) => l.label)).toEqual(['c1', 'local']);
  });
  it('of all instances is a sum, not known where one is missing, or the highest that is known', () => {
    const one = (node: string, name: string, ...values: (number | null)[]) => ({ node, name, values });
    const series = [
      one('a', 'errors', 1, 1, 1, 1, 1),
      one('b', 'errors', null, 2, null, 4, null),
      one('gone', 'errors', 8, null, 8, null, null),
      one('a', 'lag.p99', 1, 5, null, 1, null),
      one('b', 'lag.p99', 3, 2, 7, 1, null),
      one('a', 'used.c1', 9, null, 9, 9, 9),
    ];
    const told = (node: string, silent: boolean) => ({ node, this: node === 'a', last: null, silent });
    const all = together({ from: '', step: 1, series }, [told('a', false), told('b', false), told('gone', true)]);
    expect(all.series.map((s) => [s.node, s.name, s.values])).toEqual([
      ['all', 'errors', [9, null, null, 5, null]],
      ['all', 'lag.p99', [3, 5, 7, 1, null]],
      ['a', 'used.c1', [9, null, 9, 9, 9]],
    ]);
    expect([latest(all.series[0] as never), latest(undefined), latest({ label: '', values: [null] })]).toEqual([5, undefined, undefined]);
  });
  it('is drawn small, with its gaps', () => {
    expect(strokes([0, 10, null, 5, null], 10)).toBe('M0.0 34.0L50.0 2.0M150.0 18.0h.1');
    expect(strokes([0], 0)).toBe('M0.0 34.0h.1');
  });
  it('flows, summed by cluster', () => {
    const f = {
      node: 'n',
      nodes: ['n', 'm'],
      window: 60,
      endpoints: [
        { cluster: 'c1', url: 'a', local: 3, remote: 1, none: 0, errors: 0, p50_ms: 1, p99_ms: 2, in_flight: 0 },
        { cluster: 'c1', url: 'b', local: 1, remote: 0, none: 2, errors: 1, p50_ms: null, p99_ms: null, in_flight: 0 },
      ],
      reads: [{ from: 'c2', to: 'c1', invocations: 1 }],
      copies: [{ from: 'c1', to: 'c2', objects: 2, bytes: 2048 }],
    };
    expect([...flowsOf(f)]).toEqual([
      ['c1', { local: 4, remote: 1, none: 2, errors: 1, copied: 0 }],
      ['c2', { local: 0, remote: 0, none: 0, errors: 0, copied: 2048 }],
    ]);
    expect(flowsOf(undefined).size).toBe(0);
    expect(ofInstances(f)).toBe(', of n and m together');
    expect(ofInstances({ ...f, nodes: ['n'] })).toBe('');
    expect(linksOf(f).map((l) => `${l.kind} ${l.from} ${l.to} ${l.text}`)).toEqual(['reads c2 c1 1.0/s read', 'copies c1 c2 2.0/s copied, 2.0 KiB/s']);
  });
  it('draws ways there and back apart, and no line too wide', () => {
    const [a, b] = [
      { x: 0, y: 0 },
      { x: 100, y: 0 },
    ];
    expect([bow(a, b), bow(b, a)]).toEqual(['M0 0 Q50 18 100 0', 'M100 0 Q50 -18 0 0']);
    expect(width(0)).toBe(1.5);
    expect(width(1e9)).toBe(8);
  });
  it('is in the boxes of its zones, each once', () => {
    const zones = [{ name: 'us' }, { name: 'de', parent: 'eu' }, { name: 'eu' }] as never;
    const clusters = [
      { name: 'b', zones: ['de', 'eu'] },
      { name: 'a', zones: ['de'] },
    ] as never;
    const [eu, us] = places(zones, clusters);
    expect(
      places(zones, [{ name: 'x', zones: [] }] as never)
        .at(-1)
        ?.clusters.map((c) => c.name),
    ).toEqual(['x']);
    const sums = [
      { name: 'a', storage: 'down', functions: 0, healthy: 0 },
      { name: 'b', storage: 'up', functions: 2, healthy: 2 },
    ] as never;
    expect(folding(sums, new Map([['b', { local: 2, remote: 1, none: 1, errors: 0, copied: 0 }]]))).toBe('2 clusters, 1 in trouble, 4.0/s');
    expect([eu.zone.name, us.zone.name, eu.clusters.length, eu.inside[0].clusters.map((c) => c.name)]).toEqual(['eu', 'us', 0, ['a', 'b']]);
  });
});

describe('roles', () => {
  it('may what those before may', () => {
    expect([may('viewer', 'operator'), may('operator', 'operator'), may('admin', 'viewer')]).toEqual([false, true, true]);
  });
  it('show what is missing, and do nothing', async () => {
    const did = vi.fn();
    const as = (role: 'viewer' | 'operator') => (
      <SessionContext value={{ user: 'x', role, why: '', how: 'password', expires: null, sign_out: '', session: '', data: 'none', s3: '' }}>
        <Action onClick={did}>Sync</Action>
      </SessionContext>
    );
    const { rerender } = render(as('viewer'));
    const button = screen.getByRole('button', { name: 'Sync' });
    expect(button).toHaveAttribute('aria-disabled', 'true');
    expect(button).toHaveAccessibleDescription('Needs the role operator');
    await userEvent.click(button);
    expect(did).not.toHaveBeenCalled();
    rerender(as('operator'));
    await userEvent.click(button);
    expect(did).toHaveBeenCalledOnce();
  });
  it('name states in words', () => {
    render(<State of="stuck" />);
    expect(screen.getByText('stuck')).toBeVisible();
  });
});

describe('what lives only in a cluster', () => {
  const copy = (cluster: string, state: string, objects: number, behind = 0) => ({
    cluster,
    state,
    role: cluster === 'berlin' ? 'primary' : 'copy',
    objects,
    bytes: 10 * objects,
    pending: { objects: behind, bytes: 10 * behind, oldest: null },
  });
  const buckets = [
    { name: 'safe', status: { copies: [copy('berlin', 'synced', 5), copy('paris', 'synced', 5)] } },
    { name: 'behind', status: { copies: [copy('berlin', 'synced', 9), copy('paris', 'synced', 7, 3), copy('rome', 'synced', 7, 2)] } },
    { name: 'alone', status: { copies: [copy('berlin', 'synced', 7), copy('paris', 'syncing', 6)] } },
    { name: 'elsewhere', status: { copies: [copy('paris', 'synced', 7)] } },
    { name: 'unread' },
  ] as never;
  it('is what no other copy has that is whole', () => {
    expect(heldBy('berlin', buckets).map((h) => [h.bucket, h.only, h.onlyBytes, h.also.join(' ')])).toEqual([
      ['alone', 7, 70, ''],
      ['behind', 2, 20, 'paris rome'],
      ['safe', 0, 0, 'paris'],
    ]);
  });
});

describe('what was refused', () => {
  it('is counted by reason, the most frequent first', () => {
    const series = [
      { node: 'all', name: 'rejections', values: [9] },
      { node: 'all', name: 'rejections.no-bucket', values: [0.1, null, 0.1] },
      { node: 'all', name: 'rejections.no-endpoint', values: [0, 1, 0.5] },
      { node: 'all', name: 'rejections.bad-path', values: [0, 0, 0] },
    ];
    expect(refusals({ series, step: 10 })).toEqual([
      { reason: 'no-endpoint', times: 15, now: 0.5 },
      { reason: 'no-bucket', times: 2, now: 0.1 },
    ]);
  });
  it('and all that is measured goes into a file', () => {
    const lines = [
      { label: 'a, "b"', values: [1, null] },
      { label: 'c', values: [0.5, 2] },
    ];
    expect(csv(1_800_000_000, 10, lines)).toBe('time,"a, ""b""",c\r\n2027-01-15T08:00:00.000Z,1,0.5\r\n2027-01-15T08:00:10.000Z,,2\r\n');
  });
});
