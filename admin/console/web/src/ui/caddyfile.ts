import type { Bucket, Cluster, Policy, Zone } from '../api/client';

export type Kind = 'zone' | 'cluster' | 'policy' | 'bucket';

/** A token as a Caddyfile has it. */
function token(v: unknown): string {
  const s = String(v);
  return s === '' || /[\s"`#]|^[{}]$/.test(s) ? `"${s.replaceAll('"', '\\"')}"` : s;
}

const line = (...parts: unknown[]) => parts.map(token).join(' ');
const none = (v: unknown) => v === undefined || v === null || v === '' || v === false || (Array.isArray(v) && v.length === 0);
const some = (name: string, v: unknown): string[] => (none(v) ? [] : v === true ? [name] : [line(name, ...(Array.isArray(v) ? v : [v]))]);
const block = (head: string, lines: string[]) => (lines.length ? [`${head} {`, ...lines.map((l) => `\t${l}`), '}'] : [head]);

/** What the API keeps to itself is to be given by the environment. */
const secret = (name: string, v: string | undefined, from: string) => (v === '***' ? [`${name} {env.${from}} # the API does not tell it`] : some(name, v));
const variable = (...parts: string[]) => parts.join('_').replaceAll(/\W/g, '_').toUpperCase();

const labels = (of: Record<string, string> | undefined) => Object.entries(of ?? {}).map(([k, v]) => line('label', k, v));

const zone = (z: Zone) => [...some('parent', z.parent), ...labels(z.labels)];

function cluster(c: Cluster): string[] {
  const s = c.storage;
  const key = (i: number) => variable(c.name, 'FUNCTION', String(i + 1));
  return [
    ...some('zones', c.zones),
    ...(s
      ? block(line('storage', s.endpoint), [
          ...secret('access_key', s.access_key, variable(c.name, 'ACCESS_KEY')),
          ...secret('secret_key', s.secret_key, variable(c.name, 'SECRET_KEY')),
          ...(['region', 'bucket_prefix', 'virtual_host', 'ca_file', 'insecure_skip_verify', 'capacity', 'bandwidth'] as const).flatMap((o) => some(o, s[o])),
        ])
      : []),
    ...(c.functions ?? []).flatMap((f, i) =>
      block(line('function', f.url), [
        ...(['weight', 'max_requests', 'health_path', 'ca_file', 'insecure_skip_verify', 'host'] as const).flatMap((o) => some(o, f[o])),
        ...(f.header ?? []).flatMap((h) =>
          h.value === '***' ? secret(line('header', h.name), h.value, variable(key(i), h.name)) : [line('header', h.name, h.value)],
        ),
        ...(f.sign
          ? block(line('sign', f.sign.type, f.sign.service, f.sign.region), [
              ...secret('access_key', f.sign.access_key, variable(key(i), 'ACCESS_KEY')),
              ...secret('secret_key', f.sign.secret_key, variable(key(i), 'SECRET_KEY')),
              ...secret('session_token', f.sign.session_token, variable(key(i), 'SESSION_TOKEN')),
            ])
          : []),
      ]),
    ),
    ...some('egress_price', c.egress_price),
    ...some('storage_price', c.storage_price),
    ...(c.links ?? []).flatMap((l) =>
      block(
        line('link', l.to),
        (['bandwidth', 'latency', 'price', 'one_way'] as const).flatMap((o) => some(o, l[o])),
      ),
    ),
    ...labels(c.labels),
    ...some('drain', c.drain),
  ];
}

/** Options of a policy whose defaults the API tells, too. */
const defaults: Partial<Record<keyof Policy, unknown>> = {
  spread: 'zone',
  writes: 'primary',
  versions: 'all',
  primary: 'follow',
  on_miss: 'remote',
};

function policy(p: Policy): string[] {
  const of = (...names: (keyof Policy)[]) => names.flatMap((o) => (p[o] === defaults[o] ? [] : some(o, p[o])));
  const { policy: balance, ...args } = p.balance ?? { policy: '' };
  return [
    ...of('copies', 'zones', 'exclude_zones', 'clusters', 'prefer', 'spread', 'writes', 'versions', 'primary', 'max_staleness'),
    ...some('balance', balance),
    ...(Object.keys(args).length ? [`# with ${JSON.stringify(args)}`] : []),
    ...of('on_miss', 'pull_timeout', 'pull_ttl'),
  ];
}

const bucket = (b: Bucket) => [
  ...some('policy', b.policy),
  ...some('primary', b.primary),
  ...(b.prefixes ?? []).map((r) => line('prefix', r.prefix, r.policy)),
  ...(b.object_lock ? ['# object_lock: only the API can say so'] : []),
];

/** An item as the block that declares it within the global option fado. */
export function caddyfileOf(kind: Kind, item: { name: string }): string {
  const lines = { zone, cluster, policy, bucket }[kind](item as never);
  return `${block(line(kind, item.name), lines).join('\n')}\n`;
}
