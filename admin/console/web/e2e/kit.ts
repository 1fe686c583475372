import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { type BrowserContext, test as base, expect, type Page } from '@playwright/test';
import { type Another, another, askAdmin, endOf, until, type World } from './world';

export const world = () => JSON.parse(process.env.FADO_WORLD ?? '{}') as World;
export const control = (path: string) => fetch(process.env.FADO_WORLD_CONTROL + path);
export const admin = (path: string, init?: RequestInit) => askAdmin(world(), path, init);

/** The hosts that pages may ask. */
const besides = new Set<string>();

/** Prints a figure beside its bar: what a machine takes judges no change. */
export function figure(what: string, value: number, bar: number, unit = 'ms'): void {
  const shown = value < 10 ? value.toFixed(2) : Math.round(value);
  console.log(`BUDGET ${what}: ${shown} ${unit}, bar ${bar} ${unit}, ${value <= bar ? 'met' : 'MISSED'}`);
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Every page has to obey its policy and ask nobody else. */
export const test = base.extend<{ watched: string[]; start: typeof another }>({
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
  watched: [
    async ({ browser }, use) => {
      const wrong: string[] = [];
      const told: Promise<unknown>[] = [];
      for (const u of [world().console, world().below, world().sso, world().s3]) besides.add(new URL(u).host);
      const make = browser.newContext;
      browser.newContext = async (...how) => {
        const context = await make.apply(browser, how);
        watch(context, wrong, told);
        return context;
      };
      await use(wrong);
      browser.newContext = make;
      await Promise.all(told);
      expect(wrong).toEqual([]);
    },
    { auto: true },
  ],
});

/** The secrets of storages: no answer may hold them. */
const secrets = /console-tests-secret|nobody-at-all/;

/** Notes what goes wrong in a browser: what its pages' policy reports, errors, requests to others, and secrets in answers. */
function watch(context: BrowserContext, wrong: string[], told: Promise<unknown>[]): void {
  context.on('console', (m) => /Content Security Policy|Refused to/.test(m.text()) && wrong.push(m.text()));
  context.on('weberror', (e) => wrong.push(String(e.error())));
  context.on('request', (r) => !besides.has(new URL(r.url()).host) && !r.url().startsWith('blob:') && wrong.push(r.url()));
  context.on('response', (r) => {
    if (!/json/.test(r.headers()['content-type'] ?? '')) return;
    const read = r.text().then((text) => secrets.test(text) && wrong.push(`a secret in the answer of ${r.url()}`));
    told.push(read.catch(() => {})); // the page went elsewhere
  });
}

/** The cluster that the API declares, in zone us, with a storage and a function server of its own. */
export interface Virginia {
  /** Ends its function server. */
  down: () => void;
  remove: () => Promise<void>;
}

export async function virginia(): Promise<Virginia> {
  const server = createServer((_, res) => res.end('{}')).listen(0, '127.0.0.1');
  await new Promise((r) => server.once('listening', r));
  const down = () => {
    server.close();
    server.closeAllConnections();
  };
  const storage = { endpoint: world().storages.paris, access_key: 'console-tests', secret_key: 'console-tests-secret', bucket_prefix: 'of-virginia-' };
  const functions = [{ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, health_path: '/healthz' }];
  const made = await admin('/fado/clusters', { method: 'POST', body: JSON.stringify({ name: 'virginia', zones: ['us'], storage, functions }) });
  expect(made.status, await made.text()).toBe(201);
  // The bucket media is to be everywhere.
  const media = async () => (await (await admin('/fado/buckets/media')).json()) as { status: { state: string; copies: { cluster: string }[] } };
  const ok = (with_: boolean) => async () => {
    const { status } = await media();
    return status.state === 'ok' && status.copies.some((c) => c.cluster === 'virginia') === with_;
  };
  await until('the copy of media in virginia', ok(true));
  return {
    down,
    remove: async () => {
      down();
      await until('the end of virginia', async () => (await admin('/fado/clusters/virginia?abandon=true&confirm=virginia', { method: 'DELETE' })).ok);
      await until('media without virginia', ok(false));
    },
  };
}

export { expect };

/** What every change has to pass; make web-test runs everything. */
export const short = { tag: '@short' };

export async function signIn(page: Page, user: string, path = '/', at = world().console): Promise<void> {
  await page.goto(at + path);
  await page.getByLabel('User name').fill(user);
  await page.getByLabel('Password').fill(`of ${user}`);
  await page.getByRole('button', { name: 'Sign in' }).click();
  // A dialog that a link opens hides the rest from who looks by role.
  await expect(page.getByRole('button', { name: /^Account/, includeHidden: true })).toBeVisible();
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
