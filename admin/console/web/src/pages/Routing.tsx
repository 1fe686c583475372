import { useQuery } from '@tanstack/react-query';
import { getRouteApi, useNavigate } from '@tanstack/react-router';
import { type FormEvent, useState } from 'react';
import type { Schemas } from '../api/client';
import { count, rate } from '../format';
import { Card, ClusterLink, CopyCurl, Empty, Facts, Failure, Page, Skeleton, State, Table } from '../ui/kit';
import { historyPath, latest, linesOf, measured, measurers, together } from './history';
import * as q from './queries';

type Route = Schemas['Route'];
type Policy = Schemas['WhatIfInput']['policies'];

/** What is asked, as it stands in the address. */
export interface Question {
  bucket?: string;
  object?: string;
  /** s3:// URLs with spaces between them. */
  data?: string;
  /** Clusters that are taken for down, with commas between them. */
  down?: string;
  spill?: string;
  /** A policy as JSON, that is taken to be like this. */
  policy?: string;
}

const here = getRouteApi('/routing');

const reasons: Record<string, string> = {
  'unknown-bucket': 'FaDO does not know the bucket.',
  'no-fresh-copy': 'No cluster that may serve it holds the current version.',
  'no-endpoint': 'No function endpoint is free and healthy where the data may be used.',
  'zone-forbidden': 'The policy allows no cluster that has a function.',
  'no-bucket': 'The request names no bucket.',
};

