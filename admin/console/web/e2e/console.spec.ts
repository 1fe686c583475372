import { execFileSync } from 'node:child_process';
import type { Page } from '@playwright/test';
import { admin, control, expect, figure, short, signIn, test, violations, virginia, world } from './kit';
import { caddy, s3, until } from './world';

test('closed without a session', short, async ({ page, request }) => {
  const shown = await page.goto(world().console);
  const policy = shown?.headers()['content-security-policy'] ?? '';
  expect(policy).toContain("default-src 'none'");
  expect(policy).not.toContain('unsafe-');
  await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible();
  await expect(page.getByRole('navigation', { name: 'Main' })).toHaveCount(0);
  const answer = await request.get(`${world().console}/api/fado/buckets`, { headers: { 'Remote-User': 'ada' } });
  expect(answer.status()).toBe(401);
  expect(await answer.json()).toMatchObject({ error: 'not signed in', request_id: expect.any(String) });
  expect(await violations(page)).toEqual([]);
});

test('a wrong password, then the right one', short, async ({ page, context }) => {
  await page.goto(world().console);
  await page.getByLabel('User name').fill('ada');
  await page.getByLabel('Password').fill('wrong');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByRole('alert')).toContainText('User name or password is wrong');
  expect(await context.cookies()).toEqual([]);
  await page.getByLabel('Password').fill('of ada');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByRole('heading', { name: 'Overview', level: 1 })).toBeVisible();
  const [cookie] = await context.cookies();
  expect(cookie).toMatchObject({ httpOnly: true, sameSite: 'Strict' });
  expect(await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }) + location.href)).not.toContain('of ada');
});

test('signing out ends the session', async ({ page, context, request }) => {
  await signIn(page, 'vera');
  const [cookie] = await context.cookies();
  await page.getByRole('button', { name: 'Account' }).click();
  await page.getByRole('menuitem', { name: 'Sign out' }).click();
  await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible();
  const answer = await request.get(`${world().console}/api/session`, { headers: { Cookie: `${cookie.name}=${cookie.value}` } });
  expect(answer.status()).toBe(401);
});

test('a link opens the overview once', async ({ browser, page }) => {
  const flags = ['--role', 'operator', '--url', world().console, '--address', new URL(world().admin).host];
  const link = execFileSync(caddy, ['fado', 'sign-in', ...flags], { stdio: ['ignore', 'pipe', 'ignore'] })
    .toString()
    .trim();
  await page.goto(link);
  await expect(page.getByRole('heading', { name: 'Overview', level: 1 })).toBeVisible();
  expect(page.url()).not.toContain('sign-in');
  const other = await (await browser.newContext()).newPage();
  await other.goto(link);
  await expect(other.getByRole('heading', { name: 'Sign in' })).toBeVisible();
  await expect(other.getByRole('alert')).toContainText('no longer valid');
  await other.close();
});

test('a viewer sees what they may not do, and may not', short, async ({ page }) => {
  await signIn(page, 'vera', '/buckets/reports');
  const verify = page.getByRole('button', { name: 'Verify' });
  await expect(verify).toHaveAttribute('aria-disabled', 'true');
  await expect(verify).toHaveAccessibleDescription('Needs the role operator');
  await verify.focus();
  await expect(verify).toBeFocused();
  const status = await page.evaluate(async () => (await fetch('api/fado/buckets/reports/verify', { method: 'POST' })).status);
  expect(status).toBe(403);
});

test('the navigation', async ({ page }) => {
  await signIn(page, 'ada');
  const nav = page.getByRole('navigation', { name: 'Main' });
  for (const name of [
    'Overview',
    'Topology',
    'Buckets',
    'Clusters',
    'Policies',
    'Zones',
    'Replication',
    'Routing',
    'Metrics',
    'Events',
    'Audit',
    'Instances',
    'Access',
  ]) {
    await nav.getByRole('link', { name, exact: true }).click();
    await expect(page.getByRole('heading', { name, level: 1 })).toBeVisible();
  }
});

