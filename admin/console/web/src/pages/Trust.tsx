import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, type Schemas, told } from '../api/client';
import { bytes, counted } from '../format';
import { Action, Ago, Confirm, Loaded, useDo } from '../ui/kit';
import * as q from './queries';

/** Asks people which side is right, of a bucket whose primary's storage may not be the one it was. */
export function TrustButton({ bucket }: { bucket: string }) {
  const [open, setOpen] = useState(false);
  const [cluster, setCluster] = useState('');
  const sides = useQuery({ ...q.sides(bucket), enabled: open });
  const at = { params: { path: { name: bucket }, query: { cluster } } };
  const trust = useDo(() => told(api.POST('/fado/buckets/{name}/trust', at)), `${bucket} goes on with what is in ${cluster}`);
  return (
    <>
      <Action least="admin" kind="primary" onClick={() => (setCluster(''), setOpen(true))}>
        Say which side is right
      </Action>
      <Confirm
        open={open}
        title={`Which side of ${bucket} is right?`}
        action={cluster ? `${cluster} is right` : 'Choose a side'}
        curl={{ path: `/fado/buckets/${bucket}/trust?cluster=${cluster || '<name>'}` }}
        typed={bucket}
        off={cluster === ''}
        danger
        onDone={() => trust.mutate(undefined)}
        onClose={() => setOpen(false)}
      >
        <p>The storage of the primary may not be the one it was: a restored backup, a new installation, another endpoint. Look at both sides first.</p>
        <Loaded of={sides} rows={4}>
          {(v) =>
            v.stopped ? (
              <fieldset className="stack">
                <legend className="sr-only">Sides</legend>
                {v.sides.map((s) => (
                  <Side key={s.cluster} of={s} on={s.cluster === cluster} choose={() => setCluster(s.cluster)} />
                ))}
              </fieldset>
            ) : (
              <p>The bucket is not stopped any more: there is nothing to say.</p>
            )
          }
        </Loaded>
      </Confirm>
    </>
  );
}

/** One side, with what choosing it does and loses. */
export function Side({ of: s, on, choose }: { of: Schemas['Side']; on: boolean; choose: () => void }) {
  return (
    <div>
      <label className="check">
        <input type="radio" name="side" checked={on} disabled={s.refused !== ''} onChange={choose} />
        <span>
          {s.cluster}, the {s.role}{' '}
          <span className="quiet">
            {counted(s.objects, 'object')}, {bytes(s.bytes)}, compared <Ago time={s.compared_at} />
          </span>
        </span>
      </label>
      {s.refused ? (
        <p className="quiet">It can not be chosen: {s.refused}.</p>
      ) : (
        <ul className="named">
          {s.effects.map((e) => (
            <li key={e}>{e}</li>
          ))}
        </ul>
      )}
    </div>
  );
}
