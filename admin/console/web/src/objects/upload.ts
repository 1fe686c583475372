import { md5 } from './md5';
import { type Answer, errorOf, S3Error, type Sending, uploadOf, type Wanted, type Wire, wire } from './wire';

const MiB = 1 << 20;
const leastPart = 16 * MiB;
const largestPart = 64 * MiB;
const mostParts = 10_000;

/** How large the parts of a file are: 16 MiB, more where there would be too many; undefined for a file that is too large. */
export function partSize(size: number): number | undefined {
  const part = Math.max(leastPart, Math.ceil(size / mostParts / MiB) * MiB);
  return part <= largestPart ? part : undefined;
}

const unquoted = (of: { etag: string }) => of.etag.replaceAll('"', '').toLowerCase();

/** The ETag of an object that is put together of parts with these; undefined where the storage has ETags of its own kind. */
function tagOfParts(etags: string[]): string | undefined {
  const hex = etags.map((etag) => unquoted({ etag }));
  if (!hex.every((h) => /^[0-9a-f]{32}$/.test(h))) return undefined;
  const bytes = hex.join('').match(/../g) ?? [];
  return `${md5(Uint8Array.from(bytes, (b) => Number.parseInt(b, 16)))}-${etags.length}`;
}

export type UploadState = 'waiting' | 'running' | 'exists' | 'stopped' | 'done' | 'gone';

/** One file on its way. It goes on where it stopped, for as long as the page is there. */
export class Upload {
  state: UploadState = 'waiting';
  error = '';
  private refused = false;
  private upload = '';
  private replace = false;
  /** Whether the file was sent as a whole, though no answer may have come. */
  private put = false;
  private readonly parts = new Map<number, string>();
  private readonly loaded = new Map<number, number>();
  private stop = new AbortController();

  constructor(
    readonly id: number,
    readonly bucket: string,
    readonly key: string,
    readonly file: Blob,
    private readonly changed: () => void,
    private readonly by: Wire = wire,
    private readonly pause = (ms: number) => new Promise<void>((r) => setTimeout(r, ms)),
  ) {}

  /** Where it goes. */
  get name(): string {
    return `${this.bucket}/${this.key}`;
  }

  get size(): number {
    return this.file.size;
  }

  /** Bytes that have left the browser. */
  get sent(): number {
    if (this.state === 'done') return this.size;
    let n = 0;
    for (const v of this.loaded.values()) n += v;
    return Math.min(n, this.size);
  }

  private set(state: UploadState, error = ''): void {
    this.state = state;
    this.error = error;
    this.changed();
  }

  /** Begins, or goes on. */
  async run(): Promise<void> {
    this.stop = new AbortController();
    this.set('running');
    try {
      const part = partSize(this.size);
      if (!part) throw new Error(`A file of more than ${(largestPart / MiB) * mostParts} MiB can't be uploaded here`);
      const there = !this.upload && (this.put || !this.replace) ? await this.look() : undefined;
      if (there && this.put && unquoted(there) === md5(new Uint8Array(await this.file.arrayBuffer()))) return this.set('done');
      if (there && !this.replace) return this.set('exists', 'There is an object of this name');
      if (this.size <= leastPart) await this.whole();
      else await this.inParts(part);
      this.set('done');
    } catch (error) {
      if ((this.state as UploadState) === 'gone') return;
      if (error instanceof S3Error && error.code === 'NoSuchUpload') this.forget();
      this.set('stopped', this.stop.signal.aborted ? 'Stopped' : (error as Error).message);
    }
  }

  /** Goes on when it is its turn; with replace, although there is an object of the name. */
  again(replace = false): void {
    this.replace ||= replace;
    this.refused = false;
    this.set('waiting');
  }

  /** Stops it before it has begun, because another one goes to the same name. */
  refuse(): void {
    this.refused = true;
    this.set('stopped', 'Another upload here goes to this name: let it be done, or abort it');
  }

