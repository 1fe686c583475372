import { queryOptions } from '@tanstack/react-query';
import { api, type Schemas, told } from '../api/client';

type History = Schemas['History'];
export type Told = Schemas['Told'];

export const ranges = { '15m': 900, '1h': 3600, '6h': 6 * 3600, '24h': 24 * 3600 } as const;
export type Range = keyof typeof ranges;

/** What is asked for a range of time until now, with so many values. */
function query(range: Range, node: string, series: string[], values: number) {
  const from = new Date(Date.now() - ranges[range] * 1000).toISOString().replace(/\.\d+/, '');
  return { from, series, node, step: String(Math.ceil(ranges[range] / values)) };
}

/** The path of that request, for use elsewhere. */
export function historyPath(...of: Parameters<typeof query>): string {
  const { series, ...rest } = query(...of);
  return `/fado/history?${new URLSearchParams([...Object.entries(rest), ...series.map((s) => ['series', s])])}`;
}

/** What was measured in a range of time until now, by one instance or by all. */
export const measured = (range: Range, node: string, series: string[], values: number) =>
  queryOptions({
    queryKey: ['history', range, node, series],
    queryFn: ({ signal }) => told(api.GET('/fado/history', { params: { query: query(range, node, series, values) }, signal })),
    // Until another range is read the former one stays, with its times; another instance has nothing of the former one.
    placeholderData: <T>(before: T | undefined, query?: { queryKey: readonly unknown[] }) => (query?.queryKey[2] === node ? before : undefined),
    refetchInterval: 10_000,
    retry: false,
  });

/** Whose series there are. */
export const measurers = queryOptions({
  queryKey: ['history', 'series'],
  queryFn: ({ signal }) => told(api.GET('/fado/history/series', { signal })),
  refetchInterval: 10_000,
  retry: false,
});

/** One line of a figure. */
export interface Line {
  label: string;
  values: (number | null)[];
}

/** The lines of a figure, by names of series with their labels; a name that ends with a point stands for all that begin so. */
export function linesOf(f: { series: Record<string, string> }, h: Pick<History, 'series'>): Line[] {
  return Object.entries(f.series).flatMap(([name, label]) =>
    h.series
      .filter((s) => (name.endsWith('.') ? s.name.startsWith(name) : s.name === name))
      .map((s) => ({ label: label || s.name.slice(name.length), values: s.values })),
  );
}

/** What all instances measured as one: of lags, which have no sum, the highest, of all else the sum. */
export function together(h: History, nodes: Told[]): History {
  const silent = new Set(nodes.filter((n) => n.silent).map((n) => n.node));
  const names = [...new Set(h.series.map((s) => s.name))];
  const series = names.map((name) => {
    const parts = h.series.filter((s) => s.name === name);
    if (parts.length === 1) return parts[0];
    return { node: 'all', name, values: sum(parts, silent, name.startsWith('lag.')) };
  });
  return { ...h, series };
}

/** Where an instance that goes on has told nothing, a sum is not known; before it began and after it ended it adds nothing. */
function sum(parts: History['series'], silent: Set<string>, highest: boolean): (number | null)[] {
  const spans = parts.map((p) => {
    const known = p.values.flatMap((v, i) => (v === null ? [] : [i]));
    return { ...p, first: known[0] ?? Number.POSITIVE_INFINITY, last: silent.has(p.node) ? (known.at(-1) ?? -1) : Number.POSITIVE_INFINITY };
  });
  return parts[0].values.map((_, i) => {
    const there = spans.filter((s) => s.first <= i && i <= s.last).map((s) => s.values[i] ?? null);
    const known = there.filter((v) => v !== null);
    // An instance that copied nothing has no lag.
    if (known.length === 0 || (known.length < there.length && !highest)) return null;
    return highest ? Math.max(...known) : known.reduce((a, b) => a + b, 0);
  });
}

/** Lines as comma-separated values (RFC 4180), a row a time; nothing where nothing is known. */
export function csv(from: number, step: number, lines: Line[]): string {
  const quoted = (text: string) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const head = ['time', ...lines.map((l) => quoted(l.label))].join(',');
  const rows = (lines[0]?.values ?? []).map((_, i) => [new Date((from + i * step) * 1000).toISOString(), ...lines.map((l) => l.values[i] ?? '')].join(','));
  return `${[head, ...rows].join('\r\n')}\r\n`;
}

/** Kinds of events that explain why what is measured changed. */
const marking = ['resource', 'configuration', 'storage', 'function', 'bucket_stuck', 'primary_moved', 'drain'] as const;

/** The last events of these kinds, as this instance saw them. */
export const marks = queryOptions({
  queryKey: ['history', 'marks'],
  queryFn: async ({ signal }) => {
    const of = (type: (typeof marking)[number]) => told(api.GET('/fado/events/log', { params: { query: { type, limit: 100 } }, signal }));
    const all = await Promise.all(marking.map(of));
    return all.flat().sort((a, b) => a.seq - b.seq);
  },
  refetchInterval: 10_000,
});

/** A value with its unit, or that it is not known. */
export const known = (v: number | null | undefined, unit: (v: number) => string) => (v === null || v === undefined ? 'not known' : unit(v));

/** The last value of a line that is known. */
export const latest = (l: Line | undefined) => l?.values.findLast((v) => v !== null) ?? undefined;
