import { describe, expect, it, vi } from 'vitest';
import { md5 } from './md5';
import { kindOf } from './preview';
import { deletedText, removeAll } from './remove';
import { partSize, Upload, Uploads } from './upload';
import { errorOf, S3Error, type Sending, type Signed, tagsOf, versionsOf, type Wanted, type Wire } from './wire';

const MiB = 1 << 20;

describe('parts', () => {
  it('are 16 MiB, and larger where there would be too many', () => {
    expect(partSize(1)).toBe(16 * MiB);
    expect(partSize(10_000 * 16 * MiB)).toBe(16 * MiB);
    expect(partSize(10_000 * 16 * MiB + 1)).toBe(17 * MiB);
    expect(partSize(10_000 * 64 * MiB)).toBe(64 * MiB);
    expect(partSize(10_000 * 64 * MiB + 1)).toBeUndefined();
  });
});

describe('previews', () => {
  it.each([
    ['text/html', 'evil.html', 'text'],
    ['text/plain; charset=utf-8', 'a', 'text'],
    ['application/json', 'a', 'text'],
    ['application/xhtml+xml', 'a', 'text'],
    ['image/png', 'a', 'image'],
    ['image/svg+xml', 'evil.svg', 'image'],
    ['text/html', 'evil.svg', 'text'],
    ['application/octet-stream', 'evil.svg', 'image'],
    ['', 'notes.md', 'text'],
    ['application/octet-stream', 'evil.html', 'text'],
    ['application/octet-stream', 'a.bin', 'none'],
    ['application/pdf', 'a.pdf', 'none'],
    ['application/pdf', 'a.txt', 'none'],
    ['image/unheard-of', 'a.png', 'none'],
    ['video/mp4', 'a', 'none'],
  ])('of %s %s is %s', (type, key, as) => {
    expect(kindOf(type, key).as).toBe(as);
  });
});

describe('what the endpoint says', () => {
  it('is an error with its code', () => {
    const e = errorOf(403, '<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Policy &quot;eu&quot; doesn&#39;t allow it.</Message></Error>');
    expect([e.code, e.message]).toEqual(['AccessDenied', 'Policy "eu" doesn\'t allow it.']);
    expect(errorOf(502, 'Bad gateway <br>').message).toBe('The S3 endpoint answered 502');
  });
  it('has the versions of a key, and of no other', () => {
    const v = (key: string, id: string, tag = 'Version') =>
      `<${tag}><Key>${key}</Key><VersionId>${id}</VersionId><IsLatest>${id === '3'}</IsLatest><LastModified>2026-03-04T05:06:07Z</LastModified><Size>5</Size></${tag}>`;
    const xml = `<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>true</IsTruncated><NextKeyMarker>a+b%2B</NextKeyMarker><NextVersionIdMarker>2</NextVersionIdMarker>${v('a+b%2B', '3', 'DeleteMarker')}${v('a+b%2B', '2')}${v('a+b%2Bc', '1')}</ListVersionsResult>`;
    const { versions, marker } = versionsOf(xml, 'a b+');
    expect(versions.map((x) => [x.id, x.deleted, x.latest, x.size])).toEqual([
      ['3', true, true, 5],
      ['2', false, false, 5],
    ]);
    expect(marker).toBe('2');
    expect(versionsOf(xml, 'a b').marker).toBe('');
  });
  it('has tags', () => {
    expect(tagsOf('<Tagging><TagSet><Tag><Key>k</Key><Value>&lt;v&gt;</Value></Tag></TagSet></Tagging>')).toEqual([['k', '<v>']]);
  });
});

/** A storage in memory. */
class Fake implements Wire {
  asked: string[] = [];
  parts = new Map<string, Blob>();
  fails: (w: Wanted) => number = () => 0;
  there = false;
  /** The object that has the name. */
  object?: { etag: string };
  partTag = (n: number) => `e${n}`;
  completing = () => {};

