import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { type ReactNode, useState } from 'react';
import { api, type Reason, type Schemas, told } from '../api/client';
import { bytes, count, counted } from '../format';
import { Action, Ago, Confirm, CopyCurl, Loaded, useDo } from '../ui/kit';
import * as q from './queries';
import { TrustButton } from './Trust';

const at = (bucket: string) => ({ params: { path: { name: bucket } } });

export const retryAll = () => told(api.POST('/fado/replication/failures/retry'));
export const setPaused = (on: boolean) => told(on ? api.POST('/fado/replication/pause') : api.POST('/fado/replication/resume'));

export function SyncButton({ bucket }: { bucket: string }) {
  const sync = useDo(() => told(api.POST('/fado/buckets/{name}/sync', at(bucket))), `${bucket} is being compared`);
  return (
    <span className="tools tight">
      <Action onClick={() => sync.mutate(undefined)} off={sync.isPending ? 'Asked for' : undefined}>
        Sync
      </Action>
      <CopyCurl of="Sync" method="POST" path={`/fado/buckets/${bucket}/sync`} />
    </span>
  );
}

export function VerifyButton({ bucket }: { bucket: string }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <Action onClick={() => setOpen(true)}>Verify</Action>
      <VerifyDialog bucket={bucket} open={open} onClose={() => setOpen(false)} />
    </>
  );
}

export function VerifyDialog({ bucket, open, onClose }: { bucket: string; open: boolean; onClose: () => void }) {
  const [deep, setDeep] = useState(false);
  const verify = useDo(
    (deeply: boolean) => told(api.POST('/fado/buckets/{name}/verify', { params: { path: { name: bucket }, query: { deep: deeply ? 'true' : 'false' } } })),
    `${bucket} is being verified`,
  );
  return (
    <Confirm
      open={open}
      title={`Verify ${bucket}`}
      action="Start"
      curl={{ path: `/fado/buckets/${bucket}/verify?deep=${deep}` }}
      onDone={() => verify.mutate(deep)}
      onClose={onClose}
    >
      <p>Compares every copy with the primary, and repairs what differs from a good one.</p>
      <label className="check">
        <input type="checkbox" checked={deep} onChange={(e) => setDeep(e.target.checked)} />
        Read the bytes again
      </label>
    </Confirm>
  );
}

export const retried = (r: unknown) => {
  const n = (r as { retried: number }).retried;
  return `${counted(n, 'object')} ${n === 1 ? 'is' : 'are'} tried again`;
};

export const pauseText = 'No new work is started, on any instance, until it is resumed, also across restarts. Copies fall behind meanwhile; routing goes on.';

export function RetryButton() {
  const retry = useDo(retryAll, retried);
  return (
    <span className="tools tight">
      <Action onClick={() => retry.mutate(undefined)}>Retry all</Action>
      <CopyCurl of="Retry all" method="POST" path="/fado/replication/failures/retry" />
    </span>
  );
}

export function PauseButton({ paused }: { paused: boolean }) {
  const [open, setOpen] = useState(false);
  const set = useDo(setPaused, (r) => ((r as { paused: boolean }).paused ? 'Replication is paused' : 'Replication goes on'));
  if (paused) {
    return (
      <span className="tools tight">
        <Action kind="primary" onClick={() => set.mutate(false)}>
          Resume
        </Action>
        <CopyCurl of="Resume" method="POST" path="/fado/replication/resume" />
      </span>
    );
  }
  return (
    <>
      <Action onClick={() => setOpen(true)}>Pause replication</Action>
      <Confirm
        open={open}
        title="Pause replication"
        action="Pause"
        curl={{ path: '/fado/replication/pause' }}
        onDone={() => set.mutate(true)}
        onClose={() => setOpen(false)}
      >
        <p>{pauseText}</p>
      </Confirm>
    </>
  );
}

