import { readFileSync } from 'node:fs';
import type { BrowserContext, Page } from '@playwright/test';
import { admin, expect, figure, signIn, test, world } from './kit';
import { large, many } from './large';
import { type Another, askAdmin, s3, until } from './world';

test.skip(!process.env.BUDGETS, 'make web-budgets measures: its figures are of the machine, and judge no change');

const p = (share: number, of: number[]) => [...of].sort((a, b) => a - b)[Math.min(of.length - 1, Math.floor(of.length * share))] ?? 0;

/** Has a page note how long its interactions and tasks take, from when it is loaded. */
async function watched(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const noted = { events: [] as { took: number; what: string }[], tasks: [] as number[], usable: 0 };
    Object.assign(window, { noted });
    new PerformanceObserver((l) => {
      for (const e of l.getEntries() as (PerformanceEventTiming & { interactionId: number })[]) {
        const at = e.target as HTMLElement | null;
        const what = `${e.name} at ${at?.getAttribute('aria-label') ?? at?.textContent?.slice(0, 20) ?? 'what is gone'}`;
        const parts = [e.processingStart - e.startTime, e.processingEnd - e.processingStart, e.startTime + e.duration - e.processingEnd];
        if (e.interactionId) noted.events.push({ took: e.duration, what: `${what}, ${parts.map(Math.round).join(' + ')} ms until, in and after its handlers` });
      }
    }).observe({ type: 'event', durationThreshold: 16, buffered: true } as PerformanceObserverInit);
    new PerformanceObserver((l) => noted.tasks.push(...l.getEntries().map((e) => e.duration))).observe({ type: 'longtask', buffered: true });
    const look = () => {
      const state = document.querySelector('[aria-label="Overall state"]')?.textContent ?? 'unknown';
      const ready =
        document.querySelector('h1')?.textContent === 'Overview' && state !== 'unknown' && document.querySelector('section[aria-label=Topology] button');
      if (ready) noted.usable = performance.now();
      else requestAnimationFrame(look);
    };
    look();
  });
}

interface Noted {
  events: { took: number; what: string }[];
  tasks: number[];
  usable: number;
  interactions: number;
}

const noted = (page: Page) =>
  page.evaluate(() => {
    const { interactionCount } = performance as unknown as { interactionCount: number };
    return { ...(window as unknown as { noted: Noted }).noted, interactions: interactionCount };
  });

test('with a hundred thousand buckets', async ({ page, start }) => {
  test.setTimeout(900_000);
  const fado = await large(start);
  await watched(page);
  await server(fado, 50);
  await signIn(page, 'ada', '/', fado.console);
  await firstLoad(page, fado);
  await routes(page, fado);
  await overview(page, fado);
  await interactions(page, fado);
  await scrolling(page);
  await changes(page, fado);
});

/** What the server takes for a page of 200 buckets, and for the summary. */
async function server(fado: Another, bar: number): Promise<void> {
  for (const [what, path] of [
    ['page of 200 buckets with status', '/fado/buckets?limit=200&after=b-050000'],
    ['page of 200 by a part of a name', '/fado/buckets?limit=200&q=777'],
    ['summary', '/fado/summary'],
    ['matrix by policy', '/fado/matrix?by=policy'],
    ['facets', '/fado/facets'],
    ['page of 200, the largest first', '/fado/buckets?limit=200&order=bytes'],
  ]) {
    const took: number[] = [];
    for (let i = 0; i < 20; i++) {
      const began = performance.now();
      await (await askAdmin(fado, path)).text();
      took.push(performance.now() - began);
    }
    figure(`server, ${what}, median of 20`, p(0.5, took), bar);
  }
}

/** What is asked for until the overview can be used, by a browser that has nothing of it yet. */
async function firstLoad(page: Page, fado: Another): Promise<void> {
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('Network.clearBrowserCache');
  const files: string[] = [];
  page.on('request', (r) => new URL(r.url()).pathname.includes('/api/') || files.push(new URL(r.url()).pathname));
  await page.goto(fado.console);
  await expect.poll(async () => (await noted(page)).usable).toBeGreaterThan(0);
  figure('first load, files', files.length, 15, 'requests');
  page.removeAllListeners('request');
}

/** From a click in the navigation until the page's heading is drawn: the first time, when its part of the console is not there yet, and again. */
async function routes(page: Page, fado: Another): Promise<void> {
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('Network.clearBrowserCache');
  await page.goto(fado.console);
  await expect.poll(async () => (await noted(page)).usable).toBeGreaterThan(0);
  const names = ['Buckets', 'Clusters', 'Policies', 'Replication', 'Routing', 'Metrics', 'Events', 'Audit', 'Instances', 'Access'];
  const went = async () => {
    let worst = 0;
    for (const name of names) {
      const took = await page.evaluate(async (name) => {
        const link = [...document.querySelectorAll<HTMLElement>('nav[aria-label=Main] a')].find((a) => a.textContent === name);
        const began = performance.now();
        link?.click();
        while (document.querySelector('h1')?.textContent !== name) await new Promise(requestAnimationFrame);
        return performance.now() - began;
      }, name);
      worst = Math.max(worst, took);
      await page.waitForTimeout(500);
    }
    return worst;
  };
  figure(`route change, uncached, worst of ${names.length}`, await went(), 300);
  figure(`route change, cached, worst of ${names.length}`, await went(), 100);
}

