import { Toast } from '@base-ui/react/toast';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { render } from '@testing-library/react';
import type { ContextType, ReactNode } from 'react';
import { OnlineContext, SessionContext, Toasts } from './ui/kit';

/** What was read before, by the keys of queries. */
export type Read = [unknown[], unknown][];

type Session = NonNullable<ContextType<typeof SessionContext>>;

/**
 * Draws a page with what is already read, for someone. It can be drawn once more, and lose FaDO and find it again.
 * A test file mocks the router for it: vi.mock('@tanstack/react-router', async (real) => (await import('./testrouter')).routerOf(await real())).
 */
export function shown(page: ReactNode | (() => ReactNode), data: Read = [], who: Partial<Session> = {}) {
  const client = new QueryClient({ defaultOptions: { queries: { staleTime: Number.POSITIVE_INFINITY, refetchInterval: false } } });
  for (const [key, value] of data) client.setQueryData(key, value);
  const session: Session = { user: 'x', role: 'admin', how: 'password', expires: null, sign_out: '', session: '', why: '', data: 'none', s3: '', ...who };
  const whole = (online: boolean) => (
    <SessionContext value={session}>
      <OnlineContext value={online}>
        <QueryClientProvider client={client}>
          <Toast.Provider>
            {typeof page === 'function' ? page() : page}
            <Toasts />
          </Toast.Provider>
        </QueryClientProvider>
      </OnlineContext>
    </SessionContext>
  );
  const drawn = render(whole(true));
  return { ...drawn, client, again: () => drawn.rerender(whole(true)), online: (is: boolean) => drawn.rerender(whole(is)) };
}
