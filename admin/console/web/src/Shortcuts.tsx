import { Dialog } from '@base-ui/react/dialog';
import { setPref, usePref } from './prefs';

/** The keys that pages know, and the switch of those that are single letters. */
export default function Shortcuts({ pages, onClose }: { pages: { name: string; key: string }[]; onClose: () => void }) {
  const jumps = usePref('jumps');
  const keys: [string[], string][] = [
    [['Ctrl', 'K'], 'Find or do'],
    [['/'], 'Go to the search of the page'],
    [['↑', '↓'], 'Move in grids and lists'],
    [['Esc'], 'Close'],
    ...pages.map((p): [string[], string] => [['g', p.key], p.name]),
  ];
  return (
    <Dialog.Root open onOpenChange={(o) => !o && onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className="dialog">
          <Dialog.Title>Shortcuts</Dialog.Title>
          <label className="check">
            <input type="checkbox" checked={jumps === 'on'} onChange={(e) => setPref('jumps', e.target.checked ? 'on' : 'off')} />
            <span>
              Single keys <span className="quiet">/ and g with a letter, unless something is being typed</span>
            </span>
          </label>
          <dl className="facts keys">
            {keys.map(([combination, text]) => (
              <div key={text}>
                <dt>
                  {combination.map((k) => (
                    <kbd key={k}>{k}</kbd>
                  ))}
                </dt>
                <dd>{text}</dd>
              </div>
            ))}
          </dl>
          <footer>
            <Dialog.Close className="button">Close</Dialog.Close>
          </footer>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
