import { readFileSync } from 'node:fs';
import { admin, control, expect, short, signIn, test, violations, world } from './kit';
import { s3, until } from './world';

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
  await page.goto(`${world().console}/metrics?range=1h`);
  await page.reload();
  await expect(page).toHaveURL(/range=1h/);
  await expect(page.getByRole('button', { name: '1h' })).toHaveAttribute('aria-pressed', 'true');
  await page.getByRole('button', { name: '6h' }).click();
  await expect(page).toHaveURL(/range=6h/);
  await page.reload();
  await expect(page.getByRole('button', { name: '6h' })).toHaveAttribute('aria-pressed', 'true');
  await s3(world().storages.berlin, 'DELETE', '/reports/measured.txt');
});

test('what was refused, and why something changed', async ({ page }) => {
  for (let i = 0; i < 30; i++) await fetch(world().functions_at, { headers: { 'X-FaDO-Bucket': 'nowhere' } });
  await signIn(page, 'vera', '/routing');
  const row = page.getByRole('table', { name: 'Refused' }).getByRole('row', { name: /^unknown-bucket/ });
  await expect(row).toContainText('FaDO does not know the bucket');
  await expect(row.getByRole('cell').first()).toHaveText(/^[1-9]/);
  await control('/function/down/paris');
  try {
    await page.goto(`${world().console}/metrics?range=15m`);
    await expect(page.getByRole('table', { name: 'Marks' })).toContainText(/function .* of paris is unhealthy/);
    const refused = page.getByRole('figure', { name: 'Refused, by reason' });
    await expect(refused).toContainText(/unknown-bucket: .*at most (\d*[1-9]|\d*\.\d*[1-9])/);
    expect(await violations(page)).toEqual([]);
    const [file] = await Promise.all([page.waitForEvent('download'), refused.getByRole('button', { name: /^CSV/ }).click()]);
    expect(file.suggestedFilename()).toBe('refused-by-reason.csv');
    const lines = readFileSync(await file.path())
      .toString()
      .trim()
      .split('\r\n');
    expect(lines[0]).toMatch(/^time,.*unknown-bucket/);
    expect(lines.length).toBeGreaterThan(100);
  } finally {
    await control('/function/up/paris');
  }
  await until('the function', async () => ((await (await admin('/fado/summary')).json()) as { status: string }).status === 'ok');
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
  // Two at a time: both clusters hold the object, and who has fewer requests takes the next.
  const invoke = () => fetch(world().functions_at, { headers: { 'X-FaDO-Bucket': 'reports', 'X-FaDO-Object': 'report-055.txt' } });
  for (let i = 0; i < 100; i++) await Promise.all([invoke(), invoke()]);
  // The third cell: with their data.
  await expect(row.getByRole('cell').nth(1)).toHaveText(/^(0\.\d*[1-9]|[1-9][\d.]*)\/s$/, { timeout: 15_000 });
  await expect(page).toHaveURL(/view=table/);
  await page.getByRole('button', { name: 'Show as table' }).click();
  // What flows does not move where less motion is wanted.
  await expect(map.getByRole('button', { name: /^Cluster berlin/ })).toBeVisible();
  expect(await page.evaluate(() => [matchMedia('(prefers-reduced-motion: reduce)').matches, document.getAnimations().length])).toEqual([true, 0]);
  await map.getByRole('button', { name: /^Cluster paris/ }).click();
  await expect(page.getByRole('heading', { name: 'paris', level: 1 })).toBeVisible();
});

test('the overview shows where all is, how it went, and what was changed', short, async ({ page }) => {
  const name = `changed-${Date.now()}`;
  await admin('/fado/zones', { method: 'POST', body: JSON.stringify({ name }) });
  await admin(`/fado/zones/${name}`, { method: 'DELETE' });
  await signIn(page, 'vera');
  const map = page.getByRole('region', { name: 'Topology' });
  await expect(map.getByRole('button', { name: /^Cluster berlin, zone eu-de/ })).toBeVisible();
  await expect(map.getByRole('button', { name: /^Cluster paris, zone eu-fr/ })).toBeVisible();
  for (const course of ['Invocations by locality', 'Lag, p99', 'Waiting to be copied', 'Throughput']) {
    await expect(page.getByRole('img', { name: new RegExp(`^${course} in the last hour, at most .*\\d`) })).toBeVisible();
  }
  const changes = page.getByRole('list', { name: 'Changes' }).getByRole('listitem');
  await expect(changes.filter({ hasText: `zone ${name} deleted` })).toBeVisible();
  await page.getByRole('button', { name: 'Show as table' }).click();
  await expect(page).toHaveURL(/view=table/);
  await page.reload();
  await expect(page.getByRole('table', { name: 'Flows' }).getByRole('row', { name: /^berlin/ })).toBeVisible();
  expect(await violations(page)).toEqual([]);
  await page.getByRole('link', { name: 'All events' }).click();
  await expect(page).toHaveURL(/events\?type=resource/);
});
