import { own } from '../api/client';

/** What a URL is signed for: one request about one object. */
export interface Wanted {
  bucket: string;
  key: string;
  operation: 'get' | 'head' | 'tags' | 'versions' | 'put' | 'delete' | 'begin' | 'part' | 'complete' | 'abort';
  version?: string;
  upload?: string;
  part?: number;
  marker?: string;
  seconds?: number;
}

export interface Signed {
  method: string;
  url: string;
  expires: string;
}

export interface Answer {
  status: number;
  text: string;
  etag: string;
}

export interface Sending {
  body?: Blob | string;
  type?: string;
  signal?: AbortSignal;
  onProgress?: (sent: number) => void;
}

/** How uploads reach the server and the S3 endpoint: tests have another one. */
export interface Wire {
  sign(wanted: Wanted): Promise<Signed>;
  send(signed: Signed, sending: Sending): Promise<Answer>;
}

export const sign = (wanted: Wanted) => own<Signed>('POST', 'presign', wanted);

/** An answer of the S3 endpoint that is an error. */
export class S3Error extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    text: string,
  ) {
    super(text);
  }
}

const named: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

/**
 * The text of an element that has no others in it. What may be no XML is not given to a parser: what
 * browsers show in its place has styles that the policy of the page refuses.
 */
function textOf(text: string, element: string): string {
  const raw = new RegExp(`<${element}>([^<]*)</${element}>`).exec(text)?.[1] ?? '';
  return raw.replace(/&(?:#(x?)([0-9a-f]+)|([a-z]+));/gi, (all, hex, number, name) =>
    name ? (named[name] ?? all) : String.fromCodePoint(Number.parseInt(number, hex ? 16 : 10)),
  );
}

/** The error that an answer is: its code and what it says. */
export function errorOf(status: number, text: string): S3Error {
  return new S3Error(status, textOf(text, 'Code'), textOf(text, 'Message') || `The S3 endpoint answered ${status}`);
}

/** The ID that an upload was given. */
export const uploadOf = (text: string) => textOf(text, 'UploadId');

const away = 'The S3 endpoint can not be reached from this browser';

/** Sends with progress, which fetch does not tell. */
function send(signed: Signed, { body, type, signal, onProgress }: Sending): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const x = new XMLHttpRequest();
    const abort = () => x.abort();
    x.open(signed.method, signed.url);
    if (type) x.setRequestHeader('Content-Type', type);
    x.upload.onprogress = (e) => onProgress?.(e.loaded);
    x.onload = () => resolve({ status: x.status, text: x.responseText, etag: /^etag: *(.*?)\r?$/im.exec(x.getAllResponseHeaders())?.[1] ?? '' });
    x.onerror = () => reject(new S3Error(0, 'Unreachable', away));
    x.onabort = () => reject(new DOMException('aborted', 'AbortError'));
    x.onloadend = () => signal?.removeEventListener('abort', abort);
    signal?.addEventListener('abort', abort);
    if (signal?.aborted) reject(new DOMException('aborted', 'AbortError'));
    else x.send(body ?? null);
  });
}

export const wire: Wire = { sign, send };

/** Asks the S3 endpoint, by a URL signed for that. */
export async function ask(wanted: Wanted, init: RequestInit = {}): Promise<Response> {
  const signed = await sign(wanted);
  const response = await fetch(signed.url, { ...init, method: signed.method, credentials: 'omit', referrerPolicy: 'no-referrer' }).catch((error: Error) => {
    throw error.name === 'AbortError' ? error : new S3Error(0, 'Unreachable', away);
  });
  if (!response.ok && response.status !== 416) throw errorOf(response.status, signed.method === 'HEAD' ? '' : await response.text());
  return response;
}

/** Has the browser store an object. One byte of it is read first: what can't be had is told here. */
export async function download(bucket: string, key: string, version?: string): Promise<void> {
  const wanted: Wanted = { bucket, key, operation: 'get', version };
  const signed = await sign(wanted);
  const first = await fetch(signed.url, { headers: { Range: 'bytes=0-0' }, credentials: 'omit' }).catch(() => {
    throw new S3Error(0, 'Unreachable', away);
  });
  if (!first.ok && first.status !== 416) throw errorOf(first.status, await first.text());
  await first.body?.cancel();
  const a = document.createElement('a');
  a.href = signed.url; // it says "attachment": the page stays
  a.rel = 'noreferrer';
  a.click();
}

export interface Version {
  id: string;
  latest: boolean;
  modified: string;
  size: number;
  deleted: boolean;
}

/** The versions of one key in a listing of versions, and where the next page begins. */
export function versionsOf(text: string, key: string): { versions: Version[]; marker: string } {
  const xml = new DOMParser().parseFromString(text, 'application/xml');
  const plain = (s: string) => decodeURIComponent(s.replaceAll('+', '%20'));
  const versions: Version[] = [];
  for (const e of xml.documentElement.children) {
    if (e.tagName !== 'Version' && e.tagName !== 'DeleteMarker') continue;
    const of = (name: string) => e.querySelector(name)?.textContent ?? '';
    if (plain(of('Key')) !== key) continue;
    versions.push({
      id: of('VersionId'),
      latest: of('IsLatest') === 'true',
      modified: of('LastModified'),
      size: Number(of('Size')),
      deleted: e.tagName === 'DeleteMarker',
    });
  }
  const of = (name: string) => xml.querySelector(`ListVersionsResult > ${name}`)?.textContent ?? '';
  const more = of('IsTruncated') === 'true' && plain(of('NextKeyMarker')) === key;
  return { versions, marker: more ? of('NextVersionIdMarker') : '' };
}

/** The tags of an answer to GetObjectTagging. */
export function tagsOf(text: string): [string, string][] {
  const xml = new DOMParser().parseFromString(text, 'application/xml');
  return [...xml.querySelectorAll('TagSet > Tag')].map((t) => [t.querySelector('Key')?.textContent ?? '', t.querySelector('Value')?.textContent ?? '']);
}
