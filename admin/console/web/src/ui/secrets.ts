const secrets = ['access_key', 'secret_key', 'session_token'];

/** A cluster, or a document, without what is secret in it: the API puts in what is stored where it reads "***". */
export function withoutSecrets(of: unknown, key = ''): unknown {
  // A placeholder is no secret, but the place of one.
  if (typeof of === 'string') return secrets.includes(key) && of && !of.startsWith('{') ? '***' : of;
  if (Array.isArray(of)) return of.map((v) => withoutSecrets(v, key));
  if (of === null || typeof of !== 'object') return of;
  return Object.fromEntries(Object.entries(of).map(([k, v]) => [k, withoutSecrets(v, key === 'header' && k === 'value' ? 'secret_key' : k)]));
}
