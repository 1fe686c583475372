import { useQuery } from '@tanstack/react-query';
import { type ReactNode, useEffect, useId, useRef, useState } from 'react';
import { api, type Schemas, told } from '../api/client';
import { bytes, count, counted } from '../format';
import { AsText } from '../ui/AsText';
import { Table } from '../ui/kit';
import { AllowedBriefly } from './Allowed';
import { type Document, type FieldErrors, Planned } from './Plan';
import * as q from './queries';
import { TestConnection } from './TestConnection';

export type Kind = 'zone' | 'cluster' | 'policy' | 'bucket';

const plural = { zone: 'zones', cluster: 'clusters', policy: 'policies', bucket: 'buckets' } as const;

// biome-ignore lint/suspicious/noExplicitAny: items of four kinds, which the server checks
type Draft = Record<string, any>;

const blank: Record<Kind, Draft> = {
  zone: { name: '' },
  cluster: { name: '', zones: [], storage: { endpoint: '' } },
  policy: { name: '', copies: 1 },
  bucket: { name: '' },
};

/** An item as a document has it: without what only the server says, and without what is empty. */
export function clean(draft: Draft): Draft {
  const { origin: _, status: __, ...item } = draft;
  const bare = (v: unknown): unknown => {
    if (Array.isArray(v)) return v.length ? v.map(bare) : undefined;
    if (v === '' || v === null || v === false) return undefined;
    if (typeof v !== 'object') return v;
    const entries = Object.entries(v as object).map(([k, x]) => [k, bare(x)] as const);
    return Object.fromEntries(entries.filter(([, x]) => x !== undefined));
  };
  return { name: '', ...(bare(item) as Draft) };
}

/** What JSON says of an item, or why it says none. */
export function itemOf(text: string, name?: string): Draft | string {
  let item: unknown;
  try {
    item = JSON.parse(text);
  } catch (error) {
    return `It is no JSON: ${(error as Error).message}`;
  }
  if (typeof item !== 'object' || item === null || Array.isArray(item)) return 'An item is an object with its fields';
  if (typeof (item as Draft).name !== 'string') return 'An item has a name';
  if (name !== undefined && (item as Draft).name !== name) return `The name stays ${name}`;
  return item;
}

/** The item as JSON beside its fields: what is written in one is in the other. */
function Json({ item, name, onChange }: { item: Draft; name?: string; onChange: (item: Draft) => void }) {
  const [text, setText] = useState<string>();
  const id = useId();
  const box = useRef<HTMLTextAreaElement>(null);
  const shown = text ?? JSON.stringify(item, null, 2);
  const read = text === undefined ? item : itemOf(text, name);
  const error = typeof read === 'string' ? read : '';
  // What can't be read is not previewed.
  useEffect(() => box.current?.setCustomValidity(error), [error]);
  return (
    <div className="field json">
      <label htmlFor={id}>As JSON</label>
      <textarea
        ref={box}
        id={id}
        value={shown}
        spellCheck={false}
        aria-invalid={error ? true : undefined}
        aria-describedby={error ? `${id}-error` : undefined}
        onChange={(e) => {
          setText(e.target.value);
          const of = itemOf(e.target.value, name);
          if (typeof of !== 'string') onChange(of);
        }}
        onBlur={() => !error && setText(undefined)}
      />
      {error && (
        <span id={`${id}-error`} className="field-error">
          {error}
        </span>
      )}
    </div>
  );
}

const only = (kind: Kind, item: Draft): Document => ({ fado: 1, [plural[kind]]: [item] });

/** The ETag that an item has now. */
async function tagOf(path: '/fado/buckets/{name}' | '/fado/clusters/{name}', name: string): Promise<string> {
  const got = await api.GET(path, { params: { path: { name }, query: { status: 'false' } } });
  await told<unknown>(Promise.resolve(got));
  return got.response.headers.get('ETag') ?? '*';
}