/** Until the overview can be used, with a processor four times slower. */
async function overview(page: Page, fado: Another): Promise<void> {
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('Emulation.setCPUThrottlingRate', { rate: 4 });
  const took: number[] = [];
  for (let i = 0; i < 5; i++) {
    await page.goto(fado.console);
    await expect.poll(async () => (await noted(page)).usable).toBeGreaterThan(0);
    took.push((await noted(page)).usable);
  }
  await cdp.send('Emulation.setCPUThrottlingRate', { rate: 1 });
  figure('overview usable at 4 x CPU slow-down, median of 5', p(0.5, took), 1000);
  figure('overview usable at 4 x CPU slow-down, worst of 5', Math.max(...took), 1000);
}

/** Filters, facets, tabs and the palette, as people use them. */
async function interactions(page: Page, fado: Another): Promise<void> {
  await page.goto(`${fado.console}/buckets`);
  const grid = page.getByRole('grid', { name: 'Buckets' });
  await expect(grid).toHaveAttribute('aria-rowcount', String(many + 1));
  for (let i = 0; i < 5; i++) {
    await page.getByLabel('Find a bucket').pressSequentially(`b-0${i}`, { delay: 60 });
    await page.waitForTimeout(400);
    for (let c = 0; c < 4; c++) await page.getByLabel('Find a bucket').press('Backspace');
    await page.getByRole('checkbox', { name: /^syncing/ }).check();
    await page.waitForTimeout(300);
    await page.getByRole('checkbox', { name: /^syncing/ }).uncheck();
    await page.getByRole('tab', { name: 'Matrix' }).click();
    await page.waitForTimeout(300);
    await page.getByRole('tab', { name: 'List' }).click();
    await page.getByLabel('Sorted by').selectOption('oldest');
    await page.waitForTimeout(300);
    await page.getByLabel('Sorted by').selectOption('name');
    await page.keyboard.press('Control+k');
    await page.keyboard.type('b-07777', { delay: 60 });
    await expect(page.getByRole('option').first()).toBeVisible();
    await page.keyboard.press('Escape');
  }
  const { events, interactions } = await noted(page);
  // What takes less than 16 ms is counted, and not listed.
  const all = [...Array(Math.max(0, interactions - events.length)).fill(16), ...events.map((e) => e.took)];
  for (const { took, what } of events.toSorted((a, b) => b.took - a.took).slice(0, 8)) console.log(`  ${took} ms: ${what}`);
  figure(`interaction, p98 of ${interactions}`, p(0.98, all), 100);
  figure(`interaction, worst of ${interactions}`, Math.max(0, ...all), 100);
}

async function scrolling(page: Page): Promise<void> {
  const body = page.getByRole('rowgroup', { name: 'Rows' });
  await body.hover();
  const before = (await noted(page)).tasks.length;
  for (let i = 0; i < 100; i++) {
    await page.mouse.wheel(0, 900);
    await page.waitForTimeout(30);
  }
  const tasks = (await noted(page)).tasks.slice(before);
  figure(`scrolling 90,000 px, longest task (${tasks.length} above 50 ms)`, Math.max(0, ...tasks), 50);
}

/** From when the API answers a change until it is in the page. */
async function changes(page: Page, fado: Another): Promise<void> {
  await page.goto(`${fado.console}/events`);
  await expect(page.getByRole('log', { name: 'Events' })).toBeVisible();
  await page.waitForTimeout(1500);
  const took: number[] = [];
  for (let i = 0; i < 20; i++) {
    const began = performance.now();
    await askAdmin(fado, '/fado/zones', { method: 'POST', body: JSON.stringify({ name: `seen-${i}` }) });
    await page.waitForFunction((text) => document.querySelector('[role=log]')?.textContent?.includes(text), `zone seen-${i} created`, {
      polling: 'raf',
      timeout: 20_000,
    });
    took.push(performance.now() - began);
    await page.waitForTimeout(400);
  }
  figure('change seen, median of 20', p(0.5, took), 1000);
  figure('change seen, p95 of 20', p(0.95, took), 1000);
}

/** How much processor time a process has had, in milliseconds. */
const spent = (pid: number) => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
};

/** The memory that a process has, in MiB. */
const resident = (pid: number) => Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

