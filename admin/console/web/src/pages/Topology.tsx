import { useQuery } from '@tanstack/react-query';
import { getRouteApi, useNavigate } from '@tanstack/react-router';
import { CopyCurl, Loaded, Page } from '../ui/kit';
import { AsTable, Flowing } from './Flowing';
import * as q from './queries';
import { Silent } from './Silent';

const here = getRouteApi('/topology');

type Search = { view?: 'table'; cluster?: string };

export function Topology() {
  const summary = useQuery(q.summary);
  const flows = useQuery(q.flows);
  const clusters = useQuery(q.clusters);
  const { view, cluster } = here.useSearch();
  const navigate = useNavigate({ from: '/topology' });
  const table = view === 'table';
  return (
    <Page
      title="Topology"
      at={flows.dataUpdatedAt}
      actions={
        <>
          <label className="field inline">
            <span>Flows of</span>
            <select
              value={cluster ?? ''}
              onChange={(e) => navigate({ search: (now: Search) => ({ ...now, cluster: e.target.value || undefined }), replace: true })}
            >
              <option value="">all clusters</option>
              {summary.data?.clusters.map((c) => (
                <option key={c.name}>{c.name}</option>
              ))}
            </select>
          </label>
          <AsTable on={table} onChange={(on) => navigate({ search: (now: Search) => ({ ...now, view: on ? 'table' : undefined }), replace: true })} />
          <CopyCurl path="/fado/flows" />
        </>
      }
    >
      <Silent />
      <Loaded of={summary} rows={8}>
        {(s) => <Flowing clusters={s.clusters} table={table} only={cluster} items={clusters.data ?? []} />}
      </Loaded>
    </Page>
  );
}
