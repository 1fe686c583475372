import { Toast } from '@base-ui/react/toast';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import { Download, Eye } from 'lucide-react';
import { type ChangeEvent, type DragEvent, useEffect, useId, useRef, useState, useSyncExternalStore } from 'react';
import type { Bucket } from '../api/client';
import { bytes, counted, percent } from '../format';
import { dropped } from '../objects/dropped';
import { deletedText, type Removed, removeAll } from '../objects/remove';
import { type Upload, uploads } from '../objects/upload';
import { download } from '../objects/wire';
import { Action, Ago, Card, Confirm, CopyCurl, Empty, Loaded, Meter, Table, useDo, useSession } from '../ui/kit';
import { Pages } from '../ui/List';
import { behindIn, mayRead, mayWrite, ObjectDialog, whyBehind } from './ObjectDialog';
import * as q from './queries';

const here = getRouteApi('/buckets/$bucket');

/** The objects of a bucket: where each is current; bytes go between the browser and the S3 endpoint. */
export default function Objects({ b }: { b: Bucket }) {
  const { prefix = '', object, after = '' } = here.useSearch();
  const navigate = useNavigate({ from: '/buckets/$bucket' });
  const setAfter = (to: string) => navigate({ search: { tab: 'objects', prefix: prefix || undefined, after: to || undefined } });
  const page = useQuery(q.objects(b.name, prefix, after));
  const go = (to: string) => navigate({ search: { tab: 'objects', prefix: to || undefined } });
  const open = (key?: string) => navigate({ search: { tab: 'objects', prefix: prefix || undefined, after: after || undefined, object: key }, replace: !key });
  const listed = page.data?.objects.find((o) => o.key === object);
  const writes = mayWrite(useSession());
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is not shown is not chosen
  useEffect(() => setChosen(new Set()), [prefix, after]);
  const keys = page.data?.objects.map((o) => o.key) ?? [];
  const picked = keys.filter((k) => chosen.has(k));
  const choose = (key: string, on: boolean) => setChosen(new Set(on ? [...chosen, key] : [...chosen].filter((k) => k !== key)));
  return (
    <div className="stack">
      <Card title="Objects" flush aside={<Crumbs bucket={b.name} prefix={prefix} />}>
        <div className="object-tools">
          <GoTo prefix={prefix} onGo={go} />
          <UploadTools bucket={b.name} prefix={prefix} />
          <CopyCurl path={`/fado/buckets/${b.name}/objects?${new URLSearchParams({ prefix, delimiter: '/', after, limit: '200' })}`} />
          {writes && keys.length > 0 && (
            <DeleteChosen
              bucket={b.name}
              keys={picked}
              all={() => setChosen(picked.length < keys.length ? new Set(keys) : new Set())}
              full={picked.length === keys.length}
            />
          )}
        </div>
        <Loaded of={page} rows={8}>
          {(p) =>
            p.objects.length + p.common_prefixes.length === 0 ? (
              <Empty title="No object here">
                {prefix ? `Nothing begins with ${prefix}.` : 'Upload one, write one at the primary, or through the S3 endpoint.'}
              </Empty>
            ) : (
              <>
                <Table label="Objects" head={['Key', 'Size', 'Modified', 'Current in', 'Do']}>
                  {p.common_prefixes.map((c) => (
                    <tr key={c}>
                      <th scope="row" className="key">
                        <Link to="/buckets/$bucket" params={{ bucket: b.name }} search={{ tab: 'objects', prefix: c }}>
                          {c.slice(prefix.length)}
                        </Link>
                      </th>
                      <td />
                      <td />
                      <td />
                      <td />
                    </tr>
                  ))}
                  {p.objects.map((o) => (
                    <tr key={o.key}>
                      <th scope="row" className="key">
                        {writes && (
                          <input
                            type="checkbox"
                            className="choose"
                            aria-label={`Choose ${o.key.slice(prefix.length) || o.key}`}
                            checked={chosen.has(o.key)}
                            onChange={(e) => choose(o.key, e.target.checked)}
                          />
                        )}
                        <Link
                          to="/buckets/$bucket"
                          params={{ bucket: b.name }}
                          search={{ tab: 'objects', prefix: prefix || undefined, after: after || undefined, object: o.key }}
                        >
                          {o.key.slice(prefix.length) || o.key}
                        </Link>
                      </th>
                      <td className="num">{bytes(o.size)}</td>
                      <td>
                        <Ago time={o.last_modified} />
                      </td>
                      <td>
                        <Current b={b} clusters={o.clusters} />
                      </td>
                      <td>
                        <RowTools bucket={b.name} name={o.key} short={o.key.slice(prefix.length) || o.key} onOpen={() => open(o.key)} />
                      </td>
                    </tr>
                  ))}
                </Table>
                <Pages after={after} next={p.next} go={setAfter} />
              </>
            )
          }
        </Loaded>
      </Card>
      <UploadList bucket={b.name} />
      {object !== undefined && <ObjectDialog b={b} name={object} listed={listed} onClose={() => open(undefined)} />}
    </div>
  );
}

