import { CSPProvider } from '@base-ui/react/csp-provider';
import { Toast } from '@base-ui/react/toast';
import { QueryClient, QueryClientProvider, useQuery } from '@tanstack/react-query';
import { createRootRoute, createRoute, createRouter, Link, lazyRouteComponent, Outlet, RouterProvider, useRouterState } from '@tanstack/react-router';
import {
  Activity,
  Boxes,
  ChartLine,
  Database,
  GitFork,
  KeyRound,
  LayoutDashboard,
  type LucideIcon,
  MapPin,
  Menu as MenuIcon,
  Network,
  RefreshCw,
  ScrollText,
  Search,
  Server,
  ShieldCheck,
} from 'lucide-react';
import { lazy, Suspense, useEffect, useRef, useState } from 'react';
import { Account } from './Account';
import { ApiError, type BucketFilter, type BucketOrder, may, mount, orderOf, type Role, type Session } from './api/client';
import { span } from './format';
import { useLive } from './live';
import type { Deed } from './Palette';
import type { AuditFilter } from './pages/Audit';
import { PauseButton } from './pages/actions';
import type { EventFilter } from './pages/Events';
import type { Range } from './pages/history';
import { Overview } from './pages/Overview';
import * as q from './pages/queries';
import type { Question } from './pages/Routing';
import { applyPrefs, pref } from './prefs';
import { OnlineContext, SessionContext, State, Toasts, useNow, useSession, When } from './ui/kit';

const Palette = lazy(() => import('./Palette'));
const Deeds = lazy(() => import('./Deeds'));
const Shortcuts = lazy(() => import('./Shortcuts'));

applyPrefs();

const allPages: { to: string; name: string; icon: LucideIcon; key: string; least?: Role }[] = [
  { to: '/', name: 'Overview', icon: LayoutDashboard, key: 'o' },
  { to: '/topology', name: 'Topology', icon: Network, key: 't' },
  { to: '/buckets', name: 'Buckets', icon: Database, key: 'b' },
  { to: '/clusters', name: 'Clusters', icon: Boxes, key: 'c' },
  { to: '/policies', name: 'Policies', icon: ShieldCheck, key: 'p' },
  { to: '/zones', name: 'Zones', icon: MapPin, key: 'z' },
  { to: '/replication', name: 'Replication', icon: RefreshCw, key: 'r' },
  { to: '/routing', name: 'Routing', icon: GitFork, key: 'd' },
  { to: '/metrics', name: 'Metrics', icon: ChartLine, key: 'm' },
  { to: '/events', name: 'Events', icon: Activity, key: 'e' },
  { to: '/audit', name: 'Audit', icon: ScrollText, key: 'u', least: 'admin' },
  { to: '/instances', name: 'Instances', icon: Server, key: 'i' },
  { to: '/access', name: 'Access', icon: KeyRound, key: 'a' },
];

export const client = new QueryClient({
  defaultOptions: {
    // FaDO may be where a browser that takes itself for offline reaches it, and what is done is done now or not at all.
    mutations: { networkMode: 'always' },
    queries: {
      networkMode: 'always',
      staleTime: 1000,
      retry: (n, error) => !(error instanceof ApiError && error.status < 500) && n < 2,
    },
  },
});

const root = createRootRoute({ component: Shell, notFoundComponent: NotFound });
const text = (v: unknown) => (typeof v === 'string' && v !== '' ? v : typeof v === 'number' ? String(v) : undefined);
type BucketSearch = BucketFilter & { view?: 'matrix'; from?: string; order?: BucketOrder };
const states = ['ok', 'syncing', 'conflict', 'stuck'];

const view = (s: Record<string, unknown>): { view?: 'table' } => ({ view: s.view === 'table' ? 'table' : undefined });

