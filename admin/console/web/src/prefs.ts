import { useSyncExternalStore } from 'react';

/** What people may choose of how pages look and act, the first being what is without a choice. */
const choices = {
  density: ['comfortable', 'compact'],
  clock: ['local', 'utc'],
  jumps: ['on', 'off'],
} as const;

export type Pref = keyof typeof choices;
export type Choice<P extends Pref> = (typeof choices)[P][number];

const watchers = new Set<() => void>();
const key = (p: Pref) => `fado.${p}`;

/** What is chosen in this browser. */
export function pref<P extends Pref>(p: P): Choice<P> {
  const v = localStorage.getItem(key(p)) as Choice<P>;
  return (choices[p] as readonly string[]).includes(v) ? v : choices[p][0];
}

export function setPref<P extends Pref>(p: P, v: Choice<P>): void {
  if (v === choices[p][0]) localStorage.removeItem(key(p));
  else localStorage.setItem(key(p), v);
  applyPrefs();
}

/** Shows the page as densely as was chosen. */
export function applyPrefs(): void {
  document.documentElement.dataset.density = pref('density');
  for (const w of watchers) w();
}

export const usePref = <P extends Pref>(p: P) =>
  useSyncExternalStore(
    (w) => {
      watchers.add(w);
      return () => watchers.delete(w);
    },
    () => pref(p),
  );

const clockParts = { hour: 'numeric', minute: 'numeric', second: 'numeric' } as const;
const dayParts = { year: 'numeric', month: 'numeric', day: 'numeric' } as const;
const made = new Map<string, Intl.DateTimeFormat>();

/** The way in which times are written; to make one takes longer than to use it a thousand times. */
function written(day: boolean): Intl.DateTimeFormat {
  const utc = pref('clock') === 'utc';
  const key = `${utc} ${day}`;
  let format = made.get(key);
  if (!format) {
    const zone = utc ? ({ timeZone: 'UTC', timeZoneName: 'short' } as const) : {};
    format = new Intl.DateTimeFormat(undefined, { ...(day && dayParts), ...clockParts, ...zone });
    made.set(key, format);
  }
  return format;
}

/** A moment with its day, by the clock that was chosen. */
export const moment = (time: string | number | Date) => written(true).format(new Date(time));

/** A time of the day, by the clock that was chosen. */
export const timeOfDay = (time: string | number | Date) => written(false).format(new Date(time));

/** Whether a moment is of this day, by the clock that was chosen. */
export function isToday(time: string | number | Date): boolean {
  const day = (t: Date) => (pref('clock') === 'utc' ? t.toISOString().slice(0, 10) : t.toDateString());
  return day(new Date(time)) === day(new Date());
}
