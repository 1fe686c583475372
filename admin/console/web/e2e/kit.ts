import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test as base, expect, type Page } from '@playwright/test';
import { type Another, another, askAdmin, endOf, type World } from './world';

export const world = () => JSON.parse(process.env.FADO_WORLD ?? '{}') as World;
export const control = (path: string) => fetch(process.env.FADO_WORLD_CONTROL + path);
export const admin = (path: string, init?: RequestInit) => askAdmin(world(), path, init);

/** The hosts that pages may ask. */
const besides = new Set<string>();

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Every page has to obey its policy and ask nobody else. */
export const test = base.extend<{ page: Page; start: typeof another }>({
  /** Starts a FaDO for one test, and ends it after. */
  // biome-ignore lint/correctness/noEmptyPattern: Playwright wants it so
  start: async ({}, use) => {
    const all: Another[] = [];
    await use(async (...how) => {
      const one = await another(...how);
      besides.add(new URL(one.console).host);
      all.push(one);
      return one;
    });
    await Promise.all(all.map(endOf));
  },
  page: async ({ page }, use) => {
    const wrong: string[] = [];
    for (const u of [world().console, world().below, world().sso, world().s3]) besides.add(new URL(u).host);
    page.on('console', (m) => /Content Security Policy|Refused to/.test(m.text()) && wrong.push(m.text()));
    page.on('pageerror', (e) => wrong.push(String(e)));
    page.on('request', (r) => !besides.has(new URL(r.url()).host) && !r.url().startsWith('blob:') && wrong.push(r.url()));
    await use(page);
    expect(wrong).toEqual([]);
  },
});

export { expect };

/** What every change has to pass; make web-test runs everything. */
export const short = { tag: '@short' };

export async function signIn(page: Page, user: string, path = '/', at = world().console): Promise<void> {
  await page.goto(at + path);
  await page.getByLabel('User name').fill(user);
  await page.getByLabel('Password').fill(`of ${user}`);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByRole('button', { name: /^Account/ })).toBeVisible();
}

/** What axe finds wrong with the page as it is shown now, in words. */
export async function violations(page: Page): Promise<string[]> {
  // The protocol evaluates it: the page's policy would refuse a script.
  await page.evaluate(axe);
  return page.evaluate(async () => {
    // @ts-expect-error axe is there now
    const { violations } = await window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] });
    return violations.flatMap((v: { id: string; nodes: { html: string; failureSummary: string }[] }) =>
      v.nodes.slice(0, 3).map((n) => `${v.id}: ${n.html.slice(0, 160)} ${n.failureSummary.replace(/\s+/g, ' ').slice(0, 220)}`),
    );
  });
}