const routes = root.addChildren([
  createRoute({ getParentRoute: () => root, path: '/', component: Overview, validateSearch: view }),
  createRoute({
    getParentRoute: () => root,
    path: '/buckets',
    component: lazyRouteComponent(() => import('./pages/Buckets'), 'Buckets'),
    validateSearch: (s: Record<string, unknown>): BucketSearch => ({
      view: s.view === 'matrix' ? 'matrix' : undefined,
      state: states.includes(s.state as string) ? (s.state as BucketFilter['state']) : undefined,
      policy: text(s.policy),
      cluster: text(s.cluster),
      origin: s.origin === 'config' || s.origin === 'api' ? s.origin : undefined,
      order: orderOf(s.order),
      q: text(s.q),
      from: text(s.from),
    }),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/buckets/$bucket',
    component: lazyRouteComponent(() => import('./pages/Bucket'), 'Bucket'),
    validateSearch: (s: Record<string, unknown>): { tab?: string; prefix?: string; object?: string; after?: string; cluster?: string } => ({
      tab: text(s.tab),
      prefix: text(s.prefix),
      object: text(s.object),
      after: text(s.after),
      cluster: text(s.cluster),
    }),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/buckets/$bucket/pending',
    component: lazyRouteComponent(() => import('./pages/Pending'), 'Pending'),
    validateSearch: (s: Record<string, unknown>): { cluster?: string } => ({ cluster: text(s.cluster) }),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/clusters',
    component: lazyRouteComponent(() => import('./pages/Clusters'), 'Clusters'),
    validateSearch: (s: Record<string, unknown>): { tab?: 'functions' | 'storage' } => ({
      tab: s.tab === 'functions' || s.tab === 'storage' ? s.tab : undefined,
    }),
  }),
  createRoute({ getParentRoute: () => root, path: '/clusters/$cluster', component: lazyRouteComponent(() => import('./pages/Clusters'), 'Cluster') }),
  createRoute({ getParentRoute: () => root, path: '/policies', component: lazyRouteComponent(() => import('./pages/Catalogue'), 'Policies') }),
  createRoute({ getParentRoute: () => root, path: '/policies/$policy', component: lazyRouteComponent(() => import('./pages/Catalogue'), 'Policy') }),
  createRoute({ getParentRoute: () => root, path: '/zones', component: lazyRouteComponent(() => import('./pages/Catalogue'), 'Zones') }),
  createRoute({ getParentRoute: () => root, path: '/replication', component: lazyRouteComponent(() => import('./pages/Replication'), 'Replication') }),
  createRoute({
    getParentRoute: () => root,
    path: '/routing',
    component: lazyRouteComponent(() => import('./pages/Routing'), 'Routing'),
    validateSearch: (s: Record<string, unknown>): Question => ({
      bucket: text(s.bucket),
      object: text(s.object),
      data: text(s.data),
      down: text(s.down),
      spill: text(s.spill),
      policy: text(s.policy),
    }),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/topology',
    component: lazyRouteComponent(() => import('./pages/Topology'), 'Topology'),
    validateSearch: (s: Record<string, unknown>): { view?: 'table'; cluster?: string } => ({ ...view(s), cluster: text(s.cluster) }),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/metrics',
    component: lazyRouteComponent(() => import('./pages/Metrics'), 'Metrics'),
    validateSearch: (s: Record<string, unknown>): { range?: Range; node?: string } => ({
      range: ['15m', '1h', '6h', '24h'].includes(s.range as string) ? (s.range as Range) : undefined,
      node: text(s.node),
    }),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/events',
    component: lazyRouteComponent(() => import('./pages/Events'), 'Events'),
    validateSearch: (s: Record<string, unknown>): EventFilter => ({
      type: text(s.type) as EventFilter['type'],
      bucket: text(s.bucket),
      cluster: text(s.cluster),
    }),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/audit',
    component: lazyRouteComponent(() => import('./pages/Audit'), 'Audit'),
    validateSearch: (s: Record<string, unknown>): AuditFilter => ({
      kind: text(s.kind) as AuditFilter['kind'],
      bucket: text(s.bucket),
      role: text(s.role) as AuditFilter['role'],
      how: text(s.how) as AuditFilter['how'],
      result: text(s.result) as AuditFilter['result'],
    }),
  }),
  createRoute({ getParentRoute: () => root, path: '/instances', component: lazyRouteComponent(() => import('./pages/Instances'), 'Instances') }),
  createRoute({ getParentRoute: () => root, path: '/access', component: lazyRouteComponent(() => import('./pages/Access'), 'Access') }),
]);

export const router = createRouter({ routeTree: routes, basepath: mount || '/', defaultPreload: 'intent', scrollRestoration: true });

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}

export default function App({ session }: { session: Session }) {
  // Every page shows it: it is asked for while they are drawn for the first time.
  useState(() => client.prefetchQuery(q.summary));
  return (
    <CSPProvider disableStyleElements>
      <SessionContext value={session}>
        <QueryClientProvider client={client}>
          <Toast.Provider timeout={5000}>
            <RouterProvider router={router} />
            <Toasts />
          </Toast.Provider>
        </QueryClientProvider>
      </SessionContext>
    </CSPProvider>
  );
}

function NotFound() {
  return (
    <div className="empty">
      <h1>No such page</h1>
      <Link to="/" className="button">
        To the overview
      </Link>
    </div>
  );
}

