import type { Locator, Page } from '@playwright/test';
import { admin, expect, short, signIn, test, violations, world } from './kit';
import { s3, until } from './world';

const read = async (path: string) => (await admin(path)).json();
// biome-ignore lint/suspicious/noExplicitAny: what the API answers
const bucket = (name: string) => read(`/fado/buckets/${name}`) as Promise<any>;

test('a bucket is made, by the plan of it, and forgotten', short, async ({ page }) => {
  await signIn(page, 'ada', '/buckets');
  await page.getByRole('button', { name: 'New bucket' }).click();
  const dialog = page.getByRole('dialog', { name: 'New bucket' });
  await dialog.getByLabel('Name').fill('No_Good');
  await dialog.getByRole('button', { name: 'Review' }).click();
  await expect(dialog.getByLabel('Name')).toHaveAttribute('aria-invalid', 'true');
  await expect(dialog.getByLabel('Name')).toHaveAccessibleDescription(/No_Good.*expected/);
  expect(await violations(page)).toEqual([]);
  await dialog.getByLabel('Name').fill('made-here');
  await dialog.getByLabel('Policy', { exact: true }).selectOption('reports');
  await dialog.getByRole('button', { name: 'Review' }).click();
  await expect(dialog.getByRole('region', { name: 'Plan' })).toContainText('create bucket made-here');
  expect((await admin('/fado/buckets/made-here')).status).toBe(404);
  expect(await violations(page)).toEqual([]);
  await dialog.getByRole('button', { name: 'Create' }).click();
  await expect(page.getByRole('grid', { name: 'Buckets' }).getByRole('row', { name: /^made-here/ })).toBeVisible();
  expect((await bucket('made-here')).policy).toBe('reports');

  await page.getByRole('link', { name: 'made-here' }).click();
  await page.getByRole('button', { name: 'Forget' }).click();
  await page.getByRole('dialog', { name: 'Forget made-here' }).getByRole('button', { name: 'Forget' }).click();
  await expect(page.getByRole('heading', { name: 'Buckets', level: 1 })).toBeVisible();
  expect((await admin('/fado/buckets/made-here')).status).toBe(404);
});

test('what the configuration declares is not changed here', async ({ page }) => {
  await signIn(page, 'ada', '/clusters/berlin');
  for (const name of ['Edit', 'Drain']) {
    const button = page.getByRole('button', { name, exact: true });
    await expect(button).toHaveAttribute('aria-disabled', 'true');
    await expect(button).toHaveAccessibleDescription('Declared by the configuration');
  }
});

