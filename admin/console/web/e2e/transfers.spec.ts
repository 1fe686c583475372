import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from '@playwright/test';
import { admin, control, expect, short, signIn, test, violations, world } from './kit';
import { s3, until } from './world';

const objects = (page: Page) => page.getByRole('table', { name: 'Objects' });

const sha = (b: Buffer) => createHash('sha256').update(b).digest('hex');

async function stored(path: string): Promise<Buffer> {
  const r = await s3(world().storages.berlin, 'GET', path);
  if (!r.ok) throw new Error(`reading ${path}: ${r.status}`);
  return Buffer.from(await r.arrayBuffer());
}

test('objects are browsed by prefix, and each says where it is current', short, async ({ page }) => {
  await signIn(page, 'vera', '/buckets/reports');
  await page.getByRole('tab', { name: 'Objects' }).click();
  await objects(page).getByRole('link', { name: 'q1/' }).click();
  await expect(page).toHaveURL(/prefix=q1/);
  await expect(objects(page).getByRole('row', { name: /report-000/ })).toContainText('current in berlin, paris');
  await page.getByRole('navigation', { name: 'Prefix' }).getByRole('link', { name: 'reports' }).click();
  await page.getByLabel('Go to prefix').fill('q1/report-04');
  await page.getByLabel('Go to prefix').press('Enter');
  await expect(objects(page).getByRole('row')).toHaveCount(11);
  await page.getByLabel('Go to prefix').fill('nothing');
  await page.getByRole('button', { name: 'Go', exact: true }).click();
  await expect(page.getByText('Nothing begins with nothing')).toBeVisible();
});

test('a copy that is behind is said, and why', async ({ page }) => {
  await control('/storage/stop/paris');
  try {
    await s3(world().storages.berlin, 'PUT', '/reports/report-050.txt', 'written again');
    await signIn(page, 'vera', '/buckets/reports?tab=objects');
    const row = objects(page).getByRole('row', { name: /report-050/ });
    await expect(row).toContainText(/current in berlin(?!,)/);
    await expect(row).toContainText('behind in paris');
  } finally {
    await control('/storage/start/paris');
  }
  await until('the copy', async () => ((await (await admin('/fado/buckets/reports')).json()) as { status: { state: string } }).status.state === 'ok');
  await expect(objects(page).getByRole('row', { name: /report-050/ })).toContainText('current in berlin, paris');
});

test('a large file goes up in parts, straight to the S3 endpoint', async ({ page }) => {
  const size = 200 << 20;
  const file = join(world().dir, 'large.bin');
  const content = Buffer.alloc(size, 'a line of the large file\n');
  writeFileSync(file, content);
  const parts: { bytes: number; origin: string }[] = [];
  page.on('request', (r) => {
    const u = new URL(r.url());
    if (r.method() === 'PUT') parts.push({ bytes: Number(r.headers()['content-length'] ?? 0), origin: u.origin });
  });
  await signIn(page, 'ada', '/buckets/reports?tab=objects');
  await page.getByLabel('Upload files').setInputFiles(file);
  await expect(page.getByRole('progressbar', { name: /^Upload of large.bin/ })).toBeVisible();
  await expect(page.getByRole('list', { name: 'Uploads' }).getByRole('listitem')).toContainText('done', { timeout: 45_000 });
  expect(parts.length).toBeGreaterThan(3);
  expect([...new Set(parts.map((p) => p.origin))]).toEqual([world().s3]);
  expect(Math.max(...parts.map((p) => p.bytes))).toBeLessThanOrEqual(64 << 20);
  expect(sha(await stored('/reports/large.bin'))).toBe(sha(content));
  await s3(world().storages.berlin, 'DELETE', '/reports/large.bin');
});

