import { expect, signIn, test, world } from './kit';
import { s3 } from './world';

test.skip(!process.env.SHOTS, 'make web-shots takes the pictures of docs/console.md');

const shots: [string, string, 'Light' | 'Dark'][] = [
  ['overview', '/', 'Light'],
  ['matrix', '/buckets?view=matrix', 'Light'],
  ['objects', '/buckets/reports?tab=objects&prefix=q1/', 'Dark'],
];

test('pictures', async ({ page }) => {
  test.setTimeout(240_000);
  for (let i = 0; i < 140; i++) {
    for (let n = 0; n < 20 + 15 * Math.sin(i / 9); n++) await fetch(world().functions_at, { headers: { 'X-FaDO-Bucket': 'reports' } });
    await s3(world().storages.berlin, 'PUT', `/reports/report-${i % 40}.txt`, 'x'.repeat(1000 + 900 * Math.sin(i / 5)));
    await page.waitForTimeout(600);
  }
  await signIn(page, 'ada');
  for (const [name, path, theme] of shots) {
    await page.setViewportSize({ width: 1180, height: name === 'overview' ? 1020 : 720 });
    await page.goto(world().console + path);
    await page.getByRole('button', { name: 'Account' }).click();
    await page.getByRole('menuitemradio', { name: theme }).click();
    await page.keyboard.press('Escape');
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
    await expect(page.locator('[aria-busy=true]')).toHaveCount(0);
    await page.mouse.move(600, 700);
    await page.screenshot({ path: `${process.env.SHOTS}/console-${name}.png` });
  }
});

test('a plan', async ({ page }) => {
  await page.setViewportSize({ width: 1180, height: 720 });
  await signIn(page, 'ada', '/policies/reports');
  await page.getByRole('button', { name: 'Edit' }).click();
  const dialog = page.getByRole('dialog', { name: 'Edit reports' });
  await dialog.getByLabel('Copies').fill('1');
  await dialog.getByRole('button', { name: 'Preview' }).click();
  await expect(dialog.getByRole('region', { name: 'Plan' })).toBeFocused();
  await page.screenshot({ path: `${process.env.SHOTS}/console-plan.png` });
});
