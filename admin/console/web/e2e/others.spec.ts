import { expect, figure, signIn, test, violations } from './kit';
import { large, many } from './large';
import { postgres } from './world';

test('who guesses passwords has to wait', async ({ page, start }) => {
  const fado = await start();
  await page.goto(fado.console);
  await page.getByLabel('User name').fill('ada');
  const guess = async (n: number) => {
    await page.getByLabel('Password').fill(`guess ${n}`);
    const [answer] = await Promise.all([
      page.waitForResponse((r) => r.url().endsWith('/api/session') && r.request().method() === 'POST'),
      page.getByRole('button', { name: 'Sign in' }).click(),
    ]);
    await expect(page.getByRole('alert')).toBeVisible();
    return answer;
  };
  for (let i = 0; i < 5; i++) expect((await guess(i)).status()).toBe(401);
  const refused = await guess(5);
  expect(refused.status()).toBe(429);
  expect(Number(refused.headers()['retry-after'])).toBeGreaterThan(0);
  await expect(page.getByRole('alert')).toContainText('Try again in');
  expect(await violations(page)).toEqual([]);
  // The right one has to wait as well.
  await page.getByLabel('Password').fill('of ada');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByRole('alert')).toContainText('Try again in');
  await expect(page.getByRole('navigation', { name: 'Main' })).toHaveCount(0);
});

test('a hundred thousand buckets', async ({ page, start }) => {
  test.setTimeout(180_000);
  const fado = await large(start);
  await signIn(page, 'ada', '/buckets', fado.console);
  const grid = page.getByRole('grid', { name: 'Buckets' });
  await expect(grid).toHaveAttribute('aria-rowcount', String(many + 1));
  const rows = () => page.getByRole('row').count();
  expect(await rows()).toBeLessThanOrEqual(300);
  const began = Date.now();
  await page.getByLabel('Go to name').fill('b-099990');
  await page.getByLabel('Go to name').press('Enter');
  await expect(grid.getByRole('row', { name: /^b-099990/ })).toBeVisible();
  figure(`of ${many} buckets, one is gone to`, Date.now() - began, 1000);
  // The way back: thousands of them can be scrolled to, and no more are drawn than are seen.
  await page.getByLabel('Go to name').fill('');
  await page.getByLabel('Go to name').blur();
  await expect(grid.getByRole('row', { name: /^b-000000/ })).toBeVisible();
  for (let i = 0; i < 20; i++) {
    await page.getByRole('rowgroup', { name: 'Rows' }).evaluate((e) => e.scrollBy(0, 20_000));
    expect(await rows()).toBeLessThanOrEqual(300);
  }
  await expect(grid.getByRole('row', { name: /^b-00[1-9]/ }).first()).toBeVisible();
  await page.getByLabel('Find a bucket').fill('b-0777');
  await expect(grid).toHaveAttribute('aria-rowcount', '101');
  await page.getByLabel('Find a bucket').fill('');

  // So many have no row each in the matrix, until a policy is chosen.
  await page.getByRole('tab', { name: 'Matrix' }).click();
  const matrix = page.getByRole('grid', { name: 'Placement matrix' });
  await expect(matrix.getByRole('gridcell', { name: 'p-eu in berlin: 90,000 buckets', exact: true })).toBeVisible();
  await expect(matrix.getByRole('gridcell', { name: 'p-eu in virginia: 0 buckets, not allowed by the policy', exact: true })).toBeVisible();
  expect(await violations(page)).toEqual([]);
  await matrix.getByRole('link', { name: 'p-all in virginia: 10,000 buckets', exact: true }).click();
  await expect(page).toHaveURL(/cluster=virginia.*policy=p-all|policy=p-all.*cluster=virginia/);
  await expect(matrix.getByRole('gridcell', { name: 'b-000000 in berlin: primary, synced', exact: true })).toBeVisible();
  await matrix.getByRole('link', { name: 'b-000000', exact: true }).click();
  await expect(page.getByRole('heading', { name: 'b-000000', level: 1 })).toBeVisible();
});

