import { Dialog } from '@base-ui/react/dialog';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useId, useState } from 'react';
import type { Bucket, Schemas, Session } from '../api/client';
import { bytes } from '../format';
import { kindOf, maxImage, maxText } from '../objects/preview';
import { ask, download, S3Error, type Signed, sign, tagsOf, type Version, versionsOf } from '../objects/wire';
import { Action, Ago, Confirm, CopyCurl, Facts, Loaded, Table, useDo, useSession, When } from '../ui/kit';

type Listed = Schemas['ListedObject'];

export const mayRead = (s: Session) => s.s3 !== '' && s.data !== 'none';
export const mayWrite = (s: Session) => s.s3 !== '' && s.data === 'write';

/** The copies that have not what the primary has of an object. */
export const behindIn = (b: Bucket, clusters: string[]) => (b.status?.copies ?? []).filter((c) => !clusters.includes(c.cluster) && c.state !== 'removing');

/** Where an object is behind, and why, as far as the copy tells. */
export const whyBehind = (c: { cluster: string; error: string; state: string }) =>
  c.error ? `${c.cluster}: ${c.error}` : c.state !== 'synced' ? `${c.cluster}: ${c.state}` : `${c.cluster}: not known to have it`;

/** One object: what is known of it, its versions and its content, as far as the role may. */
export function ObjectDialog({ b, name, listed, onClose }: { b: Bucket; name: string; listed?: Listed; onClose: () => void }) {
  const session = useSession();
  const reads = mayRead(session);
  return (
    <Dialog.Root open onOpenChange={(o) => !o && onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className="dialog wide object">
          <Dialog.Title className="key">{name}</Dialog.Title>
          {listed && (
            <Facts
              of={[
                ['Size', bytes(listed.size)],
                ['Modified', <Ago key="m" time={listed.last_modified} />],
                ['Current in', listed.clusters.join(', ') || 'not known to be current anywhere'],
                ['Behind in', behindIn(b, listed.clusters).map(whyBehind).join('; ') || 'no copy'],
                ['ETag', <code key="e">{listed.etag}</code>],
              ]}
            />
          )}
          {reads ? (
            <>
              <Head bucket={b.name} name={name} etag={listed?.etag} />
              <Versions bucket={b.name} name={name} etag={listed?.etag} />
            </>
          ) : (
            <p className="quiet">
              {session.s3
                ? `Reading objects needs the right to read, which the role ${session.role} has not.`
                : 'The S3 endpoint is not configured: add fado_s3, and objects can be read here.'}
            </p>
          )}
          <footer>
            <CopyCurl path={`/fado/buckets/${b.name}/objects?${new URLSearchParams({ prefix: name, limit: '1' })}`} />
            {mayWrite(session) && <Delete b={b} name={name} onDone={onClose} />}
            {reads && <DownloadButton bucket={b.name} name={name} />}
            <Dialog.Close className="button">Close</Dialog.Close>
          </footer>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function DownloadButton({ bucket, name }: { bucket: string; name: string }) {
  const get = useDo(() => download(bucket, name), 'The download begins');
  return (
    <Action kind="primary" least="viewer" label={`Download ${name}`} onClick={() => get.mutate(undefined)}>
      Download
    </Action>
  );
}

/**
 * What is read of an object by a URL that is signed for it: each is on record, so it is read again when the
 * object is another one, not whenever something happens to its bucket.
 */
const of = ({ bucket, name, etag }: Of, what: string) => ['object', bucket, name, what, etag];

/** What is not there stays so; a storage that is busy may answer in a moment, and no change of the bucket has it asked again. */
const again = (n: number, error: Error) => n < 2 && !(error instanceof S3Error && error.status > 0 && error.status < 500);

interface Of {
  bucket: string;
  name: string;
  /** As it is listed; undefined where it is not. */
  etag?: string;
}

/** What the S3 endpoint says of the object, its content, and a link to it. */
function Head(object: Of) {
  const { bucket, name } = object;
  const head = useQuery({
    queryKey: of(object, 'head'),
    queryFn: async ({ signal }) => {
      const { headers } = await ask({ bucket, key: name, operation: 'head' }, { signal });
      const tags = await ask({ bucket, key: name, operation: 'tags' }, { signal }).then(
        async (r) => tagsOf(await r.text()),
        () => undefined, // a storage without tags
      );
      return { headers: [...headers], type: headers.get('Content-Type') ?? '', size: Number(headers.get('Content-Length')), tags };
    },
    retry: again,
  });
  return (
    <Loaded of={head} rows={3}>
      {(h) => (
        <>
          <Preview {...object} type={h.type} size={h.size} />
          <details>
            <summary>Headers and tags</summary>
            <Facts
              of={[
                ...h.headers.filter(([n]) => !/^(date|server|vary|access-control-.*|accept-ranges)$/.test(n)),
                ...(h.tags ?? []).map(([k, v]) => [`tag ${k}`, v] as [string, string]),
              ]}
            />
          </details>
          <MakeLink bucket={bucket} name={name} />
        </>
      )}
    </Loaded>
  );
}

/** Content as text or as an image: nothing of it runs, whatever it is. */
function Preview({ type, size, ...object }: Of & { type: string; size: number }) {
  const kind = kindOf(type, object.name);
  if (kind.as === 'none') return <p className="quiet">No preview of {type || 'what has no type'}: download it.</p>;
  if (kind.as === 'image' && size > maxImage) return <p className="quiet">No preview of an image of {bytes(size)}: download it.</p>;
  return kind.as === 'text' ? <TextOf {...object} size={size} /> : <ImageOf {...object} type={kind.type} />;
}

function TextOf({ size, ...object }: Of & { size: number }) {
  const { bucket, name } = object;
  const text = useQuery({
    queryKey: of(object, 'text'),
    queryFn: async ({ signal }) => {
      const r = await ask({ bucket, key: name, operation: 'get' }, { signal, headers: { Range: `bytes=0-${maxText - 1}` } });
      return r.status === 416 ? '' : new TextDecoder().decode((await r.arrayBuffer()).slice(0, maxText));
    },
    retry: again,
  });
  return (
    <Loaded of={text} rows={4}>
      {(t) => (
        <figure className="preview">
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by the keyboard */}
          <section className="source" aria-label={`Content of ${name}`} tabIndex={0}>
            <pre>{t}</pre>
          </section>
          {size > maxText && <figcaption className="quiet">The first {bytes(maxText)}</figcaption>}
        </figure>
      )}
    </Loaded>
  );
}

function ImageOf({ type, ...object }: Of & { type: string }) {
  const { bucket, name } = object;
  const [url, setURL] = useState('');
  const image = useQuery({
    queryKey: of(object, 'image'),
    queryFn: async ({ signal }) => {
      const r = await ask({ bucket, key: name, operation: 'get' }, { signal });
      return new Blob([await r.arrayBuffer()], { type });
    },
    retry: again,
  });
  useEffect(() => {
    if (!image.data) return;
    const made = URL.createObjectURL(image.data);
    setURL(made);
    return () => URL.revokeObjectURL(made);
  }, [image.data]);
  return (
    <Loaded of={image} rows={4}>
      {() => <figure className="preview">{url && <img src={url} alt={name} />}</figure>}
    </Loaded>
  );
}

const spans = [
  [60, '1 minute'],
  [300, '5 minutes'],
  [900, '15 minutes'],
] as const;

/** A link by which anyone may read the object for a while. */
function MakeLink({ bucket, name }: { bucket: string; name: string }) {
  const id = useId();
  const [seconds, setSeconds] = useState(300);
  const [link, setLink] = useState<Signed>();
  const make = useDo(
    async () => setLink(await sign({ bucket, key: name, operation: 'get', seconds })),
    'Anyone who has the link may read the object until it expires',
  );
  return (
    <details>
      <summary>Presigned link</summary>
      <div className="stack">
        <div className="tools">
          <label htmlFor={`${id}-for`}>Expires in</label>
          <select id={`${id}-for`} className="short" value={seconds} onChange={(e) => setSeconds(Number(e.target.value))}>
            {spans.map(([s, text]) => (
              <option key={s} value={s}>
                {text}
              </option>
            ))}
          </select>
          <Action least="viewer" onClick={() => make.mutate(undefined)}>
            Make a link
          </Action>
        </div>
        {link && (
          <div className="field">
            <label htmlFor={`${id}-link`}>
              Link, good until <When time={link.expires} />
            </label>
            <input id={`${id}-link`} readOnly value={link.url} onFocus={(e) => e.target.select()} />
          </div>
        )}
      </div>
    </details>
  );
}

function Versions(object: Of) {
  const { bucket, name } = object;
  const [all, setAll] = useState(false);
  const versions = useQuery({
    queryKey: [...of(object, 'versions'), all],
    queryFn: async ({ signal }) => {
      const found: Version[] = [];
      let marker = '';
      do {
        const r = await ask({ bucket, key: name, operation: 'versions', marker }, { signal });
        const page = versionsOf(await r.text(), name);
        found.push(...page.versions);
        marker = page.marker;
      } while (all && marker && found.length < 5000);
      return { found, more: marker !== '' };
    },
    retry: again,
  });
  const get = useDo((id: string) => download(bucket, name, id), 'The download begins');
  const writes = mayWrite(useSession());
  const [asked, setAsked] = useState<Version>();
  const remove = useDo((id: string) => ask({ bucket, key: name, operation: 'delete', version: id }), 'The version is removed');
  return (
    <details>
      <summary>Versions</summary>
      <Loaded of={versions} rows={2}>
        {({ found, more }) => (
          <>
            <Table label="Versions" head={['Version', 'Written', 'Size', 'Do']}>
              {found.map((v) => (
                <tr key={v.id}>
                  <th scope="row" className="key">
                    {v.id === 'null' ? 'without a version' : v.id} {v.latest && <span className="pill">latest</span>}
                  </th>
                  <td>
                    <Ago time={v.modified} />
                  </td>
                  <td className="num">{v.deleted ? 'deleted' : bytes(v.size)}</td>
                  <td>
                    {!v.deleted && (
                      <Action kind="ghost" least="viewer" label={`Download version ${v.id}`} onClick={() => get.mutate(v.id)}>
                        Download
                      </Action>
                    )}
                    {writes && (
                      <Action
                        kind="ghost"
                        least="viewer"
                        label={v.deleted ? `Remove the delete marker ${v.id}` : `Remove version ${v.id}`}
                        onClick={() => setAsked(v)}
                      >
                        Remove
                      </Action>
                    )}
                  </td>
                </tr>
              ))}
            </Table>
            <Confirm
              open={asked !== undefined}
              title={asked?.deleted ? 'Remove a delete marker' : `Remove version ${asked?.id}`}
              action="Remove"
              danger
              onDone={() => asked && remove.mutate(asked.id)}
              onClose={() => setAsked(undefined)}
            >
              {asked?.deleted ? (
                <p>The marker is removed at the primary. If it is the latest, the version before it is the object again.</p>
              ) : (
                <p>
                  The version is gone at the primary for good{asked?.latest && ', and the one before it is the object'}. Copies keep their versions: remove it
                  there, too, where it must not be anywhere.
                </p>
              )}
            </Confirm>
            {more && (
              <button type="button" className="button" onClick={() => setAll(true)}>
                All versions
              </button>
            )}
          </>
        )}
      </Loaded>
    </details>
  );
}

function Delete({ b, name, onDone }: { b: Bucket; name: string; onDone: () => void }) {
  const [asked, setAsked] = useState(false);
  const remove = useDo(async () => {
    await ask({ bucket: b.name, key: name, operation: 'delete' });
    onDone();
  }, `${name} is deleted`);
  return (
    <>
      <Action kind="danger" least="viewer" onClick={() => setAsked(true)}>
        Delete
      </Action>
      <Confirm open={asked} title={`Delete ${name}`} action="Delete" danger onDone={() => remove.mutate(undefined)} onClose={() => setAsked(false)}>
        <p>
          The object is deleted at the primary, and then in every copy. Where the bucket keeps versions, they stay, and a marker says that it is deleted; where
          it keeps none, the object is gone.
        </p>
      </Confirm>
    </>
  );
}
