import { execFileSync } from 'node:child_process';
import { admin, control, expect, figure, short, signIn, test, violations, virginia, world } from './kit';
import { s3, until } from './world';

// biome-ignore lint/suspicious/noExplicitAny: what the API answers
const read = async (path: string): Promise<any> => (await admin(path)).json();

test('other origins change nothing, and read nothing', short, async ({ page, context, request }) => {
  await signIn(page, 'ada');
  const [cookie] = await context.cookies();
  const cookies = { Cookie: `${cookie.name}=${cookie.value}` };
  const url = `${world().console}/api/fado/replication/pause`;
  const others: Record<string, string>[] = [{ Origin: 'https://evil.example' }, { 'Sec-Fetch-Site': 'same-site' }, { 'Sec-Fetch-Site': 'cross-site' }];
  for (const from of others) {
    const answer = await request.post(url, { headers: { ...cookies, ...from }, data: {} });
    expect(answer.status(), JSON.stringify(from)).toBe(403);
  }
  expect((await read('/fado/replication')).paused).toBe(false);
  const seen = await request.get(`${world().console}/api/fado/buckets`, { headers: { ...cookies, 'Sec-Fetch-Site': 'cross-site' } });
  expect(seen.status()).toBe(403);
});

test('behind the authentication of the site there is no sign-in', async ({ browser }) => {
  const as = async (username: string) => {
    const context = await browser.newContext({ httpCredentials: { username, password: `of ${username}` } });
    const page = await context.newPage();
    await page.goto(world().sso);
    return page;
  };
  const ada = await as('ada');
  await expect(ada.getByRole('heading', { name: 'Overview', level: 1 })).toBeVisible();
  await expect(ada.getByRole('button', { name: 'Account ada' })).toBeVisible();
  const eve = await as('eve');
  await expect(eve.getByRole('heading', { name: 'No access' })).toBeVisible();
  expect(await violations(eve)).toEqual([]);
  await ada.context().close();
  await eve.context().close();
});

test('a storage that is away leaves its copy behind', async ({ page }) => {
  test.setTimeout(120_000);
  await signIn(page, 'vera', '/buckets?view=matrix');
  const grid = page.getByRole('grid', { name: 'Placement matrix' });
  await expect(grid.getByRole('gridcell', { name: 'reports in paris: synced', exact: true })).toBeVisible();
  await control('/storage/stop/paris');
  await s3(world().storages.berlin, 'PUT', '/reports/behind.txt', 'not everywhere yet');
  await until('the backlog', async () => {
    const { copies } = (await read('/fado/buckets/reports')).status;
    return copies.some((c: { cluster: string; pending: { objects: number } }) => c.cluster === 'paris' && c.pending.objects === 1);
  });
  const known = Date.now();
  await expect(grid.getByRole('gridcell', { name: /reports in paris: .*1 object behind/ })).toBeVisible();
  figure('a backlog, from when the API tells it until it is shown', Date.now() - known, 1000);
  await control('/storage/start/paris');
  await s3(world().storages.berlin, 'DELETE', '/reports/behind.txt');
  await expect(grid.getByRole('gridcell', { name: 'reports in paris: synced', exact: true })).toBeVisible({ timeout: 60_000 });
});

