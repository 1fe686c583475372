import { AlertDialog } from '@base-ui/react/alert-dialog';
import { Toast } from '@base-ui/react/toast';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { CircleCheck, CircleHelp, CirclePause, CircleX, Copy, GitMerge, type LucideIcon, RefreshCw, TriangleAlert } from 'lucide-react';
import { type CSSProperties, createContext, type ReactNode, useContext, useDeferredValue, useEffect, useId, useState } from 'react';
import { ApiError, may, type Role, type Session } from '../api/client';
import { ago, curl } from '../format';
import { isToday, moment, timeOfDay, usePref } from '../prefs';

export const SessionContext = createContext<Session>({
  user: '',
  role: 'viewer',
  why: '',
  how: 'password',
  expires: null,
  sign_out: '',
  session: '',
  data: 'none',
  s3: '',
});
export const useSession = () => useContext(SessionContext);

/** Whether FaDO can be reached: actions are off while it can't. */
export const OnlineContext = createContext(true);

/** Why nothing can be done now, or undefined where it can: dialogs that are open go by it, too. */
export const useAway = () => (useContext(OnlineContext) ? undefined : 'FaDO can not be reached');

type Tone = 'good' | 'busy' | 'warn' | 'bad' | 'none';

const states: Record<string, [Tone, LucideIcon]> = {
  ok: ['good', CircleCheck],
  synced: ['good', CircleCheck],
  up: ['good', CircleCheck],
  healthy: ['good', CircleCheck],
  done: ['good', CircleCheck],
  syncing: ['busy', RefreshCw],
  waiting: ['busy', RefreshCw],
  running: ['busy', RefreshCw],
  repairing: ['busy', RefreshCw],
  draining: ['busy', RefreshCw],
  removing: ['busy', RefreshCw],
  conflict: ['warn', GitMerge],
  degraded: ['warn', TriangleAlert],
  full: ['warn', TriangleAlert],
  paused: ['warn', CirclePause],
  stuck: ['bad', TriangleAlert],
  failed: ['bad', CircleX],
  down: ['bad', CircleX],
  unavailable: ['bad', CircleX],
};

export const toneOf = (state: string): Tone => states[state]?.[0] ?? 'none';

/** A state as a shape, a word and a colour. */
export function State({ of, label }: { of: string; label?: string }) {
  const [tone, Icon] = states[of] ?? ['none', CircleHelp];
  return (
    <span className={`state ${tone}`}>
      <Icon aria-hidden="true" size={14} />
      {label ?? of}
    </span>
  );
}

/** A moment by the clock that was chosen, also when another is chosen: with its day, or as a time of the day, if that is today. */
export function When({ time, day }: { time: string | number; day?: boolean }) {
  usePref('clock');
  return (
    <time dateTime={new Date(time).toISOString()} title={day ? undefined : moment(time)}>
      {day || !isToday(time) ? moment(time) : timeOfDay(time)}
    </time>
  );
}

/** A moment, as how long ago it was. */
export function Ago({ time }: { time: string | number | null | undefined }) {
  const now = useNow(5000);
  usePref('clock');
  if (!time) return <span className="quiet">never</span>;
  const date = new Date(time);
  return (
    <time dateTime={date.toISOString()} title={moment(date)}>
      {ago(time, now)}
    </time>
  );
}

/** A text that people write and tell when they are done, and that follows what it is of. */
export function useWritten(of = '') {
  const [value, setText] = useState(of);
  useEffect(() => setText(of), [of]);
  return { value, onChange: (e: { target: { value: string } }) => setText(e.target.value) };
}

export function useNow(every: number): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const t = setInterval(() => setNow(Date.now()), every);
    return () => clearInterval(t);
  }, [every]);
  return now;
}

/** How old what is shown is. */
export function Age({ at }: { at: number }) {
  const now = useNow(1000);
  const old = now - at;
  return <span className={old > 15_000 ? 'age old' : 'age'}>{at === 0 ? 'not read yet' : `as of ${ago(at, now)}`}</span>;
}