/** The fields in which an item is another one than it was. */
function changed(was: Draft, is: Draft): string[] {
  const [a, b] = [clean(was), clean(is)] as Draft[];
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((k) => JSON.stringify(a[k]) !== JSON.stringify(b[k]));
}

/** What has become of an item since its form was opened. */
function Since({ was, is, onTake }: { was: Draft; is: Draft | undefined; onTake: () => void }) {
  const fields = is && changed(was, is);
  if (fields?.length === 0) return null;
  return (
    <div className="alert" role="alert">
      <span>
        {fields
          ? `${was.name} has changed since this was opened: ${fields.join(', ')}. Applying this takes that back.`
          : `${was.name} was deleted since this was opened. Applying this makes it again.`}
      </span>
      {fields && (
        <button type="button" className="button" onClick={onTake}>
          Take the new one
        </button>
      )}
    </div>
  );
}

/** Makes an item, or changes it: as it was when the form was opened, and as it is now. */
export default function Edit({ kind, item, latest, onClose }: { kind: Kind; item?: object; latest?: object; onClose: () => void }) {
  const [draft, setDraft] = useState<Draft>(() => (item ? structuredClone(item) : blank[kind]));
  const [was, setWas] = useState<Draft | undefined>(item);
  const set = (change: Draft) => setDraft((d) => ({ ...d, ...change }));
  // What is written as JSON makes the fields again.
  const [written, setWritten] = useState(0);
  const write = (of: Draft) => {
    setDraft(of);
    setWritten((n) => n + 1);
  };
  const take = () => {
    write(structuredClone(latest) as Draft);
    setWas(latest);
  };
  const Fields = { zone: ZoneFields, cluster: ClusterFields, policy: PolicyFields, bucket: BucketFields }[kind];
  const now = clean(draft);
  return (
    <Planned
      title={item ? `Edit ${draft.name}` : `New ${kind}`}
      doc={only(kind, now)}
      ask={item ? 'Preview' : 'Review'}
      verb={(n) => (item ? `Apply ${counted(n, 'change')}` : 'Create')}
      done={`${draft.name} is ${item ? 'changed' : 'made'}`}
      onClose={onClose}
    >
      {(errors) => (
        <>
          {was && <Since was={was} is={latest} onTake={take} />}
          <div className="beside">
            <div key={written} className="stack">
              <Text label="Name" field="name" value={draft.name} errors={errors} fixed={item !== undefined} onChange={(name) => set({ name })} />
              <Fields draft={draft} set={set} errors={errors} />
            </div>
            <Json item={now} name={item && draft.name} onChange={write} />
          </div>
          {kind === 'cluster' && <TestConnection of={now} />}
          {kind === 'policy' && <AllowedBriefly of={now} />}
          <AsText kind={kind} item={now as { name: string }} json={false} />
        </>
      )}
    </Planned>
  );
}

/** Removes an item that nothing refers to. */
export function Remove({ kind, name, onClose, onDone }: { kind: Kind; name: string; onClose: () => void; onDone?: () => void }) {
  if (kind === 'bucket') return <Forget name={name} onClose={onClose} onDone={onDone} />;
  return (
    <Planned
      title={`Delete ${name}`}
      doc={{ fado: 1, delete: { [plural[kind]]: [name] } }}
      verb={() => 'Delete'}
      done={`${name} is deleted`}
      typed={kind === 'cluster' ? name : undefined}
      danger
      onClose={onClose}
      onDone={onDone}
    />
  );
}

type Purge = 'copies' | 'all';

const fates: Record<'none' | Purge, [string, string]> = {
  none: ['Keep all data', 'FaDO forgets the bucket. All data stays where it is, copies too.'],
  copies: ['Remove the copies', 'FaDO forgets the bucket, and removes its data everywhere but at the primary.'],
  all: ['Remove all data', 'FaDO forgets the bucket, and removes its data everywhere. It can not be brought back.'],
};

