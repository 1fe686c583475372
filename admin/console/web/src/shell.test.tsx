import { onlineManager, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { act, render, screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Account } from './Account';
import { client } from './App';
import { ApiError } from './api/client';
import { answers } from './live';
import { moment, pref, setPref, timeOfDay } from './prefs';
import Shortcuts from './Shortcuts';
import { caddyfileOf } from './ui/caddyfile';
import { Ago, Failure, When } from './ui/kit';

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
