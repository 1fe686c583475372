import createClient from 'openapi-fetch';
import { given } from '../format';
import type { components, paths } from './schema';

export type Schemas = components['schemas'];
export type Summary = Schemas['Summary'];
export type Bucket = Schemas['Bucket'];
export type Cluster = Schemas['Cluster'];
export type Policy = Schemas['Policy'];
export type Zone = Schemas['Zone'];
export type Reason = Schemas['Reason'];
export type Replication = Schemas['Status'];

/** Where the console is mounted, without the slash at the end. */
export const mount = new URL('.', document.baseURI).pathname.replace(/\/$/, '');

/** An answer that is an error, with what the server said. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    text: string,
    /** The request's ID, as in the log and the audit; '' where the answer has none. */
    readonly request = '',
  ) {
    super(text);
  }
}

/** What happened, to what draws the whole: a session that ended, a server that is away. */
export const signals = new EventTarget();

/** Whether a proxy answers that FaDO can't be reached; what FaDO itself says is JSON. */
const away = (r: Response) => [502, 503, 504].includes(r.status) && !r.headers.get('Content-Type')?.includes('json');

async function ask(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  try {
    const response = await fetch(input, init);
    signals.dispatchEvent(new Event(away(response) ? 'unreachable' : 'answered'));
    // A single sign-on whose session ended answers with a redirect to elsewhere.
    if (response.type === 'opaqueredirect') signals.dispatchEvent(new CustomEvent('signed-out', { detail: 'identity' }));
    else if (response.status === 401) signals.dispatchEvent(new Event('signed-out'));
    return response;
  } catch (error) {
    if ((error as Error).name !== 'AbortError') signals.dispatchEvent(new Event('unreachable'));
    throw error;
  }
}

/** The admin API, typed by its own document. */
export const api = createClient<paths>({ baseUrl: `${mount}/api`, fetch: (request) => ask(request), redirect: 'manual' });

/** The ID of the request that is answered. */
const idOf = (response: Response) => response.headers.get('X-Request-Id') ?? '';

/** What an answer holds, or the error it is. */
export async function told<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await call;
  if (!response.ok) {
    const text = (error as { error?: string } | undefined)?.error;
    throw new ApiError(response.status, text || `The server answered ${response.status}`, idOf(response));
  }
  return data as T;
}

/** What the console serves itself, beside the admin API. */
export async function own<T>(method: string, path: string, body?: unknown): Promise<T> {
  const response = await ask(`${mount}/api/${path}`, {
    method,
    redirect: 'manual',
    headers: body === undefined ? undefined : { 'Content-Type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (response.status === 204) return undefined as T;
  const json = await response.json().catch(() => undefined);
  if (!response.ok) throw new ApiError(response.status, json?.error ?? `The server answered ${response.status}`, idOf(response));
  return json as T;
}

export type Role = 'viewer' | 'operator' | 'admin';

export interface Session {
  user: string;
  role: Role;
  /** Why that role, in words. */
  why: string;
  how: 'password' | 'token' | 'link' | 'identity';
  expires: string | null;
  sign_out: string;
  session: string;
  /** What the role may do with the bytes of objects. */
  data: 'none' | 'read' | 'write';
  /** Where the S3 endpoint is; '' for none. */
  s3: string;
}

export interface Pass {
  id: string;
  name: string;
  role: Role;
  how: string;
  created: string;
  used: string;
  expires: string;
  current: boolean;
  secret?: string;
}

const ranks: Record<Role, number> = { viewer: 1, operator: 2, admin: 3 };

/** Whether a role may do what another one may. */
export const may = (role: Role, least: Role) => ranks[role] >= ranks[least];

/** One page of buckets, and how many match in all. */
export interface BucketPage {
  items: Bucket[];
  total: number;
  more: boolean;
}

export interface BucketFilter {
  state?: 'ok' | 'syncing' | 'stuck' | 'conflict';
  policy?: string;
  cluster?: string;
  origin?: 'config' | 'api';
  q?: string;
}

/** How lists of buckets are sorted. */
export const bucketOrders = ['name', 'state', 'oldest', 'pending', 'bytes'] as const;
export type BucketOrder = (typeof bucketOrders)[number];

/** An order that is not that of names. */
export const orderOf = (value: unknown): BucketOrder | undefined => (value === 'name' ? undefined : bucketOrders.find((o) => o === value));

/** A page of a list: what to give as after for the next one ('' at the end), and how many there are in all, where that is told. */
export interface ListPage<T> {
  items: T[];
  next: string;
  total?: number;
}

/** A page of a list whose answer is an array: its headers tell the rest. */
export async function listPage<T>(asked: Promise<{ data?: T[]; error?: unknown; response: Response }>): Promise<ListPage<T>> {
  const call = await asked;
  const items = await told(Promise.resolve(call));
  const link = /<([^>]+)>; *rel="next"/.exec(call.response.headers.get('Link') ?? '')?.[1];
  const total = call.response.headers.get('X-Total-Count');
  return {
    items: items as T[],
    next: (link && new URL(link, 'http://here').searchParams.get('after')) ?? '',
    total: total === null ? undefined : Number(total),
  };
}

export async function bucketPage(filter: BucketFilter & { order?: BucketOrder }, after: string, limit: number, signal?: AbortSignal): Promise<BucketPage> {
  const call = await api.GET('/fado/buckets', { params: { query: { ...given({ ...filter, after }), limit } }, signal });
  const items = await told(Promise.resolve(call));
  return {
    items,
    total: Number(call.response.headers.get('X-Total-Count') ?? items.length),
    more: call.response.headers.has('Link'),
  };
}