/** Forgets a bucket, and removes as much of its data as people say. */
function Forget({ name, onClose, onDone }: { name: string; onClose: () => void; onDone?: () => void }) {
  const [fate, setFate] = useState<'none' | Purge>('none');
  const query = fate === 'none' ? undefined : { purge: fate };
  return (
    <Planned
      title={`Forget ${name}`}
      doc={{ fado: 1, delete: { buckets: [name] } }}
      verb={() => (fate === 'none' ? 'Forget' : fate === 'all' ? 'Forget, and remove all data' : 'Forget, and remove the copies')}
      done={`${name} is forgotten; ${fate === 'none' ? 'its data stays' : 'its data is being removed'}`}
      typed={fate === 'none' ? undefined : name}
      danger
      fate={fate !== 'none' && <Purged name={name} purge={fate} />}
      act={query && ((tag) => told(api.DELETE('/fado/buckets/{name}', { params: { path: { name }, query, header: { 'If-Match': tag } } })))}
      tag={() => tagOf('/fado/buckets/{name}', name)}
      curl={query && { method: 'DELETE', path: `/fado/buckets/${name}?purge=${fate}` }}
      onClose={onClose}
      onDone={onDone}
    >
      {() => (
        <fieldset className="rows">
          <legend>Its data</legend>
          {(Object.keys(fates) as (keyof typeof fates)[]).map((f) => (
            <label key={f} className="check">
              <input type="radio" name="fate" checked={fate === f} onChange={() => setFate(f)} />
              <span>
                {fates[f][0]} <span className="quiet">{fates[f][1]}</span>
              </span>
            </label>
          ))}
        </fieldset>
      )}
    </Planned>
  );
}

/** What of a bucket is removed with it: the objects, their bytes, and the clusters they are in. */
function Purged({ name, purge }: { name: string; purge: Purge }) {
  const bucket = useQuery(q.bucket(name));
  const st = bucket.data?.status;
  const copies = st?.copies.filter((c) => purge === 'all' || c.cluster !== st.primary) ?? [];
  const sum = (of: 'objects' | 'bytes') => copies.reduce((n, c) => n + c[of], 0);
  const size = `${counted(sum('objects'), 'object')}, ${bytes(sum('bytes'))} in ${counted(copies.length, 'cluster')}`;
  return (
    <>
      <p>
        {purge === 'all' ? `All data of ${name} is removed, in every cluster` : `The data of ${name} is removed in every cluster but that of its primary`}
        {st ? `: ${size}, as of the last comparison.` : '. How much that is is not known.'}
      </p>
      {copies.length > 0 && (
        <Table label="What is removed" head={['Cluster', 'Objects', 'Bytes']}>
          {copies.map((c) => (
            <tr key={c.cluster}>
              <th scope="row">
                {c.cluster}
                {c.cluster === st?.primary && ', the primary'}
              </th>
              <td className="num">{count(c.objects)}</td>
              <td className="num">{bytes(c.bytes)}</td>
            </tr>
          ))}
        </Table>
      )}
    </>
  );
}

/** Has a bucket written in another cluster. */
export function Move({ bucket, onClose }: { bucket: Schemas['Bucket']; onClose: () => void }) {
  const clusters = useQuery(q.clusters);
  const now = bucket.status?.primary ?? '';
  const [to, setTo] = useState('');
  const [waits, setWaits] = useState(false);
  const storages = clusters.data?.filter((c) => c.storage && c.name !== now).map((c) => c.name) ?? [];
  return (
    <Planned
      title={`Move the primary of ${bucket.name}`}
      doc={only('bucket', to ? clean({ ...bucket, primary: to, promote: waits ? 'manual' : undefined }) : clean(bucket))}
      ask="Preview"
      verb={(n) => (waits ? 'Prepare the move' : `Apply ${counted(n, 'change')}`)}
      done={waits ? `The move of ${bucket.name} to ${to} is being prepared` : `${bucket.name} moves to ${to}`}
      onClose={onClose}
    >
      {(errors) => (
        <>
          <p>
            It is written in {now || 'no cluster yet'}. Its objects are copied first; then the roles are swapped, and writers have to write in the other
            cluster.
          </p>
          <Choice label="To" field="primary" value={to} none="choose a cluster" of={storages} errors={errors} onChange={(v) => setTo(v ?? '')} />
          <label className="check">
            <input type="checkbox" checked={waits} onChange={(e) => setWaits(e.target.checked)} />
            <span>
              Wait for me <span className="quiet">the copy is prepared; the roles are swapped when you say so on the bucket's page</span>
            </span>
          </label>
        </>
      )}
    </Planned>
  );
}

