import { useQuery } from '@tanstack/react-query';
import type { Schemas } from '../api/client';
import { When } from '../ui/kit';
import { measurers } from './history';
import * as q from './queries';

type Instance = Schemas['Nodes']['instances'][number];

/** Which instances tell nothing any more, and which have told nothing yet. */
export function Silent() {
  const told = useQuery(measurers);
  const alive = useQuery(q.nodes);
  if (!told.data?.kept) return null;
  const { nodes } = told.data;
  const silent = nodes.filter((n) => n.silent && n.last);
  // Of several instances of one name, what the others told has the beginning of their IDs behind it.
  const heard = (i: Instance) => nodes.some((n) => (i.this ? n.this : !n.this && [i.node, `${i.node} ${i.id.slice(0, 8)}`].includes(n.node)));
  const unheard = (alive.data?.instances ?? []).filter((i) => !heard(i));
  if (silent.length + unheard.length === 0) return null;
  return (
    <div className="banner warn" role="status">
      <ul className="plain">
        {silent.map((n) => (
          <li key={n.node}>
            {n.node} has told nothing since <When time={n.last as string} />: it ended, or does not reach the database.
          </li>
        ))}
        {unheard.map((i) => (
          <li key={i.id || i.node}>{i.node} has not told what it measures yet, or keeps no history.</li>
        ))}
      </ul>
    </div>
  );
}
