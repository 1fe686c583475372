import type { Bucket } from './api/client';

/** What all copies of a bucket are behind by. */
export function behindOf(st: Bucket['status']): { objects: number; bytes: number; oldest: string | null } {
  return (st?.copies ?? []).reduce(
    (sum, { pending: p }) => ({
      objects: sum.objects + p.objects,
      bytes: sum.bytes + p.bytes,
      oldest: [sum.oldest, p.oldest].filter(Boolean).sort()[0] ?? null,
    }),
    { objects: 0, bytes: 0, oldest: null as string | null },
  );
}
