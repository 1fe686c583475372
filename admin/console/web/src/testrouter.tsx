import type { ReactNode } from 'react';

/** Where the page is, and where it was left for: tests set and read them. */
export const at: { params: object; search: object } = { params: {}, search: {} };
export const went: unknown[] = [];

function Link({ children, to, params: _, search, ...rest }: { children: ReactNode; to: string; params?: object; search?: object }) {
  return (
    <a href={`${to}?${new URLSearchParams(search as Record<string, string>)}`} {...rest}>
      {children}
    </a>
  );
}

/** The router, for pages that are drawn without one. What is mocked is loaded first, so nothing of the console is imported here. */
export const routerOf = (real: object) => ({
  ...real,
  getRouteApi: () => ({ useParams: () => at.params, useSearch: () => at.search }),
  useNavigate: () => (to: unknown) => went.push(to),
  useRouter: () => ({
    routesByPath: {},
    buildLocation: ({ params }: { params: { bucket: string } }) => ({ href: `/buckets/${params.bucket}` }),
    options: { stringifySearch: () => '' },
  }),
  Link,
});
