import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { api, told } from '../api/client';
import { Card, CopyCurl, Empty, Loaded, useSession, When } from '../ui/kit';
import { ListCard } from '../ui/List';
import { sentence } from './Audit';
import { Log } from './Events';
import * as q from './queries';

/** What happened to a bucket: events of this instance, and for admins what is on record. */
export function Activity({ name }: { name: string }) {
  const client = useQueryClient();
  const log = useQuery(q.eventLog(client, { bucket: name }));
  return (
    <div className="stack">
      <Card
        title="Events"
        flush
        aside={
          <Link to="/events" search={{ bucket: name }} className="button">
            With filters
          </Link>
        }
      >
        <Loaded of={log} rows={6}>
          {(list) => <Log list={list} filtered />}
        </Loaded>
      </Card>
      {useSession().role === 'admin' && <Recorded name={name} />}
    </div>
  );
}

/** How many records are listed. */
const recordsListed = 50;

/** The last audit records about a bucket. */
function Recorded({ name }: { name: string }) {
  const records = useQuery({
    queryKey: ['audit', 'bucket', name],
    queryFn: ({ signal }) => told(api.GET('/fado/audit', { params: { query: { bucket: name, newest: 'true', limit: recordsListed } }, signal })),
    refetchInterval: 15_000,
  });
  return (
    <ListCard
      of={records}
      title="On record"
      label="On record"
      aside={<CopyCurl path={`/fado/audit?bucket=${name}&newest=true&limit=${recordsListed}`} />}
      head={['Time', 'Who', 'What']}
      rows={(list) => list}
      foot={(list) =>
        list.length >= recordsListed && (
          <p className="card-foot tools">
            <span className="quiet">The last {recordsListed} are listed; there may be more.</span>
            <Link to="/audit" search={{ bucket: name }} className="button">
              All in the audit
            </Link>
          </p>
        )
      }
      none={<Empty title="No record of this bucket">What is done to it is put on record, unless the configuration says audit off.</Empty>}
    >
      {(r) => (
        <tr key={r.seq}>
          <td className="num">
            <When day time={r.at} />
          </td>
          <td>{r.actor || 'FaDO'}</td>
          <td>{sentence(r)}</td>
        </tr>
      )}
    </ListCard>
  );
}
