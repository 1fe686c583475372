import { act, render } from '@testing-library/react';
import { afterEach, expect, it, vi } from 'vitest';
import { api } from './api/client';
import { marks } from './pages/history';
import Plot from './pages/Plot';
import { setPref } from './prefs';

interface Made {
  hooks: { setCursor: ((u: object) => void)[] };
}
const made: Made[] = [];

vi.mock('uplot/dist/uPlot.min.css', () => ({}));
vi.mock('uplot', () => ({
  default: class {
    constructor(options: Made) {
      made.push(options);
    }
    setData() {}
    setSize() {}
    destroy() {}
  },
}));

afterEach(() => vi.restoreAllMocks());

it('marks what was changed in the catalogue, too', async () => {
  const at = (seq: number, type: string) => ({ seq, type, time: '2026-01-02T03:04:05Z' });
  vi.spyOn(api, 'GET').mockImplementation((async (_: string, { params }: { params: { query: { type: string } } }) => {
    const { type } = params.query;
    return { data: type === 'resource' ? [at(2, type)] : type === 'drain' ? [at(1, type)] : [], response: new Response() };
  }) as never);
  const read = marks.queryFn as (c: object) => Promise<{ type: string }[]>;
  expect((await read({})).map((e) => e.type)).toEqual(['drain', 'resource']);
});

it('tells the values at the cursor below the plot, and nothing where there is none', () => {
  vi.stubGlobal(
    'ResizeObserver',
    class {
      observe() {}
      disconnect() {}
    },
  );
  setPref('clock', 'utc');
  const lines = [
    { label: 'p50', values: [1, 2] },
    { label: 'p99', values: [9, null] },
  ];
  const from = Date.parse('2026-01-02T03:04:05Z') / 1000;
  const { container } = render(<Plot from={from} step={10} lines={lines} unit={(v) => `${v} ms`} marks={[]} />);
  const text = () => container.querySelector('.readout')?.textContent;
  const move = (idx: number | null) => act(() => made.at(-1)?.hooks.setCursor[0]({ cursor: { idx } }));
  expect(text()).toBe('');
  move(0);
  expect(text()).toMatch(/3:04:05.*UTC.*p50: 1 ms.*p99: 9 ms/);
  move(1);
  expect(text()).toMatch(/3:04:15.*p50: 2 ms.*p99: not known/);
  expect(container.querySelector('.readout')?.closest('[aria-hidden]')).not.toBeNull();
  move(null);
  expect(text()).toBe('');
  setPref('clock', 'local');
});