/** Empties a cluster, or lets it take copies again. */
export function Drain({ cluster, on, onClose }: { cluster: Schemas['Cluster']; on: boolean; onClose: () => void }) {
  const { name } = cluster;
  return (
    <Planned
      title={on ? `Drain ${name}` : `Undo the drain of ${name}`}
      doc={only('cluster', clean({ ...cluster, drain: on }))}
      verb={() => (on ? 'Drain' : 'Undo drain')}
      done={on ? `${name} is draining` : `${name} takes copies again`}
      // The one change of a cluster that operators may make.
      act={(tag) => told(api.PATCH('/fado/clusters/{name}', { params: { path: { name }, header: { 'If-Match': tag } }, body: { drain: on } as never }))}
      tag={() => tagOf('/fado/clusters/{name}', name)}
      onClose={onClose}
    >
      {() => (
        <p>
          {on
            ? "No new copies are placed here, and no new invocations are sent here. Copies move to other clusters that their policies allow; what can't move stays, and says why."
            : 'Copies and invocations may come here again.'}
        </p>
      )}
    </Planned>
  );
}

interface Part {
  draft: Draft;
  set: (change: Draft) => void;
  errors: FieldErrors;
}

function ZoneFields({ draft, set, errors }: Part) {
  const zones = useQuery(q.zones);
  const others = zones.data?.map((z) => z.name).filter((z) => z !== draft.name) ?? [];
  return <Choice label="Lies in" field="parent" value={draft.parent} none="no other zone" of={others} errors={errors} onChange={(parent) => set({ parent })} />;
}

function BucketFields({ draft, set, errors }: Part) {
  const policies = useQuery(q.policies);
  const clusters = useQuery(q.clusters);
  const names = policies.data?.map((p) => p.name) ?? [];
  const storages = clusters.data?.filter((c) => c.storage).map((c) => c.name) ?? [];
  const rules: { prefix: string; policy: string }[] = draft.prefixes ?? [];
  const setRule = (i: number, change: object) => set({ prefixes: rules.map((r, n) => (n === i ? { ...r, ...change } : r)) });
  return (
    <>
      <Choice label="Policy" field="policy" value={draft.policy} none="the default policy" of={names} errors={errors} onChange={(policy) => set({ policy })} />
      <Choice
        label="Primary"
        field="primary"
        value={draft.primary}
        none="where it exists already, else by placement"
        of={storages}
        errors={errors}
        onChange={(primary) => set({ primary })}
      />
      <fieldset className="rows">
        <legend>Other policies for prefixes</legend>
        {rules.map((r, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: rules have no other name while they are typed
          <div key={i} className="tools">
            <input aria-label={`Prefix ${i + 1}`} value={r.prefix} placeholder="raw/" onChange={(e) => setRule(i, { prefix: e.target.value })} />
            <select aria-label={`Policy of prefix ${i + 1}`} value={r.policy} onChange={(e) => setRule(i, { policy: e.target.value })}>
              {names.map((n) => (
                <option key={n}>{n}</option>
              ))}
            </select>
            <button type="button" className="button" onClick={() => set({ prefixes: rules.filter((_, n) => n !== i) })}>
              Remove<span className="sr-only"> prefix {i + 1}</span>
            </button>
          </div>
        ))}
        <button type="button" className="button" onClick={() => set({ prefixes: [...rules, { prefix: '', policy: names[0] ?? 'default' }] })}>
          Add a prefix
        </button>
      </fieldset>
    </>
  );
}