/** Deletes the objects that are chosen, after a question that says how many. */
function DeleteChosen({ bucket, keys, all, full }: { bucket: string; keys: string[]; all: () => void; full: boolean }) {
  const [asked, setAsked] = useState(false);
  const remove = useDo(
    (which: string[]) => removeAll(bucket, which),
    (r) => deletedText(r as Removed),
  );
  return (
    <span className="tools">
      <button type="button" className="button" aria-pressed={full} onClick={all}>
        {full ? 'Choose none' : 'Choose all shown'}
      </button>
      {keys.length > 0 && (
        <Action kind="danger" least="viewer" off={remove.isPending ? 'They are being deleted' : undefined} onClick={() => setAsked(true)}>
          Delete {counted(keys.length, 'object')}
        </Action>
      )}
      <Confirm
        open={asked}
        title={`Delete ${counted(keys.length, 'object')}`}
        action={`Delete ${counted(keys.length, 'object')}`}
        danger
        onDone={() => remove.mutate(keys)}
        onClose={() => setAsked(false)}
      >
        <p>
          They are deleted at the primary, and then in every copy. Where the bucket keeps versions, those stay, and markers say that the objects are deleted;
          where it keeps none, the objects are gone.
        </p>
        <ul className="named">
          {keys.slice(0, 10).map((k) => (
            <li key={k} className="key">
              {k}
            </li>
          ))}
          {keys.length > 10 && <li>and {counted(keys.length - 10, 'object')} more</li>}
        </ul>
      </Confirm>
    </span>
  );
}

function Crumbs({ bucket, prefix }: { bucket: string; prefix: string }) {
  const parts = prefix.split('/').slice(0, -1);
  const to = (n: number) => (n ? `${parts.slice(0, n).join('/')}/` : undefined);
  return (
    <nav className="crumbs" aria-label="Prefix">
      <Link to="/buckets/$bucket" params={{ bucket }} search={{ tab: 'objects' }}>
        {bucket}
      </Link>
      {parts.map((c, i) => (
        <Link key={to(i + 1)} to="/buckets/$bucket" params={{ bucket }} search={{ tab: 'objects', prefix: to(i + 1) }}>
          / {c}
        </Link>
      ))}
    </nav>
  );
}

/** Any prefix, also one that ends within a name: what begins with it is listed. */
function GoTo({ prefix, onGo }: { prefix: string; onGo: (prefix: string) => void }) {
  const id = useId();
  const [text, setText] = useState(prefix);
  useEffect(() => setText(prefix), [prefix]);
  return (
    <form
      className="tools"
      onSubmit={(e) => {
        e.preventDefault();
        onGo(text);
      }}
    >
      <label htmlFor={id}>Go to prefix</label>
      <input id={id} value={text} data-find onChange={(e) => setText(e.target.value)} placeholder="logs/2026-" autoComplete="off" spellCheck={false} />
      <button type="submit" className="button">
        Go
      </button>
    </form>
  );
}

/** Where an object is current, and which copies are behind, and why. */
function Current({ b, clusters }: { b: Bucket; clusters: string[] }) {
  const behind = behindIn(b, clusters);
  return (
    <>
      {clusters.length ? `current in ${clusters.join(', ')}` : <span className="quiet">not known to be current anywhere</span>}
      {behind.map((c) => (
        <p key={c.cluster} className="quiet">
          behind in {whyBehind(c)}
        </p>
      ))}
    </>
  );
}

function RowTools({ bucket, name, short, onOpen }: { bucket: string; name: string; short: string; onOpen: () => void }) {
  const session = useSession();
  const get = useDo(() => download(bucket, name), `${short} is being downloaded`);
  if (!mayRead(session)) return null;
  return (
    <span className="tools tight">
      <Action kind="ghost" label={`Preview ${short}`} least="viewer" onClick={onOpen}>
        <Eye aria-hidden="true" size={15} />
      </Action>
      <Action kind="ghost" label={`Download ${short}`} least="viewer" onClick={() => get.mutate(undefined)}>
        <Download aria-hidden="true" size={15} />
      </Action>
    </span>
  );
}

/** Files below a prefix: those of a folder keep their paths. */
function chosen(prefix: string, files: FileList | null): { key: string; file: File }[] {
  return [...(files ?? [])].map((file) => ({ key: prefix + (file.webkitRelativePath || file.name), file }));
}