  async sign(w: Wanted): Promise<Signed> {
    return { method: 'X', url: JSON.stringify(w), expires: '' };
  }
  async send(signed: Signed, { body, signal, onProgress }: Sending) {
    if (signal?.aborted) throw new DOMException('', 'AbortError');
    const w = JSON.parse(signed.url) as Wanted;
    this.asked.push(w.part ? `${w.operation} ${w.part}` : w.operation);
    if (w.operation === 'complete') this.completing();
    const status = this.fails(w);
    if (status < 0) throw new S3Error(0, 'Unreachable', 'away');
    if (status) return { status, text: `<Error><Code>${status === 404 ? 'NoSuchUpload' : 'Other'}</Code><Message>no</Message></Error>`, etag: '' };
    if (w.operation === 'head' && this.object) return { status: 200, text: '', ...this.object };
    if (w.operation === 'head') return { status: this.there ? 200 : 404, text: '', etag: '' };
    if (w.operation === 'begin') return { status: 200, text: '<R><UploadId>u1</UploadId></R>', etag: '' };
    if (body instanceof Blob) {
      onProgress?.(body.size);
      this.parts.set(String(w.part ?? 0), body);
    }
    return { status: 200, text: String(body), etag: `"${this.partTag(w.part ?? 0)}"` };
  }
}

const upload = (by: Wire, size: number) =>
  new Upload(
    1,
    'b',
    'k',
    new Blob([new Uint8Array(size)]),
    () => {},
    by,
    async () => {},
  );

describe('MD5', () => {
  it('is that of RFC 1321', () => {
    const of = (text: string) => md5(new TextEncoder().encode(text));
    expect([of(''), of('message digest'), of('1234567890'.repeat(8))]).toEqual([
      'd41d8cd98f00b204e9800998ecf8427e',
      'f96b697d7cb7938d525a2f31aaf161d0',
      '57edf4a22be3c955ac49da2e2107b67a',
    ]);
    expect(of('a'.repeat(64))).toBe('014842d480b571495a4a0363793f7367');
  });
});

