import { useSyncExternalStore } from 'react';

export type Theme = 'system' | 'light' | 'dark';

const key = 'fado.theme';
const dark = window.matchMedia?.('(prefers-color-scheme: dark)');
const watchers = new Set<() => void>();

const chosen = (): Theme => {
  const v = localStorage.getItem(key);
  return v === 'light' || v === 'dark' ? v : 'system';
};

/** Shows the page in the theme that was chosen, or the system's. */
export function applyTheme(): void {
  const theme = chosen();
  document.documentElement.dataset.theme = theme === 'system' ? (dark?.matches ? 'dark' : 'light') : theme;
  for (const w of watchers) w();
}

export function setTheme(theme: Theme): void {
  if (theme === 'system') localStorage.removeItem(key);
  else localStorage.setItem(key, theme);
  applyTheme();
}

dark?.addEventListener?.('change', applyTheme);

export const useTheme = () =>
  useSyncExternalStore((w) => {
    watchers.add(w);
    return () => watchers.delete(w);
  }, chosen);