/** What is decided about deletes that the breaker holds. */
export function HeldDeletes({ bucket }: { bucket: string }) {
  const [open, setOpen] = useState<'back' | 'apply'>();
  const held = useQuery({ ...q.heldDeletes(bucket, ''), enabled: open !== undefined });
  const n = held.data?.copies.reduce((n, c) => n + c.held, 0);
  const all = n ? ` (${counted(n, 'delete')})` : '';
  const result = (verb: string) => (r: unknown) => `${counted((r as { objects: number }).objects, 'delete')} ${verb}`;
  const reject = useDo(() => told(api.POST('/fado/buckets/{name}/deletes/reject', at(bucket))), result('undone'));
  const confirm = useDo(() => told(api.POST('/fado/buckets/{name}/deletes/confirm', at(bucket))), result('applied'));
  return (
    <>
      <Action kind="primary" onClick={() => setOpen('back')}>
        Bring the objects back
      </Action>
      <Action kind="danger" onClick={() => setOpen('apply')}>
        Apply the deletes
      </Action>
      <Confirm
        open={open === 'back'}
        title="Bring the objects back"
        action={`Bring them back${all}`}
        curl={{ path: `/fado/buckets/${bucket}/deletes/reject` }}
        onDone={() => reject.mutate(undefined)}
        onClose={() => setOpen(undefined)}
      >
        <p>The objects whose deletes are held are copied back to the primary of {bucket}.</p>
        <Loaded of={held}>{(h) => <Extent of={h} />}</Loaded>
      </Confirm>
      <Confirm
        open={open === 'apply'}
        title="Apply the deletes"
        action={`Apply the deletes${all}`}
        curl={{ path: `/fado/buckets/${bucket}/deletes/confirm` }}
        typed={bucket}
        danger
        onDone={() => confirm.mutate(undefined)}
        onClose={() => setOpen(undefined)}
      >
        <p>The objects that were deleted at the primary of {bucket} are removed from its copies, too. Where the storage keeps no versions they are gone.</p>
        <Loaded of={held}>{(h) => <Extent of={h} />}</Loaded>
      </Confirm>
    </>
  );
}

/** How many keys stand for those of held deletes. */
const sampled = 5;

/** How much the held deletes are about: how many where, the bytes as far as known, and some of the keys. */
function Extent({ of }: { of: Schemas['HeldDeletes'] }) {
  const { copies, deletes, next } = of;
  const known = deletes.filter((d) => d.size > 0);
  const unknown = deletes.length - known.length;
  const keys = [...new Set(deletes.map((d) => d.key))];
  return (
    <>
      {copies.length > 0 && (
        <p>So far {copies.map((c) => `${counted(c.held, 'delete')} in ${c.cluster}`).join(', ')}; a key that is in several copies counts in each.</p>
      )}
      {known.length > 0 && (
        <p>
          {bytes(known.reduce((n, d) => n + d.size, 0))} in {next ? `the first ${counted(deletes.length, 'delete')}` : counted(deletes.length, 'delete')}
          {unknown > 0 && `, ${count(unknown)} of unknown size`}.
        </p>
      )}
      {keys.length > 0 && (
        <ul className="named" aria-label="Some of the keys">
          {keys.slice(0, sampled).map((k) => (
            <li key={k} className="key">
              {k}
            </li>
          ))}
          {(keys.length > sampled || next) && <li>and more</li>}
        </ul>
      )}
    </>
  );
}

/** Gives up the older versions that keep a copy from leaving a cluster. */
function ReleaseButton({ bucket, cluster }: { bucket: string; cluster: string }) {
  const [open, setOpen] = useState(false);
  const release = useDo(
    () => told(api.POST('/fado/buckets/{name}/release', { ...at(bucket), body: { purge: 'history', cluster } })),
    (r) => {
      const { objects } = r as { objects: number };
      return `Older versions of ${counted(objects, 'object')} are removed, and the copy leaves ${cluster}`;
    },
  );
  return (
    <>
      <Action least="admin" kind="danger" onClick={() => setOpen(true)}>
        Remove the older versions
      </Action>
      <Confirm
        open={open}
        title={`Remove the older versions of ${bucket} in ${cluster}`}
        action="Remove them for good"
        curl={{ path: `/fado/buckets/${bucket}/release`, body: { purge: 'history', cluster } }}
        typed={bucket}
        danger
        onDone={() => release.mutate(undefined)}
        onClose={() => setOpen(false)}
      >
        <p>
          The copy in {cluster} has to leave, and has older versions of objects below delete markers. They may be in no copy that remains: once removed they are
          gone for good, and the copy leaves. What is shown there, because someone wrote it, is not touched.
        </p>
        <p>To keep them, copy them elsewhere with an S3 client first, or allow {cluster} in the policy again.</p>
      </Confirm>
    </>
  );
}