test('an upload is stopped, goes on, and asks before it replaces', async ({ page }) => {
  const file = join(world().dir, 'medium.bin');
  writeFileSync(file, Buffer.alloc(40 << 20, 'b'));
  await signIn(page, 'ada', '/buckets/reports?tab=objects&prefix=up/');
  // The second part fails until it may pass: the upload stops, and goes on with what is left.
  let broken = true;
  const sent: string[] = [];
  await page.route(/partNumber=/, (route) => {
    const n = new URL(route.request().url()).searchParams.get('partNumber') as string;
    if (n === '2' && broken && route.request().method() === 'PUT')
      return route.fulfill({ status: 403, headers: { 'Access-Control-Allow-Origin': '*' }, body: '' });
    if (route.request().method() === 'PUT') sent.push(n);
    return route.continue();
  });
  await page.getByLabel('Upload files').setInputFiles(file);
  const row = page.getByRole('list', { name: 'Uploads' }).getByRole('listitem');
  await expect(row.getByRole('alert')).toBeVisible();
  broken = false;
  await row.getByRole('button', { name: /^Resume/ }).click();
  await expect(row).toContainText('done');
  expect(sent.filter((n) => n === '1')).toHaveLength(1);
  expect((await stored('/reports/up/medium.bin')).length).toBe(40 << 20);
  await page.getByRole('button', { name: 'Clear those done' }).click();

  writeFileSync(join(world().dir, 'medium.bin'), 'replaced');
  await page.getByLabel('Upload files').setInputFiles(file);
  await expect(row).toContainText('There is an object of this name');
  expect((await stored('/reports/up/medium.bin')).length).toBe(40 << 20);
  await row.getByRole('button', { name: /^Replace/ }).click();
  await expect(row).toContainText('done');
  expect((await stored('/reports/up/medium.bin')).toString()).toBe('replaced');

  // It is deleted in the page, after a question.
  await objects(page).getByRole('link', { name: 'medium.bin' }).click();
  const dialog = page.getByRole('dialog', { name: 'up/medium.bin' });
  await dialog.getByRole('button', { name: 'Delete' }).click();
  await expect(page.getByRole('alertdialog')).toContainText('deleted at the primary');
  expect(await violations(page)).toEqual([]);
  await page.getByRole('alertdialog').getByRole('button', { name: 'Delete' }).click();
  await expect(page.getByText('Nothing begins with up/')).toBeVisible();
  expect((await s3(world().storages.berlin, 'GET', '/reports/up/medium.bin')).status).toBe(404);
});

test('an operator downloads, and may not upload', short, async ({ page }) => {
  await signIn(page, 'ola', '/buckets/reports?tab=objects');
  await expect(page.getByRole('button', { name: 'Upload files' })).toHaveAttribute('aria-disabled', 'true');
  const [got] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Download report-059.txt' }).click()]);
  expect(readFileSync(await got.path()).toString()).toBe('report 59');
  expect(got.suggestedFilename()).toBe('report-059.txt');
});

test('a viewer reads no object', short, async ({ page }) => {
  await signIn(page, 'vera', '/buckets/reports?tab=objects');
  await expect(objects(page).getByRole('row', { name: /report-059/ })).toBeVisible();
  await expect(page.getByRole('button', { name: /^Download|^Preview/ })).toHaveCount(0);
  const status = await page.evaluate(
    async () =>
      (
        await fetch('api/presign', {
          method: 'POST',
          headers: { 'Content-Type': 'application/json' },
          body: JSON.stringify({ bucket: 'reports', key: 'report-059.txt', operation: 'get' }),
        })
      ).status,
  );
  expect(status).toBe(403);
  await objects(page).getByRole('link', { name: 'report-059.txt' }).click();
  await expect(page.getByRole('dialog', { name: 'report-059.txt' })).toContainText('needs the right to read');
});

const evil = `<script>window.__xss = 1; try { parent.__xss = 1; top.__xss = 1 } catch {}</script><img src=x onerror="window.__xss = 2">`;

