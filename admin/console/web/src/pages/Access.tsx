import { useQuery } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { own, type Pass, type Role } from '../api/client';
import { counted } from '../format';
import { Action, Ago, Card, Confirm, Empty, Facts, Loaded, Page, Table, useDo, useSession } from '../ui/kit';

const how: Record<string, string> = { password: 'with a password', token: 'with a token', link: 'with a link', identity: "by the site's own authentication" };

export function Access() {
  const session = useSession();
  const admin = session.role === 'admin';
  return (
    <Page title="Access">
      <div className="stack">
        <Card title="You">
          <Facts
            of={[
              ['Name', session.user],
              ['Role', `${session.role}: ${session.why}`],
              ['Signed in', how[session.how] ?? session.how],
              ['Ends', session.expires ? <Ago key="e" time={session.expires} /> : 'with the session of the site'],
            ]}
          />
        </Card>
        {admin ? (
          <>
            <Tokens />
            <Sessions />
          </>
        ) : (
          <Empty title="Tokens and sessions are for admins">You are {session.role}.</Empty>
        )}
      </div>
    </Page>
  );
}

function Tokens() {
  const tokens = useQuery({ queryKey: ['tokens'], queryFn: () => own<Pass[]>('GET', 'tokens') });
  const [secrets, setSecrets] = useState<Pass[]>([]);
  const [gone, setGone] = useState<Pass>();
  const [asked, setAsked] = useState<{ name: string; role: Role; days: number; form: HTMLFormElement }>();
  const make = useDo(async (body: { name: string; role: Role; days: number }) => {
    const made = await own<Pass>('POST', 'tokens', body);
    setSecrets((before) => [...before, made]);
  }, 'The token is made');
  const revoke = useDo((id: string) => own('DELETE', `tokens/${id}`), 'The token is revoked');

  function submit(e: FormEvent<HTMLFormElement>) {
    e.preventDefault();
    const form = e.currentTarget;
    const data = new FormData(form);
    setAsked({ name: String(data.get('name')), role: data.get('role') as Role, days: Number(data.get('days')), form });
  }

  return (
    <Card title="Tokens" flush>
      <form className="filters padded" onSubmit={submit}>
        <label className="field grow">
          <span>Name</span>
          <input name="name" required maxLength={128} placeholder="what it is for" />
        </label>
        <label className="field">
          <span>Role</span>
          <select name="role" defaultValue="viewer">
            <option>viewer</option>
            <option>operator</option>
            <option>admin</option>
          </select>
        </label>
        <label className="field">
          <span>Days</span>
          <input name="days" type="number" min={1} max={365} defaultValue={90} required />
        </label>
        <button type="submit" className="button primary">
          New token
        </button>
      </form>
      {secrets.map((made) => (
        <div key={made.id} className="notice padded" role="status">
          <p>
            The secret of {made.name}. It is shown once: <code>{made.secret}</code>
          </p>
          <button type="button" className="button" onClick={() => setSecrets(secrets.filter((s) => s !== made))}>
            I have it
          </button>
        </div>
      ))}
      <Loaded of={tokens}>
        {(list) =>
          list.length === 0 ? (
            <Empty title="No token">Scripts use them: Authorization: Bearer fado_…</Empty>
          ) : (
            <PassTable label="Tokens" list={list} verb="Revoke" onEnd={setGone} />
          )
        }
      </Loaded>
      <Confirm
        open={asked !== undefined}
        title={`New token ${asked?.name}`}
        action="Make it"
        onDone={() => {
          if (!asked) return;
          const { form, ...body } = asked;
          make.mutate(body, { onSuccess: () => form.reset() });
        }}
        onClose={() => setAsked(undefined)}
      >
        <p>
          Who has it may do what the role {asked?.role} may, for {counted(asked?.days ?? 0, 'day')}, from anywhere that reaches the console. Its secret is shown
          once.
        </p>
      </Confirm>
      <Confirm
        open={gone !== undefined}
        title={`Revoke ${gone?.name}`}
        action="Revoke"
        danger
        onDone={() => gone && revoke.mutate(gone.id)}
        onClose={() => setGone(undefined)}
      >
        <p>Whatever uses it stops working, and so do the sessions that were begun with it.</p>
      </Confirm>
    </Card>
  );
}

function Sessions() {
  const sessions = useQuery({ queryKey: ['sessions'], queryFn: () => own<Pass[]>('GET', 'sessions'), refetchInterval: 15_000 });
  const [gone, setGone] = useState<Pass>();
  const end = useDo((id: string) => own('DELETE', `sessions/${id}`), 'The session is ended');
  return (
    <Card title="Sessions" flush>
      <Loaded of={sessions}>{(list) => <PassTable label="Sessions" list={list} verb="End" onEnd={setGone} />}</Loaded>
      <Confirm
        open={gone !== undefined}
        title={`End the session of ${gone?.name}`}
        action="End"
        onDone={() => gone && end.mutate(gone.id)}
        onClose={() => setGone(undefined)}
      >
        <p>They have to sign in again.</p>
      </Confirm>
    </Card>
  );
}

function PassTable({ label, list, verb, onEnd }: { label: string; list: Pass[]; verb: string; onEnd: (p: Pass) => void }) {
  return (
    <Table label={label} head={['Name', 'Role', label === 'Tokens' ? 'Made by' : 'How', 'Last used', 'Ends', 'Do']}>
      {list.map((p) => (
        <tr key={p.id}>
          <th scope="row">
            {p.name} {p.current && <span className="pill">this one</span>}
          </th>
          <td>{p.role}</td>
          <td>{p.how}</td>
          <td>
            <Ago time={p.used} />
          </td>
          <td>
            <Ago time={p.expires} />
          </td>
          <td>
            <Action least="admin" label={`${verb} ${p.name}`} onClick={() => onEnd(p)}>
              {verb}
            </Action>
          </td>
        </tr>
      ))}
    </Table>
  );
}
