import { admin, expect, short, signIn, test, world } from './kit';
import { s3 } from './world';

test('what changed when, without any other system', async ({ page }) => {
  await s3(world().storages.berlin, 'PUT', '/reports/measured.txt', 'x');
  const opened = Date.now();
  await signIn(page, 'vera', '/metrics?range=15m');
  for (const name of ['Replication lag', 'Decisions by locality', 'Throughput', 'Backlog', 'In flight', 'Storage used']) {
    await expect(page.getByRole('figure', { name, exact: true })).toBeVisible();
  }
  const used = page.getByRole('figure', { name: 'Storage used' });
  await expect(used.getByText(/berlin: .*at most/)).toBeVisible();
  await used.getByRole('button', { name: /^Show data/ }).click();
  const table = used.getByRole('table', { name: 'Data of Storage used' });
  await expect(table.getByRole('columnheader', { name: 'berlin' })).toBeVisible();
  // What was measured before the page was opened is there.
  const from = async () => {
    const history = (await (await admin('/fado/history?series=used.berlin')).json()) as { from: string; step: number; series: { values: (number | null)[] }[] };
    return Date.parse(history.from) + history.step * 1000 * history.series[0].values.findIndex((v) => v !== null);
  };
  expect(await from()).toBeLessThan(opened);
  expect(await table.getByRole('row').filter({ hasText: /B/ }).count()).toBeGreaterThan(1);
  await page.getByRole('button', { name: '6h' }).click();
  await expect(page).toHaveURL(/range=6h/);
  await page.reload();
  await expect(page.getByRole('button', { name: '6h' })).toHaveAttribute('aria-pressed', 'true');
  await s3(world().storages.berlin, 'DELETE', '/reports/measured.txt');
});

test('what is where, and what flows', short, async ({ page }) => {
  await signIn(page, 'vera', '/topology');
  const map = page.getByRole('region', { name: 'Topology' });
  await expect(
    map.getByRole('region', { name: 'Zone eu', exact: true }).getByRole('button', { name: /^Cluster berlin, zone eu-de: storage up/ }),
  ).toBeVisible();
  await expect(map.getByRole('button', { name: /^Cluster paris, zone eu-fr/ })).toBeVisible();
  expect(await page.evaluate(() => document.getAnimations().length)).toBe(0);
  await page.getByRole('button', { name: 'Show as table' }).click();
  const row = page.getByRole('table', { name: 'Flows' }).getByRole('row', { name: /berlin/ });
  await expect(row).toBeVisible();
  for (let i = 0; i < 200; i++) await fetch(world().functions_at, { headers: { 'X-FaDO-Bucket': 'reports', 'X-FaDO-Object': 'report-055.txt' } });
  // Both clusters hold the object: one of them, or both, serve it where it is.
  await expect(page.getByRole('table', { name: 'Flows' })).toContainText(/127\.0\.0\.1:\d+(0\.[0-9]*[1-9]|[1-9][\d.]*)\/s/, { timeout: 15_000 });
  await expect(page).toHaveURL(/view=table/);
  await page.getByRole('button', { name: 'Show as table' }).click();
  await map.getByRole('button', { name: /^Cluster paris/ }).click();
  await expect(page.getByRole('heading', { name: 'paris', level: 1 })).toBeVisible();
});
