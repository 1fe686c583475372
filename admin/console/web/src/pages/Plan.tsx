import { Dialog } from '@base-ui/react/dialog';
import { Toast } from '@base-ui/react/toast';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useEffect, useId, useRef, useState } from 'react';
import { ApiError, api, type Schemas, told } from '../api/client';
import { bytes, count, counted, span } from '../format';
import { CopyCurl, Doing, Table } from '../ui/kit';
import { withoutSecrets } from '../ui/secrets';

type Plan = Schemas['Plan'];
type Move = Schemas['BucketMove'];
export type Document = Schemas['Document'];

/** What the server said of one field of the item, such as "name". */
export type FieldErrors = Record<string, string>;

/** The violations of a document that holds one item, by its fields. */
export function fieldErrors(text: string): FieldErrors {
  const errors: FieldErrors = {};
  for (const part of text.split(/; (?=(?:zones|clusters|policies|buckets)\[0\])/)) {
    const path = /(?:zones|clusters|policies|buckets)\[0\]\.([a-z_.]+)/.exec(part)?.[1].split('.');
    const field = path?.[0] === 'storage' && path[1] ? path[1] : path?.[0];
    if (field) errors[field] = errors[field] ? `${errors[field]}; ${part}` : part;
  }
  return errors;
}

/** A move in words: "berlin → virginia", "+ paris". */
export function move(m: Move): string {
  const parts = m.primary ? [`${m.primary.from || 'nowhere'} → ${m.primary.to}`] : [];
  const add = m.add.filter((c) => c !== m.primary?.to);
  const gone = m.remove.filter((c) => c !== m.primary?.from);
  if (add.length) parts.push(`+ ${add.join(', ')}`);
  if (gone.length) parts.push(`− ${gone.join(', ')}`);
  return parts.join('; ');
}

interface Asked {
  title: string;
  doc: Document;
  /** What is asked first: the button that shows the plan. Without it the plan is shown at once. */
  ask?: string;
  /** The button that carries the plan out. */
  verb: (changes: number) => string;
  done: string;
  /** What has to be typed, where data may be given up. */
  typed?: string;
  danger?: boolean;
  /** Carries it out in another way than by applying the document, on the item as it was when the plan was made. */
  act?: (tag: string) => Promise<unknown>;
  /** The ETag of that item. */
  tag?: () => Promise<string>;
  /** What that does to data beyond the plan. */
  fate?: ReactNode;
  /** The request that does so. */
  curl?: { method: string; path: string; body?: unknown };
  children?: (errors: FieldErrors) => ReactNode;
  onClose: () => void;
  onDone?: () => void;
}

/** A plan, the document it is of, and the ETag of the item before it. */
type Shown = { plan: Plan; of: string; tag: string };

