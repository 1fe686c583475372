import { useRouter } from '@tanstack/react-router';
import { type MouseEvent, useMemo } from 'react';

/**
 * Links to buckets of which there are many on a page: the router works out each of its own again whenever the address
 * changes. What holds them takes the props, and sees to it that a click on one does not load the whole console.
 */
export function useBucketLinks() {
  const router = useRouter();
  return useMemo(() => {
    const route = router.routesByPath['/buckets/$bucket'];
    return {
      hrefOf: (bucket: string, search = {}) =>
        router.buildLocation({ to: '/buckets/$bucket', params: { bucket } }).href + router.options.stringifySearch(search),
      props: {
        onClick: (e: MouseEvent<HTMLElement>) => {
          const a = (e.target as HTMLElement).closest('a');
          if (!a || e.defaultPrevented || e.button !== 0 || e.metaKey || e.altKey || e.ctrlKey || e.shiftKey) return;
          e.preventDefault();
          router.history.push(a.getAttribute('href') ?? '');
        },
        onPointerEnter: () => void router.loadRouteChunk(route),
      },
    };
  }, [router]);
}
