import type { Schemas } from '../api/client';
import { counted } from '../format';
import { ClusterLink, State, Table } from '../ui/kit';

/** Which clusters a placement chose and which not, each with the reason. */
export function PlacementTable({
  label,
  of,
  current,
  copies,
}: {
  label: string;
  of: Schemas['Placement']['clusters'];
  /** The cluster that is looked at. */
  current?: string;
  /** The copies of the keys that are placed, where these are told apart. */
  copies?: Schemas['PrefixCopy'][];
}) {
  return (
    <Table label={label} head={['Cluster', 'Zone', 'Chosen', 'Why', ...(copies ? ['Copy of these keys'] : [])]}>
      {of.map((c) => (
        <tr key={c.cluster} aria-current={c.cluster === current ? 'true' : undefined}>
          <th scope="row">
            <ClusterLink name={c.cluster} />
          </th>
          <td>{c.zone}</td>
          <td>{c.chosen ? <State of="ok" label="chosen" /> : 'no'}</td>
          <td>{c.reason}</td>
          {copies && (
            <td>
              <Copy of={copies.find((cp) => cp.cluster === c.cluster)} />
            </td>
          )}
        </tr>
      ))}
    </Table>
  );
}

function Copy({ of }: { of: Schemas['PrefixCopy'] | undefined }) {
  if (!of) return <span className="quiet">none</span>;
  return (
    <>
      {of.role}, <State of={of.state} /> <span className="quiet">{counted(of.objects, 'object')}</span>
    </>
  );
}