test('a function that ends needs attention', async ({ page }) => {
  test.setTimeout(180_000);
  await signIn(page, 'vera');
  const state = page.getByRole('status', { name: 'Overall state' });
  await expect(state).toHaveText('ok');
  const cluster = await virginia();
  try {
    await expect(state).toHaveText('ok');
    cluster.down();
    const began = Date.now();
    await expect(state).toHaveText('degraded', { timeout: 30_000 });
    figure('a function server that ends, until the state tells it', Date.now() - began, 15_000);
    const about = page.getByRole('list', { name: 'Attention' }).getByRole('listitem').filter({ hasText: 'virginia' });
    await expect(about.getByRole('link', { name: 'virginia', exact: true })).toHaveAttribute('href', '/clusters/virginia');
    await about.getByRole('link', { name: 'virginia', exact: true }).click();
    await expect(page.getByRole('heading', { name: 'virginia', level: 1 })).toBeVisible();
  } finally {
    await cluster.remove();
  }
  await expect(state).toHaveText('ok');
});

test('a cluster that a policy does not allow says so wherever it is', async ({ page }) => {
  test.setTimeout(180_000);
  const cluster = await virginia();
  try {
    await signIn(page, 'vera', '/buckets?view=matrix');
    const grid = page.getByRole('grid', { name: 'Placement matrix' });
    await expect(grid.getByRole('gridcell', { name: 'reports in berlin: primary, synced', exact: true })).toBeVisible();
    await expect(grid.getByRole('gridcell', { name: 'reports in virginia: not allowed by policy reports', exact: true })).toBeVisible();
    await page.goto(`${world().console}/buckets/reports`);
    for (const tab of ['Copies', 'Objects', 'Placement', 'Conflicts', 'Held deletes', 'Activity', 'Settings']) {
      await page.getByRole('tab', { name: tab, exact: true }).click();
      await expect(page.getByRole('tab', { name: tab, exact: true, selected: true })).toBeVisible();
    }
    await page.getByRole('tab', { name: 'Placement' }).click();
    const row = page.getByRole('table', { name: 'Every cluster' }).getByRole('row', { name: /virginia/ });
    await expect(row).toContainText("not in the policy's zones eu");
    await page.goto(`${world().console}/topology`);
    const map = page.getByRole('region', { name: 'Topology' });
    for (const name of [/^Cluster berlin, zone eu-de/, /^Cluster paris, zone eu-fr/, /^Cluster virginia, zone us/]) {
      await expect(map.getByRole('button', { name })).toBeVisible();
    }
  } finally {
    await cluster.remove();
  }
});

test('buckets are found and filtered, by the address too', async ({ page, browser }) => {
  await signIn(page, 'vera', '/buckets');
  const grid = page.getByRole('grid', { name: 'Buckets' });
  await expect(grid.getByRole('row', { name: /^reports .*ok/ })).toBeVisible();
  await page.getByLabel('Find a bucket').fill('rep');
  await expect(grid.getByRole('row', { name: /^media/ })).toHaveCount(0);
  await expect(grid.getByRole('row', { name: /^reports/ })).toBeVisible();
  await page.getByLabel('Find a bucket').fill('zzz');
  await expect(page.getByText('No bucket matches')).toBeVisible();
  await page.getByLabel('Find a bucket').fill('');
  await page.getByRole('checkbox', { name: /^stuck/ }).check();
  await expect(page).toHaveURL(/\?state=stuck$/);
  await page.reload();
  await expect(page.getByRole('checkbox', { name: /^stuck/ })).toBeChecked();
  const other = await (await browser.newContext()).newPage();
  await signIn(other, 'vera', '/buckets?state=stuck');
  await expect(other.getByRole('checkbox', { name: /^stuck/ })).toBeChecked();
  await other.close();
});

test('a bucket: copies, objects, placement', short, async ({ page }) => {
  await signIn(page, 'vera', '/buckets/reports');
  await expect(page.getByRole('table', { name: 'Copies' }).getByRole('row', { name: /berlin.*primary.*synced/ })).toBeVisible();
  await page.getByRole('tab', { name: 'Placement' }).click();
  await expect(page).toHaveURL(/tab=placement/);
  await expect(page.getByRole('table', { name: 'Every cluster' }).getByRole('row', { name: /berlin/ })).toContainText('chosen');
  await page.getByRole('tab', { name: 'Objects' }).click();
  const objects = page.getByRole('table', { name: 'Objects' });
  await expect(objects.getByRole('row', { name: /report-059/ })).toContainText('current in berlin, paris');
  await objects.getByRole('link', { name: 'q1/' }).click();
  await expect(objects.getByRole('row', { name: /report-000/ })).toBeVisible();
});