function PolicyFields({ draft, set, errors }: Part) {
  const zones = useQuery(q.zones);
  const clusters = useQuery(q.clusters);
  const zoneNames = zones.data?.map((z) => z.name) ?? [];
  const clusterNames = clusters.data?.map((c) => c.name) ?? [];
  return (
    <>
      <Text
        label="Copies"
        field="copies"
        value={String(draft.copies ?? 1)}
        hint="a number, the primary counted, or all"
        errors={errors}
        onChange={(t) => set({ copies: /^\d+$/.test(t.trim()) ? Number(t) : t.trim() })}
      />
      <Several legend="Zones" note="none: any" of={zoneNames} value={draft.zones} onChange={(v) => set({ zones: v })} />
      <Several legend="Not in zones" of={zoneNames} value={draft.exclude_zones} onChange={(v) => set({ exclude_zones: v })} />
      <Several legend="Only clusters" note="none: any" of={clusterNames} value={draft.clusters} onChange={(v) => set({ clusters: v })} />
      <List label="Prefer" field="prefer" value={draft.prefer} hint="clusters, in this order" errors={errors} onChange={(prefer) => set({ prefer })} />
      <div className="filters">
        <Choice label="Spread over" field="spread" value={draft.spread} none="zones" of={['cluster']} errors={errors} onChange={(spread) => set({ spread })} />
        <Choice label="Writes" field="writes" value={draft.writes} none="primary" of={['anywhere']} errors={errors} onChange={(writes) => set({ writes })} />
        <Choice label="Primary" field="primary" value={draft.primary} none="follows" of={['fixed']} errors={errors} onChange={(primary) => set({ primary })} />
        <Choice
          label="On a miss"
          field="on_miss"
          value={draft.on_miss}
          none="remote"
          of={['reject', 'pull']}
          errors={errors}
          onChange={(m) => set({ on_miss: m })}
        />
        <Text
          label="Stale at most"
          field="max_staleness"
          value={draft.max_staleness}
          hint="such as 10m"
          errors={errors}
          onChange={(m) => set({ max_staleness: m })}
        />
      </div>
    </>
  );
}

function ClusterFields({ draft, set, errors }: Part) {
  const storage: Draft = draft.storage ?? {};
  const functions: Draft[] = draft.functions ?? [];
  const setStorage = (change: Draft) => set({ storage: { ...storage, ...change } });
  const setFunction = (i: number, change: Draft) => set({ functions: functions.map((f, n) => (n === i ? { ...f, ...change } : f)) });
  const part = { errors: { ...errors, endpoint: errors.endpoint ?? errors.storage } };
  return (
    <>
      <List label="Zones" field="zones" value={draft.zones} hint="the first is its failure domain" errors={errors} onChange={(zones) => set({ zones })} />
      <fieldset className="rows">
        <legend>Storage</legend>
        <Text
          label="Endpoint"
          field="endpoint"
          value={storage.endpoint}
          hint="https://s3.example.org"
          {...part}
          onChange={(v) => setStorage({ endpoint: v })}
        />
        <div className="filters">
          <Text label="Access key" field="access_key" value={storage.access_key} {...part} onChange={(v) => setStorage({ access_key: v })} />
          <Text label="Secret key" field="secret_key" secret value={storage.secret_key} {...part} onChange={(v) => setStorage({ secret_key: v })} />
          <Text label="Region" field="region" value={storage.region} {...part} onChange={(v) => setStorage({ region: v })} />
          <Text label="Bucket prefix" field="bucket_prefix" value={storage.bucket_prefix} {...part} onChange={(v) => setStorage({ bucket_prefix: v })} />
          <Text label="Capacity" field="capacity" value={storage.capacity} hint="2TB" {...part} onChange={(v) => setStorage({ capacity: v })} />
        </div>
      </fieldset>
      <fieldset className="rows">
        <legend>Functions</legend>
        {functions.map((f, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: endpoints have no other name while they are typed
          <div key={i} className="tools">
            <input
              aria-label={`URL of function ${i + 1}`}
              value={f.url}
              placeholder="https://gateway.example.org"
              onChange={(e) => setFunction(i, { url: e.target.value })}
            />
            <input
              aria-label={`Health path of function ${i + 1}`}
              value={f.health_path ?? ''}
              placeholder="/healthz"
              onChange={(e) => setFunction(i, { health_path: e.target.value })}
            />
            <button type="button" className="button" onClick={() => set({ functions: functions.filter((_, n) => n !== i) })}>
              Remove<span className="sr-only"> function {i + 1}</span>
            </button>
          </div>
        ))}
        <button type="button" className="button" onClick={() => set({ functions: [...functions, { url: '' }] })}>
          Add a function
        </button>
      </fieldset>
    </>
  );
}