export function Page({ title, at, actions, lead, children }: { title: string; at?: number; actions?: ReactNode; lead?: ReactNode; children: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · FaDO`;
  }, [title]);
  return (
    <>
      <header className="page-head">
        <div>
          <h1 tabIndex={-1}>{title}</h1>
          {lead}
        </div>
        <div className="page-tools">
          {at !== undefined && <Age at={at} />}
          {actions}
        </div>
      </header>
      {children}
    </>
  );
}

export function Card({ title, aside, children, label, flush }: { title?: string; aside?: ReactNode; children: ReactNode; label?: string; flush?: boolean }) {
  const id = useId();
  return (
    <section className="card" aria-labelledby={title ? id : undefined} aria-label={title ? undefined : label}>
      {title && (
        <header>
          <h2 id={id}>{title}</h2>
          {aside}
        </header>
      )}
      <div className={flush ? 'card-body flush' : 'card-body'}>{children}</div>
    </section>
  );
}

interface Loaded<T> {
  data: T | undefined;
  error: Error | null;
  isPending: boolean;
  refetch: () => unknown;
}

/** What a query brought, or its skeleton, or why there is nothing. */
export function Loaded<T>({ of, children, rows = 4 }: { of: Loaded<T>; children: (data: T) => ReactNode; rows?: number }) {
  if (of.data !== undefined) {
    return (
      <>
        {of.error && <Failure error={of.error} retry={of.refetch} />}
        {children(of.data)}
      </>
    );
  }
  if (of.error) return <Failure error={of.error} retry={of.refetch} />;
  return <Skeleton rows={rows} />;
}

/** What takes long to draw: what was done shows at once, and this when there is time. */
export function Later({ rows, children }: { rows: number; children: ReactNode }) {
  const now = useDeferredValue(true, false);
  return now ? children : <Skeleton rows={rows} />;
}

export function Skeleton({ rows }: { rows: number }) {
  return (
    <div className="skeleton" aria-busy="true">
      <span className="sr-only">Loading</span>
      {Array.from({ length: rows }, (_, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: lines of nothing
        <i key={i} />
      ))}
    </div>
  );
}

export function Failure({ error, retry }: { error: Error; retry?: () => unknown }) {
  return (
    <div className="alert" role="alert">
      <span>
        {error.message} {error instanceof ApiError && <span className="quiet">({error.status})</span>}
      </span>
      {error instanceof ApiError && error.request && <RequestId id={error.request} />}
      {retry && (
        <button type="button" className="button small" onClick={() => retry()}>
          Try again
        </button>
      )}
    </div>
  );
}

/** The ID of a request that failed, for those who look at the log or the audit. */
export function RequestId({ id }: { id: string }) {
  const [copied, setCopied] = useState('');
  return (
    <span className="request quiet">
      Request <code>{id}</code>
      <button
        type="button"
        className="button small ghost"
        aria-label={`Copy the request ID ${id}`}
        onClick={() =>
          navigator.clipboard.writeText(id).then(
            () => setCopied('Copied'),
            () => setCopied('Select it to copy'),
          )
        }
      >
        <Copy aria-hidden="true" size={14} />
        {copied || 'Copy'}
      </button>
    </span>
  );
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <p>{title}</p>
      {children && <div className="quiet">{children}</div>}
    </div>
  );
}

/** A button that says, where a role may not use it, which one may. */
export function Action({
  least = 'operator',
  off,
  onClick,
  children,
  kind = '',
  label,
}: {
  least?: Role;
  /** Why it can't be used now. */
  off?: string;
  onClick: () => void;
  children: ReactNode;
  kind?: string;
  label?: string;
}) {
  const { role } = useSession();
  const away = useAway();
  const id = useId();
  const why = !may(role, least) ? `Needs the role ${least}` : off || away;
  return (
    <>
      <button
        type="button"
        className={`button ${kind}`}
        aria-disabled={why ? true : undefined}
        aria-describedby={why ? id : undefined}
        aria-label={label}
        title={why}
        onClick={() => why || onClick()}
      >
        {children}
      </button>
      {why && (
        <span id={id} className="sr-only">
          {why}
        </span>
      )}
    </>
  );
}

/** A button in a dialog that has something done: while FaDO can't be reached it does nothing, and says why. */
export function Doing({ off, onClick, children, kind = '' }: { off?: boolean; onClick: () => void; children: ReactNode; kind?: string }) {
  const away = useAway();
  const id = useId();
  return (
    <>
      {away && (
        <span id={id} role="status" className="quiet">
          {away}
        </span>
      )}
      <button
        type="button"
        className={`button ${kind}`}
        disabled={off}
        aria-disabled={away ? true : undefined}
        aria-describedby={away ? id : undefined}
        onClick={() => away || onClick()}
      >
        {children}
      </button>
    </>
  );
}

/** A question before something is done: it names the effect. */
export function Confirm({
  open,
  title,
  children,
  action,
  typed,
  danger,
  off,
  curl: same,
  onDone,
  onClose,
}: {
  open: boolean;
  title: string;
  children: ReactNode;
  action: string;
  /** What has to be typed, where data is given up. */
  typed?: string;
  danger?: boolean;
  /** Whether what is asked is not complete yet. */
  off?: boolean;
  /** The request that does the same, to be copied. */
  curl?: Asked | Asked[];
  onDone: () => void;
  onClose: () => void;
}) {
  const [text, setText] = useState('');
  const id = useId();
  // biome-ignore lint/correctness/useExhaustiveDependencies: each time it is asked
  useEffect(() => setText(''), [open]);
  return (
    <AlertDialog.Root open={open} onOpenChange={(o) => !o && onClose()}>
      <AlertDialog.Portal>
        <AlertDialog.Backdrop className="backdrop" />
        <AlertDialog.Popup className="dialog">
          <AlertDialog.Title>{title}</AlertDialog.Title>
          <AlertDialog.Description render={<div />}>{children}</AlertDialog.Description>
          {typed && (
            <>
              <label htmlFor={id}>Type {typed} to confirm</label>
              <input id={id} value={text} onChange={(e) => setText(e.target.value)} autoComplete="off" spellCheck={false} />
            </>
          )}
          <footer>
            {same && <CopyCurl all={[same].flat()} />}
            <AlertDialog.Close className="button">Cancel</AlertDialog.Close>
            <Doing
              kind={danger ? 'danger' : 'primary'}
              off={off || (typed !== undefined && text !== typed)}
              onClick={() => {
                onDone();
                onClose();
              }}
            >
              {action}
            </Doing>
          </footer>
        </AlertDialog.Popup>
      </AlertDialog.Portal>
    </AlertDialog.Root>
  );
}

/** Does something at the server, tells the result, and has everything read again. */
export function useDo<A>(call: (arg: A) => Promise<unknown>, done: string | ((result: unknown) => string)) {
  const client = useQueryClient();
  const toasts = Toast.useToastManager();
  return useMutation({
    mutationFn: call,
    // What is told is about what it was done with, also if the page shows something else by then.
    onMutate: () => done,
    onSuccess: (result, _, said) => {
      toasts.add({ title: typeof said === 'string' ? said : said(result) });
      return client.invalidateQueries();
    },
    onError: (error: Error) => {
      toasts.add({ title: error.message, type: 'error', priority: 'high', timeout: 12_000, data: { request: error instanceof ApiError ? error.request : '' } });
    },
  });
}

export function Toasts() {
  const { toasts } = Toast.useToastManager<{ request?: string }>();
  return (
    <Toast.Portal>
      <Toast.Viewport className="toasts" aria-label="Notifications">
        {toasts.map((toast) => (
          <Toast.Root key={toast.id} toast={toast} className={`toast ${toast.type ?? ''}`}>
            <Toast.Content>
              <Toast.Title role={toast.type === 'error' ? 'alert' : 'status'} render={<p />} />
              {toast.data?.request && <RequestId id={toast.data.request} />}
            </Toast.Content>
            <Toast.Close className="icon-button" aria-label="Close">
              ×
            </Toast.Close>
          </Toast.Root>
        ))}
      </Toast.Viewport>
    </Toast.Portal>
  );
}

interface Asked {
  method?: string;
  /** A function where it is another one each time, as with a time in it. */
  path: string | (() => string);
  body?: unknown;
}

const command = ({ method = 'GET', path, body }: Asked) => curl(method, typeof path === 'string' ? path : path(), body);

/**
 * Copies the command that does or shows the same, or the commands, where it takes several. Beside a button it says by
 * what it copies, and is small.
 */
export function CopyCurl({ of, ...what }: { of?: string } & (Asked | { all: Asked[] })) {
  const toasts = Toast.useToastManager();
  const text = () => ('all' in what ? what.all.map((r) => command({ method: 'POST', ...r })).join('\n') : command(what));
  const label = of && `Copy ${of} as curl`;
  return (
    <button
      type="button"
      className="button ghost"
      aria-label={label}
      title={label}
      onClick={() =>
        navigator.clipboard.writeText(text()).then(
          () => toasts.add({ title: 'Copied' }),
          () => toasts.add({ title: 'The browser does not let pages copy here', type: 'error' }),
        )
      }
    >
      <Copy aria-hidden="true" size={14} />
      {!of && 'Copy as curl'}
    </button>
  );
}

export function Meter({ label, value, text }: { label: string; value: number | undefined; text: string }) {
  return (
    <div className="meter">
      <progress aria-label={label} value={value} max={100} aria-valuetext={text} />
      <span>{text}</span>
    </div>
  );
}

export const BucketLink = ({ name }: { name: string }) => (
  <Link to="/buckets/$bucket" params={{ bucket: name }}>
    {name}
  </Link>
);

export const ClusterLink = ({ name }: { name: string }) => (
  <Link to="/clusters/$cluster" params={{ cluster: name }}>
    {name}
  </Link>
);

export function Facts({ of }: { of: [string, ReactNode][] }) {
  return (
    <dl className="facts">
      {of.map(([term, value]) => (
        <div key={term}>
          <dt>{term}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** As many columns as the style sheet can name in a narrow window; a table with more of them scrolls. */
const nameable = 10;

/** What a table needs to be a list of cards where the window is narrow: the names of its columns. */
export function labelled(head: string[]): { className?: string; style?: CSSProperties } {
  if (head.length > nameable) return {};
  return { className: 'carded', style: Object.fromEntries(head.map((h, i) => [`--c${i + 1}`, JSON.stringify(h)])) };
}

export function Table({ label, head, children }: { label: string; head: string[]; children: ReactNode }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls has to be reached by the keyboard
    <section className="scroll" aria-label={`${label}, scrollable`} tabIndex={0}>
      <table aria-label={label} {...labelled(head)}>
        <thead>
          <tr>
            {head.map((h) => (
              <th key={h} scope="col">
                {h}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </section>
  );
}
