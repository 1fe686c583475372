import { act, screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

vi.mock('./App', () => ({ default: () => <p>the pages</p> }));
vi.mock('./theme', () => ({ applyTheme: () => {} }));

beforeEach(() => {
  vi.resetModules();
  document.body.innerHTML = '<div id="root"></div>';
});

afterEach(() => vi.unstubAllGlobals());

/** The console as a browser opens it, with these answers to each request. */
async function opened(...given: object[]) {
  const reload = vi.fn();
  vi.stubGlobal('location', { ...window.location, hash: '', reload });
  vi.stubGlobal('fetch', async () => (given.length > 1 ? given.shift() : given[0]));
  await act(() => import('./main').then(() => {}));
  return { reload, client: await import('./api/client') };
}

const session = (how: string) => Response.json({ user: 'ada', role: 'admin', how });
const refused = () => Response.json({ error: 'not signed in' }, { status: 401 });
// What a page sees of a redirect to the site's sign-in.
const redirect = { type: 'opaqueredirect', status: 0, ok: false, headers: new Headers(), json: () => Promise.reject(new Error('none')) };

it('leads to the sign-in of the site, where that ended the session', async () => {
  for (const end of [redirect, refused()]) {
    vi.resetModules();
    document.body.innerHTML = '<div id="root"></div>';
    const { reload, client } = await opened(session('identity'), end);
    expect(await screen.findByText('the pages')).toBeVisible();
    await act(() => client.own('GET', 'sessions').catch(() => {}));
    expect(screen.queryByLabelText('Password')).toBeNull();
    expect(screen.getByRole('heading', { name: 'Your session ended' })).toBeVisible();
    await userEvent.click(screen.getByRole('button', { name: 'Sign in again' }));
    expect(reload).toHaveBeenCalledOnce();
    // Others that were on their way are refused, too.
    await act(async () => void client.signals.dispatchEvent(new Event('signed-out')));
    expect(screen.getByRole('button', { name: 'Sign in again' })).toBeVisible();
  }
});

it('leads to it also where the page itself came from what the browser kept', async () => {
  await opened(redirect);
  expect(await screen.findByRole('button', { name: 'Sign in again' })).toBeVisible();
});

it('asks for a password where the session was one of the console', async () => {
  const { client } = await opened(session('password'), refused());
  expect(await screen.findByText('the pages')).toBeVisible();
  await act(() => client.own('GET', 'sessions').catch(() => {}));
  expect(screen.getByLabelText('Password')).toBeVisible();
});