describe('an upload', () => {
  it('of a small file is one request', async () => {
    const by = new Fake();
    const u = upload(by, 5);
    await u.run();
    expect([u.state, u.sent, by.asked]).toEqual(['done', 5, ['head', 'put']]);
  });

  it('of a large file goes in parts', async () => {
    const by = new Fake();
    const u = upload(by, 40 * MiB);
    await u.run();
    expect(u.state).toBe('done');
    expect([...by.asked].sort()).toEqual(['begin', 'complete', 'head', 'part 1', 'part 2', 'part 3']);
    expect(['1', '2', '3'].map((n) => by.parts.get(n)?.size)).toEqual([16 * MiB, 16 * MiB, 8 * MiB]);
  });

  it('asks before it replaces an object', async () => {
    const by = new Fake();
    by.there = true;
    const u = upload(by, 5);
    await u.run();
    expect([u.state, by.parts.size]).toEqual(['exists', 0]);
    u.again(true);
    await u.run();
    expect(u.state).toBe('done');
  });

  it('stops at once while it waits to try again', async () => {
    const by = new Fake();
    by.fails = () => 500;
    const u = new Upload(
      1,
      'b',
      'k',
      new Blob(['x']),
      () => {},
      by,
      () => new Promise(() => {}),
    );
    u.run();
    await vi.waitFor(() => expect(by.asked).toEqual(['head']));
    u.hold();
    await vi.waitFor(() => expect([u.state, u.error]).toEqual(['stopped', 'Stopped']));
    expect(by.asked).toEqual(['head']);
  });

  it('tries again what may pass, and no more often than that', async () => {
    const by = new Fake();
    let left = 2;
    by.fails = (w) => (w.part === 2 && left-- > 0 ? (left ? -1 : 503) : 0);
    const u = upload(by, 40 * MiB);
    await u.run();
    expect([u.state, by.asked.filter((a) => a === 'part 2').length]).toEqual(['done', 3]);
    const away = new Fake();
    away.fails = () => -1;
    const v = upload(away, 5);
    await v.run();
    expect([v.state, v.error, away.asked.length]).toEqual(['stopped', 'away', 4]);
  });

  it('goes on where it stopped', async () => {
    const by = new Fake();
    by.fails = (w) => (w.part === 3 ? 403 : 0);
    const u = upload(by, 40 * MiB);
    await u.run();
    expect([u.state, u.error]).toEqual(['stopped', 'no']);
    by.fails = () => 0;
    by.asked = [];
    await u.run();
    expect([u.state, by.asked]).toEqual(['done', ['part 3', 'complete']]);
  });

  it('begins again where the storage has given it up', async () => {
    const by = new Fake();
    by.fails = (w) => (w.operation === 'complete' ? 404 : 0);
    const u = upload(by, 40 * MiB);
    await u.run();
    expect(u.state).toBe('stopped');
    by.fails = () => 0;
    by.asked = [];
    await u.run();
    expect([u.state, by.asked.includes('begin'), by.asked.includes('part 1')]).toEqual(['done', true, true]);
  });

  it('is done where the answer that says so was lost', async () => {
    const by = new Fake();
    by.partTag = (n) => String(n).repeat(32);
    let lost = 1;
    by.fails = (w) => (w.operation !== 'complete' ? 0 : lost-- > 0 ? -1 : 404);
    const u = upload(by, 40 * MiB);
    by.completing = () => {
      by.object = { etag: `"${md5(new Uint8Array([1, 2, 3].flatMap((n) => Array(16).fill(n * 17))))}-3"` };
    };
    await u.run();
    expect([u.state, u.error, by.asked.slice(-3)]).toEqual(['done', '', ['complete', 'complete', 'head']]);
  });

  it('is not done where another object has the name', async () => {
    const by = new Fake();
    by.partTag = (n) => String(n).repeat(32);
    by.fails = (w) => (w.operation === 'complete' ? 404 : 0);
    const u = upload(by, 40 * MiB);
    for (const object of [{ etag: '"0123456789abcdef0123456789abcdef-3"' }, { etag: '"e0"' }]) {
      by.object = undefined;
      by.completing = () => {
        by.object = object;
      };
      await u.run();
      expect(u.state).toBe('stopped');
    }
  });

  it('keeps its parts where it can not be seen whether it is done', async () => {
    const by = new Fake();
    const u = upload(by, 40 * MiB);
    by.fails = (w) => (w.operation === 'complete' ? 404 : 0);
    by.completing = () => {
      by.fails = (w) => (w.operation === 'head' ? -1 : 404);
    };
    await u.run();
    expect([u.state, u.error]).toEqual(['stopped', 'away']);
    by.asked = [];
    by.completing = () => {};
    by.fails = () => 0;
    await u.run();
    expect([u.state, by.asked]).toEqual(['done', ['complete']]);
  });

  it('of a small file is done where the answer was lost and the object is there', async () => {
    const by = new Fake();
    by.fails = (w) => (w.operation === 'put' ? -1 : 0);
    const u = upload(by, 5);
    await u.run();
    expect(u.state).toBe('stopped');
    by.object = { etag: `"${md5(new Uint8Array(5))}"` };
    await u.run();
    expect([u.state, u.error]).toEqual(['done', '']);
  });

  it('that is given up leaves nothing', async () => {
    const by = new Fake();
    by.fails = (w) => (w.part ? 403 : 0);
    const u = upload(by, 40 * MiB);
    await u.run();
    await u.abort();
    expect([u.state, by.asked.at(-1)]).toEqual(['gone', 'abort']);
  });
});