test('others may not change the catalogue', async ({ page }) => {
  await signIn(page, 'ola', '/policies/reports');
  await expect(page.getByRole('button', { name: 'Edit' })).toHaveAccessibleDescription('Needs the role admin');
  const status = await page.evaluate(
    async () => (await fetch('api/fado/apply', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{"fado":1}' })).status,
  );
  expect(status).toBe(403);
});

test('a policy moves data only as the plan says', async ({ page }) => {
  test.setTimeout(180_000);
  await signIn(page, 'ada', '/clusters');
  await page.getByRole('button', { name: 'New cluster' }).click();
  const made = page.getByRole('dialog', { name: 'New cluster' });
  await made.getByLabel('Name').fill('virginia');
  await made.getByLabel('Zones').fill('us');
  await made.getByLabel('Endpoint').fill(world().storages.paris);
  await made.getByLabel('Access key').fill('console-tests');
  await made.getByLabel('Secret key').fill('console-tests-secret');
  await made.getByLabel('Bucket prefix').fill('va-');
  const connection = made.getByRole('region', { name: 'Connection' });
  await made.getByRole('button', { name: 'Test connection', exact: true }).click();
  await expect(connection.getByRole('status')).toContainText('storage up');
  await expect(connection.getByRole('status')).toContainText('MinIO');
  await made.getByLabel('Secret key').fill('another');
  await expect(connection.getByRole('status')).toHaveText('');
  await made.getByRole('button', { name: 'Test connection', exact: true }).click();
  await expect(connection.getByRole('status')).toContainText('storage down');
  expect(await violations(page)).toEqual([]);
  await made.getByLabel('Secret key').fill('console-tests-secret');
  expect((await admin('/fado/clusters/virginia')).status).toBe(404);
  await made.getByRole('button', { name: 'Review' }).click();
  await expect(made.getByRole('region', { name: 'Plan' })).toContainText('create cluster virginia');
  await made.getByRole('button', { name: 'Create' }).click();
  await expect(page.getByRole('link', { name: 'virginia' })).toBeVisible();
  expect(JSON.stringify(await read('/fado/clusters/virginia'))).not.toContain('console-tests-secret');

  await admin('/fado/policies', { method: 'POST', body: JSON.stringify({ name: 'moving', zones: ['eu'], copies: 2, prefer: ['berlin'] }) });
  await admin('/fado/buckets', { method: 'POST', body: JSON.stringify({ name: 'moving', policy: 'moving' }) });
  await until('the bucket', async () => (await bucket('moving')).status.state === 'ok');
  await s3(world().storages.berlin, 'PUT', '/moving/x.txt', 'something to move');
  await until('its copy', async () => (await bucket('moving')).status.copies.every((c: { objects: number }) => c.objects === 1));

  await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Policies' }).click();
  await page.getByRole('link', { name: 'moving', exact: true }).click();
  await page.getByRole('button', { name: 'Edit' }).click();
  const dialog = page.getByRole('dialog', { name: 'Edit moving' });
  const zones = dialog.getByRole('group', { name: /^Zones/ });
  await zones.getByRole('checkbox', { name: 'eu', exact: true }).uncheck();
  await dialog.getByLabel('Copies').fill('1');
  await zones.getByRole('checkbox', { name: 'us' }).check();
  const allowed = dialog.getByRole('region', { name: 'Allowed clusters' });
  await expect(allowed.getByRole('status')).toContainText('It allows 1 of');
  await expect(allowed.getByRole('listitem')).toHaveText(['virginia']);
  await dialog.getByRole('button', { name: 'Preview' }).click();
  await expect(dialog.getByRole('table', { name: 'Moves' }).getByRole('row', { name: /moving/ })).toContainText(/berlin → virginia.*17 B/);
  expect((await bucket('moving')).status.primary).toBe('berlin');

  // Someone else changes something before it is applied.
  await admin('/fado/zones/us', { method: 'PATCH', body: JSON.stringify({ labels: { seen: 'yes' } }) }).then((r) => r.text());
  await admin('/fado/policies/everywhere', { method: 'PATCH', body: JSON.stringify({ prefer: ['berlin'] }) });
  await dialog.getByRole('button', { name: 'Apply 1 change' }).click();
  await expect(dialog.getByRole('alert')).toContainText('has changed since');
  await dialog.getByRole('button', { name: 'Preview again' }).click();
  await expect(dialog.getByRole('alert')).toHaveCount(0);
  await dialog.getByRole('button', { name: 'Apply 1 change' }).click();
  await expect(page.getByText('moving is changed')).toBeVisible();
  await until('the move', async () => (await bucket('moving')).status.primary === 'virginia');
  const record = page.getByRole('table', { name: 'Audit' }).getByRole('row', { name: /ada.*policy moving changed/ });
  await page.goto(`${world().console}/audit`);
  await expect(record).toContainText(/copies.*2.*→.*1/);

  await admin('/fado/policies/everywhere', { method: 'PATCH', body: JSON.stringify({ prefer: null }) });
  await admin('/fado/buckets/moving?purge=all', { method: 'DELETE' });
  await admin('/fado/policies/moving', { method: 'DELETE' });

  // The bucket media, which is to be everywhere, leaves with the drain.
  await page.goto(`${world().console}/clusters/virginia`);
  await page.getByRole('button', { name: 'Drain', exact: true }).click();
  const drain = page.getByRole('dialog', { name: 'Drain virginia' });
  await expect(drain.getByRole('table', { name: 'Moves' }).getByRole('row', { name: /media/ })).toContainText('− virginia');
  await drain.getByRole('button', { name: 'Drain', exact: true }).click();
  await expect(page.getByRole('button', { name: 'Undo drain' })).toBeVisible();
  await expect(page.getByRole('progressbar', { name: 'Drain of virginia' })).toBeVisible();
  await until('the end of the drain', async () => (await read('/fado/clusters/virginia')).status.drain?.state === 'done');
  await expect(page.getByText('Drained', { exact: true })).toBeVisible();

  // It takes copies again, until it is drained once more.
  await page.getByRole('button', { name: 'Undo drain' }).click();
  const undo = page.getByRole('dialog', { name: 'Undo the drain of virginia' });
  await expect(undo.getByRole('table', { name: 'Moves' }).getByRole('row', { name: /media/ })).toContainText('+ virginia');
  await undo.getByRole('button', { name: 'Undo drain' }).click();
  await expect(page.getByRole('button', { name: 'Drain', exact: true })).toBeVisible();
  await until('the copy', async () =>
    (await bucket('media')).status.copies.some((c: { cluster: string; state: string }) => c.cluster === 'virginia' && c.state === 'synced'),
  );
  await admin('/fado/clusters/virginia', { method: 'PATCH', body: JSON.stringify({ drain: true }) });
  await until('the end of the drain', async () => (await read('/fado/clusters/virginia')).status.drain?.state === 'done');
  await expect(page.getByText('Drained', { exact: true })).toBeVisible();
  await page.getByRole('button', { name: 'Delete' }).click();
  const gone = page.getByRole('dialog', { name: 'Delete virginia' });
  await expect(gone.getByRole('button', { name: 'Delete' })).toBeDisabled();
  await gone.getByLabel('Type virginia to confirm').fill('virginia');
  await gone.getByRole('button', { name: 'Delete' }).click();
  await expect(page.getByRole('heading', { name: 'Clusters', level: 1 })).toBeVisible();
  expect((await admin('/fado/clusters/virginia')).status).toBe(404);
});

test('what breaks a declaration is not applied', async ({ page }) => {
  await signIn(page, 'ada', '/policies/reports');
  await page.getByRole('button', { name: 'Edit' }).click();
  const dialog = page.getByRole('dialog', { name: 'Edit reports' });
  const zones = dialog.getByRole('group', { name: /^Zones/ });
  await zones.getByRole('checkbox', { name: 'eu', exact: true }).uncheck();
  await zones.getByRole('checkbox', { name: 'us' }).check();
  await dialog.getByRole('button', { name: 'Preview' }).click();
  await expect(dialog.getByRole('region', { name: 'Violations' })).toContainText('bucket reports');
  await expect(dialog.getByRole('button', { name: /^Apply/ })).toBeDisabled();
  expect(await violations(page)).toEqual([]);
  await page.keyboard.press('Escape');
  await expect(dialog).toHaveCount(0);
  await expect(page.getByRole('button', { name: 'Edit' })).toBeFocused();
});

test('a zone is made and deleted', async ({ page }) => {
  await signIn(page, 'ada', '/zones');
  await page.getByRole('button', { name: 'New zone' }).click();
  const dialog = page.getByRole('dialog', { name: 'New zone' });
  await dialog.getByLabel('Name').fill('asia');
  await dialog.getByRole('button', { name: 'Review' }).click();
  await dialog.getByRole('button', { name: 'Create' }).click();
  await page.getByRole('button', { name: 'Delete asia' }).click();
  await page.getByRole('dialog', { name: 'Delete asia' }).getByRole('button', { name: 'Delete' }).click();
  await expect(page.getByRole('row', { name: /asia/ })).toHaveCount(0);
});

/** Goes on with the tabulator until something has the focus, which must be visible. */
async function tabTo(page: Page, target: Locator): Promise<void> {
  await expect(target).toBeVisible();
  const reached = () => target.evaluate((e) => e === document.activeElement);
  for (let i = 0; i < 100 && !(await reached()); i++) await page.keyboard.press('Tab');
  expect(await reached(), String(target)).toBe(true);
  expect(await target.evaluate((e) => getComputedStyle(e).outlineStyle), String(target)).not.toBe('none');
}

test('a bucket is made and a policy changed by keyboard alone', async ({ page }) => {
  test.setTimeout(120_000);
  await admin('/fado/policies', { method: 'POST', body: JSON.stringify({ name: 'keys' }) });
  await signIn(page, 'ada', '/buckets');
  const press = async (target: Locator) => {
    await tabTo(page, target);
    await page.keyboard.press('Enter');
  };
  await press(page.getByRole('button', { name: 'New bucket' }));
  const made = page.getByRole('dialog', { name: 'New bucket' });
  await tabTo(page, made.getByLabel('Name'));
  await page.keyboard.type('by-keyboard');
  await tabTo(page, made.getByLabel('Policy', { exact: true }));
  await page.keyboard.type('keys');
  await expect(made.getByLabel('Policy', { exact: true })).toHaveValue('keys');
  await press(made.getByRole('button', { name: 'Review' }));
  await expect(made.getByRole('region', { name: 'Plan' })).toContainText('create bucket by-keyboard');
  await press(made.getByRole('button', { name: 'Create' }));
  await expect(page.getByRole('grid', { name: 'Buckets' }).getByRole('row', { name: /^by-keyboard/ })).toBeVisible();
  expect((await bucket('by-keyboard')).policy).toBe('keys');
  await admin('/fado/buckets/by-keyboard?purge=all', { method: 'DELETE' });
  await until('the end of the purge', async () => (await read('/fado/replication/purges')).length === 0);

  await page.goto(`${world().console}/policies/keys`);
  await press(page.getByRole('button', { name: 'Edit' }));
  const edit = page.getByRole('dialog', { name: 'Edit keys' });
  await tabTo(page, edit.getByLabel('Copies'));
  await page.keyboard.press('Control+a');
  await page.keyboard.type('2');
  await press(edit.getByRole('button', { name: 'Preview' }));
  await expect(edit.getByRole('region', { name: 'Plan' })).toContainText('keys');
  await press(edit.getByRole('button', { name: 'Apply 1 change' }));
  await expect(edit).toHaveCount(0);
  expect((await read('/fado/policies/keys')).copies).toBe(2);
  await expect(page.getByRole('button', { name: 'Edit' })).toBeFocused();
  await admin('/fado/policies/keys', { method: 'DELETE' });
});
