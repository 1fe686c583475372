import { useState } from 'react';
import { api, told } from '../api/client';
import { counted } from '../format';
import { Action, Confirm, useDo } from '../ui/kit';

/** How many requests are under way at a time. */
const atOnce = 4;

/** Asks for something of each bucket, some at a time, and tells how many took it. */
export async function ofEach(names: string[], ask: (name: string) => Promise<unknown>): Promise<string[]> {
  const refused: string[] = [];
  const left = [...names];
  const work = async () => {
    for (let name = left.shift(); name !== undefined; name = left.shift()) {
      const of = name;
      await ask(of).catch((e: Error) => refused.push(`${of}: ${e.message}`));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  if (refused.length === names.length && names.length > 0) throw new Error(refused[0]);
  return refused;
}

const result = (names: string[], refused: string[], what: string) => {
  const n = names.length - refused.length;
  return `${counted(n, 'bucket')} ${n === 1 ? 'is' : 'are'} being ${what}${refused.length ? `; ${counted(refused.length, 'bucket')} not: ${refused[0]}` : ''}`;
};

/** What can be done with the buckets that are chosen. */
export function Chosen({ names, none }: { names: string[]; none: () => void }) {
  const [open, setOpen] = useState<'sync' | 'verify'>();
  const [deep, setDeep] = useState(false);
  const sync = useDo(
    (of: string[]) => ofEach(of, (name) => told(api.POST('/fado/buckets/{name}/sync', { params: { path: { name } } }))),
    (r) => result(names, r as string[], 'compared'),
  );
  const verify = useDo(
    (of: string[]) =>
      ofEach(of, (name) => told(api.POST('/fado/buckets/{name}/verify', { params: { path: { name }, query: { deep: deep ? 'true' : 'false' } } }))),
    (r) => result(names, r as string[], 'verified'),
  );
  if (names.length === 0) return null;
  const buckets = counted(names.length, 'bucket');
  return (
    <div className="tools chosen" role="toolbar" aria-label="The buckets that are chosen">
      <span role="status">{buckets} chosen</span>
      <Action off={sync.isPending ? 'Asked for' : undefined} onClick={() => setOpen('sync')}>
        Sync {buckets}
      </Action>
      <Action off={verify.isPending ? 'Asked for' : undefined} onClick={() => setOpen('verify')}>
        Verify {buckets}
      </Action>
      <button type="button" className="button" onClick={none}>
        Choose none
      </button>
      <Confirm
        open={open === 'sync'}
        title={`Sync ${buckets}`}
        action={`Sync ${buckets}`}
        curl={names.map((n) => ({ path: `/fado/buckets/${n}/sync` }))}
        onDone={() => sync.mutate(names)}
        onClose={() => setOpen(undefined)}
      >
        <p>Has every copy of them compared with its primary now, by their listings, and what differs copied.</p>
        <Named names={names} />
      </Confirm>
      <Confirm
        open={open === 'verify'}
        title={`Verify ${buckets}`}
        action={`Verify ${buckets}`}
        curl={names.map((n) => ({ path: `/fado/buckets/${n}/verify?deep=${deep}` }))}
        onDone={() => verify.mutate(names)}
        onClose={() => setOpen(undefined)}
      >
        <p>Compares every copy of them with its primary, and repairs what differs from a good one.</p>
        <label className="check">
          <input type="checkbox" checked={deep} onChange={(e) => setDeep(e.target.checked)} />
          Read the bytes again
        </label>
        <Named names={names} />
      </Confirm>
    </div>
  );
}

const Named = ({ names }: { names: string[] }) => (
  <ul className="named">
    {names.slice(0, 10).map((n) => (
      <li key={n}>{n}</li>
    ))}
    {names.length > 10 && <li>and {counted(names.length - 10, 'bucket')} more</li>}
  </ul>
);
