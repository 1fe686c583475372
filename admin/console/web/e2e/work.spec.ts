import { admin, control, expect, figure, short, signIn, test, violations, world } from './kit';
import { s3, s3Large, until } from './world';

// biome-ignore lint/suspicious/noExplicitAny: what the API answers
const read = async (path: string): Promise<any> => (await admin(path)).json();
const bucket = (name: string) => read(`/fado/buckets/${name}`);

/** A bucket with so many small objects, of which paris has a copy. */
async function made(name: string, objects: number): Promise<void> {
  await admin('/fado/buckets', { method: 'POST', body: JSON.stringify({ name, policy: 'reports', primary: 'berlin' }) });
  await until('the bucket', async () => (await bucket(name)).status.state === 'ok');
  await each(objects, (i) => s3(world().storages.berlin, 'PUT', keyOf(name, i), `object ${i}`));
  await until('the copies', async () => (await copied(name)).length === objects, 120_000);
}

const keyOf = (name: string, i: number) => `/${name}/k-${String(i).padStart(4, '0')}`;

/** Does something so many times, some of it at a time. */
async function each(n: number, f: (i: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const some = async () => {
    while (next < n) await f(next++);
  };
  await Promise.all(Array.from({ length: 16 }, some));
}

/** The keys of a bucket that are current in both clusters. */
async function copied(name: string): Promise<string[]> {
  const keys: string[] = [];
  for (let after = ''; ; ) {
    const page = await read(`/fado/buckets/${name}/objects?limit=1000&after=${encodeURIComponent(after)}`);
    for (const o of page.objects as { key: string; clusters: string[] }[]) {
      if (o.clusters.includes('berlin') && o.clusters.includes('paris')) keys.push(o.key);
    }
    if (page.objects.length < 1000) return keys;
    after = page.objects.at(-1).key;
  }
}

const gone = (name: string) => admin(`/fado/buckets/${name}?purge=all`, { method: 'DELETE' });

test('deletes that are held wait for people', async ({ page }) => {
  test.setTimeout(300_000);
  await made('held', 2_100);
  await each(2_000, (i) => s3(world().storages.berlin, 'DELETE', keyOf('held', i)));
  await until('the hold', async () => (await read('/fado/buckets/held/deletes')).deletes.length > 0);
  await until('the reason', async () => JSON.stringify((await bucket('held')).status.reasons).includes('held-deletes'));
  await signIn(page, 'ola', '/buckets/held');
  await expect(page.getByRole('alert').filter({ hasText: 'Deletes are held' })).toContainText(/\d+ deletes? /);
  await page.getByRole('alert').getByRole('link', { name: 'Decide about the deletes' }).click();
  await expect(page.getByText('more than 100 within ten minutes')).toBeVisible();
  const held = (await read('/fado/buckets/held/deletes')).deletes as { key: string }[];
  await expect(page.getByRole('table', { name: 'Held deletes' }).getByRole('row', { name: new RegExp(held[0].key) })).toContainText('paris');
  expect(await violations(page)).toEqual([]);

  await page.getByRole('button', { name: 'Apply the deletes' }).click();
  const confirm = page.getByRole('alertdialog');
  await expect(confirm.getByRole('button', { name: 'Apply the deletes' })).toBeDisabled();
  await expect(confirm).toContainText(/[\d,]+ deletes in paris/);
  await expect(confirm.getByRole('list', { name: 'Some of the keys' })).toContainText('k-');
  await confirm.getByLabel('Type held to confirm').fill('held');
  await expect(confirm.getByRole('button', { name: 'Apply the deletes' })).toBeEnabled();
  expect(await violations(page)).toEqual([]);
  await confirm.getByRole('button', { name: 'Cancel' }).click();

  await page.getByRole('button', { name: 'Bring the objects back' }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Bring them back' }).click();
  // The first hundred were let through, and are deleted.
  await until('the objects', async () => (await copied('held')).length >= 2_000, 120_000);
  const back = await copied('held');
  expect(held.every((h) => back.includes(h.key))).toBe(true);
  await expect(page.getByText('No delete is held')).toBeVisible();

  // They are meant this time.
  await each(2_000, (i) => s3(world().storages.berlin, 'DELETE', keyOf('held', i)));
  await until('the hold', async () => (await read('/fado/buckets/held/deletes')).deletes.length > 0);
  await page.getByRole('button', { name: 'Apply the deletes' }).click();
  await confirm.getByLabel('Type held to confirm').fill('held');
  await confirm.getByRole('button', { name: 'Apply the deletes' }).click();
  await until('the deletes', async () => (await read('/fado/buckets/held/objects?limit=1000')).objects.length === 100, 120_000);
  await until('the end of it', async () => (await bucket('held')).status.state === 'ok', 120_000);
  expect(await copied('held')).toHaveLength(100);
  expect((await s3(world().storages.paris, 'GET', keyOf('held', 1_999))).status).toBe(404);
  expect((await s3(world().storages.paris, 'GET', keyOf('held', 2_000))).status).toBe(200);
  await gone('held');
});

test('what a storage refuses is told, and tried again', async ({ page }) => {
  test.setTimeout(120_000);
  const lyon = { endpoint: world().storages.lyon, access_key: 'console-tests', secret_key: 'console-tests-secret' };
  await admin('/fado/clusters', { method: 'POST', body: JSON.stringify({ name: 'lyon', zones: ['eu-fr'], storage: lyon }) });
  await admin('/fado/policies', { method: 'POST', body: JSON.stringify({ name: 'to-lyon', copies: 2, clusters: ['berlin', 'lyon'] }) });
  await admin('/fado/buckets', { method: 'POST', body: JSON.stringify({ name: 'refused', policy: 'to-lyon', primary: 'berlin' }) });
  await until('the bucket', async () => (await bucket('refused')).status.state === 'ok');
  // Where objects are files, there can't be one below another.
  await s3(world().storages.berlin, 'PUT', '/refused/in-the-way', 'an object');
  await until('its copy', async () => (await read('/fado/buckets/refused/objects')).objects[0]?.clusters.includes('lyon'));
  await s3(world().storages.berlin, 'PUT', '/refused/in-the-way/x', 'one below it');
  await until('the failure', async () => (await read('/fado/replication/failures')).length === 1);
  await signIn(page, 'ola', '/replication');
  const row = page.getByRole('table', { name: 'Failures' }).getByRole('row', { name: /in-the-way\/x/ });
  await expect(row).toContainText('lyon');
  const [failure] = await read('/fado/replication/failures');
  await expect(row).toContainText(failure.error);
  await expect(row.getByRole('cell').nth(2)).toHaveText(/^[1-9]\d*$/); // attempts
  await expect(row.getByRole('cell').nth(3)).toHaveText(/\d/); // when it is tried next
  await page.goto(`${world().console}/buckets/refused/pending`);
  await expect(page.getByRole('table', { name: 'Pending' }).getByRole('row', { name: /in-the-way\/x/ })).toContainText('waits to be tried again');
  await s3(world().storages.berlin, 'DELETE', '/refused/in-the-way');
  await until('its end', async () => (await s3(world().storages.lyon, 'GET', '/refused/in-the-way')).status === 404);
  await page.goto(`${world().console}/replication`);
  await page.getByRole('button', { name: 'Retry all', exact: true }).click();
  await expect(page.getByRole('status').filter({ hasText: '1 object is tried again' })).toBeVisible();
  await expect(page.getByText('No failure')).toBeVisible();
  await gone('refused');
  await until('the end of the purge', async () => (await read('/fado/replication/purges')).length === 0);
  await admin('/fado/policies/to-lyon', { method: 'DELETE' });
  // The bucket media, which is to be everywhere, has a copy there by now.
  await until('the end of the cluster', async () => (await admin('/fado/clusters/lyon?abandon=true&confirm=lyon', { method: 'DELETE' })).ok);
});

test('a copy on its way has progress and an end', async ({ page }) => {
  test.setTimeout(600_000);
  await made('large', 0);
  await signIn(page, 'vera', '/replication');
  await s3Large(world().storages.berlin, '/large/large.bin', 1024);
  const row = page.getByRole('table', { name: 'Transfers' }).getByRole('row', { name: /large\.bin/ });
  const bar = row.getByRole('progressbar');
  const value = async () => Number(await bar.getAttribute('value'));
  await expect(row).toContainText(/MiB\/s/);
  await expect(row.getByRole('cell').last()).toHaveText('tests');
  await expect(row).toContainText(/\d+ (s|min)/);
  const first = await value();
  await expect.poll(value).toBeGreaterThan(first);
  expect(await value()).toBeLessThanOrEqual(100);
  await until('the end', async () => (await read('/fado/replication')).transfers.length === 0, 480_000);
  const ended = Date.now();
  await expect(row).toHaveCount(0);
  figure('a copy at its end, from when the API tells it until it is gone', Date.now() - ended, 1000);
  await gone('large');
});

test('a bucket tells what happened to it', short, async ({ page }) => {
  // The log begins with the instance, which another test may have started again.
  await s3(world().storages.berlin, 'PUT', '/reports/active.txt', 'x');
  await signIn(page, 'ada', '/buckets/reports?tab=activity');
  await expect(
    page
      .getByRole('log', { name: 'Events' })
      .getByRole('row', { name: /active.txt of reports copied from berlin to paris/ })
      .first(),
  ).toBeVisible();
  await s3(world().storages.berlin, 'DELETE', '/reports/active.txt');
  await expect(
    page
      .getByRole('table', { name: 'On record' })
      .getByRole('row', { name: /copy of reports in paris synced/ })
      .first(),
  ).toBeVisible();
});

test('a bucket is forgotten with its data', async ({ page }) => {
  await made('purged', 3);
  await signIn(page, 'ada', '/buckets/purged');
  await page.getByRole('button', { name: 'Forget' }).click();
  const dialog = page.getByRole('dialog', { name: 'Forget purged' });
  await expect(dialog.getByRole('region', { name: 'Plan' })).toContainText('delete bucket purged');
  await dialog.getByRole('radio', { name: /Remove all data/ }).check();
  const removed = dialog.getByRole('table', { name: 'What is removed' });
  for (const cluster of ['berlin, the primary', 'paris']) await expect(removed.getByRole('rowheader', { name: cluster })).toBeVisible();
  const go = dialog.getByRole('button', { name: 'Forget, and remove all data' });
  await expect(go).toBeDisabled();
  await dialog.getByLabel('Type purged to confirm').fill('purged');
  expect(await violations(page)).toEqual([]);
  await go.click();
  await expect(page.getByRole('heading', { name: 'Buckets', level: 1 })).toBeVisible();
  await until('the end of the purge', async () => (await read('/fado/replication/purges')).length === 0);
  expect((await s3(world().storages.paris, 'GET', '/purged/k-000')).status).toBe(404);
  expect((await s3(world().storages.berlin, 'GET', '/purged/k-000')).status).toBe(404);
});

test('older versions that a copy hides are given up for good', async ({ page }) => {
  test.setTimeout(240_000);
  const versions = async (cluster: string) =>
    [...(await (await s3(world().storages[cluster], 'GET', '/hiding?versions=')).text()).matchAll(/<VersionId>([^<]+)</g)].map((m) => m[1]);
  await admin('/fado/policies', { method: 'POST', body: JSON.stringify({ name: 'hiding', copies: 2, zones: ['eu'] }) });
  await s3(world().storages.berlin, 'PUT', '/hiding');
  await s3(world().storages.berlin, 'PUT', '/hiding?versioning=', '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>');
  await admin('/fado/buckets', { method: 'POST', body: JSON.stringify({ name: 'hiding', policy: 'hiding', primary: 'berlin' }) });
  await until('the bucket', async () => (await bucket('hiding')).status.state === 'ok');
  for (const text of ['first', 'second']) await s3(world().storages.berlin, 'PUT', '/hiding/kept.txt', text);
  await until('its history', async () => (await versions('paris')).length === 2);
  // What is removed while nobody listens stays at copies.
  await control('/stop');
  const [, first] = await versions('berlin');
  await s3(world().storages.berlin, 'DELETE', `/hiding/kept.txt?versionId=${first}`);
  await control('/start');
  await admin('/fado/policies/hiding', { method: 'PATCH', body: JSON.stringify({ copies: 1, zones: ['eu-de'] }) });
  await until('the reason', async () => JSON.stringify((await bucket('hiding')).status.reasons).includes('release-history'));

  await signIn(page, 'ola', '/buckets/hiding');
  await expect(page.getByRole('button', { name: 'Remove the older versions' })).toHaveAccessibleDescription('Needs the role admin');
  await page.context().clearCookies();
  await signIn(page, 'ada', '/buckets/hiding');
  await expect(page.getByText('versions are nowhere else')).toBeVisible();
  await page.getByRole('button', { name: 'Remove the older versions' }).click();
  const dialog = page.getByRole('alertdialog', { name: 'Remove the older versions of hiding in paris' });
  await expect(dialog).toContainText('gone for good');
  const go = dialog.getByRole('button', { name: 'Remove them for good' });
  await expect(go).toBeDisabled();
  expect(await violations(page)).toEqual([]);
  expect(await versions('paris')).toContain(first);
  await dialog.getByLabel('Type hiding to confirm').fill('hiding');
  await go.click();
  await expect(page.getByRole('status').filter({ hasText: 'Older versions of 1 object are removed' })).toBeVisible();
  await until('the end of the copy', async () => (await bucket('hiding')).status.copies.length === 1);
  expect(await versions('paris')).not.toContain(first);
  await expect(page.getByRole('button', { name: 'Remove the older versions' })).toHaveCount(0);
  await gone('hiding');
  await until('the end of the purge', async () => (await read('/fado/replication/purges')).length === 0);
  await admin('/fado/policies/hiding', { method: 'DELETE' });
});