test('with a million buckets, what the server takes', async ({ page, start }) => {
  test.setTimeout(1_800_000);
  const fado = await large(start, 1_000_000);
  await server(fado, 150);
  for (const path of ['/', '/buckets', '/buckets?view=matrix', '/policies']) {
    if (path === '/') await signIn(page, 'ada', path, fado.console);
    else await page.goto(fado.console + path);
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
    await page.waitForTimeout(10_000);
  }
  figure('memory of FaDO with 1,000,000 buckets of 2.1 copies, the console open', resident(fado.fado.pid), 600, 'MiB');
});

test('where objects are written without end', async ({ page }) => {
  const minutes = Number(process.env.BUDGET_MINUTES ?? 5);
  test.setTimeout((minutes + 3) * 60_000);
  const made = await admin('/fado/buckets', { method: 'POST', body: JSON.stringify({ name: 'flood', policy: 'reports', primary: 'berlin' }) });
  expect(made.status, await made.text()).toBe(201);
  await until('the bucket', async () => (await (await admin('/fado/buckets/flood')).json()).status.state === 'ok');
  await signIn(page, 'ada', '/');
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('Network.enable');
  let bytes = 0;
  cdp.on('Network.dataReceived', (e) => {
    bytes += e.encodedDataLength || e.dataLength;
  });
  let [written, ends] = [0, false];
  const writers = Array.from({ length: 8 }, async (_, w) => {
    for (let i = 0; !ends; i++) {
      const r = await s3(world().storages.berlin, 'PUT', `/flood/of-${w}/${i % 500}`, `content ${i}`);
      await r.arrayBuffer();
      if (r.ok) written++;
    }
  });
  const copied = async () => {
    const text = await (await admin('/metrics')).text();
    return [...text.matchAll(/^caddy_fado_replicated_objects_total\{.*\} (\S+)$/gm)].reduce((sum, m) => sum + Number(m[1]), 0);
  };
  const [began, copiedBefore] = [Date.now(), await copied()];
  const [heaps, rates]: number[][] = [[], []];
  const names = ['Events', 'Replication', 'Overview', 'Buckets'];
  for (let i = 0; i < minutes * 4; i++) {
    await page
      .getByRole('navigation', { name: 'Main' })
      .getByRole('link', { name: names[i % names.length], exact: true })
      .click();
    const [at, before] = [Date.now(), bytes];
    await page.waitForTimeout(15_000);
    rates.push((bytes - before) / 1.024 / (Date.now() - at));
    await cdp.send('HeapProfiler.collectGarbage');
    heaps.push((await cdp.send('Runtime.getHeapUsage')).usedSize / 2 ** 20);
  }
  ends = true;
  await Promise.all(writers);
  const seconds = (Date.now() - began) / 1000;
  const events = (await copied()) - copiedBefore;
  console.log(`${Math.round(written / seconds)} objects a second written, ${Math.round(events / seconds)} copied, for ${minutes} minutes`);
  figure(`read by a page, mean of ${rates.length} x 15 s`, rates.reduce((a, b) => a + b) / rates.length, 64, 'KiB/s');
  figure(`read by a page, worst of ${rates.length} x 15 s`, Math.max(...rates), 64, 'KiB/s');
  figure('heap of the page, most', Math.max(...heaps), 150, 'MiB');
  // After the first rounds, in which each part of the console is loaded and lists fill.
  const flat = heaps.slice(Math.min(8, heaps.length / 2));
  const mean = (of: number[]) => of.reduce((a, b) => a + b) / of.length;
  const half = Math.floor(flat.length / 2);
  figure('heap of the page, growth from the first half to the second', mean(flat.slice(half)) - mean(flat.slice(0, half)), 2, 'MiB');
});

test('what ten browsers cost', async ({ browser, page, start }) => {
  test.setTimeout(900_000);
  const fado = await large(start);
  const share = async (seconds: number) => {
    const began = spent(fado.fado.pid);
    for (let i = 0; i < seconds; i++) {
      await askAdmin(fado, '/fado/zones/eu', { method: 'PATCH', body: JSON.stringify({ labels: { at: String(i) } }) });
      await page.waitForTimeout(1000);
    }
    return (spent(fado.fado.pid) - began) / seconds;
  };
  await page.waitForTimeout(5000);
  const alone = await share(60);
  const contexts: BrowserContext[] = [];
  for (let i = 0; i < 10; i++) {
    const context = await browser.newContext();
    contexts.push(context);
    await signIn(await context.newPage(), 'ada', ['/', '/buckets', '/topology', '/metrics', '/replication'][i % 5], fado.console);
  }
  await page.waitForTimeout(15_000); // until what is loaded when there is time is, and signing in is over
  const with10 = await share(60);
  const cores = 2;
  console.log(`of a second FaDO takes ${alone.toFixed(1)} ms with nobody watching, ${with10.toFixed(1)} ms with ten browsers`);
  figure(`ten browsers, share of ${cores} cores while something changes every second`, (with10 - alone) / 10 / cores, 1, '%');
  for (const c of contexts) await c.close();
});
