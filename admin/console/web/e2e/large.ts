import { expect } from '@playwright/test';
import { type Another, type another, askAdmin } from './world';

/** How many buckets a large fleet has. */
export const many = 100_000;

/**
 * A FaDO with so many buckets. It copies nothing: making a hundred thousand buckets in a storage would take an hour.
 */
export async function large(start: typeof another): Promise<Another> {
  const clusters = ['berlin', 'paris', 'virginia'].map(
    (name, i) => `cluster ${name} {
			zones ${name === 'virginia' ? 'us' : 'eu'}
			storage http://127.0.0.1:${9 + i} {
				access_key nobody
				secret_key nobody-at-all
			}
		}`,
  );
  const fado = await start(`replication off\n\t\thistory 1h 1s\n\t\tzone eu\n\t\tzone us\n\t\t${clusters.join('\n\t\t')}`);
  const names = Array.from({ length: many }, (_, i) => `b-${String(i).padStart(6, '0')}`);
  const policies = [
    { name: 'p-eu', zones: ['eu'], copies: 2 },
    { name: 'p-all', copies: 'all' },
  ];
  const buckets = names.map((name, i) => ({ name, policy: i % 10 ? 'p-eu' : 'p-all' }));
  const answer = await askAdmin(fado, '/fado/apply', { method: 'POST', body: JSON.stringify({ fado: 1, policies, buckets }) });
  expect(answer.status, await answer.text()).toBe(200);
  await planned(fado);
  return fado;
}

/** Waits until every bucket has its copies on record: until then each is an event, and pages read again what they show. */
async function planned(fado: Another): Promise<void> {
  const inBerlin = async () => {
    const { clusters } = (await (await askAdmin(fado, '/fado/facets')).json()) as { clusters: { value: string; buckets: number }[] };
    return clusters.find((c) => c.value === 'berlin')?.buckets;
  };
  await expect.poll(inBerlin, { timeout: 500_000, intervals: [5000] }).toBe(many);
}