test('an operator verifies a bucket', async ({ page }) => {
  await signIn(page, 'ola', '/buckets/reports');
  await page.getByRole('button', { name: 'Verify' }).click();
  await page.getByRole('checkbox', { name: 'Read the bytes again' }).check();
  expect(await violations(page)).toEqual([]);
  // While replication is paused it waits, and can be seen.
  await admin('/fado/replication/pause', { method: 'POST' });
  const bar = page.getByRole('progressbar', { name: 'Verification of reports' });
  try {
    await page.getByRole('button', { name: 'Start' }).click();
    await expect(bar).toBeVisible();
    expect(Number(await bar.getAttribute('value'))).toBeLessThanOrEqual(100);
  } finally {
    await admin('/fado/replication/resume', { method: 'POST' });
  }
  await expect(bar).toHaveCount(0);
  await expect(page.getByText('0 mismatches')).toBeVisible();
  await expect(page.getByText(/every byte read/)).toBeVisible();
});

test('a change elsewhere is seen', async ({ page }) => {
  await signIn(page, 'vera', '/buckets/reports');
  await page.getByRole('tab', { name: 'Objects' }).click();
  await expect(page.getByRole('table', { name: 'Objects' })).toBeVisible();
  await s3(world().storages.berlin, 'PUT', '/reports/aaa-new.txt', 'new');
  await expect(page.getByRole('row', { name: /aaa-new/ })).toContainText('current in berlin, paris');
  await s3(world().storages.berlin, 'DELETE', '/reports/aaa-new.txt');
  await expect(page.getByRole('row', { name: /aaa-new/ })).toHaveCount(0);
});

test('a foreign object is a conflict, until people decide', async ({ page }) => {
  test.setTimeout(180_000);
  const status = async () => (await (await admin('/fado/buckets/quarrel')).json()) as { status: { state: string; conflicts: number } };
  await s3(world().storages.berlin, 'PUT', '/quarrel');
  await s3(world().storages.berlin, 'PUT', '/quarrel?versioning=', '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>');
  await admin('/fado/buckets', { method: 'POST', body: JSON.stringify({ name: 'quarrel', policy: 'reports', primary: 'berlin' }) });
  await until('the bucket', async () => (await status()).status.state === 'ok');
  await s3(world().storages.paris, 'PUT', '/quarrel/foreign.txt', 'of someone else');
  await s3(world().storages.berlin, 'PUT', '/quarrel/foreign.txt', 'ours');
  await until('the conflict', async () => (await status()).status.conflicts === 1);
  await signIn(page, 'ola', '/buckets/quarrel');
  await page.getByRole('tab', { name: /^Conflicts 1/ }).click();
  await page.getByRole('button', { name: 'Let berlin win' }).click();
  const dialog = page.getByRole('alertdialog');
  await expect(dialog).toContainText('noncurrent version');
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  await expect(page.getByRole('tab', { name: /^Conflicts 1/ })).toBeVisible();
  await page.getByRole('button', { name: 'Let berlin win' }).click();
  await dialog.getByRole('button', { name: 'Apply' }).click();
  await expect(page.getByRole('tab', { name: 'Conflicts', exact: true })).toBeVisible();
  await until('the end of the conflict', async () => (await status()).status.conflicts === 0);
  await until('what won', async () => (await (await s3(world().storages.paris, 'GET', '/quarrel/foreign.txt')).text()) === 'ours');
  await admin('/fado/buckets/quarrel?purge=all', { method: 'DELETE' });
  await until('the end of the purge', async () => ((await (await admin('/fado/replication/purges')).json()) as unknown[]).length === 0);
});