describe('uploads', () => {
  /** A storage that answers PUT when it is told to. */
  class Slow extends Fake {
    most = 0;
    private under = 0;
    readonly waiting: (() => void)[] = [];
    override async send(signed: Signed, sending: Sending) {
      if ((JSON.parse(signed.url) as Wanted).operation === 'put') {
        this.most = Math.max(this.most, ++this.under);
        await new Promise<void>((done) => {
          this.waiting.push(done);
          sending.signal?.addEventListener('abort', () => done());
        });
        this.under--;
      }
      return super.send(signed, sending);
    }
    answer() {
      for (const done of this.waiting.splice(0)) done();
    }
  }
  const file = (key: string) => ({ key, file: new Blob(['x']) });
  const states = (all: Uploads) => all.snapshot().map((u) => u.state);

  it('go two at a time, also those that go on', async () => {
    const by = new Slow();
    const all = new Uploads(by);
    all.add('b', ['a', 'b', 'c', 'd'].map(file));
    await vi.waitFor(() => expect(by.waiting).toHaveLength(2));
    for (const u of all.snapshot().slice(0, 2)) u.hold();
    await vi.waitFor(() => expect(states(all)).toEqual(['stopped', 'stopped', 'running', 'running']));
    for (const u of all.snapshot().slice(0, 2)) u.again();
    await new Promise((r) => setTimeout(r, 300));
    expect([states(all), by.most]).toEqual([['waiting', 'waiting', 'running', 'running'], 2]);
    by.answer();
    await vi.waitFor(() => expect(states(all)).toEqual(['running', 'running', 'done', 'done']));
    by.answer();
    await vi.waitFor(() => expect(states(all)).toEqual(['done', 'done', 'done', 'done']));
    expect(by.most).toBe(2);
  });

  it('do not overwrite each other', async () => {
    const by = new Slow();
    const all = new Uploads(by);
    all.add('b', [file('a'), file('a')]);
    all.add('other', [file('a')]);
    await vi.waitFor(() => expect(states(all)).toEqual(['running', 'stopped', 'running']));
    const second = all.snapshot()[1];
    expect(second.error).toBe('Another upload here goes to this name: let it be done, or abort it');
    second.again();
    await vi.waitFor(() => expect(second.state).toBe('stopped'));
    expect(by.asked.filter((a) => a === 'head')).toHaveLength(2);
    await vi.waitFor(() => expect(by.waiting).toHaveLength(2));
    by.answer();
    await vi.waitFor(() => expect(states(all)).toEqual(['done', 'stopped', 'done']));
    by.there = true;
    second.again();
    await vi.waitFor(() => expect(second.state).toBe('exists'));
  });

  it('keep their turn where another of their name goes on', async () => {
    const by = new Slow();
    const all = new Uploads(by);
    all.add('b', ['x', 'y', 'a', 'a'].map(file));
    await vi.waitFor(() => expect(states(all)).toEqual(['running', 'running', 'waiting', 'stopped']));
    const [, , first, second] = all.snapshot();
    second.again();
    await vi.waitFor(() => expect([first.state, second.state]).toEqual(['waiting', 'stopped']));
    first.abort();
    await vi.waitFor(() => expect(states(all)).toEqual(['running', 'running', 'stopped']));
    all.add('b', [file('a')]); // has the name by now
    const third = all.snapshot()[3];
    second.again();
    await vi.waitFor(() => expect([second.state, third.state]).toEqual(['stopped', 'waiting']));
  });

  it('do so neither where the one is stopped and the other goes on', async () => {
    const by = new Slow();
    const all = new Uploads(by);
    all.add('b', [file('a'), file('a')]);
    await vi.waitFor(() => expect(by.waiting).toHaveLength(1));
    const [first, second] = all.snapshot();
    first.hold();
    await vi.waitFor(() => expect(first.error).toBe('Stopped'));
    second.again();
    await new Promise((r) => setTimeout(r, 300));
    expect([second.state, second.error]).toEqual(['stopped', 'Another upload here goes to this name: let it be done, or abort it']);
    first.abort();
    await vi.waitFor(() => expect(all.snapshot()).toEqual([second]));
    second.again();
    await vi.waitFor(() => expect(second.state).toBe('running'));
  });
});

describe('deleting several', () => {
  it('goes on where one fails, and says which', async () => {
    let now = 0;
    let most = 0;
    const result = await removeAll('b', ['a', 'b', 'c', 'd', 'e', 'f', 'g'], async (key) => {
      most = Math.max(most, ++now);
      await new Promise((r) => setTimeout(r, 1));
      now--;
      if (key === 'c') throw new S3Error(403, 'AccessDenied', 'Not this one');
    });
    expect(result.done.sort()).toEqual(['a', 'b', 'd', 'e', 'f', 'g']);
    expect(most).toBeLessThanOrEqual(4);
    expect(deletedText(result)).toBe('6 objects are deleted, 1 object is not: c: Not this one');
    expect(deletedText({ done: ['a'], failed: [] })).toBe('1 object is deleted');
  });
  it('is an error where none could be', async () => {
    await expect(removeAll('b', ['a'], () => Promise.reject(new Error('away')))).rejects.toThrow('away');
  });
});
