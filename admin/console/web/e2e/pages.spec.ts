import { readFileSync } from 'node:fs';
import { admin, expect, short, signIn, test, violations, world } from './kit';
import { s3 } from './world';

test('which cluster holds what, and what is behind', short, async ({ page }) => {
  await signIn(page, 'vera', '/buckets');
  await page.getByRole('tab', { name: 'Matrix' }).click();
  await expect(page).toHaveURL(/view=matrix/);
  const grid = page.getByRole('grid', { name: 'Placement matrix' });
  await expect(grid.getByRole('gridcell', { name: 'reports in berlin: primary, synced' })).toBeVisible();
  await expect(grid.getByRole('gridcell', { name: 'reports in paris: synced' })).toBeVisible();
  await page.getByLabel('Find a bucket').fill('media');
  await expect(grid.getByRole('gridcell', { name: /^reports/ })).toHaveCount(0);
  await grid.getByRole('link', { name: 'media', exact: true }).focus();
  await page.keyboard.press('ArrowRight');
  await expect(grid.getByRole('link', { name: /^media in berlin/ })).toBeFocused();
  await page.keyboard.press('Enter');
  await expect(page.getByRole('tab', { name: 'Placement', selected: true })).toBeVisible();
});

test('what happened before, and what happens now', short, async ({ page }) => {
  // The log begins with the instance, which another test may have started again.
  await admin('/fado/zones', { method: 'POST', body: JSON.stringify({ name: 'logged' }) });
  await admin('/fado/zones/logged', { method: 'DELETE' });
  await signIn(page, 'vera', '/events');
  const log = page.getByRole('log', { name: 'Events' });
  await expect(log.getByRole('row', { name: /resource.*zone logged created/ }).first()).toBeVisible();
  const now = `logged-${Date.now()}`; // named by no other test, nor by this one before
  await admin('/fado/zones', { method: 'POST', body: JSON.stringify({ name: now }) });
  await expect(log.getByRole('row', { name: new RegExp(`zone ${now} created`) })).toBeVisible();
  await admin(`/fado/zones/${now}`, { method: 'DELETE' });
  await page.getByRole('button', { name: 'Stop here' }).click();
  const before = await log.getByRole('row').count();
  await s3(world().storages.berlin, 'PUT', '/reports/event.txt', 'x');
  await page.getByRole('button', { name: 'Follow again' }).click();
  await expect(log.getByRole('row', { name: /event.txt of reports copied from berlin to paris/ }).first()).toBeVisible();
  expect(await log.getByRole('row').count()).toBeGreaterThan(before);
  await page.getByLabel('Type').selectOption('transfer');
  await expect(page).toHaveURL(/type=transfer/);
  await expect(log.getByRole('row', { name: /resource/ })).toHaveCount(0);
  await s3(world().storages.berlin, 'DELETE', '/reports/event.txt');
});

test('who changed what, for admins', short, async ({ page }) => {
  await admin('/fado/policies/everywhere', { method: 'PATCH', body: JSON.stringify({ on_miss: 'reject' }) });
  await admin('/fado/policies/everywhere', { method: 'PATCH', body: JSON.stringify({ on_miss: null }) });
  await signIn(page, 'ada', '/audit');
  const table = page.getByRole('table', { name: 'Audit' });
  await expect(table.getByRole('row', { name: /admin 127.0.0.1.*policy everywhere changed/ }).first()).toBeVisible();
  await expect(table.getByRole('row', { name: /ada signed in as admin, by password/ }).first()).toBeVisible();
  await page.getByLabel('Kind').selectOption('copy');
  await expect(table.getByRole('row', { name: /copy of reports in paris synced, from berlin/ }).first()).toBeVisible();
  await expect(table.getByRole('row', { name: /policy everywhere/ })).toHaveCount(0);
  const exported = async () => {
    const download = page.waitForEvent('download');
    await page.getByRole('link', { name: 'Export' }).click();
    const file = await download;
    const text = readFileSync(await file.path(), 'utf8');
    const kinds = new Set(
      text
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as { kind: string }).kind),
    );
    return { name: file.suggestedFilename(), kinds: [...kinds] };
  };
  expect(await exported()).toEqual({ name: 'audit-part.ndjson', kinds: ['copy'] });
  await page.getByLabel('Kind').selectOption('any');
  await expect(table.getByRole('row', { name: /policy everywhere changed/ }).first()).toBeVisible();
  const all = await exported();
  expect(all.name).toBe('audit.ndjson');
  expect(all.kinds).toEqual(expect.arrayContaining(['change', 'copy', 'session']));
});

test('the audit is not for others', async ({ page }) => {
  await signIn(page, 'ola', '/audit');
  await expect(page.getByText('Audit records are for admins')).toBeVisible();
  await expect(page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Audit' })).toHaveCount(0);
  expect(await page.evaluate(async () => (await fetch('api/fado/audit')).status)).toBe(403);
});

test('what goes if a cluster goes, and how its functions do', short, async ({ page }) => {
  await signIn(page, 'vera', '/clusters/berlin');
  const row = page.getByRole('table', { name: 'Buckets here' }).getByRole('row', { name: /^reports/ });
  await expect(row).toContainText('primary, synced');
  await expect(row).toContainText('paris');
  await expect(row).toContainText('nothing');
  await expect(page.getByRole('note')).toContainText('Nothing lives only here');
  for (let i = 0; i < 40; i++) await fetch(world().functions_at, { headers: { 'X-FaDO-Bucket': 'reports' } });
  const answers = page.getByRole('table', { name: 'Functions' }).getByRole('row', { name: new RegExp(`:${world().functions.berlin}`) });
  await expect(answers).toContainText(/[1-9]\d*(\.\d)?\/s/);
  await expect(answers).toContainText(/\d ms/);
  await page.goto(`${world().console}/clusters`);
  const berlin = page.getByRole('table', { name: 'Clusters', exact: true }).getByRole('row', { name: /^berlin/ });
  await expect(berlin).toContainText(/\/s copied in/);
  await expect(berlin).toContainText('MinIO');
  await page.getByRole('tab', { name: 'Functions' }).click();
  await expect(page.getByRole('table', { name: 'Functions' }).getByRole('row', { name: /paris/ })).toBeVisible();
  await page.getByRole('tab', { name: 'Storage' }).click();
  await expect(page).toHaveURL(/tab=storage/);
  await expect(page.getByRole('table', { name: 'Storage' }).getByRole('row', { name: /^berlin/ })).toContainText('as here');
});

test('a policy tells who uses it and where that may be, and a role why it is yours', async ({ page }) => {
  await signIn(page, 'vera', '/policies/reports');
  await expect(page.getByLabel(/Of \d+ buckets? that use it/)).toHaveValue('reports');
  const placement = page.getByRole('table', { name: 'Placement' });
  await expect(placement.getByRole('row', { name: /^berlin/ })).toContainText('chosen');
  await expect(placement.getByRole('row', { name: /^paris/ })).toContainText('chosen');
  expect(await violations(page)).toEqual([]);
  await page.goto(`${world().console}/access`);
  await expect(page.getByText('viewer: the configuration gives it to the user of this name')).toBeVisible();
});

test('the instances', async ({ page }) => {
  await signIn(page, 'vera', '/instances');
  const row = page.getByRole('table', { name: 'Instances' }).getByRole('row', { name: /tests this one/ });
  await expect(row).toContainText('routes and copies');
  await expect(row.getByRole('link', { name: 'berlin' })).toBeVisible();
});
