import type { InvalidateQueryFilters, Query, QueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { mount, signals } from './api/client';

interface Change {
  kinds: string[];
  buckets: string[];
  missed: boolean;
}

type Frame = { type: 'change'; data: Change } | { type: 'beat'; data: { time: string; version: string } } | { type: 'lost' };

const lock = 'fado-stream';

/** What is measured: it is read every few seconds, and no change of a resource is told by it. */
const measured: unknown[] = ['history', 'flows', 'replication'];

const everything: InvalidateQueryFilters = {};
const butMeasured: InvalidateQueryFilters = { predicate: (q: Query) => !measured.includes(q.queryKey[0]) };

/** Where much happens to objects, so many bytes a second are read again on account of it, or what is shown is so old. */
const bytesPerSecond = 64 << 10;
const oldest = 15_000;

let read = 0;
if (globalThis.PerformanceObserver?.supportedEntryTypes?.includes('resource')) {
  new PerformanceObserver((l) => {
    for (const e of l.getEntries() as PerformanceResourceTiming[]) read += e.transferSize;
  }).observe({ type: 'resource' });
}

/** Whether people changed something, which is to be seen at once. */
const byPeople = (c: Change) => c.kinds.some((k) => k === 'resource' || k === 'configuration');

/** What to read again after a change. */
export function stale(change: Change): InvalidateQueryFilters[] {
  const has = (...kinds: string[]) => change.kinds.some((k) => kinds.includes(k));
  if (change.missed) return [everything];
  if (byPeople(change)) return [butMeasured];
  const keys: string[][] = change.kinds.length > 0 ? [['events']] : [];
  if (has('copy', 'bucket_stuck', 'verification', 'transfer')) {
    keys.push(['summary'], ['buckets'], ['replication']);
    for (const b of change.buckets) keys.push(['bucket', b]);
  }
  if (has('storage', 'function', 'drain')) keys.push(['summary'], ['clusters'], ['cluster'], ['route']);
  return keys.map((queryKey) => ({ queryKey }));
}

/** For how long a tab that can't be seen keeps its stream, in milliseconds. */
const linger = 60_000;

/** Begins something whenever the page comes into sight, which ends a while after it is out of it, and with all else. */
function whileSeen(ended: AbortSignal, begin: (until: AbortSignal) => void): void {
  let open: AbortController | undefined;
  let later: ReturnType<typeof setTimeout> | undefined;
  const close = () => {
    clearTimeout(later);
    open?.abort();
    open = undefined;
  };
  const look = () => {
    clearTimeout(later);
    if (document.visibilityState !== 'visible') {
      later = setTimeout(close, linger);
    } else if (!open) {
      open = new AbortController();
      begin(open.signal);
    }
  };
  document.addEventListener('visibilitychange', look, { signal: ended });
  ended.addEventListener('abort', close);
  look();
}

/**
 * Follows what happens: one tab of a browser holds the stream and tells the others, because
 * plain HTTP has six connections to a server. Browsers have no locks over plain HTTP, except at localhost: each visible
 * tab has its own stream then.
 */
export function follow(client: QueryClient, heard: (f: Frame) => void, bytes = () => read): () => void {
  const ended = new AbortController();
  const channel = new BroadcastChannel(`${lock} ${mount}`);
  const waiting = new Map<unknown, InvalidateQueryFilters>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let due = 0;
  let last = 0;
  let before = 0;
  // Whether there may be changes of which no stream told: after one was lost, and after another tab had it.
  let gap = false;
  let leads = false;

  function take(frame: Frame) {
    heard(frame);
    if (frame.type !== 'change') return;
    for (const f of stale(frame.data)) waiting.set(f.queryKey?.join('\n') ?? f, f);
    // What comes alone is read again at once, what comes in crowds a few times a second, or as often as there is room for it.
    const paid = byPeople(frame.data) ? 0 : Math.min(oldest, ((bytes() - before) / bytesPerSecond) * 1000);
    const at = Math.max(Date.now(), last + Math.max(250, paid));
    if (timer !== undefined && due <= at) return;
    clearTimeout(timer);
    due = at;
    timer = setTimeout(again, at - Date.now());
  }

  function again() {
    timer = undefined;
    last = Date.now();
    before = bytes();
    for (const f of waiting.values()) client.invalidateQueries(f);
    waiting.clear();
  }

  channel.onmessage = (e) => {
    if (!leads) gap = true;
    take(e.data as Frame);
  };

  const lead = (until: AbortSignal) =>
    new Promise<void>((done) => {
      const source = new EventSource(`${mount}/api/stream`);
      const tell = (frame: Frame) => {
        if (navigator.locks) channel.postMessage(frame);
        take(frame);
      };
      source.addEventListener('change', (e) => tell({ type: 'change', data: JSON.parse(e.data) }));
      source.addEventListener('beat', (e) => {
        if (gap) tell({ type: 'change', data: { kinds: [], buckets: [], missed: true } });
        gap = false;
        tell({ type: 'beat', data: JSON.parse(e.data) });
      });
      source.onerror = () => {
        gap = true;
        tell({ type: 'lost' });
        if (source.readyState === EventSource.CLOSED && !until.aborted) {
          // Refused, not cut: look again in a while, when the session may be there again.
          source.close();
          setTimeout(done, 3000);
        }
      };
      until.addEventListener('abort', () => {
        source.close();
        done();
      });
    });

  const run = async (until: AbortSignal) => {
    leads = true;
    while (!until.aborted) await lead(until);
  };
  if (navigator.locks) {
    navigator.locks.request(lock + mount, { signal: ended.signal }, () => run(ended.signal)).catch(() => {});
  } else {
    whileSeen(ended.signal, (until) => {
      // Nobody told what happened since the last one.
      gap = leads;
      run(until);
    });
  }
  return () => {
    ended.abort();
    channel.close();
    clearTimeout(timer);
  };
}

export interface Liveness {
  /** When FaDO was heard of last, in milliseconds. */
  heard: number;
  /** Since when it can't be reached; undefined while it can. */
  lost?: number;
  /** The version that answers. */
  version?: string;
  /** Whether another one answered when the page was opened. */
  newer?: boolean;
}

/** What a beat says of versions: once another one answered, the page is an old one. */
export const answers = (l: Liveness, version: string) => ({ version, newer: l.newer || (l.version !== undefined && l.version !== version) });

/** How the connection to FaDO is. */
export function useLive(client: QueryClient): Liveness {
  const [live, setLive] = useState<Liveness>({ heard: Date.now() });
  useEffect(() => {
    const answered = () => setLive((l) => ({ ...l, heard: Date.now(), lost: undefined }));
    const lost = () => setLive((l) => ({ ...l, lost: l.lost ?? Date.now() }));
    signals.addEventListener('answered', answered);
    signals.addEventListener('unreachable', lost);
    const stop = follow(client, (frame) => {
      if (frame.type === 'lost') lost();
      else setLive((l) => ({ ...l, heard: Date.now(), lost: undefined, ...(frame.type === 'beat' && answers(l, frame.data.version)) }));
    });
    return () => {
      signals.removeEventListener('answered', answered);
      signals.removeEventListener('unreachable', lost);
      stop();
    };
  }, [client]);
  return live;
}
