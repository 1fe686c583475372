import type { ReactNode } from 'react';
import { Card, Empty, Loaded, Table } from './kit';

/** The way through a list that comes page by page: what the next one begins after, and what this one did. */
export interface Way {
  after: string;
  next: string;
  go: (after: string) => void;
}

export function Pages({ after, next, go }: Way) {
  if (!after && !next) return null;
  return (
    <p className="card-foot tools">
      {after && (
        <button type="button" className="button" onClick={() => go('')}>
          From the beginning
        </button>
      )}
      {next && (
        <button type="button" className="button" onClick={() => go(next)}>
          Next page
        </button>
      )}
    </p>
  );
}

/** Rows as a table, with the way to further ones; or why there is none. */
export function List<R>({
  label,
  head,
  rows,
  none,
  pages,
  children,
}: {
  label: string;
  head: string[];
  rows: R[];
  none?: ReactNode;
  pages?: Way;
  /** A row of the table. */
  children: (row: R) => ReactNode;
}) {
  if (rows.length === 0 && none) {
    // What this page had may be settled; what stands before it is not.
    return pages?.after ? (
      <>
        <Empty title="Nothing is left on this page">What it had is settled, or gone. What stands before it may not be.</Empty>
        <Pages {...pages} />
      </>
    ) : (
      none
    );
  }
  return (
    <>
      <Table label={label} head={head}>
        {rows.map(children)}
      </Table>
      {pages && <Pages {...pages} />}
    </>
  );
}

/** A card with the list that a query brought. */
export function ListCard<T, R>({
  of,
  rows,
  title,
  label,
  aside,
  skeleton,
  pages,
  foot,
  ...list
}: {
  of: Parameters<typeof Loaded<T>>[0]['of'];
  rows: (data: T) => R[];
  title?: string;
  label: string;
  aside?: ReactNode;
  /** How many lines stand for it until it has come. */
  skeleton?: number;
  head: string[];
  none: ReactNode;
  pages?: (data: T) => Way;
  /** What is said below the list. */
  foot?: (data: T) => ReactNode;
  children: (row: R) => ReactNode;
}) {
  return (
    <Card title={title} label={title ? undefined : label} aside={aside} flush>
      <Loaded of={of} rows={skeleton}>
        {(data) => (
          <>
            <List label={label} rows={rows(data)} pages={pages?.(data)} {...list} />
            {foot?.(data)}
          </>
        )}
      </Loaded>
    </Card>
  );
}
