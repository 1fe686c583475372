import { Dialog } from '@base-ui/react/dialog';
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useDeferredValue, useEffect, useId, useState } from 'react';
import { bucketPage } from './api/client';
import * as q from './pages/queries';

interface Entry {
  name: string;
  kind: string;
  go: () => void;
}

/** Goes to a page, a bucket, a cluster or a policy by a part of its name. */
export default function Palette({ pages, onClose }: { pages: { to: string; name: string }[]; onClose: () => void }) {
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  const typed = useDeferredValue(text.trim().toLowerCase());
  const navigate = useNavigate();
  const id = useId();
  const clusters = useQuery(q.clusters);
  const policies = useQuery(q.policies);
  const buckets = useQuery({
    queryKey: ['palette', typed],
    queryFn: ({ signal }) => bucketPage({ q: typed }, '', 8, signal),
    enabled: typed.length > 0,
    staleTime: 10_000,
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is found is something else
  useEffect(() => setAt(0), [typed]);

  const matches = (name: string) => name.toLowerCase().includes(typed);
  const entries: Entry[] = [
    ...(typed ? (buckets.data?.items ?? []) : []).map((b) => ({
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
  ].slice(0, 14);

  function pick(e: Entry | undefined) {
    if (!e) return;
    onClose();
    e.go();
  }

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
            placeholder="A page, a bucket, a cluster, a policy"
            value={text}
            spellCheck={false}
            autoComplete="off"
            onChange={(e) => setText(e.target.value)}
            onKeyDown={(e) => {
              const step = e.key === 'ArrowDown' ? 1 : e.key === 'ArrowUp' ? -1 : 0;
              if (step && entries.length) {
                e.preventDefault();
                setAt((at + step + entries.length) % entries.length);
              } else if (e.key === 'Enter') {
                pick(entries[at]);
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
                className="menu-item"
                onClick={() => pick(e)}
                onPointerMove={() => setAt(i)}
              >
                {e.name}
                <span className="quiet">{e.kind}</span>
              </div>
            ))}
          </div>
          {entries.length === 0 && <p className="empty">Nothing is called like that</p>}
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
