import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { bytes, count, counted, percent, queryOf, span } from '../format';
import { Ago, BucketLink, Card, ClusterLink, CopyCurl, Empty, Loaded, Meter, Page, State, Table } from '../ui/kit';
import { ListCard } from '../ui/List';
import { PauseButton, RetryButton } from './actions';
import { lag } from './Overview';
import { Queue } from './Queue';
import * as q from './queries';

export function Replication() {
  const status = useQuery(q.replication);
  const [after, setAfter] = useState('');
  const failures = useQuery(q.failures(after));
  const purges = useQuery(q.purges);
  return (
    <Page
      title="Replication"
      at={status.dataUpdatedAt}
      lead={status.data?.paused ? <State of="paused" /> : undefined}
      actions={
        <>
          {status.data && <PauseButton paused={status.data.paused} />}
          <CopyCurl path="/fado/replication?node=all" />
        </>
      }
    >
      <div className="stack">
        <Loaded of={status}>
          {(s) => (
            <>
              <div className="figures">
                <Figure
                  label="Queue"
                  value={count(s.queue.objects)}
                  note={
                    s.queue.objects
                      ? `${bytes(s.queue.bytes)}, oldest ${s.queue.oldest ? span(Date.now() - Date.parse(s.queue.oldest)) : 'now'}`
                      : 'every copy is in step'
                  }
                />
                <Figure
                  label="Rate"
                  value={`${bytes(s.rate.bytes)}/s`}
                  note={`${s.rate.objects < 10 ? s.rate.objects.toFixed(1) : count(Math.round(s.rate.objects))} objects/s`}
                />
                <Figure label="Lag, p50" value={lag(s.lag_ms.p50)} note={s.lag_ms.p99 > 0 ? `p99 ${lag(s.lag_ms.p99)}` : 'nothing copied lately'} />
                <Figure label="Workers" value={count(s.workers)} note={s.nodes.length > 1 ? `of ${listed(s.nodes)}` : 'on this instance'} />
              </div>
              <Card title="Transfers" flush>
                {s.transfers.length === 0 ? (
                  <Empty title={`Nothing is being copied by ${s.nodes.length > 1 ? listed(s.nodes) : 'this instance'} now`} />
                ) : (
                  <Table label="Transfers" head={['Object', 'From → to', 'Progress', 'Rate', 'Done in', 'Began', 'Instance']}>
                    {s.transfers.map((t) => (
                      <tr key={`${t.node} ${t.bucket} ${t.key} ${t.to}`}>
                        <th scope="row" className="key in-text">
                          <BucketLink name={t.bucket} /> {t.key}
                        </th>
                        <td>
                          {t.from} → {t.to}
                        </td>
                        <td>
                          <Meter
                            label={`Copy of ${t.key} to ${t.to}`}
                            value={percent(t.done, t.total)}
                            text={t.total ? `${bytes(t.done)} of ${bytes(t.total)}` : bytes(t.done)}
                          />
                        </td>
                        <td className="num">{t.rate > 0 ? `${bytes(t.rate)}/s` : <span className="quiet">not known</span>}</td>
                        <td className="num">{t.eta ? span(Date.parse(t.eta) - Date.now()) : <span className="quiet">not known</span>}</td>
                        <td>
                          <Ago time={t.started} />
                        </td>
                        <td>{t.node}</td>
                      </tr>
                    ))}
                  </Table>
                )}
              </Card>
              {s.verifications.length > 0 && (
                <Card title="Verifications" flush>
                  <Table label="Verifications" head={['Bucket', 'State', 'Compared']}>
                    {s.verifications.map((v) => (
                      <tr key={v.bucket}>
                        <th scope="row">
                          <BucketLink name={v.bucket} />
                        </th>
                        <td>
                          <State of={v.state} />
                        </td>
                        <td>
                          <Meter
                            label={`Verification of ${v.bucket}`}
                            value={percent(v.objects, v.total)}
                            text={v.total ? `${count(Math.min(v.objects, v.total))} of ${count(v.total)}` : `${count(v.objects)} of an unknown number`}
                          />
                        </td>
                      </tr>
                    ))}
                  </Table>
                </Card>
              )}
            </>
          )}
        </Loaded>
        <Queue />
        {purges.data && purges.data.length > 0 && (
          <Card title="Purges" flush aside={<CopyCurl path="/fado/replication/purges" />}>
            <Table label="Purges" head={['Bucket', 'Removes', 'Left in', 'State', 'Next', 'Since']}>
              {purges.data.map((p) => (
                <tr key={p.bucket}>
                  <th scope="row">{p.bucket}</th>
                  <td>{p.mode === 'all' ? 'all data' : `copies; the data in ${p.primary} stays`}</td>
                  <td>{p.clusters.join(', ')}</td>
                  <td>{p.error || 'under way'}</td>
                  <td>{p.next_attempt ? <Ago time={p.next_attempt} /> : <span className="quiet">now</span>}</td>
                  <td>
                    <Ago time={p.since} />
                  </td>
                </tr>
              ))}
            </Table>
          </Card>
        )}
        <ListCard
          of={failures}
          title="Failures"
          label="Failures"
          aside={
            <span className="tools">
              {failures.data && (failures.data.total ?? failures.data.items.length) > 0 && <RetryButton />}
              <CopyCurl path={`/fado/replication/failures?${queryOf({ limit: `${q.pageSize}`, after })}`} />
            </span>
          }
          head={['Object', 'Cluster', 'Error', 'Attempts', 'Next', 'Since']}
          rows={(page) => page.items}
          pages={(page) => ({ after, next: page.next, go: setAfter })}
          foot={({ items, total = 0 }) => total > items.length && <p className="card-foot quiet">{counted(total, 'failure')} in all</p>}
          none={<Empty title="No failure">What could not be copied is listed here, and tried again by itself.</Empty>}
        >
          {(f) => (
            <tr key={`${f.bucket} ${f.key} ${f.cluster}`}>
              <th scope="row" className="key in-text">
                {f.key ? <BucketLink name={f.bucket} /> : f.bucket} {f.key || '(its purge)'}
              </th>
              <td>{f.cluster && <ClusterLink name={f.cluster} />}</td>
              <td>{f.error}</td>
              <td className="num">{count(f.attempts)}</td>
              <td>
                <Ago time={f.next_attempt} />
              </td>
              <td>
                <Ago time={f.since} />
              </td>
            </tr>
          )}
        </ListCard>
      </div>
    </Page>
  );
}

const listed = (names: string[]) => new Intl.ListFormat('en').format(names);

function Figure({ label, value, note }: { label: string; value: string; note: string }) {
  return (
    <div className="figure">
      <span className="figure-label">{label}</span>
      <strong>{value}</strong>
      <span className="quiet">{note}</span>
    </div>
  );
}