  /** Whether it may write to its name yet. */
  get open(): boolean {
    return !this.refused && this.state !== 'done' && this.state !== 'gone';
  }

  /** Stops, so that it can go on later. */
  hold(): void {
    this.stop.abort();
  }

  /** Gives it up: the storage keeps none of its parts. */
  async abort(): Promise<void> {
    this.drop();
    if (this.upload) await this.do({ operation: 'abort', upload: this.upload }, {}, 1).catch(() => {}); // what is left of it expires at the storage
  }

  /** Ends it without a word to the storage, where what is left of it expires. */
  drop(): void {
    this.set('gone');
    this.stop.abort();
  }

  private forget(): void {
    this.upload = '';
    this.parts.clear();
    this.loaded.clear();
  }

  /** What the storage says of the object that has the name; undefined where none has. */
  private async look(): Promise<Answer | undefined> {
    const answer = await this.tries(async () => {
      const signed = await this.by.sign({ bucket: this.bucket, key: this.key, operation: 'head' });
      const got = await this.by.send(signed, { signal: this.stop.signal });
      if (got.status >= 500) throw errorOf(got.status, '');
      return got;
    });
    if (answer.status === 403) throw errorOf(403, '');
    return answer.status === 200 ? answer : undefined;
  }

  private async whole(): Promise<void> {
    this.put = true;
    await this.do({ operation: 'put' }, { body: this.file, type: this.file.type || 'application/octet-stream', onProgress: (n) => this.progress(1, n) });
  }

  private progress(part: number, n: number): void {
    this.loaded.set(part, n);
    this.changed();
  }

  private async inParts(size: number): Promise<void> {
    if (!this.upload) {
      const begun = await this.do({ operation: 'begin' }, { type: this.file.type || 'application/octet-stream' });
      const id = uploadOf(begun.text);
      if (!id) throw new Error('The S3 endpoint gave no ID of the upload');
      this.upload = id;
    }
    const left = Array.from({ length: Math.ceil(this.size / size) }, (_, i) => i + 1).filter((n) => !this.parts.has(n));
    const work = async () => {
      for (let n = left.shift(); n !== undefined; n = left.shift()) await this.part(n, size);
    };
    try {
      await Promise.all([work(), work(), work()]);
    } catch (error) {
      left.length = 0;
      throw error;
    }
    await this.complete();
  }

  private async part(n: number, size: number): Promise<void> {
    const body = this.file.slice((n - 1) * size, n * size);
    const answer = await this.do({ operation: 'part', upload: this.upload, part: n }, { body, onProgress: (sent) => this.progress(n, sent) });
    if (!answer.etag) throw new Error('The S3 endpoint does not tell this page the ETag of a part');
    this.parts.set(n, answer.etag);
    this.progress(n, body.size);
  }

  private async complete(): Promise<void> {
    const parts = [...this.parts].sort(([a], [b]) => a - b);
    const xml = parts.map(([n, etag]) => `<Part><PartNumber>${n}</PartNumber><ETag>${etag}</ETag></Part>`);
    try {
      const answer = await this.do(
        { operation: 'complete', upload: this.upload },
        { body: `<CompleteMultipartUpload>${xml.join('')}</CompleteMultipartUpload>`, type: 'application/xml' },
      );
      // An error can come with 200: the answer begins before the parts are put together.
      if (/<Error>/.test(answer.text)) throw errorOf(answer.status, answer.text);
    } catch (error) {
      // An upload that is not there may be one that was completed, by a request whose answer was lost.
      if (!(error instanceof S3Error && error.code === 'NoSuchUpload')) throw error;
      const there = await this.look();
      const whole = tagOfParts(parts.map(([, etag]) => etag));
      if (!there || !whole || unquoted(there) !== whole) throw error;
    }
  }

