import { expect, signIn, test, world } from './kit';

test.skip(!process.env.SHOTS, 'make web-shots takes the pictures of docs/console.md');

const shots: [string, string, 'Light' | 'Dark'][] = [
  ['overview', '/', 'Light'],
  ['bucket', '/buckets/reports', 'Dark'],
  ['routing', '/routing?bucket=reports&object=q1/report-000.txt', 'Light'],
];

test('pictures', async ({ page }) => {
  await page.setViewportSize({ width: 1180, height: 720 });
  await signIn(page, 'ola');
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
