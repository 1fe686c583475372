import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect } from '@playwright/test';
import { type Another, type another, askAdmin } from './world';

/** How many buckets a large fleet has. */
export const many = 100_000;

/**
 * A FaDO with so many buckets, all of them ok. It copies nothing: making a hundred thousand buckets in a storage would
 * take an hour.
 */
export async function large(start: typeof another, buckets = many): Promise<Another> {
  const clusters = ['berlin', 'paris', 'virginia'].map(
    (name, i) => `cluster ${name} {
			zones ${name === 'virginia' ? 'us' : 'eu'}
			storage http://127.0.0.1:${9 + i} {
				access_key nobody
				secret_key nobody-at-all
			}
		}`,
  );
  const fado = await start(`replication off\n\t\thistory 1h 1s\n\t\tzone eu\n\t\tzone us\n\t\t${clusters.join('\n\t\t')}`, '', (db) => {
    execFileSync('go', ['run', './bench/fleet', '-path', db, '-buckets', String(buckets)], {
      cwd: join(import.meta.dirname, '../../../..'),
      env: { ...process.env, CGO_ENABLED: '0' },
      stdio: 'inherit',
    });
  });
  const summary = (await (await askAdmin(fado, '/fado/summary')).json()) as { buckets: Record<string, number> };
  expect(summary.buckets.ok, JSON.stringify(summary.buckets)).toBe(buckets);
  return fado;
}
