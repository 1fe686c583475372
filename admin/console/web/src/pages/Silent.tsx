import { useQuery } from '@tanstack/react-query';
import { When } from '../ui/kit';
import { measurers } from './history';
import * as q from './queries';

/** Which instances tell nothing any more, and which have told nothing yet. */
export function Silent() {
  const told = useQuery(measurers);
  const alive = useQuery(q.nodes);
  if (!told.data?.kept) return null;
  const { nodes } = told.data;
  const silent = nodes.filter((n) => n.silent && n.last);
  const unheard = (alive.data?.instances ?? []).filter((i) => !nodes.some((n) => n.node.startsWith(i.node)));
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
