import { QueryClient } from '@tanstack/react-query';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { follow } from './live';

class Source extends EventTarget {
  static last: Source;
  static CLOSED = 2;
  readyState = 1;
  constructor() {
    super();
    Source.last = this;
  }
  close() {}
  changed(bucket: string) {
    this.dispatchEvent(new MessageEvent('change', { data: JSON.stringify({ kinds: ['copy'], buckets: [bucket], missed: false }) }));
  }
}

class Channel {
  static last: Channel;
  onmessage: (e: unknown) => void = () => {};
  constructor() {
    Channel.last = this;
  }
  postMessage() {}
  close() {}
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal('EventSource', Source);
  vi.stubGlobal('BroadcastChannel', Channel);
});

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

it('reads again at once after a change that comes alone, and a few times a second in a crowd', () => {
  const client = new QueryClient();
  const read = vi.spyOn(client, 'invalidateQueries');
  const ofBuckets = () => read.mock.calls.map(([f]) => f?.queryKey).filter((k) => k?.[0] === 'bucket');
  const stop = follow(client, () => {});
  Source.last.changed('a');
  vi.advanceTimersByTime(1);
  expect(ofBuckets()).toEqual([['bucket', 'a']]);
  for (const b of ['b', 'c', 'c']) Source.last.changed(b);
  vi.advanceTimersByTime(200);
  expect(ofBuckets()).toHaveLength(1);
  vi.advanceTimersByTime(50);
  expect(ofBuckets()).toEqual([
    ['bucket', 'a'],
    ['bucket', 'b'],
    ['bucket', 'c'],
  ]);
  vi.advanceTimersByTime(1000);
  Source.last.changed('d');
  vi.advanceTimersByTime(1);
  expect(ofBuckets().at(-1)).toEqual(['bucket', 'd']);
  stop();
});

it('reads no more of what happens to objects than there is room for, and at once what people change', () => {
  const client = new QueryClient();
  let bytes = 1 << 20; // of the page itself
  let size = 128 << 10; // what one reading takes: two seconds of the room
  const again = vi.spyOn(client, 'invalidateQueries').mockImplementation(async (f) => {
    if (f?.predicate || f?.queryKey?.[0] === 'buckets') bytes += size;
  });
  const stop = follow(
    client,
    () => {},
    () => bytes,
  );
  const crowd = (ms: number) => {
    for (let t = 0; t < ms; t += 500) {
      Source.last.changed('a');
      vi.advanceTimersByTime(500);
    }
  };
  const times = () => again.mock.calls.filter(([f]) => f?.queryKey?.[0] === 'buckets').length;
  Source.last.changed('a');
  vi.advanceTimersByTime(1);
  expect(times()).toBe(1);
  crowd(10_000);
  expect(times()).toBe(6);
  size = 100 << 20; // a list so long that it would take half an hour
  Source.last.dispatchEvent(new MessageEvent('change', { data: JSON.stringify({ kinds: ['resource'], buckets: [], missed: false }) }));
  vi.advanceTimersByTime(250);
  expect(again.mock.calls.at(-1)?.[0]).toHaveProperty('predicate');
  crowd(14_500);
  expect(times()).toBe(6);
  crowd(1000);
  expect(times()).toBe(7);
  stop();
});

/** What was read again, whole. */
const everything = (read: { mock: { calls: unknown[][] } }) => read.mock.calls.filter(([f]) => f && Object.keys(f).length === 0).length;
const beat = () => Source.last.dispatchEvent(new MessageEvent('beat', { data: '{"version":"1"}' }));

it('reads all again once a stream that was refused is there again', () => {
  const client = new QueryClient();
  const read = vi.spyOn(client, 'invalidateQueries');
  const stop = follow(client, () => {});
  beat();
  vi.advanceTimersByTime(1000);
  expect(everything(read)).toBe(0);
  const refused = Source.last as Source & { onerror: () => void };
  refused.readyState = 2;
  refused.onerror();
  return vi.advanceTimersByTimeAsync(3000).then(async () => {
    expect(Source.last).not.toBe(refused);
    beat();
    await vi.advanceTimersByTimeAsync(1000);
    expect(everything(read)).toBe(1);
    stop();
  });
});

