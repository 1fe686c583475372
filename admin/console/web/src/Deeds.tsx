import { useEffect, useRef } from 'react';
import { api, told } from './api/client';
import type { Deed } from './Palette';
import { pauseText, retried, retryAll, setPaused, VerifyDialog } from './pages/actions';
import Edit from './pages/Edit';
import { Confirm, useDo } from './ui/kit';

/** Does what was picked in the palette, with the same questions as its button asks. */
export default function Deeds({ deed, onDone }: { deed: Deed; onDone: () => void }) {
  switch (deed.do) {
    case 'new':
      return <Edit kind={deed.kind} onClose={onDone} />;
    case 'verify':
      return <VerifyDialog bucket={deed.bucket} open onClose={onDone} />;
    case 'pause':
      return <Pause onDone={onDone} />;
    case 'sync':
      return (
        <Once
          act={() => told(api.POST('/fado/buckets/{name}/sync', { params: { path: { name: deed.bucket } } }))}
          text={`${deed.bucket} is being compared`}
          onDone={onDone}
        />
      );
    case 'resume':
      return <Once act={() => setPaused(false)} text="Replication goes on" onDone={onDone} />;
    case 'retry':
      return <Once act={retryAll} text={retried} onDone={onDone} />;
    default:
      return null;
  }
}

function Pause({ onDone }: { onDone: () => void }) {
  const pause = useDo(() => setPaused(true), 'Replication is paused');
  return (
    <Confirm open title="Pause replication" action="Pause" curl={{ path: '/fado/replication/pause' }} onDone={() => pause.mutate(undefined)} onClose={onDone}>
      <p>{pauseText}</p>
    </Confirm>
  );
}

/** Does something without a question, once. */
function Once({ act, text, onDone }: { act: () => Promise<unknown>; text: string | ((r: unknown) => string); onDone: () => void }) {
  const it = useDo(act, text);
  const begun = useRef(false);
  // biome-ignore lint/correctness/useExhaustiveDependencies: once
  useEffect(() => {
    if (begun.current) return;
    begun.current = true;
    it.mutate(undefined, { onSettled: onDone });
  }, []);
  return null;
}
