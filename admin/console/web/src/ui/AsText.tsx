import { Toast } from '@base-ui/react/toast';
import { Copy } from 'lucide-react';
import { caddyfileOf, type Kind } from './caddyfile';

/** Text that is to be used elsewhere, with a button that takes it along. */
export function Copyable({ text, what }: { text: string; what: string }) {
  const toasts = Toast.useToastManager();
  return (
    <div className="stack">
      <pre>{text}</pre>
      <div className="tools">
        <button
          type="button"
          className="button small"
          aria-label={`Copy ${what}`}
          onClick={() =>
            navigator.clipboard.writeText(text).then(
              () => toasts.add({ title: 'Copied' }),
              () => toasts.add({ title: 'The browser does not let pages copy here', type: 'error' }),
            )
          }
        >
          <Copy aria-hidden="true" size={14} />
          Copy
        </button>
      </div>
    </div>
  );
}

/** An item as the API and as the configuration would have it. */
export function AsText({ kind, item, json = true }: { kind: Kind; item: { name: string; status?: unknown }; json?: boolean }) {
  const { status: _, ...bare } = item;
  return (
    <>
      <details>
        <summary>As Caddyfile</summary>
        <Copyable what={`${item.name} as Caddyfile`} text={caddyfileOf(kind, item)} />
      </details>
      {json && (
        <details>
          <summary>As JSON</summary>
          <Copyable what={`${item.name} as JSON`} text={JSON.stringify(bare, null, 2)} />
        </details>
      )}
    </>
  );
}
