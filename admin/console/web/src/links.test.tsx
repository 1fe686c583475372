import { createMemoryHistory, createRootRoute, createRoute, createRouter, RouterProvider } from '@tanstack/react-router';
import { fireEvent, render, screen } from '@testing-library/react';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { useBucketLinks } from './ui/links';

function Many() {
  const { hrefOf, props } = useBucketLinks();
  return (
    <div {...props}>
      <a href={hrefOf('reports')}>reports</a>
      <a href={hrefOf('reports', { tab: 'placement', cluster: '17' })}>in 17</a>
      <b>no link</b>
    </div>
  );
}

describe('links of which there are many', () => {
  const root = createRootRoute();
  const made = () =>
    createRouter({
      basepath: '/console',
      history: createMemoryHistory({ initialEntries: ['/console/?q=rep'] }),
      routeTree: root.addChildren([
        createRoute({ getParentRoute: () => root, path: '/', component: Many }),
        createRoute({ getParentRoute: () => root, path: '/buckets/$bucket', component: () => <h1>A bucket</h1> }),
      ]),
    });
  let router: ReturnType<typeof made>;
  beforeEach(async () => {
    vi.stubGlobal('scrollTo', () => {});
    router = made();
    render(<RouterProvider router={router as never} />);
    await screen.findByText('reports');
  });

  afterEach(() => void vi.unstubAllGlobals());

  it('have addresses that can be opened elsewhere', () => {
    expect(screen.getByText('reports').getAttribute('href')).toBe('/console/buckets/reports');
    const { pathname, searchParams } = new URL(screen.getByText('in 17').getAttribute('href') ?? '', 'http://here');
    expect(pathname).toBe('/console/buckets/reports');
    expect(router.options.parseSearch(`?${searchParams}`)).toEqual({ tab: 'placement', cluster: '17' });
  });

  it('lead to the page without loading the console', async () => {
    expect(fireEvent.click(screen.getByText('in 17'))).toBe(false);
    expect(await screen.findByText('A bucket')).toBeInTheDocument();
    expect(router.state.location).toMatchObject({ pathname: '/buckets/reports', search: { tab: 'placement', cluster: '17' } });
  });

  it('are the browser’s where another tab or window is asked for', () => {
    for (const how of [{ ctrlKey: true }, { metaKey: true }, { shiftKey: true }, { button: 1 }]) {
      let taken = true;
      const after = (e: Event) => {
        taken = e.defaultPrevented;
        e.preventDefault(); // jsdom has nowhere to go
      };
      window.addEventListener('click', after, { once: true });
      fireEvent.click(screen.getByText('reports'), how);
      expect(taken).toBe(false);
    }
    fireEvent.click(screen.getByText('no link'));
    expect(router.state.location.pathname).toBe('/');
  });
});