it('reads all again when it takes the stream over from a tab that is gone', async () => {
  let lead: () => unknown = () => {};
  const request = async (_: string, __: object, run: () => unknown) => {
    lead = run;
  };
  vi.stubGlobal('navigator', { locks: { request } });
  const client = new QueryClient();
  const read = vi.spyOn(client, 'invalidateQueries');
  const stop = follow(client, () => {});
  Channel.last.onmessage({ data: { type: 'beat', data: { time: '', version: '1' } } });
  lead();
  beat();
  await vi.advanceTimersByTimeAsync(1000);
  expect(everything(read)).toBe(1);
  stop();
});

it('reads nothing again for what other tabs tell while it has a stream of its own', async () => {
  const client = new QueryClient();
  const read = vi.spyOn(client, 'invalidateQueries');
  const stop = follow(client, () => {});
  Channel.last.onmessage({ data: { type: 'beat', data: { time: '', version: '1' } } });
  beat();
  await vi.advanceTimersByTimeAsync(1000);
  expect(everything(read)).toBe(0);
  stop();
});

describe('without locks, as over plain HTTP', () => {
  let seen: DocumentVisibilityState;
  const look = (to: DocumentVisibilityState) => {
    seen = to;
    document.dispatchEvent(new Event('visibilitychange'));
  };
  let open: Set<Source>;
  beforeEach(() => {
    seen = 'visible';
    open = new Set();
    vi.spyOn(document, 'visibilityState', 'get').mockImplementation(() => seen);
    vi.stubGlobal('navigator', {});
    vi.stubGlobal(
      'EventSource',
      class extends Source {
        constructor() {
          super();
          open.add(this);
        }
        close() {
          open.delete(this);
        }
      },
    );
    return () => vi.restoreAllMocks();
  });

  it('holds a stream while its tab is visible, and for a minute after', async () => {
    const client = new QueryClient();
    const read = vi.spyOn(client, 'invalidateQueries');
    const stop = follow(client, () => {});
    beat();
    expect(open.size).toBe(1);
    look('hidden');
    await vi.advanceTimersByTimeAsync(59_000);
    expect(open.size).toBe(1);
    await vi.advanceTimersByTimeAsync(2000);
    expect(open.size).toBe(0);
    await vi.advanceTimersByTimeAsync(600_000);
    expect(open.size).toBe(0);
    expect(everything(read)).toBe(0);
    look('visible');
    expect(open.size).toBe(1);
    beat();
    await vi.advanceTimersByTimeAsync(1000);
    expect(everything(read)).toBe(1);
    stop();
    look('hidden');
    look('visible');
    expect(open.size).toBe(0);
  });

  it('keeps the stream of a tab that is looked at again within that minute', async () => {
    const client = new QueryClient();
    const read = vi.spyOn(client, 'invalidateQueries');
    const stop = follow(client, () => {});
    beat();
    const first = Source.last;
    look('hidden');
    await vi.advanceTimersByTimeAsync(30_000);
    look('visible');
    await vi.advanceTimersByTimeAsync(120_000);
    beat();
    expect([...open]).toEqual([first]);
    expect(everything(read)).toBe(0);
    stop();
  });

  it('has none for a tab that is opened behind another', async () => {
    seen = 'hidden';
    const stop = follow(new QueryClient(), () => {});
    expect(open.size).toBe(0);
    look('visible');
    expect(open.size).toBe(1);
    stop();
    expect(open.size).toBe(0);
  });

  it('closes the stream also after it was refused', async () => {
    const stop = follow(new QueryClient(), () => {});
    const refused = Source.last as Source & { onerror: () => void };
    refused.readyState = 2;
    refused.onerror();
    look('hidden');
    await vi.advanceTimersByTimeAsync(120_000);
    expect(open.size).toBe(0);
    stop();
  });
});