test('routing is explained as the API does', short, async ({ page }) => {
  await signIn(page, 'vera', '/routing');
  await page.getByLabel('Bucket').fill('reports');
  await page.getByLabel('Object').fill('q1/report-000.txt');
  await page.getByRole('button', { name: 'Explain' }).click();
  const api = (await (await admin('/fado/route?bucket=reports&object=q1/report-000.txt')).json()) as { decision: { cluster: string; url: string } };
  await expect(page.getByText(`Goes to ${api.decision.cluster}`)).toBeVisible();
  const steps = page.getByRole('list', { name: 'Decision' });
  for (const step of ['Allowed', 'Hits', 'Free endpoints', 'On miss', 'Balance']) await expect(steps).toContainText(step);
  // All that the API tells of the decision is there.
  await expect(page.getByText(new RegExp(`^Goes to ${api.decision.cluster}`)).first()).toContainText(api.decision.url);
  await page.getByText('Paste a request').first().click();
  await page.getByLabel('Paste a request').fill("curl -H 'X-FaDO-Bucket: media' localhost:6000");
  await expect(page.getByLabel('Bucket')).toHaveValue('media');
});

test('routing tells what would be if a cluster were down', short, async ({ page }) => {
  await signIn(page, 'vera', '/routing?bucket=reports&object=q1/report-000.txt');
  const before = (await (await admin('/fado/route?bucket=reports&object=q1/report-000.txt')).json()) as { decision: { cluster: string } };
  await page.getByText('What if', { exact: true }).click();
  await page.getByRole('checkbox', { name: 'berlin down' }).check();
  await expect(page).toHaveURL(/down=berlin/);
  await expect(page.getByText('Goes to paris')).toBeVisible();
  await expect(page.getByRole('list', { name: 'Decision' })).toContainText('taken for down');
  await page.getByRole('checkbox', { name: 'paris down' }).check();
  await expect(page.getByText('No function endpoint is free')).toBeVisible();
  expect(await violations(page)).toEqual([]);
  await page.getByRole('checkbox', { name: 'paris down' }).uncheck();
  await page.getByRole('checkbox', { name: 'berlin down' }).uncheck();
  // A policy that allows paris alone moves it there.
  await page.getByLabel('Another policy').selectOption('reports');
  const draft = page.getByLabel('The policy, as it would be');
  await draft.fill(JSON.stringify({ name: 'reports', copies: 2, zones: ['eu-fr'] }));
  await draft.blur();
  await expect(page.getByText('Goes to paris')).toBeVisible();
  await expect(page.getByRole('list', { name: 'Decision' })).toContainText('not allowed by policy reports');
  const after = (await (await admin('/fado/route?bucket=reports&object=q1/report-000.txt')).json()) as { candidates: { reason: string }[] };
  expect(JSON.stringify(after)).not.toContain('not allowed');
  expect(before.decision).not.toBeNull();
});

test('replication is paused and resumed', async ({ page }) => {
  await signIn(page, 'ola', '/replication');
  await page.getByRole('button', { name: 'Pause replication' }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Pause' }).click();
  await expect(page.getByText('Replication is paused').first()).toBeVisible();
  expect(((await (await admin('/fado/replication')).json()) as { paused: boolean }).paused).toBe(true);
  const nav = page.getByRole('navigation', { name: 'Main' });
  for (const link of await nav.getByRole('link').all()) {
    await link.click();
    await expect(page.getByRole('heading', { name: (await link.textContent()) ?? '', level: 1 })).toBeVisible();
    await expect(page.getByText('Replication is paused').first()).toBeVisible();
  }
  await page.getByRole('button', { name: 'Resume', exact: true }).first().click();
  await expect(page.getByText('Replication is paused')).toHaveCount(0);
  expect(((await (await admin('/fado/replication')).json()) as { paused: boolean }).paused).toBe(false);
});

test('the palette, by keyboard alone', async ({ page }) => {
  await signIn(page, 'vera');
  await page.keyboard.press('Control+k');
  await expect(page.getByRole('dialog', { name: 'Command palette' })).toBeVisible();
  expect(await violations(page)).toEqual([]);
  await page.keyboard.type('reports');
  await expect(page.getByRole('option', { name: /^reports bucket/ })).toBeVisible();
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { name: 'reports', level: 1 })).toBeVisible();
  await page.keyboard.press('g');
  await page.keyboard.press('c');
  await expect(page.getByRole('heading', { name: 'Clusters', level: 1 })).toBeVisible();
});

