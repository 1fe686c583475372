import type { Page } from '@playwright/test';
import { admin, expect, signIn, test, violations, world } from './kit';

/** Every dialog: the page, and the buttons that open it one after the other. What a test of its own looks at is not here. */
const dialogs: [string, string[]][] = [
  ['/zones', ['New zone']],
  ['/zones', ['Edit seen']],
  ['/zones', ['Delete seen']],
  ['/clusters', ['New cluster']],
  ['/clusters/seen', ['Edit']],
  ['/clusters/seen', ['Drain']],
  ['/clusters/seen', ['Delete']],
  ['/policies', ['New policy']],
  ['/policies/reports', ['Edit']],
  ['/policies/seen', ['Delete']],
  ['/buckets', ['New bucket']],
  ['/buckets/reports', ['Edit']],
  ['/buckets/reports', ['Forget']],
  ['/buckets/reports', ['Verify']],
  ['/replication', ['Pause replication']],
  ['/access', ['Revoke seen']],
  ['/access', ['End vera']],
  ['/', ['Find or do Ctrl K']],
];

const shown = (page: Page) => page.locator('[role=dialog], [role=alertdialog]');

for (const theme of ['Light', 'Dark']) {
  test(`dialogs stand in nobody's way: ${theme}`, async ({ page, browser }) => {
    test.setTimeout(180_000);
    await admin('/fado/zones', { method: 'POST', body: JSON.stringify({ name: 'seen' }) });
    await admin('/fado/policies', { method: 'POST', body: JSON.stringify({ name: 'seen' }) });
    const storage = { endpoint: 'http://127.0.0.1:9', access_key: 'nobody', secret_key: 'nobody-at-all' };
    await admin('/fado/clusters', { method: 'POST', body: JSON.stringify({ name: 'seen', zones: ['seen'], storage }) });
    const other = await browser.newContext();
    await signIn(await other.newPage(), 'vera');
    await signIn(page, 'ada', '/access');
    await page.getByLabel('Name').fill('seen');
    await page.getByRole('button', { name: 'New token' }).click();
    await expect(page.getByRole('alertdialog', { name: 'New token seen' })).toContainText('what the role viewer may, for 90 days');
    await page.getByRole('button', { name: 'Make it' }).click();
    await expect(page.getByText('It is shown once')).toBeVisible();
    await page.getByRole('button', { name: 'Account' }).click();
    await page.getByRole('menuitemradio', { name: theme }).click();
    for (const [path, buttons] of dialogs) {
      await page.goto(world().console + path);
      for (const name of buttons) await page.getByRole('button', { name, exact: true }).first().click();
      await expect(shown(page), `${path} ${buttons}`).toBeVisible();
      await expect(shown(page).locator('[aria-busy=true]')).toHaveCount(0);
      await expect(page.locator('html')).toHaveAttribute('data-theme', theme.toLowerCase());
      expect(await violations(page), `${path} ${buttons}`).toEqual([]);
      // It says what it is, keeps the focus, and gives it back.
      await expect(shown(page)).toHaveAccessibleName(/\w/);
      expect(await page.evaluate(() => document.activeElement?.closest('[role=dialog], [role=alertdialog]') !== null)).toBe(true);
      await page.keyboard.press('Escape');
      await expect(shown(page)).toHaveCount(0);
      await expect(page.getByRole('button', { name: buttons[0], exact: true }).first()).toBeFocused();
    }
    await page.goto(`${world().console}/access`);
    await page.getByRole('button', { name: 'Revoke seen' }).click();
    await page.getByRole('alertdialog').getByRole('button', { name: 'Revoke' }).click();
    await expect(page.getByRole('button', { name: 'Revoke seen' })).toHaveCount(0);
    for (const path of ['clusters/seen?abandon=true&confirm=seen', 'policies/seen', 'zones/seen']) await admin(`/fado/${path}`, { method: 'DELETE' });
    await other.close();
  });
}
