import { type FormEvent, useEffect, useId, useRef, useState } from 'react';
import { own, type Session } from './api/client';

type Way = 'password' | 'token';

/** The sign-in page: it tells nothing of what is behind it. */
export function SignIn({ code, onSignedIn }: { code?: string; onSignedIn: (s: Session) => void }) {
  const [way, setWay] = useState<Way>('password');
  const [error, setError] = useState('');
  const [busy, setBusy] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  const tried = useRef(false);
  const id = useId();

  async function enter(body: Record<string, string>) {
    setBusy(true);
    setError('');
    try {
      onSignedIn(await own<Session>('POST', 'session', body));
    } catch (e) {
      setError((e as Error).message || 'FaDO does not answer');
      setBusy(false);
    }
  }

  // biome-ignore lint/correctness/useExhaustiveDependencies: a link is used once, when the page opens
  useEffect(() => {
    document.title = 'Sign in · FaDO';
    if (code && !tried.current) {
      tried.current = true;
      enter({ code });
    }
  }, [code]);

  function submit(e: FormEvent) {
    e.preventDefault();
    const data = new FormData(form.current as HTMLFormElement);
    const text = (name: string) => String(data.get(name) ?? '');
    enter(way === 'password' ? { user: text('user'), password: text('password') } : { token: text('token').trim() });
  }

  return (
    <main className="door">
      <div className="door-mark">
        <img src="./icon.svg" alt="" width="40" height="40" />
        <span>FaDO</span>
      </div>
      <h1>Sign in</h1>
      <form ref={form} onSubmit={submit} aria-busy={busy}>
        {error && (
          <p className="alert" role="alert">
            {error}
          </p>
        )}
        {way === 'password' ? (
          <>
            <label htmlFor={`${id}u`}>User name</label>
            <input id={`${id}u`} name="user" autoComplete="username" required autoCapitalize="none" spellCheck={false} />
            <label htmlFor={`${id}p`}>Password</label>
            <input id={`${id}p`} name="password" type="password" autoComplete="current-password" required />
          </>
        ) : (
          <>
            <label htmlFor={`${id}t`}>Token</label>
            <input id={`${id}t`} name="token" type="password" autoComplete="off" required spellCheck={false} />
          </>
        )}
        <button type="submit" className="button primary wide" disabled={busy}>
          Sign in
        </button>
      </form>
      <button type="button" className="link" onClick={() => setWay(way === 'password' ? 'token' : 'password')}>
        {way === 'password' ? 'Use a token' : 'Use a name and a password'}
      </button>
      <p className="hint">
        Or open a link of <code>caddy fado sign-in</code>
      </p>
    </main>
  );
}
