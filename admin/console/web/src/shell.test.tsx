import { onlineManager, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { act, render, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Account } from './Account';
import { client } from './App';
import { ApiError } from './api/client';
import { answers } from './live';
import { uploads } from './objects/upload';
import { moment, pref, setPref, timeOfDay } from './prefs';
import Shortcuts from './Shortcuts';
import { caddyfileOf } from './ui/caddyfile';
import { Ago, Failure, SessionContext, When } from './ui/kit';

afterEach(() => {
  localStorage.clear();
  setPref('density', 'comfortable');
});

describe('an item as Caddyfile', () => {
  it('says all of a cluster, and no secret', () => {
    const cluster = {
      name: 'berlin',
      origin: 'api',
      zones: ['eu-de', 'eu'],
      storage: { endpoint: 'https://s3.example', access_key: 'id', secret_key: '***', capacity: '2TB', virtual_host: true },
      functions: [
        {
          url: 'https://fn.example',
          health_path: '/healthz',
          header: [
            { name: 'X-A', value: 'a b' },
            { name: 'Authorization', value: '***' },
          ],
        },
        { url: 'https://other.example', sign: { type: 'aws', service: 'lambda', region: 'eu', access_key: 'k', secret_key: '***' } },
      ],
      links: [{ to: 'paris', bandwidth: '1GB', one_way: true }],
      labels: { team: 'a "b"' },
      egress_price: 0.02,
      drain: false,
    };
    expect(caddyfileOf('cluster', cluster)).toBe(`cluster berlin {
	zones eu-de eu
	storage https://s3.example {
		access_key id
		secret_key {env.BERLIN_SECRET_KEY} # the API does not tell it
		virtual_host
		capacity 2TB
	}
	function https://fn.example {
		health_path /healthz
		header X-A "a b"
		header Authorization {env.BERLIN_FUNCTION_1_AUTHORIZATION} # the API does not tell it
	}
	function https://other.example {
		sign aws lambda eu {
			access_key k
			secret_key {env.BERLIN_FUNCTION_2_SECRET_KEY} # the API does not tell it
		}
	}
	egress_price 0.02
	link paris {
		bandwidth 1GB
		one_way
	}
	label team "a \\"b\\""
}
`);
  });
  it('leaves out what is so anyway', () => {
    const policy = {
      name: 'gold',
      origin: 'api',
      copies: 2,
      zones: ['eu'],
      clusters: [],
      spread: 'zone',
      writes: 'primary',
      on_miss: 'pull',
      pull_ttl: '1h',
      balance: { policy: 'least_conn' },
    };
    expect(caddyfileOf('policy', policy)).toBe('policy gold {\n\tcopies 2\n\tzones eu\n\tbalance least_conn\n\ton_miss pull\n\tpull_ttl 1h\n}\n');
    expect(caddyfileOf('zone', { name: 'us' })).toBe('zone us\n');
    const bucket = { name: 'b', policy: 'gold', prefixes: [{ prefix: 'raw data/', policy: 'default' }] };
    expect(caddyfileOf('bucket', bucket as never)).toBe('bucket b {\n\tpolicy gold\n\tprefix "raw data/" default\n}\n');
  });
});

describe('the shell', () => {
  it('knows that another version answers than the one the page came with', () => {
    const first = { heard: 0, ...answers({ heard: 0 }, 'v1') };
    expect(first.newer).toBe(false);
    const later = { ...first, ...answers(first, 'v2') };
    expect(later.newer).toBe(true);
    // An answer of an instance that is not changed yet makes the page no newer.
    expect(answers(later, 'v1').newer).toBe(true);
  });
  it('keeps what is chosen for the account: density, clock', async () => {
    vi.stubGlobal(
      'ResizeObserver',
      class {
        observe() {}
        unobserve() {}
        disconnect() {}
      },
    );
    const shown = vi.fn();
    render(
      <QueryClientProvider client={new QueryClient()}>
        <Account onShortcuts={shown} />
      </QueryClientProvider>,
    );
    await userEvent.click(screen.getByRole('button', { name: /^Account/ }));
    await userEvent.click(await screen.findByRole('menuitemradio', { name: 'Compact' }));
    await userEvent.click(screen.getByRole('menuitemradio', { name: 'UTC' }));
    expect(document.documentElement.dataset.density).toBe('compact');
    expect([pref('density'), pref('clock')]).toEqual(['compact', 'utc']);
    expect(moment('2026-01-02T03:04:05Z')).toContain('UTC');
    expect(timeOfDay('2026-01-02T03:04:05Z')).toMatch(/3:04:05.*UTC/);
    await userEvent.click(screen.getByRole('menuitem', { name: 'Shortcuts' }));
    expect(shown).toHaveBeenCalledOnce();
  });
  it('shows times by another clock without losing what is being typed', async () => {
    render(
      <label>
        Name <input />
        <When time="2026-01-02T03:04:05Z" /> <Ago time="2026-01-02T03:04:05Z" />
      </label>,
    );
    const input = screen.getByRole('textbox');
    await userEvent.type(input, 'half a na');
    const [when, since] = document.querySelectorAll('time');
    expect(when.textContent).not.toContain('UTC');
    act(() => setPref('clock', 'utc'));
    expect(when).toHaveTextContent(/3:04:05.*UTC/);
    expect(when.title).toContain('UTC');
    expect(since.title).toContain('UTC');
    expect(screen.getByRole('textbox')).toBe(input);
    expect(input).toHaveValue('half a na');
  });
  it('lists its keys, and switches off those of one letter', async () => {
    render(<Shortcuts pages={[{ name: 'Buckets', key: 'b' }]} onClose={() => {}} />);
    expect(screen.getByRole('dialog', { name: 'Shortcuts' })).toHaveTextContent('gbBuckets');
    await userEvent.click(screen.getByRole('checkbox', { name: /^Single keys/ }));
    expect(pref('jumps')).toBe('off');
  });
  it('tells the status of an error beside its text', () => {
    render(<Failure error={new ApiError(503, 'the store does not answer')} retry={() => {}} />);
    expect(screen.getByRole('alert')).toHaveTextContent('the store does not answer (503)');
    expect(screen.getByRole('button', { name: 'Try again' })).toBeVisible();
  });
});

describe('uploads of who is signed in', () => {
  const session = { role: 'operator', how: 'password', expires: null, sign_out: '', session: '', why: '', data: 'write', s3: 'http://s3' } as const;
  const account = (user: string) => (
    <SessionContext value={{ ...session, user }}>
      <QueryClientProvider client={new QueryClient()}>
        <Account onShortcuts={() => {}} />
      </QueryClientProvider>
    </SessionContext>
  );
  const asked: string[] = [];
  beforeEach(() => {
    asked.length = 0;
    vi.stubGlobal('fetch', (url: string, init: RequestInit) => {
      asked.push(`${init.method} ${url.split('/api/')[1]}`);
      return init.method === 'DELETE' ? Promise.resolve(new Response(null, { status: 204 })) : new Promise(() => {});
    });
    uploads.belong('ada');
    uploads.add('b', [{ key: 'k', file: new Blob(['x']) }]);
    return async () => {
      await uploads.end();
      vi.unstubAllGlobals();
    };
  });
  const signOut = async () => {
    await userEvent.click(screen.getByRole('button', { name: /^Account/ }));
    await userEvent.click(await screen.findByRole('menuitem', { name: 'Sign out' }));
  };
  it('end when they sign out, which is asked first', async () => {
    render(account('ada'));
    await waitFor(() => expect(asked).toEqual(['POST presign']));
    await signOut();
    const dialog = await screen.findByRole('alertdialog', { name: 'Sign out' });
    expect(dialog).toHaveTextContent('1 upload is not done, and ends');
    expect(asked).toEqual(['POST presign']);
    await userEvent.click(within(dialog).getByRole('button', { name: 'Sign out' }));
    await waitFor(() => expect(asked).toEqual(['POST presign', 'DELETE session']));
    expect(uploads.snapshot()).toEqual([]);
  });
  it('go on where they stay', async () => {
    render(account('ada'));
    await signOut();
    await userEvent.click(await screen.findByRole('button', { name: 'Cancel' }));
    expect(asked).not.toContain('DELETE session');
    expect(uploads.snapshot()).toHaveLength(1);
  });
  it('are not those of who signs in next after the session ended', async () => {
    render(account('ada')).unmount();
    render(account('ada')).unmount();
    expect(uploads.snapshot()).toHaveLength(1);
    render(account('bob'));
    await waitFor(() => expect(uploads.snapshot()).toEqual([]));
  });
});

describe('a browser that takes itself for offline', () => {
  it('asks all the same, and puts nothing off until it no longer does', async () => {
    onlineManager.setOnline(false);
    const asked = vi.fn(async () => 1);
    const act = client.getMutationCache().build(client, client.defaultMutationOptions({ mutationFn: asked }));
    const read = client.fetchQuery({ queryKey: ['x'], queryFn: asked });
    act.execute(undefined as never);
    await new Promise((r) => setTimeout(r, 20));
    expect(asked).toHaveBeenCalledTimes(2);
    onlineManager.setOnline(true);
    await read;
  });
});