const paths = [
  '/',
  '/buckets',
  '/buckets/reports',
  '/buckets/reports?tab=objects',
  '/buckets/reports?tab=placement',
  '/buckets/reports?tab=conflicts',
  '/buckets/reports?tab=settings',
  '/clusters',
  '/clusters?tab=functions',
  '/clusters?tab=storage',
  '/clusters/berlin',
  '/policies',
  '/policies/reports',
  '/zones',
  '/replication',
  '/routing?bucket=reports',
  '/buckets/reports?tab=deletes',
  '/buckets/reports?tab=activity',
  '/buckets/reports/pending',
  '/topology?view=table',
  '/buckets?view=matrix',
  '/metrics',
  '/topology',
  '/events',
  '/audit',
  '/instances',
  '/access',
  '/no-such-page',
];

for (const theme of ['Light', 'Dark']) {
  test(`nothing stands in anyone's way: ${theme}`, theme === 'Dark' ? short : {}, async ({ page }) => {
    test.setTimeout(480_000); // many pages
    await signIn(page, 'ada');
    await page.getByRole('button', { name: 'Account' }).click();
    await page.getByRole('menuitemradio', { name: theme }).click();
    expect(await violations(page)).toEqual([]);
    await expect(page.locator('html')).toHaveAttribute('data-theme', theme.toLowerCase());
    for (const path of paths) {
      await page.goto(world().console + path);
      await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
      await expect(page.locator('[aria-busy=true]')).toHaveCount(0);
      await expect(page.locator('html')).toHaveAttribute('data-theme', theme.toLowerCase());
      expect(await violations(page), path).toEqual([]);
    }
  });
}

/** What lies beyond the window's side, or is to be reached by scrolling there only; the matrix alone scrolls in its own frame. */
const cutOff = (page: Page) =>
  page.evaluate(() => {
    const { clientWidth: width, scrollWidth } = document.documentElement;
    const out = scrollWidth > width ? [`the page is ${scrollWidth} wide`] : [];
    for (const e of document.querySelectorAll('main *')) {
      if (e.closest('.scroll:has(.matrix), .edges, .plot, .sr-only, thead')) continue;
      const { right, width: own } = e.getBoundingClientRect();
      if (own > 0 && right > width + 1) out.push(`${e.tagName} ${e.className} "${e.textContent?.slice(0, 40)}" ends at ${Math.round(right)}`);
    }
    return out;
  });

test('nothing is cut off at 360 px', short, async ({ page }) => {
  test.setTimeout(480_000); // many pages
  await page.setViewportSize({ width: 360, height: 740 });
  await signIn(page, 'ada');
  for (const path of paths) {
    await page.goto(world().console + path);
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
    await expect(page.locator('[aria-busy=true]')).toHaveCount(0);
    expect(await cutOff(page), path).toEqual([]);
  }
  await page.getByRole('button', { name: 'Menu' }).click();
  await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Zones' }).click();
  await expect(page.getByRole('heading', { name: 'Zones', level: 1 })).toBeVisible();
});

test('a narrow window shows rows as cards, each value with the name of its column', async ({ page }) => {
  await page.setViewportSize({ width: 360, height: 740 });
  await signIn(page, 'ada', '/clusters');
  const row = page.getByRole('table', { name: 'Clusters' }).getByRole('row', { name: /^berlin/ });
  const zones = row.getByRole('cell').first();
  await expect(zones).toHaveText('eu-de');
  expect(await zones.evaluate((e) => getComputedStyle(e, '::before').content)).toContain('Zones');
  const [name, below] = [await row.getByRole('rowheader').boundingBox(), await zones.boundingBox()];
  expect(below?.y).toBeGreaterThanOrEqual((name?.y ?? 0) + (name?.height ?? 0));
});

