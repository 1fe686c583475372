import { useQuery } from '@tanstack/react-query';
import { getRouteApi, useNavigate } from '@tanstack/react-router';
import { CopyCurl, Loaded, Page } from '../ui/kit';
import { AsTable, Flowing } from './Flowing';
import * as q from './queries';
import { Silent } from './Silent';

const here = getRouteApi('/topology');

export function Topology() {
  const summary = useQuery(q.summary);
  const flows = useQuery(q.flows);
  const { view } = here.useSearch();
  const navigate = useNavigate({ from: '/topology' });
  const table = view === 'table';
  return (
    <Page
      title="Topology"
      at={flows.dataUpdatedAt}
      actions={
        <>
          <AsTable on={table} onChange={(on) => navigate({ search: { view: on ? 'table' : undefined }, replace: true })} />
          <CopyCurl path="/fado/flows" />
        </>
      }
    >
      <Silent />
      <Loaded of={summary} rows={8}>
        {(s) => <Flowing clusters={s.clusters} table={table} />}
      </Loaded>
    </Page>
  );
}
