import { Tabs } from '@base-ui/react/tabs';

/** The tabs of a page, in their order: what each is called by its value. */
export function TabList({ label, of }: { label: string; of: Record<string, string> }) {
  return (
    <Tabs.List className="tabs" aria-label={label}>
      {Object.entries(of).map(([value, text]) => (
        <Tabs.Tab key={value} value={value} className="tab">
          {text}
        </Tabs.Tab>
      ))}
    </Tabs.List>
  );
}
