import { Menu } from '@base-ui/react/menu';
import { useQueryClient } from '@tanstack/react-query';
import { UserRound } from 'lucide-react';
import { type ReactNode, useEffect, useState } from 'react';
import { own, signals } from './api/client';
import { count } from './format';
import { uploads } from './objects/upload';
import { type Choice, type Pref, setPref, usePref } from './prefs';
import { setTheme, type Theme, useTheme } from './theme';
import { Confirm, useSession } from './ui/kit';

/** Who is signed in, and how pages look to them. */
export function Account({ onShortcuts }: { onShortcuts: () => void }) {
  const session = useSession();
  const theme = useTheme();
  const client = useQueryClient();
  const [asked, setAsked] = useState(0);
  useEffect(() => uploads.belong(session.user), [session.user]);
  async function signOut() {
    await uploads.end();
    if (session.how === 'identity') {
      if (session.sign_out) location.assign(session.sign_out);
      return;
    }
    await own('DELETE', 'session').catch(() => {});
    client.clear();
    signals.dispatchEvent(new Event('signed-out'));
  }
  return (
    <>
      <Menu.Root>
        <Menu.Trigger className="button ghost account">
          <UserRound aria-hidden="true" size={16} />
          <b className="sr-only">Account </b>
          <span>{session.user}</span>
        </Menu.Trigger>
        <Menu.Portal>
          <Menu.Positioner className="menu-place" sideOffset={6} align="end">
            <Menu.Popup className="menu">
              <p className="menu-note">
                {session.user}
                <span className="quiet">{session.role}</span>
              </p>
              <Radios label="Theme" value={theme} onChange={(v) => setTheme(v as Theme)} of={{ system: 'As the system', light: 'Light', dark: 'Dark' }} />
              <Preference of="density" label="Density" words={{ comfortable: 'Comfortable', compact: 'Compact' }} />
              <Preference of="clock" label="Times" words={{ local: 'Local time', utc: 'UTC' }} />
              <Menu.Item className="menu-item" onClick={onShortcuts}>
                <span className="menu-mark" />
                Shortcuts
              </Menu.Item>
              {(session.how !== 'identity' || session.sign_out) && (
                <>
                  <Menu.Separator className="menu-line" />
                  <Menu.Item className="menu-item" onClick={() => (uploads.open > 0 ? setAsked(uploads.open) : signOut())}>
                    <span className="menu-mark" />
                    Sign out
                  </Menu.Item>
                </>
              )}
            </Menu.Popup>
          </Menu.Positioner>
        </Menu.Portal>
      </Menu.Root>
      <Confirm open={asked > 0} title="Sign out" action="Sign out" danger onDone={signOut} onClose={() => setAsked(0)}>
        <p>
          {asked === 1 ? '1 upload is not done, and ends' : `${count(asked)} uploads are not done, and end`} when you sign out. What the storage has of them so
          far is removed.
        </p>
      </Confirm>
    </>
  );
}

function Preference<P extends Pref>({ of, label, words }: { of: P; label: string; words: Record<Choice<P>, string> }) {
  return <Radios label={label} value={usePref(of)} onChange={(v) => setPref(of, v as Choice<P>)} of={words} />;
}

function Radios({ label, value, onChange, of }: { label: string; value: string; onChange: (v: string) => void; of: Record<string, ReactNode> }) {
  return (
    <Menu.RadioGroup value={value} onValueChange={onChange} aria-label={label}>
      {Object.entries(of).map(([v, word]) => (
        <Menu.RadioItem key={v} value={v} className="menu-item" closeOnClick={false}>
          <span className="menu-mark">
            <Menu.RadioItemIndicator>✓</Menu.RadioItemIndicator>
          </span>
          {word}
        </Menu.RadioItem>
      ))}
      <Menu.Separator className="menu-line" />
    </Menu.RadioGroup>
  );
}
