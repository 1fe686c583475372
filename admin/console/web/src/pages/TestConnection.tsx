import { useMutation } from '@tanstack/react-query';
import { api, type Schemas, told } from '../api/client';
import { CopyCurl, Doing, State } from '../ui/kit';
import { withoutSecrets } from '../ui/secrets';

type Check = Schemas['ClusterCheck'];

/** What was found of a storage that answers, in a sentence. */
export function offers(s: NonNullable<Check['storage']>): string {
  const can = Object.entries(s.capabilities).filter(([, v]) => v === true);
  const parts = [s.capabilities.provider || 'S3', `answered in ${Math.max(1, Math.round(s.took_ms))} ms`];
  if (s.clock_skew_s !== null && Math.abs(s.clock_skew_s) >= 2) {
    parts.push(`its clock is ${Math.abs(Math.round(s.clock_skew_s))} s ${s.clock_skew_s > 0 ? 'ahead' : 'behind'}`);
  }
  if (can.length) parts.push(`offers ${can.map(([k]) => k.replaceAll('_', ' ')).join(', ')}`);
  return parts.join('; ');
}

/** Looks at a cluster before it is saved. Nothing is written anywhere. */
export function TestConnection({ of }: { of: object }) {
  const check = useMutation({ mutationFn: (cluster: object) => told(api.POST('/fado/clusters/check', { body: cluster as never })) });
  const shown = JSON.stringify(check.variables) === JSON.stringify(of);
  return (
    <section className="stack" aria-label="Connection">
      <div className="tools">
        <Doing off={check.isPending} onClick={() => check.mutate(of)}>
          {check.isPending ? 'Testing…' : 'Test connection'}
        </Doing>
        <CopyCurl of="Test connection" method="POST" path="/fado/clusters/check" body={withoutSecrets(of)} />
        <span className="quiet">within 10 seconds; nothing is written</span>
      </div>
      <div role="status">
        {shown && check.error && <p className="field-error">{check.error.message}</p>}
        {shown && check.data && <Found c={check.data} />}
      </div>
    </section>
  );
}

function Found({ c }: { c: Check }) {
  return (
    <ul className="stack">
      {c.storage && (
        <li>
          <State of={c.storage.state} label={`storage ${c.storage.state}`} /> {c.storage.error || offers(c.storage)}
        </li>
      )}
      {c.functions.map((f) => (
        <li key={f.url}>
          <State of={f.healthy ? 'healthy' : 'down'} /> <span className="key">{f.url}</span> {f.error}
        </li>
      ))}
      {!c.storage && c.functions.length === 0 && <li>There is nothing to test: no storage, and no function.</li>}
    </ul>
  );
}