/** A change: what it would do is shown before it is done, and nothing but that is done. */
export function Planned(asked: Asked) {
  const { title, doc, ask, verb, children, onClose } = asked;
  const of = JSON.stringify(doc);
  const [shown, setShown] = useState<Shown>();
  const [typed, setTyped] = useState('');
  const id = useId();
  const region = useRef<HTMLElement>(null);
  const preview = useMutation({
    // What is written meanwhile is not what was asked about.
    mutationFn: async () => {
      // First the item, then what would become of it: what changes in between is seen when it is carried out.
      const tag = (await asked.tag?.()) ?? '*';
      return { plan: await planOf(doc), of, tag };
    },
    onSuccess: (of) => {
      apply.reset();
      setShown(of);
    },
  });
  const apply = useApply(asked, shown);
  // biome-ignore lint/correctness/useExhaustiveDependencies: once, where nothing is asked first
  useEffect(() => {
    if (!ask) preview.mutate();
  }, []);
  useEffect(() => {
    if (shown) region.current?.focus();
  }, [shown]);

  const plan = shown?.of === of ? shown.plan : undefined;
  const request = asked.curl ?? { method: 'POST', path: '/fado/apply', body: doc };
  const safe = { ...request, body: withoutSecrets(request.body) };
  const refused = preview.error ? fieldErrors(preview.error.message) : {};
  const changed = apply.error instanceof ApiError && apply.error.status === 412;
  return (
    <Dialog.Root open onOpenChange={(o) => !o && onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className="dialog wide" aria-label={title}>
          <Dialog.Title>{title}</Dialog.Title>
          <form
            id={`${id}-form`}
            className="stack"
            onSubmit={(e) => {
              e.preventDefault();
              preview.mutate();
            }}
          >
            {children?.(refused)}
          </form>
          {preview.error && (
            <div className="alert" role="alert">
              <span>{preview.error.message}</span>
            </div>
          )}
          {plan && <PlanView plan={plan} fate={asked.fate} at={region} />}
          {apply.error && (
            <div className="alert" role="alert">
              <span>{changed ? 'The catalogue has changed since: what this would do may be something else now.' : apply.error.message}</span>
              {changed && (
                <button type="button" className="button" onClick={() => preview.mutate()}>
                  Preview again
                </button>
              )}
            </div>
          )}
          {plan && asked.typed && (
            <div>
              <label htmlFor={id}>Type {asked.typed} to confirm</label>
              <input id={id} value={typed} onChange={(e) => setTyped(e.target.value)} autoComplete="off" spellCheck={false} />
            </div>
          )}
          <footer>
            <CopyCurl {...safe} />
            {JSON.stringify(safe.body) !== JSON.stringify(request.body) && (
              <span className="quiet">
                The command has *** where secrets are. That keeps a key that is stored of a storage whose endpoint stays; write in all others before it is run.
              </span>
            )}
            <span className="spacer" />
            <Dialog.Close className="button">Cancel</Dialog.Close>
            {ask && (
              <button type="submit" form={`${id}-form`} className={`button ${plan ? '' : 'primary'}`} disabled={preview.isPending}>
                {ask}
              </button>
            )}
            {plan && (
              <Doing
                kind={asked.danger ? 'danger' : 'primary'}
                off={plan.blocked || plan.changes_total === 0 || apply.isPending || changed || (asked.typed !== undefined && asked.typed !== typed)}
                onClick={() => apply.mutate()}
              >
                {verb(plan.changes_total)}
              </Doing>
            )}
          </footer>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

const planOf = (doc: Document) => told(api.POST('/fado/plan', { body: doc }));

/** Carries a plan out, unless the catalogue is another one by now. */
function useApply({ doc, act, done, onClose, onDone }: Asked, shown: Shown | undefined) {
  const client = useQueryClient();
  const toasts = Toast.useToastManager();
  return useMutation({
    mutationFn: async () => {
      const revision = shown?.plan.revision;
      if (!act) return told<unknown>(api.POST('/fado/apply', { body: doc, params: { header: { 'If-Match': `"${revision}"` } } }));
      // The request is about the item alone: what else the plan goes by is looked at before.
      if ((await planOf(doc)).revision !== revision) throw new ApiError(412, 'The catalogue has changed since');
      return act(shown?.tag ?? '*');
    },
    onSuccess: () => {
      toasts.add({ title: done });
      onClose();
      onDone?.();
      return client.invalidateQueries();
    },
  });
}

/** How many buckets are in a plan beyond those whose moves are listed; nought where the rest are other prefixes of these. */
export const bucketsMore = ({ buckets, total }: Plan['moves']) => Math.max(0, total.buckets - new Set(buckets.map((m) => m.bucket)).size);

function PlanView({ plan, fate, at }: { plan: Plan; fate?: ReactNode; at: React.RefObject<HTMLElement | null> }) {
  const { total, removed } = plan.moves;
  return (
    <section ref={at} tabIndex={-1} aria-label="Plan" className="plan">
      <h3>What it would do</h3>
      {plan.changes.length === 0 && <p>Nothing: all is like that already.</p>}
      {plan.changes.map((c) => (
        <div key={`${c.kind} ${c.name}`}>
          <p>
            {c.action} {c.kind} <strong>{c.name}</strong>
          </p>
          <ul className="fields">
            {c.action !== 'create' &&
              c.fields.map((f) => (
                <li key={f.path}>
                  <code>{f.path}</code>: {value(f.from)} → {value(f.to)}
                </li>
              ))}
          </ul>
        </div>
      ))}
      {plan.changes_next && <p className="quiet">and {counted(plan.changes_total - plan.changes.length, 'change')} more</p>}
      {plan.violations.length > 0 && (
        <section aria-label="Violations">
          <h3>What stands against it</h3>
          <ul className="stack">
            {plan.violations.map((v) => (
              <li key={`${v.kind} ${v.resource} ${v.detail}`} className={v.blocking ? 'alert' : 'notice'}>
                <span>
                  {v.resource}: {v.detail}
                </span>
              </li>
            ))}
          </ul>
        </section>
      )}
      {fate ? (
        fate
      ) : plan.moves.buckets.length === 0 ? (
        <p>No data moves.</p>
      ) : (
        <>
          <p>
            {counted(total.buckets, 'bucket')}: {counted(total.copies, 'new copy').replace('copys', 'copies')} with {counted(total.objects, 'object')},{' '}
            {bytes(total.bytes)}
            {total.estimated && ', not all of them counted yet'}; {removed.copies === 0 ? 'nothing is removed' : `${bytes(removed.bytes)} removed`}
            {total.seconds.high > 0 && `; about ${span(total.seconds.low * 1000)} to ${span(total.seconds.high * 1000)}`}
            {total.egress > 0 && `; ${total.egress.toFixed(2)} for traffic`}
          </p>
          <Table label="Moves" head={['Bucket', 'Moves', 'Data']}>
            {plan.moves.buckets.map((m) => (
              <tr key={`${m.bucket} ${m.prefix}`}>
                <th scope="row">
                  {m.bucket} {m.prefix}
                </th>
                <td>{move(m)}</td>
                <td>
                  {counted(m.objects, 'object')}, {bytes(m.bytes)}
                </td>
              </tr>
            ))}
          </Table>
          {plan.moves.next && (
            <p className="quiet">
              {bucketsMore(plan.moves) > 0 ? `and moves of ${counted(bucketsMore(plan.moves), 'bucket')} more` : 'and more moves of these buckets'}
            </p>
          )}
        </>
      )}
      {plan.routes.changed > 0 && <RoutesView of={plan.routes} />}
    </section>
  );
}

/** What changes for invocations, and some of the rules of which it does. */
function RoutesView({ of }: { of: Plan['routes'] }) {
  const more = of.changed - of.examples.length;
  return (
    <>
      <p>
        Invocations of {counted(of.changed, 'rule')} run elsewhere; {count(of.refused.after)} would be refused, {count(of.refused.before)} are now.
      </p>
      {of.examples.length > 0 && (
        <Table label="Where invocations run" head={['Bucket', 'With their data now', 'With their data then']}>
          {of.examples.map((r) => (
            <tr key={`${r.bucket} ${r.prefix}`}>
              <th scope="row">
                {r.bucket} {r.prefix}
              </th>
              <td>{places(r.before)}</td>
              <td>{places(r.after)}</td>
            </tr>
          ))}
        </Table>
      )}
      {of.examples.length > 0 && more > 0 && <p className="quiet">and {counted(more, 'rule')} more</p>}
    </>
  );
}

const places = (clusters: string[]) => clusters.join(', ') || 'nowhere with their data';

const value = (v: unknown) => (v === null || v === undefined ? 'nothing' : typeof v === 'string' ? v : JSON.stringify(v));