test('another clock changes the times, and nothing that is typed', async ({ page }) => {
  await signIn(page, 'ada', '/access');
  const time = page.getByRole('table', { name: 'Sessions' }).locator('time').first();
  await expect(time).toHaveAttribute('title', /\d/);
  await expect(time).not.toHaveAttribute('title', /UTC/);
  const name = page.getByLabel('Name');
  await name.fill('half a na');
  await page.getByRole('button', { name: 'Account' }).click();
  await page.getByRole('menuitemradio', { name: 'UTC' }).click();
  await page.keyboard.press('Escape');
  await expect(time).toHaveAttribute('title', /UTC/);
  await expect(name).toHaveValue('half a na');
});

test('zoomed to 200 %, nothing is lost', async ({ page }) => {
  test.setTimeout(480_000); // many pages
  // A page of 1280 × 860 has half of that when it is zoomed so.
  await page.setViewportSize({ width: 640, height: 430 });
  await signIn(page, 'ada');
  for (const path of paths) {
    await page.goto(world().console + path);
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
    await expect(page.locator('[aria-busy=true]')).toHaveCount(0);
    expect(await page.evaluate(() => document.documentElement.scrollWidth), path).toBeLessThanOrEqual(640);
  }
  await page.getByRole('button', { name: 'Menu' }).click();
  await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Access' }).click();
  await expect(page.getByRole('heading', { name: 'Access', level: 1 })).toBeVisible();
});

test('below a path, a deep link survives signing in', short, async ({ page }) => {
  await page.goto(`${world().below}/console/buckets/reports?tab=placement`);
  await page.getByLabel('User name').fill('vera');
  await page.getByLabel('Password').fill('of vera');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByRole('tab', { name: 'Placement', selected: true })).toBeVisible();
  await page.reload();
  await expect(page.getByRole('tab', { name: 'Placement', selected: true })).toBeVisible();
});

test('many tabs share one stream', async ({ page, context }) => {
  await signIn(page, 'vera');
  const tabs = [page];
  for (let i = 1; i < 10; i++) {
    const tab = await context.newPage();
    const began = Date.now();
    await tab.goto(`${world().console}/clusters`);
    await expect(tab.getByRole('heading', { name: 'Clusters', level: 1 })).toBeVisible();
    if (i === 9) figure('the tenth tab, until its heading is shown', Date.now() - began, 2000);
    tabs.push(tab);
  }
  for (const tab of tabs) await expect(tab.getByText('live', { exact: true })).toBeVisible();
  // All of them follow a change.
  await tabs[0].goto(`${world().console}/zones`);
  for (const tab of tabs.slice(1)) await tab.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Zones' }).click();
  for (const tab of tabs) await expect(tab.getByRole('row', { name: /^eu-de/ })).toBeVisible();
  await admin('/fado/zones', { method: 'POST', body: JSON.stringify({ name: 'followed' }) });
  const changed = Date.now();
  await Promise.all(tabs.map((tab) => expect(tab.getByRole('row', { name: /^followed/ })).toBeVisible()));
  figure('a change, until ten tabs show it', Date.now() - changed, 2000);
  await admin('/fado/zones/followed', { method: 'DELETE' });
  for (const tab of tabs) await expect(tab.getByRole('row', { name: /^followed/ })).toHaveCount(0);
});

test('without FaDO the page says so, and goes on by itself', async ({ page }) => {
  await signIn(page, 'ola', '/buckets/reports');
  await expect(page.getByRole('table', { name: 'Copies' })).toBeVisible();
  await control('/stop');
  const stopped = Date.now();
  await expect(page.getByRole('alert').filter({ hasText: 'No connection to FaDO since' })).toBeVisible();
  figure('FaDO stopped, until the page says so', Date.now() - stopped, 10_000);
  await expect(page.getByRole('table', { name: 'Copies' })).toBeVisible();
  await expect(page.getByRole('button', { name: 'Sync', exact: true })).toHaveAttribute('aria-disabled', 'true');
  await control('/start');
  const started = Date.now();
  await expect(page.getByText('No connection to FaDO since')).toHaveCount(0, { timeout: 30_000 });
  figure('FaDO started again, until the page goes on', Date.now() - started, 10_000);
  await expect(page.getByRole('button', { name: 'Sync', exact: true })).not.toHaveAttribute('aria-disabled');
});