test('two instances, of which one is killed', async ({ page, start }) => {
  test.setTimeout(180_000);
  const database = await postgres();
  try {
    const settings = `history 1h 1s
		zone eu
		cluster berlin {
			zones eu
			function http://127.0.0.1:9
		}`;
    const one = await start(`${database.store}\n\t\tnode one\n\t\t${settings}`);
    const two = await start(`${database.store}\n\t\tnode two\n\t\t${settings}`);
    await signIn(page, 'ada', '/instances', one.console);
    const table = page.getByRole('table', { name: 'Instances' });
    await expect(table.getByRole('row', { name: /^one this one/ })).toBeVisible();
    await expect(table.getByRole('row', { name: /^two/ })).toBeVisible();
    // Signed in on one, the other takes the session: cookies are of the host.
    await page.goto(`${two.console}/instances`);
    await expect(table.getByRole('row', { name: /^two this one/ })).toBeVisible();
    await expect(page.getByRole('button', { name: 'Account ada' })).toBeVisible();
    expect(await violations(page)).toEqual([]);

    // The charts are of all together, and of each: two has no replication of its own to tell of.
    const instance = page.getByLabel('Instance');
    const decisions = page.getByRole('figure', { name: 'Decisions by locality' });
    for (const [at, here, other] of [
      [one, 'one', 'two'],
      [two, 'two', 'one'],
    ] as const) {
      await page.goto(`${at.console}/metrics?range=15m`);
      await expect(instance.getByRole('option')).toHaveText(['all together', `${here} (this one)`, other]);
      await expect(instance).toHaveValue('all');
      await expect(decisions).toContainText(/refused: \d/);
      await instance.selectOption(other);
      await expect(page).toHaveURL(new RegExp(`node=${other}`));
      await expect(page).toHaveURL(/range=15m/);
      await page.reload();
      await expect(instance).toHaveValue(other);
      await expect(decisions).toContainText(/local: \d/);
    }
    // What one instance refused is its own, and part of all.
    for (let i = 0; i < 40; i++) await fetch(two.functions, { headers: { 'X-FaDO-Bucket': 'nowhere' } });
    await page.goto(`${one.console}/metrics?range=15m&node=two`);
    await expect(decisions).toContainText(/refused: .*at most (\d*[1-9]|\d*\.\d*[1-9])/);
    await instance.selectOption('one');
    await expect(page).toHaveURL(/node=one/);
    await expect(decisions).toContainText(/refused: 0\/s, at most 0\/s/);
    await instance.selectOption('all');
    await expect(decisions).toContainText(/refused: .*at most (\d*[1-9]|\d*\.\d*[1-9])/);
    expect(await violations(page)).toEqual([]);
    // So is the map.
    await page.goto(`${one.console}/topology?view=table`);
    await expect(page.getByText('of one and two together')).toBeVisible();

    await page.goto(`${two.console}/instances`);
    await expect(table.getByRole('row', { name: /^two this one/ })).toBeVisible();
    await two.fado.stop('SIGKILL');
    await expect(page.getByRole('alert')).toContainText('No connection to FaDO since');
    // The other says so: where it charts, and where it lists.
    await page.goto(`${one.console}/metrics`);
    await expect(page.getByRole('status').filter({ hasText: 'two has told nothing since' })).toBeVisible({ timeout: 60_000 });
    await expect(instance.getByRole('option')).toHaveText(['all together', 'one (this one)', 'two (silent)']);
    expect(await violations(page)).toEqual([]);
    await page.goto(`${one.console}/instances`);
    await expect(page.getByRole('status').filter({ hasText: 'two has told nothing since' })).toBeVisible();
    await expect(table.getByRole('row', { name: /^one this one/ })).toBeVisible();
    await expect(table.getByRole('row', { name: /^two/ })).toHaveCount(0, { timeout: 90_000 });
    // What was signed in at the other goes on here.
    await page.goto(one.console);
    await expect(page.getByRole('heading', { name: 'Overview', level: 1 })).toBeVisible();
  } finally {
    await database.stop();
  }
});
