import { admin, expect, short, signIn, test, world } from './kit';
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
  const download = page.waitForEvent('download');
  await page.getByRole('link', { name: 'Export' }).click();
  expect((await download).suggestedFilename()).toBe('audit.ndjson');
});

test('the audit is not for others', async ({ page }) => {
  await signIn(page, 'ola', '/audit');
  await expect(page.getByText('Audit records are for admins')).toBeVisible();
  await expect(page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Audit' })).toHaveCount(0);
  expect(await page.evaluate(async () => (await fetch('api/fado/audit')).status)).toBe(403);
});

test('the instances', async ({ page }) => {
  await signIn(page, 'vera', '/instances');
  const row = page.getByRole('table', { name: 'Instances' }).getByRole('row', { name: /tests this one/ });
  await expect(row).toContainText('routes and copies');
  await expect(row.getByRole('link', { name: 'berlin' })).toBeVisible();
});