function Shell() {
  const live = useLive(client);
  const summary = useQuery(q.summary);
  const [nav, setNav] = useState(false);
  const [palette, setPalette] = useState(false);
  const [deed, setDeed] = useState<Deed>();
  const [shortcuts, setShortcuts] = useState(false);
  const path = useRouterState({ select: (s) => s.location.pathname });
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  const online = live.lost === undefined;
  const { role } = useSession();
  const pages = allPages.filter((p) => may(role, p.least ?? 'viewer'));

  // biome-ignore lint/correctness/useExhaustiveDependencies: after each change of page
  useEffect(() => {
    setNav(false);
    if (first.current) first.current = false;
    else main.current?.querySelector<HTMLElement>('h1')?.focus({ preventScroll: true });
  }, [path]);
  useShortcuts(pages, () => setPalette(true));

  return (
    <OnlineContext value={online}>
      <a
        className="skip"
        href={`${location.pathname}${location.search}#main`}
        onClick={(e) => (e.preventDefault(), main.current?.querySelector<HTMLElement>('h1')?.focus())}
      >
        Skip to the content
      </a>
      <div className={`shell ${nav ? 'nav-open' : ''}`}>
        <header className="top">
          <button type="button" className="button ghost menu-button" aria-expanded={nav} onClick={() => setNav(!nav)}>
            <MenuIcon aria-hidden="true" size={18} />
            Menu
          </button>
          <Link to="/" className="brand" aria-label="FaDO, to the overview">
            <img src="./icon.svg" alt="" width="26" height="26" />
            <span>FaDO</span>
          </Link>
          <span className="top-state" role="status" aria-label="Overall state">
            <State of={summary.data?.status ?? 'unknown'} />
          </span>
          {summary.data?.paused && (
            <Link to="/replication" className="top-paused" title="Replication is paused">
              <State of="paused" />
            </Link>
          )}
          <span className="spacer" />
          <button type="button" className="button search-button" onClick={() => setPalette(true)}>
            <Search aria-hidden="true" size={15} />
            <span>Find or do</span>
            <kbd>Ctrl K</kbd>
          </button>
          <Stream live={live} />
          <Account onShortcuts={() => setShortcuts(true)} />
        </header>
        <nav className="side" aria-label="Main">
          <ul>
            {pages.map((p) => (
              <li key={p.to}>
                <Link to={p.to} activeOptions={{ exact: p.to === '/' }} activeProps={{ 'aria-current': 'page' }}>
                  <p.icon aria-hidden="true" size={17} />
                  {p.name}
                </Link>
              </li>
            ))}
          </ul>
          <p className="quiet side-foot">
            {summary.data?.node && <>on {summary.data.node}</>}
            <br />
            {summary.data?.version}
          </p>
        </nav>
        {nav && <button type="button" className="veil" aria-label="Close the menu" onClick={() => setNav(false)} />}
        <main ref={main} id="main">
          {!online ? (
            <div className="banner bad" role="alert">
              <Lost since={live.lost as number} />
            </div>
          ) : summary.data?.trouble ? (
            <div className="banner bad" role="alert">
              The database does not answer, changes are refused: {summary.data.trouble}
            </div>
          ) : summary.data?.paused ? (
            <div className="banner warn" role="status">
              <span>Replication is paused</span> <PauseButton paused />
            </div>
          ) : (
            live.newer && (
              <div className="banner warn" role="status">
                <span>FaDO is another version now, {live.version}: this page is of the one before</span>
                <button type="button" className="button" onClick={() => location.reload()}>
                  Reload
                </button>
              </div>
            )
          )}
          <div className={online ? undefined : 'stale'}>
            <Outlet />
          </div>
        </main>
      </div>
      {shortcuts && (
        <Suspense>
          <Shortcuts pages={pages} onClose={() => setShortcuts(false)} />
        </Suspense>
      )}
      {palette && (
        <Suspense>
          <Palette
            pages={pages}
            paused={summary.data?.paused ?? false}
            onDo={(d) => (d.do === 'shortcuts' ? setShortcuts(true) : setDeed(d))}
            onClose={() => setPalette(false)}
          />
        </Suspense>
      )}
      {deed && (
        <Suspense>
          <Deeds deed={deed} onDone={() => setDeed(undefined)} />
        </Suspense>
      )}
    </OnlineContext>
  );
}

const Lost = ({ since }: { since: number }) => {
  const now = useNow(1000);
  return (
    <>
      No connection to FaDO since <When time={since} /> ({span(now - since)}). What is shown is from before.
    </>
  );
};

function Stream({ live }: { live: { heard: number; lost?: number } }) {
  const now = useNow(1000);
  const old = now - live.heard;
  const ok = live.lost === undefined && old < 12_000;
  return (
    <span className={`stream ${ok ? 'live' : 'stale'}`} title="Whether this page follows what happens">
      {ok ? 'live' : `stale ${span(old)}`}
    </span>
  );
}

/** Ctrl+K, / and g with a letter, unless something is being typed. */
function useShortcuts(pages: typeof allPages, openPalette: () => void) {
  // biome-ignore lint/correctness/useExhaustiveDependencies: it is the same all the time
  useEffect(() => {
    let g = 0;
    const onKey = (e: KeyboardEvent) => {
      if ((e.ctrlKey || e.metaKey) && e.key.toLowerCase() === 'k') {
        e.preventDefault();
        openPalette();
        return;
      }
      if (e.ctrlKey || e.metaKey || e.altKey || (e.target as HTMLElement).closest?.('input, textarea, select, [role=dialog], [role=alertdialog], [role=menu]'))
        return;
      if (pref('jumps') === 'off') return;
      if (e.key === '/') {
        const find = document.querySelector<HTMLElement>('[data-find]');
        e.preventDefault();
        if (find) find.focus();
        else openPalette();
      } else if (e.key === 'g') {
        g = Date.now();
      } else if (Date.now() - g < 1500) {
        const page = pages.find((p) => p.key === e.key);
        g = 0;
        if (page) router.navigate({ to: page.to });
      }
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, []);
}