for (const theme of ['Light', 'Dark']) {
  test(`trouble stands in nobody's way: ${theme}`, async ({ page }) => {
    test.setTimeout(480_000); // many pages
    await control('/storage/stop/paris');
    await control('/function/down/paris');
    try {
      await s3(world().storages.berlin, 'PUT', '/reports/behind.txt', 'not everywhere yet');
      await until('the trouble', async () => {
        const { copies, state } = (await read('/fado/buckets/reports')).status;
        return state !== 'ok' && copies.some((c: { pending: { objects: number } }) => c.pending.objects === 1);
      });
      await until('the function', async () => (await read('/fado/summary')).attention.some((a: { kind: string }) => a.kind === 'function'));
      await signIn(page, 'ada');
      await page.getByRole('button', { name: 'Account' }).click();
      await page.getByRole('menuitemradio', { name: theme }).click();
      const bucket = ['', '?tab=objects', '?tab=placement', '/pending'].map((tab) => `/buckets/reports${tab}`);
      const others = [
        '/',
        '/buckets',
        '/buckets?view=matrix',
        '/clusters',
        '/clusters?tab=functions',
        '/clusters?tab=storage',
        '/clusters/paris',
        '/replication',
        '/topology',
        '/topology?view=table',
        '/events',
      ];
      for (const path of [...others, ...bucket, '/routing?bucket=reports']) {
        await page.goto(world().console + path);
        await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
        await expect(page.locator('[aria-busy=true]')).toHaveCount(0);
        await expect(page.locator('html')).toHaveAttribute('data-theme', theme.toLowerCase());
        expect(await violations(page), path).toEqual([]);
        if (path !== '/replication') continue;
        const waits = page.getByRole('table', { name: 'Queue' }).getByRole('row', { name: /^reports/ });
        await expect(waits).toContainText('paris');
        await page.getByRole('button', { name: 'Oldest' }).click();
        await expect(waits).toContainText('paris');
      }
    } finally {
      await control('/storage/start/paris');
      await control('/function/up/paris');
    }
    await s3(world().storages.berlin, 'DELETE', '/reports/behind.txt');
    await until('the end of it', async () => (await read('/fado/summary')).status === 'ok');
  });
}

test('what is copied as curl does the same', async ({ page, context }) => {
  test.setTimeout(240_000);
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  const run = async () => {
    const command = await page.evaluate(() => navigator.clipboard.readText());
    expect(command).toContain('http://localhost:2019/fado/apply');
    execFileSync('bash', ['-c', `${command.replace('http://localhost:2019', world().admin)} -sS --fail-with-body`]);
  };
  await signIn(page, 'ada', '/buckets');
  await page.getByRole('button', { name: 'New bucket' }).click();
  const dialog = page.getByRole('dialog', { name: 'New bucket' });
  await dialog.getByLabel('Name').fill('by-curl');
  await dialog.getByLabel('Policy', { exact: true }).selectOption('reports');
  await dialog.getByRole('button', { name: 'Copy as curl' }).click();
  await expect(page.getByText('Copied')).toBeVisible();
  await run();
  expect((await read('/fado/buckets/by-curl')).policy).toBe('reports');

  // A policy's copies and zones: the primary moves as it would by Apply.
  const cluster = await virginia();
  try {
    await admin('/fado/policies', { method: 'POST', body: JSON.stringify({ name: 'by-curl', copies: 2, zones: ['eu'], prefer: ['berlin'] }) });
    await admin('/fado/buckets/by-curl', { method: 'PATCH', body: JSON.stringify({ policy: 'by-curl', primary: null }) });
    await until('the bucket', async () => (await read('/fado/buckets/by-curl')).status.state === 'ok');
    await page.goto(`${world().console}/policies/by-curl`);
    await page.getByRole('button', { name: 'Edit' }).click();
    const edit = page.getByRole('dialog', { name: 'Edit by-curl' });
    await edit.getByLabel('Copies').fill('1');
    const zones = edit.getByRole('group', { name: /^Zones/ });
    await zones.getByRole('checkbox', { name: 'eu', exact: true }).uncheck();
    await zones.getByRole('checkbox', { name: 'us' }).check();
    await edit.getByRole('button', { name: 'Copy as curl' }).click();
    await expect(page.getByText('Copied')).toBeVisible();
    await run();
    expect(await read('/fado/policies/by-curl')).toMatchObject({ copies: 1, zones: ['us'], prefer: ['berlin'] });
    await until('the move', async () => (await read('/fado/buckets/by-curl')).status.primary === 'virginia');
    await admin('/fado/buckets/by-curl?purge=all', { method: 'DELETE' });
    await until('the end of the purge', async () => (await read('/fado/replication/purges')).length === 0);
    await admin('/fado/policies/by-curl', { method: 'DELETE' });
  } finally {
    await cluster.remove();
  }
});