test('what is hostile is shown, and does not run', short, async ({ page }) => {
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40" onload="window.__xss=3"><script>window.__xss=4</script><rect width="40" height="40" fill="red"/></svg>`;
  await s3(world().storages.berlin, 'PUT', '/reports/evil.html', evil, 'text/html');
  await s3(world().storages.berlin, 'PUT', '/reports/evil.svg', svg, 'image/svg+xml');
  await signIn(page, 'ola', '/buckets/reports?tab=objects');
  await page.getByRole('button', { name: 'Preview evil.html' }).click();
  const dialog = page.getByRole('dialog', { name: /evil/ });
  await expect(dialog.getByText('<script>window.__xss = 1')).toBeVisible();
  await dialog.getByRole('button', { name: 'Close' }).click();
  await page.getByRole('button', { name: 'Preview evil.svg' }).click();
  const image = dialog.getByRole('img', { name: 'evil.svg' });
  await expect(image).toBeVisible();
  await expect.poll(() => image.evaluate((i) => (i as HTMLImageElement).naturalWidth)).toBe(40);
  expect(await page.evaluate(() => (window as { __xss?: number }).__xss)).toBeUndefined();
  for (const key of ['evil.html', 'evil.svg']) await s3(world().storages.berlin, 'DELETE', `/reports/${key}`);
});

test('a link is good for anyone, and stored, not shown', async ({ page, browser }) => {
  await s3(world().storages.berlin, 'PUT', '/reports/linked.html', evil, 'text/html');
  await signIn(page, 'ola', '/buckets/reports?tab=objects');
  await objects(page).getByRole('link', { name: 'linked.html' }).click();
  await expect(page).toHaveURL(/object=linked.html/);
  await page.reload();
  const dialog = page.getByRole('dialog', { name: 'linked.html' });
  await dialog.getByText('Presigned link').click();
  await dialog.getByLabel('Expires in').selectOption('1 minute');
  await dialog.getByRole('button', { name: 'Make a link' }).click();
  const link = await dialog.getByLabel(/^Link, good until/).inputValue();
  await dialog.getByText('Versions', { exact: true }).click();
  await expect(dialog.getByRole('table', { name: 'Versions' })).toContainText('latest');
  const u = new URL(link);
  expect(u.origin).toBe(world().s3);
  expect(u.searchParams.get('X-Amz-Expires')).toBe('60');
  const answer = await fetch(link);
  expect(await answer.text()).toBe(evil);
  expect(answer.headers.get('content-disposition')).toContain('attachment');
  expect((await fetch(link, { method: 'DELETE' })).status).toBe(403);
  const other = await (await browser.newContext()).newPage();
  const [got] = await Promise.all([other.waitForEvent('download'), other.goto(link).catch(() => {})]);
  expect(readFileSync(await got.path()).toString()).toBe(evil);
  await other.close();
  await s3(world().storages.berlin, 'DELETE', '/reports/linked.html');
});

test('several objects are deleted, after a question', async ({ page }) => {
  for (const n of [1, 2, 3, 4]) await s3(world().storages.berlin, 'PUT', `/reports/several/${n}.txt`, `number ${n}`);
  await signIn(page, 'ada', '/buckets/reports?tab=objects&prefix=several/');
  await expect(objects(page).getByRole('row', { name: /4\.txt/ })).toBeVisible();
  await expect(page.getByRole('button', { name: /^Delete/ })).toHaveCount(0);
  await page.getByRole('button', { name: 'Choose all shown' }).click();
  await page.getByRole('checkbox', { name: 'Choose 2.txt' }).uncheck();
  await page.getByRole('button', { name: 'Delete 3 objects' }).click();
  const dialog = page.getByRole('alertdialog', { name: 'Delete 3 objects' });
  await expect(dialog.getByRole('listitem')).toHaveText(['several/1.txt', 'several/3.txt', 'several/4.txt']);
  expect(await violations(page)).toEqual([]);
  await dialog.getByRole('button', { name: 'Delete 3 objects' }).click();
  await expect(page.getByRole('status').filter({ hasText: '3 objects are deleted' })).toBeVisible();
  await expect(objects(page).getByRole('row', { name: /txt/ })).toHaveCount(1);
  expect((await s3(world().storages.berlin, 'GET', '/reports/several/3.txt')).status).toBe(404);
  expect((await s3(world().storages.berlin, 'GET', '/reports/several/2.txt')).status).toBe(200);
  await s3(world().storages.berlin, 'DELETE', '/reports/several/2.txt');
});