interface Input<T> {
  label: string;
  field: string;
  value: T | undefined;
  errors: FieldErrors;
  onChange: (value: T) => void;
}

/** A field with its label, and what the server said of it. */
function Field({ label, field, errors, children }: Omit<Input<never>, 'value' | 'onChange'> & { children: (props: object) => ReactNode }) {
  const id = useId();
  const error = errors[field];
  return (
    <div className="field grow">
      <label htmlFor={id}>{label}</label>
      {children({ id, 'aria-invalid': error ? true : undefined, 'aria-describedby': error ? `${id}-error` : undefined })}
      {error && (
        <span id={`${id}-error`} className="field-error">
          {error}
        </span>
      )}
    </div>
  );
}

function Text({ hint, fixed, secret, value, onChange, ...of }: Input<string> & { hint?: string; fixed?: boolean; secret?: boolean }) {
  return (
    <Field {...of}>
      {(props) => (
        <input
          {...props}
          type={secret ? 'password' : 'text'}
          value={value ?? ''}
          placeholder={hint}
          readOnly={fixed}
          autoComplete="off"
          spellCheck={false}
          onChange={(e) => onChange(e.target.value)}
        />
      )}
    </Field>
  );
}

/** Names with commas between them; their order counts. */
function List({ value = [], onChange, ...of }: Input<string[]> & { hint?: string }) {
  const [text, setText] = useState(value.join(', '));
  const take = (t: string) => {
    setText(t);
    onChange(t.split(/[\s,]+/).filter(Boolean));
  };
  return <Text {...of} value={text} onChange={take} />;
}

function Choice({ none, of: values, value, onChange, ...of }: Input<string | undefined> & { none: string; of: string[] }) {
  const all = value && !values.includes(value) && value !== none ? [value, ...values] : values;
  return (
    <Field {...of}>
      {(props) => (
        <select {...props} value={value && all.includes(value) ? value : ''} onChange={(e) => onChange(e.target.value || undefined)}>
          <option value="">{none}</option>
          {all.map((v) => (
            <option key={v}>{v}</option>
          ))}
        </select>
      )}
    </Field>
  );
}

function Several({
  legend,
  note,
  of,
  value = [],
  onChange,
}: {
  legend: string;
  note?: string;
  of: string[];
  value?: string[];
  onChange: (v: string[]) => void;
}) {
  return (
    <fieldset className="facets">
      <legend>
        {legend} {note && <span className="quiet">({note})</span>}
      </legend>
      {of.map((name) => (
        <label key={name} className={`facet ${value.includes(name) ? 'on' : ''}`}>
          <input
            type="checkbox"
            checked={value.includes(name)}
            onChange={(e) => onChange(e.target.checked ? [...value, name] : value.filter((v) => v !== name))}
          />
          {name}
        </label>
      ))}
    </fieldset>
  );
}
