import { QueryClient } from '@tanstack/react-query';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { follow } from './live';

class Source extends EventTarget {
  static last: Source;
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
  onmessage = null;
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
