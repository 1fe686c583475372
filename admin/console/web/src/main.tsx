import { lazy, StrictMode, Suspense, useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { ApiError, own, type Session, signals } from './api/client';
import { SignIn } from './SignIn';
import './styles.css';
import { applyTheme } from './theme';

const app = () => import('./App');

const App = lazy(app);

/** 'left': the session of the site that the console is behind ended. */
type Who = Session | 'nobody' | 'left' | 'no access' | 'unreachable' | undefined;

/** The code of a link to sign in with, taken out of the address. */
function linkCode(): string | undefined {
  const code = /^#sign-in=(.+)$/.exec(location.hash)?.[1];
  if (code) history.replaceState(null, '', location.pathname + location.search);
  return code;
}

const code = linkCode();

async function whoAmI(): Promise<Who> {
  try {
    return await own<Session>('GET', 'session');
  } catch (error) {
    if (!(error instanceof ApiError)) return 'unreachable';
    // A redirect is not told to pages but for its being one.
    if (error.status === 0) return 'left';
    return error.status === 403 ? 'no access' : error.status === 401 ? 'nobody' : 'unreachable';
  }
}

// Who comes back is most often still signed in: the page comes while it is asked who they are.
const asked = code === undefined ? whoAmI() : undefined;
app().catch(() => {}); // what draws it says so

function Root() {
  const [who, setWho] = useState<Who>();
  useEffect(() => {
    if (asked) asked.then(setWho);
    else setWho('nobody');
    const signedOut = (e: Event) =>
      setWho((now) => (now === 'left' || (typeof now === 'object' && now.how === 'identity') || (e as CustomEvent).detail === 'identity' ? 'left' : 'nobody'));
    signals.addEventListener('signed-out', signedOut);
    return () => signals.removeEventListener('signed-out', signedOut);
  }, []);
  useEffect(() => {
    if (who !== 'unreachable') return;
    const again = setInterval(() => whoAmI().then(setWho), 3000);
    return () => clearInterval(again);
  }, [who]);

  switch (who) {
    case undefined:
      return <div className="splash" aria-busy="true" />;
    case 'nobody':
      return <SignIn code={code} onSignedIn={setWho} />;
    case 'left':
      return (
        <main className="door">
          <h1>Your session ended</h1>
          <p>You are signed in by the site, which no longer knows you. Its own sign-in brings you back here.</p>
          <button type="button" className="button primary" onClick={() => location.reload()}>
            Sign in again
          </button>
        </main>
      );
    case 'no access':
      return (
        <main className="door">
          <h1>No access</h1>
          <p>The site knows you, but no role of the console is yours. An administrator adds one to its configuration.</p>
        </main>
      );
    case 'unreachable':
      return (
        <main className="door">
          <h1>FaDO does not answer</h1>
          <p role="status">The page asks again every few seconds.</p>
        </main>
      );
    default:
      return (
        <Suspense fallback={<div className="splash" aria-busy="true" />}>
          <App session={who} />
        </Suspense>
      );
  }
}

applyTheme();
createRoot(document.getElementById('root') as HTMLElement).render(
  <StrictMode>
    <Root />
  </StrictMode>,
);
