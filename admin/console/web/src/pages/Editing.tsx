import { lazy, Suspense, useState } from 'react';
import type { Schemas } from '../api/client';
import { Action } from '../ui/kit';
import type { Kind } from './Edit';

// The forms are read when they are first needed.
const Edit = lazy(() => import('./Edit'));
const Remove = lazy(() => import('./Edit').then((m) => ({ default: m.Remove })));
const Move = lazy(() => import('./Edit').then((m) => ({ default: m.Move })));
const Drain = lazy(() => import('./Edit').then((m) => ({ default: m.Drain })));

const declared = (origin: string | undefined) => (origin === 'config' ? 'Declared by the configuration' : undefined);

export function NewButton({ kind }: { kind: Kind }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <Action least="admin" kind="primary" onClick={() => setOpen(true)}>
        New {kind}
      </Action>
      <Suspense>{open && <Edit kind={kind} onClose={() => setOpen(false)} />}</Suspense>
    </>
  );
}

type Named = { name: string; origin?: string };

/** Edit and Delete, of a page about an item, or of one among others, whose buttons name it; or Edit alone. */
export function EditButtons({
  kind,
  item,
  listed,
  only,
  onGone,
}: {
  kind: Kind;
  item: Named | undefined;
  listed?: boolean;
  only?: 'edit';
  onGone?: () => void;
}) {
  const [open, setOpen] = useState<'edit' | 'remove'>();
  // As it was when the form was opened: others may change it meanwhile, or delete it.
  const [was, setWas] = useState<Named>();
  const edit = () => {
    setWas(item);
    setOpen('edit');
  };
  // The page may be another item's by now. Of buckets and clusters, what is missing is not read yet.
  const same = item ? item.name === was?.name : kind === 'zone' || kind === 'policy';
  const off = item ? declared(item.origin) : 'Not read yet';
  const verb = kind === 'bucket' ? 'Forget' : 'Delete';
  const label = (v: string) => (listed ? `${v} ${item?.name}` : undefined);
  return (
    <>
      <Action least="admin" off={off} label={label('Edit')} onClick={edit}>
        Edit
      </Action>
      {only !== 'edit' && (
        <Action least="admin" off={off} label={label(verb)} onClick={() => setOpen('remove')}>
          {verb}
        </Action>
      )}
      <Suspense>
        {open === 'edit' && was && <Edit kind={kind} item={was} latest={same ? item : was} onClose={() => setOpen(undefined)} />}
        {open === 'remove' && item && <Remove kind={kind} name={item.name} onClose={() => setOpen(undefined)} onDone={onGone} />}
      </Suspense>
    </>
  );
}

/** Moves the primary of a bucket, at once or when people say so. */
export function MoveButton({ bucket }: { bucket: Schemas['Bucket'] | undefined }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <Action least="admin" off={bucket ? declared(bucket.origin) : 'Not read yet'} onClick={() => setOpen(true)}>
        Move primary
      </Action>
      <Suspense>{open && bucket && <Move bucket={bucket} onClose={() => setOpen(false)} />}</Suspense>
    </>
  );
}

export function DrainButton({ cluster, listed }: { cluster: Schemas['Cluster'] | undefined; listed?: boolean }) {
  // The cluster as it was when it was asked about: another may drain it meanwhile.
  const [asked, setAsked] = useState<Schemas['Cluster']>();
  return (
    <>
      <Action
        off={cluster ? declared(cluster.origin) : 'Not read yet'}
        label={listed ? `${cluster?.drain ? 'Undo drain of' : 'Drain'} ${cluster?.name}` : undefined}
        onClick={() => setAsked(cluster)}
      >
        {cluster?.drain ? 'Undo drain' : 'Drain'}
      </Action>
      <Suspense>{asked && <Drain cluster={asked} on={!asked.drain} onClose={() => setAsked(undefined)} />}</Suspense>
    </>
  );
}