  private do(wanted: Omit<Wanted, 'bucket' | 'key'>, sending: Sending, tries = 4) {
    return this.tries(async () => {
      const signed = await this.by.sign({ bucket: this.bucket, key: this.key, ...wanted });
      const signal = wanted.operation === 'abort' ? undefined : this.stop.signal;
      const answer = await this.by.send(signed, { ...sending, signal });
      if (answer.status >= 300) throw errorOf(answer.status, answer.text);
      return answer;
    }, tries);
  }

  /** Tries again what may pass: an endpoint that is away, or busy. */
  private async tries<T>(once: () => Promise<T>, most = 4): Promise<T> {
    const { signal } = this.stop;
    for (let n = 1; ; n++) {
      try {
        return await once();
      } catch (error) {
        const passing = error instanceof S3Error ? error.status === 0 || error.status >= 500 : (error as Error).name === 'TypeError';
        if (!passing || n >= most || signal.aborted) throw error;
        const stopped = new Promise((r) => signal.addEventListener('abort', r, { once: true }));
        await Promise.race([this.pause(500 * 2 ** n), stopped]);
        if (signal.aborted) throw error;
      }
    }
  }
}

/** The uploads of this page, two at a time, in whichever tab of it one is. */
export class Uploads extends EventTarget {
  private list: readonly Upload[] = [];
  /** Which upload has a name: others that go to it don't begin. */
  private readonly names = new Map<string, Upload>();
  private next = 1;
  private told = false;
  private user?: string;

  constructor(private readonly by: Wire = wire) {
    super();
    window.addEventListener('beforeunload', (e) => {
      if (this.list.some((u) => u.state === 'running' || u.state === 'waiting')) e.preventDefault();
    });
  }

  readonly subscribe = (f: () => void) => {
    this.addEventListener('change', f);
    return () => this.removeEventListener('change', f);
  };

  readonly snapshot = () => this.list;

  /** Tells who looks, once a frame: parts report often. */
  private readonly changed = () => {
    if (this.told) return;
    this.told = true;
    setTimeout(() => {
      this.told = false;
      this.list = this.list.filter((u) => u.state !== 'gone');
      this.dispatchEvent(new Event('change'));
      this.proceed();
    }, 100);
  };

  /** Takes files up; what goes to the name of another one is refused. */
  add(bucket: string, files: { key: string; file: Blob }[]): void {
    const added = files.map(({ key, file }) => {
      const u = new Upload(this.next++, bucket, key, file, this.changed, this.by);
      if (!this.takes(u)) u.refuse();
      return u;
    });
    this.list = [...this.list, ...added];
    this.changed();
  }

  /** Takes those off the list that are done. */
  clear(): void {
    this.list = this.list.filter((u) => u.state !== 'done');
    this.changed();
  }

  /** How many are not done. */
  get open(): number {
    return this.list.filter((u) => u.state !== 'done' && u.state !== 'gone').length;
  }

  /** Ends all of them, and waits a little for the storage to be told so. */
  async end(): Promise<void> {
    const left = this.list.filter((u) => u.state !== 'done');
    this.list = [];
    this.changed();
    // The session that they are signed by may end right after.
    await Promise.race([Promise.all(left.map((u) => u.abort())), new Promise((r) => setTimeout(r, 3000))]);
  }

  /** Says who is signed in: the uploads of the one before are not theirs. */
  belong(user: string): void {
    if (this.user !== undefined && this.user !== user) {
      for (const u of this.list) u.drop();
      this.list = [];
    }
    this.user = user;
  }

  /** Gives an upload its name, unless another one has it that may write to it yet. */
  private takes(u: Upload): boolean {
    const has = this.names.get(u.name);
    if (has && has !== u && has.open) return false;
    this.names.set(u.name, u);
    return true;
  }

  private proceed(): void {
    for (const [name, u] of this.names) if (!u.open) this.names.delete(name);
    let free = 2 - this.list.filter((u) => u.state === 'running').length;
    for (const u of this.list) {
      if (u.state !== 'waiting') continue;
      if (!this.takes(u)) u.refuse();
      else if (free-- > 0) u.run();
    }
  }
}

export const uploads = new Uploads();