/** The words of a command line, as a shell reads them. */
export function shellWords(text: string): string[] {
  const words: string[] = [];
  const word = /(?:\\\n|\s)+|((?:'[^']*'|"(?:\\[\s\S]|[^"\\])*"|\\[\s\S]|[^\s'"\\])+)/g;
  for (const [, w] of text.matchAll(word)) {
    if (!w) continue;
    words.push(
      w.replace(/'([^']*)'|"((?:\\[\s\S]|[^"\\])*)"|\\([\s\S])/g, (_, single?: string, double?: string, escaped?: string) =>
        single !== undefined
          ? single
          : double !== undefined
            ? double.replace(/\\(["\\$`\n])/g, (_m, c: string) => (c === '\n' ? '' : c))
            : escaped === '\n'
              ? ''
              : (escaped ?? ''),
      ),
    );
  }
  return words;
}

/** What a curl command says to data_aware: its headers of FaDO. */
export function parseCurl(text: string): Question {
  const words = shellWords(text);
  const headers: Record<string, string[]> = {};
  words.forEach((w, i) => {
    const header = w === '-H' || w === '--header' ? words[i + 1] : /^(?:-H|--header=)(.+)$/s.exec(w)?.[1];
    const [, name, value] = /^(x-fado-\w+)\s*:\s*(.*?)\s*$/is.exec(header ?? '') ?? [];
    if (name) headers[name.toLowerCase()] = [...(headers[name.toLowerCase()] ?? []), value];
  });
  const bucket = headers['x-fado-bucket']?.join(', ');
  const objects = headers['x-fado-object'] ?? [];
  const first = bucket?.split(',')[0].trim();
  const data = [...(headers['x-fado-data'] ?? []), ...(objects.length > 1 ? objects.map((o) => `s3://${first}/${o}`) : [])];
  return { bucket, object: objects.length === 1 ? objects[0] : undefined, data: data.join(' ') || undefined };
}

/** The policy that is drafted in the address, in a list; undefined where there is none that can be read. */
function drafted(text: string | undefined): Policy | undefined {
  try {
    return text ? ([JSON.parse(text)] as Policy) : undefined;
  } catch {
    return undefined;
  }
}

/** The body of the question what would be; undefined where nothing is supposed. */
export function supposed(s: Question): Schemas['WhatIfInput'] | undefined {
  const policies = drafted(s.policy);
  if (!s.down && !s.spill && !policies) return undefined;
  return {
    ...named(s),
    ...(s.down && { down: s.down.split(',') }),
    ...(Number(s.spill) > 0 && { spill: Number(s.spill) }),
    ...(policies && { policies }),
  };
}

const one = (v?: string) => (v ? [v] : undefined);

const named = (s: Question) => ({ bucket: one(s.bucket), object: one(s.object), data: s.data?.split(/\s+/).filter(Boolean) });

export function Routing() {
  const search = here.useSearch();
  const navigate = useNavigate({ from: '/routing' });
  const [draft, setDraft] = useState<Question>(search);
  const asked = Boolean(search.bucket || search.data);
  const what = supposed(search);
  const route = useQuery({ ...q.route(named(search), what), enabled: asked });
  const params = new URLSearchParams({ trace: 'true' });
  for (const [name, values] of Object.entries(named(search))) for (const v of values ?? []) params.append(name, v);
  const go = (to: Question) => navigate({ search: Object.fromEntries(Object.entries(to).map(([k, v]) => [k, v || undefined])), replace: true });
  const field = (name: 'bucket' | 'object' | 'data') => ({
    value: draft[name] ?? '',
    spellCheck: false,
    onChange: (e: { target: { value: string } }) => setDraft((d) => ({ ...d, [name]: e.target.value })),
  });

  function explain(e: FormEvent) {
    e.preventDefault();
    go({ ...search, bucket: draft.bucket, object: draft.object, data: draft.data });
  }

  return (
    <Page
      title="Routing"
      at={asked ? route.dataUpdatedAt : undefined}
      actions={asked && (what ? <CopyCurl method="POST" path="/fado/route" body={what} /> : <CopyCurl path={`/fado/route?${params}`} />)}
    >
      <div className="stack">
        <Card title="Where would this invocation go?">
          <form className="filters" onSubmit={explain}>
            <label className="field grow">
              <span>Bucket</span>
              <input data-find {...field('bucket')} />
            </label>
            <label className="field grow">
              <span>Object</span>
              <input {...field('object')} placeholder="optional: a key in that bucket" />
            </label>
            <label className="field grow">
              <span>Data</span>
              <input {...field('data')} placeholder="optional: s3://bucket/key" />
            </label>
            <button type="submit" className="button primary">
              Explain
            </button>
          </form>
          <details>
            <summary>Paste a request</summary>
            <label className="field">
              <span>Paste a request</span>
              <textarea
                rows={3}
                spellCheck={false}
                placeholder="curl -H 'X-FaDO-Bucket: reports' …"
                onChange={(e) => setDraft((d) => ({ ...d, bucket: undefined, object: undefined, data: undefined, ...parseCurl(e.target.value) }))}
              />
            </label>
          </details>
          <Suppose search={search} go={go} />
        </Card>
        {search.policy && !drafted(search.policy) && <Failure error={new Error('The policy in the address is no JSON, and is left out')} />}
        <Lately />
        {!asked && <Empty title="Name a bucket">The answer is what data_aware would decide now, with why every other endpoint is out.</Empty>}
        {asked && route.error && <Failure error={route.error} retry={route.refetch} />}
        {asked && route.isPending && <Skeleton rows={5} />}
        {asked && route.data && <Decision r={route.data} supposed={what !== undefined} />}
      </div>
    </Page>
  );
}

/** The reasons for which something was refused in a quarter of an hour, the most frequent first. */
export function refusals(h: Pick<Schemas['History'], 'series' | 'step'>): { reason: string; times: number; now: number | undefined }[] {
  return linesOf({ series: { 'rejections.': '' } }, h)
    .map((l) => ({ reason: l.label, times: Math.round(l.values.reduce<number>((n, v) => n + (v ?? 0) * h.step, 0)), now: latest(l) }))
    .filter((r) => r.times > 0)
    .sort((a, b) => b.times - a.times);
}

const decided = { 'decisions.local': 'local', 'decisions.remote': 'remote', 'decisions.none': 'no data named', rejections: 'refused' };

/** What is asked of the last quarter of an hour. */
const lately = ['15m', 'all', [...Object.keys(decided), 'rejections.'], 90] satisfies Parameters<typeof measured>;

/** What was decided lately, by all instances. */
function Lately() {
  const told = useQuery(measurers);
  const history = useQuery(measured(...lately));
  if (!history.data) return null; // no history is kept
  const h = together(history.data, told.data?.nodes ?? []);
  const refused = refusals(h);
  const known = linesOf({ series: { rejections: '' } }, h).some((l) => latest(l) !== undefined);
  return (
    <Card title="Lately" aside={<CopyCurl path={() => historyPath(...lately)} />}>
      <Facts
        of={linesOf({ series: decided }, h).map((l) => {
          const now = latest(l);
          return [l.label, now === undefined ? 'not known' : rate(now)];
        })}
      />
      {refused.length === 0 ? (
        <p className="quiet">{known ? 'Nothing was refused within 15 minutes.' : 'Whether something was refused within 15 minutes is not known.'}</p>
      ) : (
        <Table label="Refused" head={['Reason', 'Within 15 minutes', 'Now', 'What it means']}>
          {refused.map((r) => (
            <tr key={r.reason}>
              <th scope="row">{r.reason}</th>
              <td className="num">{count(r.times)}</td>
              <td className="num">{r.now === undefined ? 'not known' : rate(r.now)}</td>
              <td>{reasons[r.reason] ?? <span className="quiet">The request is not one that can be sent on.</span>}</td>
            </tr>
          ))}
        </Table>
      )}
    </Card>
  );
}

/** What is taken to be otherwise. Nothing changes on the server. */
function Suppose({ search, go }: { search: Question; go: (to: Question) => void }) {
  const clusters = useQuery(q.clusters);
  const policies = useQuery(q.policies);
  const [wrong, setWrong] = useState('');
  const [open, setOpen] = useState(Boolean(search.down || search.spill || search.policy));
  const down = search.down?.split(',') ?? [];
  const take = (text: string) => {
    try {
      if (text.trim()) JSON.parse(text);
      setWrong('');
      go({ ...search, policy: text.trim() || undefined });
    } catch (e) {
      setWrong((e as Error).message);
    }
  };
  const begin = (name: string) => {
    const found = policies.data?.find((p) => p.name === name);
    const { origin: _, ...policy } = found ?? { name, origin: '' };
    go({ ...search, policy: name ? JSON.stringify(policy) : undefined });
  };
  return (
    <details open={open} onToggle={(e) => setOpen(e.currentTarget.open)}>
      <summary>What if</summary>
      <div className="filters">
        <fieldset className="facets">
          <legend>Clusters that are down</legend>
          {clusters.data?.map(({ name }) => (
            <label key={name} className={`facet ${down.includes(name) ? 'on' : ''}`}>
              <input
                type="checkbox"
                checked={down.includes(name)}
                onChange={(e) => go({ ...search, down: (e.target.checked ? [...down, name] : down.filter((d) => d !== name)).join(',') })}
              />
              {name} down
            </label>
          ))}
        </fieldset>
        <label className="field">
          <span>Spill above</span>
          <input type="number" min={0} value={search.spill ?? ''} placeholder="off" onChange={(e) => go({ ...search, spill: e.target.value || undefined })} />
        </label>
        <label className="field">
          <span>Another policy</span>
          <select value="" onChange={(e) => begin(e.target.value)}>
            <option value="">{search.policy ? 'as drafted below' : 'as they are'}</option>
            {policies.data?.map((p) => (
              <option key={p.name}>{p.name}</option>
            ))}
          </select>
        </label>
      </div>
      {search.policy && (
        <label className="field">
          <span>The policy, as it would be</span>
          <textarea key={search.policy} rows={4} spellCheck={false} defaultValue={search.policy} onBlur={(e) => take(e.target.value)} />
          {wrong && <span className="field-error">{wrong}</span>}
        </label>
      )}
    </details>
  );
}

function Decision({ r, supposed: supposing }: { r: Route; supposed: boolean }) {
  return (
    <>
      <Card title={supposing ? 'What it would be' : 'Decision'}>
        <div className="decision">
          {r.decision ? (
            <>
              <State of={r.decision.locality === 'local' ? 'ok' : 'degraded'} label={r.decision.locality} />
              <p>
                Goes to <ClusterLink name={r.decision.cluster} /> <code>{r.decision.url}</code>
              </p>
            </>
          ) : (
            <>
              <State of="failed" label={r.reason || 'refused'} />
              <p>{reasons[r.reason] ?? 'The request would be refused.'}</p>
            </>
          )}
        </div>
        <ol className="steps" aria-label="Decision">
          {(r.steps ?? []).map((s) => (
            <li key={s.step}>
              <span>{s.step}</span> {s.in > 0 && `${count(s.out)} of ${count(s.in)} left`}
              {s.kept.length > 0 && `: ${s.kept.join(', ')}`}
              {s.note && <em className="quiet"> {s.note}</em>}
              {s.dropped.length > 0 && (
                <ul className="dropped">
                  {s.dropped.map((d) => (
                    <li key={`${d.cluster} ${d.url}`}>
                      <ClusterLink name={d.cluster} /> <span className="key">{d.url}</span> {d.reason}
                    </li>
                  ))}
                </ul>
              )}
            </li>
          ))}
        </ol>
      </Card>
      <Card title="Candidates" flush>
        {r.candidates.length === 0 ? (
          <Empty title="No cluster has a function endpoint">Edit a cluster to add one, or declare it with function in the Caddyfile.</Empty>
        ) : (
          <Table label="Candidates" head={['Cluster', 'Endpoint', 'May take it', 'Locality', 'Current there', 'Healthy', 'In flight', 'Why']}>
            {r.candidates.map((c) => (
              <tr key={`${c.cluster} ${c.url}`}>
                <th scope="row">
                  <ClusterLink name={c.cluster} /> <span className="quiet">{c.zone}</span>
                </th>
                <td className="key">{c.url || <span className="quiet">none</span>}</td>
                <td>{c.eligible ? <State of="ok" label="yes" /> : <State of="down" label="no" />}</td>
                <td>{c.locality || '–'}</td>
                <td>{c.fresh ? 'yes' : 'no'}</td>
                <td>{c.healthy ? 'yes' : 'no'}</td>
                <td className="num">{count(c.in_flight)}</td>
                <td>{c.reason || <span className="quiet">nothing against it</span>}</td>
              </tr>
            ))}
          </Table>
        )}
      </Card>
    </>
  );
}