function UploadTools({ bucket, prefix }: { bucket: string; prefix: string }) {
  const session = useSession();
  const id = useId();
  const folder = useRef<HTMLInputElement>(null);
  useEffect(() => folder.current?.setAttribute('webkitdirectory', ''));
  const [over, setOver] = useState(false);
  const toasts = Toast.useToastManager();
  const tell = (title: string) => toasts.add({ title, type: 'error', priority: 'high', timeout: 12_000 });
  if (!session.s3) {
    return <p className="quiet">The S3 endpoint is not configured: add fado_s3, and objects can be read and uploaded here.</p>;
  }
  if (!mayWrite(session)) {
    return (
      <Action least="viewer" off={`Needs the right to write objects, which the role ${session.role} has not`} onClick={() => {}}>
        Upload files
      </Action>
    );
  }
  const add = (files: FileList | null) => uploads.add(bucket, chosen(prefix, files));
  const take = (e: ChangeEvent<HTMLInputElement>) => {
    add(e.target.files);
    e.target.value = '';
  };
  const drag = (e: DragEvent, onto: boolean) => {
    e.preventDefault();
    setOver(onto);
  };
  const drop = async (e: DragEvent) => {
    drag(e, false);
    try {
      const { files, unread } = await dropped(e.dataTransfer);
      uploads.add(
        bucket,
        files.map(({ path, file }) => ({ key: prefix + path, file })),
      );
      if (unread.length) tell(`${counted(unread.length, 'file')} could not be read, ${unread[0]} among them`);
      else if (files.length === 0) tell('There is no file in what was dropped');
    } catch (error) {
      tell((error as Error).message);
    }
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: what is dropped here can be chosen by the buttons, too
    <div className={over ? 'tools drop over' : 'tools drop'} onDragOver={(e) => drag(e, true)} onDragLeave={(e) => drag(e, false)} onDrop={drop}>
      <label className="button file" htmlFor={`${id}-files`}>
        Upload files
        <input id={`${id}-files`} type="file" multiple onChange={take} />
      </label>
      <label className="button file" htmlFor={`${id}-folder`}>
        Upload a folder
        <input id={`${id}-folder`} ref={folder} type="file" multiple onChange={take} />
      </label>
    </div>
  );
}

const said: Record<Upload['state'], string> = {
  waiting: 'waits',
  running: '',
  exists: '',
  stopped: '',
  done: 'done',
  gone: '',
};

function UploadList({ bucket }: { bucket: string }) {
  const all = useSyncExternalStore(uploads.subscribe, uploads.snapshot).filter((u) => u.bucket === bucket);
  if (all.length === 0) return null;
  const running = all.filter((u) => u.state === 'running' || u.state === 'waiting').length;
  return (
    <Card
      title="Uploads"
      flush
      aside={
        <span className="tools">
          <span className="quiet" role="status">
            {running > 0 ? `${counted(running, 'file')} to go` : 'none is running'}
          </span>
          {all.some((u) => u.state === 'done') && (
            <button type="button" className="button small" onClick={() => uploads.clear()}>
              Clear those done
            </button>
          )}
        </span>
      }
    >
      <ul className="uploads" aria-label="Uploads">
        {all.slice(0, 200).map((u) => (
          <UploadRow key={u.id} u={u} />
        ))}
      </ul>
      {all.length > 200 && <p className="card-foot quiet">and {counted(all.length - 200, 'file')} more</p>}
    </Card>
  );
}

function UploadRow({ u }: { u: Upload }) {
  const sent = u.size ? percent(u.sent, u.size) : u.state === 'done' ? 100 : 0;
  return (
    <li>
      <span className="key">{u.key}</span>
      <Meter label={`Upload of ${u.key}`} value={sent} text={said[u.state] ? `${bytes(u.size)}, ${said[u.state]}` : `${bytes(u.sent)} of ${bytes(u.size)}`} />
      <span role={u.error ? 'alert' : undefined} className="upload-error">
        {u.error}
      </span>
      <span className="tools">
        {u.state === 'exists' && (
          <Action kind="danger" least="viewer" label={`Replace ${u.key}`} onClick={() => u.again(true)}>
            Replace
          </Action>
        )}
        {u.state === 'running' && (
          <button type="button" className="button small" aria-label={`Stop the upload of ${u.key}`} onClick={() => u.hold()}>
            Stop
          </button>
        )}
        {u.state === 'stopped' && (
          <button type="button" className="button small" aria-label={`Resume the upload of ${u.key}`} onClick={() => u.again()}>
            Resume
          </button>
        )}
        {u.state !== 'done' && (
          <button type="button" className="button small" aria-label={`Abort the upload of ${u.key}`} onClick={() => u.abort()}>
            {u.state === 'exists' ? 'Skip' : 'Abort'}
          </button>
        )}
      </span>
    </li>
  );
}
