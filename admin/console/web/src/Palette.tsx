import { Dialog } from '@base-ui/react/dialog';
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useDeferredValue, useEffect, useId, useState } from 'react';
import { bucketPage, may, type Role } from './api/client';
import { before } from './before';
import * as q from './pages/queries';
import type { Kind } from './ui/caddyfile';
import { useSession } from './ui/kit';

/** How many buckets are offered. */
const offered = 8;

/** Buckets by a part of their names: those first that begin with it, the one that is called so before all. */
async function called(sought: string, signal: AbortSignal): Promise<{ name: string }[]> {
  const [near, all] = await Promise.all([before(sought), ''].map((after) => bucketPage({ q: sought }, after, offered, signal)));
  const first = near.items.filter((b) => b.name.startsWith(sought));
  return [...first, ...all.items.filter((b) => !first.some((f) => f.name === b.name))].slice(0, offered);
}

/** What is sought by a text. */
const bare = (text: string) => text.trim().toLowerCase();

interface Entry {
  name: string;
  kind: string;
  go: () => void;
  /** Why it can't be done. */
  off?: string;
}

/** What can be done from anywhere; Shell does it once the palette is closed. */
export type Deed = { do: 'new'; kind: Kind } | { do: 'pause' | 'resume' | 'retry' | 'shortcuts' } | { do: 'sync' | 'verify'; bucket: string };

/** A verb and the bucket's name after it: "sync reports". */
export function verbOf(typed: string): { verb: 'sync' | 'verify'; name: string } | undefined {
  const [, verb, name] = /^(sync|verify)\s+(\S+)$/.exec(typed) ?? [];
  return verb ? { verb: verb as 'sync' | 'verify', name } : undefined;
}

const deeds = (paused: boolean): { name: string; least: Role; deed: Deed }[] => [
  ...(['bucket', 'cluster', 'policy', 'zone'] as const).map((kind) => ({ name: `New ${kind}`, least: 'admin' as const, deed: { do: 'new' as const, kind } })),
  paused ? { name: 'Resume replication', least: 'operator', deed: { do: 'resume' } } : { name: 'Pause replication', least: 'operator', deed: { do: 'pause' } },
  { name: 'Retry all failures', least: 'operator', deed: { do: 'retry' } },
  { name: 'Show shortcuts', least: 'viewer', deed: { do: 'shortcuts' } },
];

/** Goes to a page, a bucket, a cluster or a policy by a part of its name, or does something. */
export default function Palette({
  pages,
  paused,
  onDo,
  onClose,
}: {
  pages: { to: string; name: string }[];
  paused: boolean;
  onDo: (deed: Deed) => void;
  onClose: () => void;
}) {
  const { role } = useSession();
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  const written = bare(text);
  const typed = useDeferredValue(written);
  // Whether Enter was pressed before there was what it is about.
  const [awaited, setAwaited] = useState(false);
  const navigate = useNavigate();
  const id = useId();
  const verb = verbOf(typed);
  const sought = verb?.name ?? typed;
  const off = (least: Role) => (may(role, least) ? undefined : `needs the role ${least}`);
  const clusters = useQuery(q.clusters);
  const policies = useQuery(q.policies);
  const buckets = useQuery({
    queryKey: ['palette', sought],
    queryFn: ({ signal }) => called(sought, signal),
    enabled: sought.length > 0,
    staleTime: 10_000,
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is found is something else
  useEffect(() => setAt(0), [typed]);

  const matches = (name: string) => name.toLowerCase().includes(typed);
  const entries: Entry[] = [
    ...(verb ? (buckets.data ?? []) : []).map((b) => ({
      name: `${verb?.verb === 'sync' ? 'Sync' : 'Verify'} ${b.name}`,
      kind: 'action',
      off: off('operator'),
      go: () => verb && onDo({ do: verb.verb, bucket: b.name }),
    })),
    ...(typed && !verb ? (buckets.data ?? []) : []).map((b) => ({
      name: b.name,
      kind: 'bucket',
      go: () => navigate({ to: '/buckets/$bucket', params: { bucket: b.name } }),
    })),
    ...pages.filter((p) => matches(p.name)).map((p) => ({ name: p.name, kind: 'page', go: () => navigate({ to: p.to }) })),
    ...(clusters.data ?? [])
      .filter((c) => typed && matches(c.name))
      .map((c) => ({ name: c.name, kind: 'cluster', go: () => navigate({ to: '/clusters/$cluster', params: { cluster: c.name } }) })),
    ...(policies.data ?? [])
      .filter((p) => typed && matches(p.name))
      .map((p) => ({ name: p.name, kind: 'policy', go: () => navigate({ to: '/policies/$policy', params: { policy: p.name } }) })),
    ...deeds(paused)
      .filter((d) => typed && matches(d.name))
      .map((d) => ({ name: d.name, kind: 'action', off: off(d.least), go: () => onDo(d.deed) })),
  ].slice(0, 16);

  function pick(e: Entry | undefined) {
    if (!e || e.off) return;
    onClose();
    e.go();
  }

  const found = typed === written && !buckets.isLoading;
  // biome-ignore lint/correctness/useExhaustiveDependencies: once, when it is there
  useEffect(() => {
    if (!awaited || !found) return;
    setAwaited(false);
    pick(entries[0]);
  }, [awaited, found]);

  return (
    <Dialog.Root open onOpenChange={(o) => !o && onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className="dialog palette" aria-label="Command palette">
          <input
            role="combobox"
            aria-label="Find or do"
            aria-expanded="true"
            aria-controls={id}
            aria-activedescendant={entries[at] ? `${id}-${at}` : undefined}
            aria-autocomplete="list"
            placeholder="A page, a bucket, a cluster, a policy; new bucket, sync NAME"
            value={text}
            spellCheck={false}
            autoComplete="off"
            onChange={(e) => {
              setText(e.target.value);
              setAwaited(false);
            }}
            onKeyDown={(e) => {
              const step = e.key === 'ArrowDown' ? 1 : e.key === 'ArrowUp' ? -1 : 0;
              if (step && entries.length) {
                e.preventDefault();
                setAt((at + step + entries.length) % entries.length);
                setAwaited(false);
              } else if (e.key === 'Enter') {
                // What is drawn may be of less than was typed; what was gone to in it by arrows is meant.
                const drawn = bare(e.currentTarget.value) === typed;
                if (drawn && (found || at > 0)) pick(entries[at]);
                else setAwaited(true);
              }
            }}
          />
          <div id={id} role="listbox" aria-label="What was found">
            {entries.map((e, i) => (
              // biome-ignore lint/a11y/useKeyWithClickEvents: the input takes the keys
              // biome-ignore lint/a11y/useFocusableInteractive: it is the active descendant
              <div
                key={`${e.kind} ${e.name}`}
                id={`${id}-${i}`}
                role="option"
                aria-selected={i === at}
                aria-disabled={e.off ? true : undefined}
                className="menu-item"
                onClick={() => pick(e)}
                onPointerMove={() => setAt(i)}
              >
                {e.name}
                <span className="quiet">{e.off ?? e.kind}</span>
              </div>
            ))}
          </div>
          {entries.length === 0 && <p className="empty">Nothing is called like that</p>}
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
