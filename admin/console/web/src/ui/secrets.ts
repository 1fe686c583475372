/** Where a whole value is a place of a storage's key, which is no secret. */
const place = /^\{(env|file)\.[^{}]+\}$/;
/** What has a place of a secret, or a part of a request, somewhere in it. */
const places = /\{[^{}]+\}/;

/** Whether the API takes a header's value for a secret, by its name. */
function secretHeader(name: string): boolean {
  const of = name.toLowerCase();
  return ['authorization', 'proxy-authorization', 'cookie'].includes(of) || /key|token|secret/.test(of);
}

/** Whether a value is one that the API tells nobody, by its field, what it is a field of, and the name beside it. */
function isSecret(value: string, field: string, of: string, name: unknown): boolean {
  if (value === '') return false;
  switch (field) {
    case 'access_key':
      return of !== 'sign' && !place.test(value);
    case 'secret_key':
      return of === 'sign' ? !places.test(value) : !place.test(value);
    case 'session_token':
    case 'secret':
      return !places.test(value);
    case 'value':
      return of === 'header' && typeof name === 'string' && secretHeader(name) && !places.test(value);
    default:
      return false;
  }
}

/** A cluster, or a document, without what is secret in it, which is written as "***". */
export function withoutSecrets(of: unknown, field = ''): unknown {
  if (Array.isArray(of)) return of.map((v) => withoutSecrets(v, field));
  if (of === null || typeof of !== 'object') return of;
  const { name } = of as { name?: unknown };
  return Object.fromEntries(Object.entries(of).map(([k, v]) => [k, typeof v === 'string' ? (isSecret(v, k, field, name) ? '***' : v) : withoutSecrets(v, k)]));
}
