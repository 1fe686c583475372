const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** Bytes as people read them: three digits, binary units. */
export function bytes(n: number): string {
  let i = 0;
  let v = n;
  while (v >= 1024 && i < units.length - 1) {
    v /= 1024;
    i++;
  }
  return `${i === 0 || v >= 100 ? Math.round(v) : v.toFixed(1)} ${units[i]}`;
}

const whole = new Intl.NumberFormat('en');

export const count = (n: number) => whole.format(n);

/** A number with its noun: "1 object", "2 objects". */
export const counted = (n: number, noun: string) => `${count(n)} ${noun}${n === 1 ? '' : 's'}`;

/** How often something happens: "0/s", "0.03/s", "2.5/s", "1,200/s". */
export const rate = (v: number) => `${v > 0 && v < 0.1 ? v.toFixed(2) : v > 0 && v < 10 ? v.toFixed(1) : count(Math.round(v))}/s`;

/** A span of time in its largest unit: "12 s", "3 min", "5 h", "2 d". */
export function span(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 90) return `${s} s`;
  if (s < 90 * 60) return `${Math.round(s / 60)} min`;
  if (s < 36 * 3600) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86400)} d`;
}

/** How long ago something was; "just now" within a second. */
export function ago(time: string | number | Date | null | undefined, now = Date.now()): string {
  if (!time) return 'never';
  const ms = now - new Date(time).getTime();
  if (ms < -1000) return `in ${span(-ms)}`;
  return ms < 1000 ? 'just now' : `${span(ms)} ago`;
}

/** A share of a whole from 0 to 100, or undefined where the whole is not known. */
export function percent(done: number, total: number): number | undefined {
  return total > 0 ? Math.min(100, Math.max(0, (100 * done) / total)) : undefined;
}

/** What of a filter says something. */
export const given = <T extends object>(filter: T) => Object.fromEntries(Object.entries(filter).filter(([, v]) => v)) as Partial<T>;

/** That as the query of an address. */
export const queryOf = (filter: object) => new URLSearchParams(given(filter) as Record<string, string>);

/** A curl command against Caddy's admin endpoint that does the same. */
export function curl(method: string, path: string, body?: unknown): string {
  const quote = (s: string) => `'${s.replaceAll("'", `'\\''`)}'`;
  const parts = ['curl'];
  if (method !== 'GET') parts.push('-X', method);
  parts.push(quote(`http://localhost:2019${path}`));
  if (body !== undefined) parts.push('-H', quote('Content-Type: application/json'), '-d', quote(JSON.stringify(body)));
  return parts.join(' ');
}