/** Leads to where people decide about a bucket. */
export function DecideLink({ bucket, tab }: { bucket: string; tab: 'conflicts' | 'deletes' }) {
  return (
    <Link className="button" to="/buckets/$bucket" params={{ bucket }} search={{ tab }}>
      Decide<span className="sr-only"> about the {tab}</span>
    </Link>
  );
}

/** What people can do about a reason that no operation of FaDO's ends, by its code. */
const advice: Record<string, (cluster: string) => string> = {
  'storage-full': (c) => `Make room in ${c}, or allow another cluster in the policy. What waits goes on by itself.`,
  'key-refused': (c) => `Rename these objects where the bucket is written, or allow another cluster than ${c} in the policy.`,
  damaged: () => 'Read the bytes of all copies with Verify: what a good copy has is repaired from it, the rest has to be written again.',
  'storage-down': (c) => `Look why FaDO can’t use the storage of ${c}. What waits goes on by itself once it can.`,
};

/** What helps with a reason where no button does; undefined where there is nothing to say. */
export function adviceOn(r: Reason): string | undefined {
  return r.action ? undefined : advice[r.code]?.(r.cluster || 'the cluster');
}

/** Why something is not ok, each reason with what helps, unless the page has that elsewhere for reasons of a code. */
export function Reasons({
  bucket,
  reasons,
  elsewhere,
  help = (r) => <Help bucket={bucket} reason={r} />,
}: {
  bucket?: string;
  reasons: Reason[];
  elsewhere?: string;
  /** What helps with a reason that is not about a bucket. */
  help?: (r: Reason) => ReactNode;
}) {
  return (
    <ul className="reasons">
      {reasons.map((r, i) => (
        // Not by its text, which counts: what is open below it would close.
        <li key={`${r.code} ${r.cluster} ${r.url ?? ''} ${reasons.slice(0, i).filter((o) => o.code === r.code && o.cluster === r.cluster).length}`}>
          <span>
            {r.text}
            <Since time={r.since} />
            <Advice on={r} />
          </span>
          {r.code !== elsewhere && help(r)}
        </li>
      ))}
    </ul>
  );
}

function Advice({ on }: { on: Reason }) {
  const text = adviceOn(on);
  return text ? (
    <>
      <br />
      <span className="quiet">{text}</span>
    </>
  ) : null;
}

/** Since when a reason is there. */
export function Since({ time }: { time: string | null | undefined }) {
  return time ? (
    <span className="quiet">
      {' '}
      · since <Ago time={time} />
    </span>
  ) : null;
}

export function Help({ bucket, reason }: { bucket?: string; reason: Reason }) {
  switch (reason.action) {
    case 'sync-bucket':
      return bucket ? <SyncButton bucket={bucket} /> : null;
    case 'retry-failures':
      return <RetryButton />;
    case 'resume-replication':
      return <PauseButton paused />;
    case 'trust-side':
      return bucket ? <TrustButton bucket={bucket} /> : null;
    case 'release-history':
      return bucket && reason.cluster ? <ReleaseButton bucket={bucket} cluster={reason.cluster} /> : null;
    case 'resolve-conflicts':
      return bucket ? <DecideLink bucket={bucket} tab="conflicts" /> : null;
    case 'confirm-deletes':
      return bucket ? <DecideLink bucket={bucket} tab="deletes" /> : null;
    default:
      return <Place bucket={bucket} reason={reason} />;
  }
}

/** Leads to where people see more of a reason that no operation of FaDO's ends. */
function Place({ bucket, reason: { code, cluster } }: { bucket?: string; reason: Reason }) {
  if (cluster && (code === 'storage-full' || code === 'storage-down')) {
    return (
      <Link className="button" to="/clusters/$cluster" params={{ cluster }}>
        Look<span className="sr-only"> at {cluster}</span>
      </Link>
    );
  }
  if (bucket && cluster && code === 'key-refused') {
    return (
      <Link className="button" to="/buckets/$bucket/pending" params={{ bucket }} search={{ cluster }}>
        Pending<span className="sr-only"> in {cluster}</span>
      </Link>
    );
  }
  return bucket && code === 'damaged' ? <VerifyButton bucket={bucket} /> : null;
}
