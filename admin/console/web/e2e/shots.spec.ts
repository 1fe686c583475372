import { expect, signIn, test, world } from './kit';

test.skip(!process.env.SHOTS, 'make web-shots takes the pictures of docs/console.md');

const shots: [string, string, 'Light' | 'Dark'][] = [
  ['overview', '/', 'Light'],
  ['matrix', '/buckets?view=matrix', 'Light'],
  ['objects', '/buckets/reports?tab=objects&prefix=q1/', 'Dark'],
];

test('pictures', async ({ page }) => {
  await page.setViewportSize({ width: 1180, height: 720 });
  await signIn(page, 'ada');
  for (const [name, path, theme] of shots) {
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