test('a version is removed for good, and a delete marker taken back', async ({ page }) => {
  test.setTimeout(120_000);
  await admin('/fado/policies', { method: 'POST', body: JSON.stringify({ name: 'only-berlin', zones: ['eu-de'], copies: 1 }) });
  await admin('/fado/buckets', { method: 'POST', body: JSON.stringify({ name: 'versioned', policy: 'only-berlin' }) });
  await until('the bucket', async () => ((await (await admin('/fado/buckets/versioned')).json()) as { status: { state: string } }).status.state === 'ok');
  await s3(world().storages.berlin, 'PUT', '/versioned?versioning=', '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>');
  for (const text of ['first', 'second']) await s3(world().storages.berlin, 'PUT', '/versioned/kept.txt', text);
  await signIn(page, 'ada', '/buckets/versioned?tab=objects&object=kept.txt');
  const dialog = page.getByRole('dialog', { name: 'kept.txt' });
  await dialog.getByText('Versions', { exact: true }).click();
  const versions = dialog.getByRole('table', { name: 'Versions' });
  await expect(versions.getByRole('row')).toHaveCount(3);
  await versions
    .getByRole('row', { name: /latest/ })
    .getByRole('button', { name: /^Remove version/ })
    .click();
  await expect(page.getByRole('alertdialog')).toContainText('the one before it is the object');
  expect(await violations(page)).toEqual([]);
  await page.getByRole('alertdialog').getByRole('button', { name: 'Remove' }).click();
  await expect(versions.getByRole('row')).toHaveCount(2);
  expect(await (await s3(world().storages.berlin, 'GET', '/versioned/kept.txt')).text()).toBe('first');

  await s3(world().storages.berlin, 'DELETE', '/versioned/kept.txt');
  await page.reload();
  await dialog.getByText('Versions', { exact: true }).click();
  await versions.getByRole('button', { name: /^Remove the delete marker/ }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Remove' }).click();
  await expect(versions.getByRole('row')).toHaveCount(2);
  expect(await (await s3(world().storages.berlin, 'GET', '/versioned/kept.txt')).text()).toBe('first');
  await admin('/fado/buckets/versioned?purge=all', { method: 'DELETE' });
  await until('the end of the purge', async () => ((await (await admin('/fado/replication/purges')).json()) as unknown[]).length === 0);
  await admin('/fado/policies/only-berlin', { method: 'DELETE' });
});

for (const theme of ['Light', 'Dark']) {
  test(`an object stands in nobody's way: ${theme}`, theme === 'Light' ? short : {}, async ({ page }) => {
    await signIn(page, 'ada', '/buckets/reports?tab=objects');
    await page.getByRole('button', { name: 'Account' }).click();
    await page.getByRole('menuitemradio', { name: theme }).click();
    await page.keyboard.press('Escape');
    await objects(page).getByRole('link', { name: 'report-059.txt' }).click();
    const dialog = page.getByRole('dialog', { name: 'report-059.txt' });
    await expect(dialog.getByText('report 59')).toBeVisible();
    for (const part of ['Headers and tags', 'Presigned link', 'Versions']) await dialog.getByText(part, { exact: true }).click();
    await dialog.getByRole('button', { name: 'Make a link' }).click();
    await expect(dialog.getByLabel(/^Link, good until/)).toBeVisible();
    await expect(dialog.locator('[aria-busy=true]')).toHaveCount(0);
    await expect(page.locator('html')).toHaveAttribute('data-theme', theme.toLowerCase());
    expect(await violations(page)).toEqual([]);
    await page.setViewportSize({ width: 360, height: 740 });
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
  });
}
