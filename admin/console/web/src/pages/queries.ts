import { keepPreviousData, type QueryClient, queryOptions } from '@tanstack/react-query';
import { api, type BucketFilter, listPage, type Schemas, told } from '../api/client';
import type { Residency } from './Allowed';

/** The stream says what to read again; this is for what it does not tell. */
const slow = 15_000;

export const summary = queryOptions({
  queryKey: ['summary'],
  queryFn: ({ signal }) => told(api.GET('/fado/summary', { signal })),
  refetchInterval: 5000,
});

/** How many copies there are in which state, by policy and cluster. */
export const copySums = queryOptions({
  queryKey: ['summary', 'copies'],
  queryFn: async ({ signal }) => {
    const { copies, trouble } = await told(api.GET('/fado/summary', { params: { query: { by: 'policy' } }, signal }));
    if (!copies && trouble) throw new Error(trouble); // not that there are none
    return copies ?? [];
  },
  refetchInterval: slow,
});

/** How many items of a list a page shows. */
export const pageSize = 200;

/** How many buckets there are of each kind among those that match. */
export const facets = (filter: BucketFilter) =>
  queryOptions({
    queryKey: ['facets', filter],
    queryFn: ({ signal }) => told(api.GET('/fado/facets', { params: { query: filter }, signal })),
    placeholderData: keepPreviousData,
    refetchInterval: slow,
  });

export const bucket = (name: string) =>
  queryOptions({
    queryKey: ['bucket', name],
    queryFn: ({ signal }) => told(api.GET('/fado/buckets/{name}', { params: { path: { name } }, signal })),
    refetchInterval: slow,
  });

export const sides = (name: string) =>
  queryOptions({
    queryKey: ['bucket', name, 'sides'],
    queryFn: ({ signal }) => told(api.GET('/fado/buckets/{name}/trust', { params: { path: { name } }, signal })),
  });

export const placement = (name: string, prefix: string) =>
  queryOptions({
    queryKey: ['bucket', name, 'placement', prefix],
    queryFn: ({ signal }) => told(api.GET('/fado/buckets/{name}/placement', { params: { path: { name }, query: { prefix } }, signal })),
  });

export const conflicts = (name: string, after: string) =>
  queryOptions({
    queryKey: ['bucket', name, 'conflicts', after],
    queryFn: ({ signal }) =>
      listPage(api.GET('/fado/buckets/{name}/conflicts', { params: { path: { name }, query: { limit: pageSize, after: after || undefined } }, signal })),
    placeholderData: keepPreviousData,
  });

export const objects = (name: string, prefix: string, after: string) =>
  queryOptions({
    queryKey: ['bucket', name, 'objects', prefix, after],
    queryFn: ({ signal }) =>
      told(api.GET('/fado/buckets/{name}/objects', { params: { path: { name }, query: { prefix, after, delimiter: '/', limit: 200 } }, signal })),
    placeholderData: keepPreviousData,
  });

export const verification = (name: string) =>
  queryOptions({
    queryKey: ['bucket', name, 'verification'],
    queryFn: ({ signal }) => told(api.GET('/fado/buckets/{name}/verify', { params: { path: { name } }, signal })),
    refetchInterval: (q) => (['waiting', 'running', 'repairing'].includes(q.state.data?.state ?? '') ? 1000 : slow),
  });

export const clusters = queryOptions({
  queryKey: ['clusters'],
  queryFn: ({ signal }) => told(api.GET('/fado/clusters', { signal })),
  refetchInterval: slow,
});

export const cluster = (name: string) =>
  queryOptions({
    queryKey: ['cluster', name],
    queryFn: ({ signal }) => told(api.GET('/fado/clusters/{name}', { params: { path: { name } }, signal })),
    refetchInterval: 5000,
  });

export const policies = queryOptions({
  queryKey: ['policies'],
  queryFn: ({ signal }) => told(api.GET('/fado/policies', { signal })),
});

/** Which clusters a policy with these zones and clusters allows. */
export const allowed = ({ zones, exclude_zones, clusters }: Residency) => {
  // No other field says where data may be: what is being written elsewhere may be wrong yet.
  const body = { name: 'draft', zones: zones ?? [], exclude_zones: exclude_zones ?? [], clusters: clusters ?? [] };
  return queryOptions({
    queryKey: ['policies', 'allowed', body],
    queryFn: async ({ signal }) => (await told(api.POST('/fado/policies/check', { body: body as never, signal }))).clusters,
    placeholderData: keepPreviousData,
    refetchInterval: slow,
    retry: false,
  });
};

export const zones = queryOptions({
  queryKey: ['zones'],
  queryFn: ({ signal }) => told(api.GET('/fado/zones', { signal })),
});

/** Of all instances together. */
export const replication = queryOptions({
  queryKey: ['replication'],
  queryFn: ({ signal }) => told(api.GET('/fado/replication', { params: { query: { node: 'all' } }, signal })),
  refetchInterval: 2000,
});

export const failures = (after: string) =>
  queryOptions({
    queryKey: ['replication', 'failures', after],
    queryFn: ({ signal }) => listPage(api.GET('/fado/replication/failures', { params: { query: { limit: pageSize, after: after || undefined } }, signal })),
    placeholderData: keepPreviousData,
    refetchInterval: slow,
  });

export const flows = queryOptions({
  queryKey: ['flows'],
  queryFn: ({ signal }) => told(api.GET('/fado/flows', { signal })),
  refetchInterval: 2000,
});

export const purges = queryOptions({
  queryKey: ['replication', 'purges'],
  queryFn: ({ signal }) => told(api.GET('/fado/replication/purges', { signal })),
  refetchInterval: 5000,
});

export const heldDeletes = (name: string, after: string) =>
  queryOptions({
    queryKey: ['bucket', name, 'deletes', after],
    queryFn: ({ signal }) => told(api.GET('/fado/buckets/{name}/deletes', { params: { path: { name }, query: { after: after || undefined } }, signal })),
    placeholderData: keepPreviousData,
  });

export const pending = (name: string, cluster: string | undefined, after: string) =>
  queryOptions({
    queryKey: ['bucket', name, 'pending', cluster, after],
    queryFn: ({ signal }) =>
      told(api.GET('/fado/buckets/{name}/pending', { params: { path: { name }, query: { cluster, after: after || undefined } }, signal })),
    placeholderData: keepPreviousData,
    refetchInterval: 5000,
  });

export const nodes = queryOptions({
  queryKey: ['nodes'],
  queryFn: ({ signal }) => told(api.GET('/fado/nodes', { signal })),
  refetchInterval: 5000,
});

/** How many events a page shows at most. */
export const eventsShown = 1000;

/** The last events: what is new is read, and added to what is there. */
export const eventLog = (client: QueryClient, filter: { type?: Schemas['LoggedEvent']['type']; bucket?: string; cluster?: string }) =>
  queryOptions({
    queryKey: ['events', filter],
    queryFn: async ({ queryKey, signal }) => {
      const before = client.getQueryData<Schemas['LoggedEvent'][]>(queryKey) ?? [];
      const last = before.at(-1)?.seq;
      const query = { ...filter, limit: eventsShown, ...(last && { after: String(last) }) };
      const more = await told(api.GET('/fado/events/log', { params: { query }, signal }));
      return [...before, ...more].slice(-eventsShown);
    },
    refetchInterval: slow,
  });

/** Where an invocation goes, or would if what is supposed were so. */
export const route = (query: { bucket?: string[]; object?: string[]; data?: string[] }, what?: Schemas['WhatIfInput']) =>
  queryOptions({
    queryKey: ['route', query, what],
    queryFn: ({ signal }) =>
      what ? told(api.POST('/fado/route', { body: what, signal })) : told(api.GET('/fado/route', { params: { query: { ...query, trace: 'true' } }, signal })),
    refetchInterval: 5000,
    retry: false,
  });
