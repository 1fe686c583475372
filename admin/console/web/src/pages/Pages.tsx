/** The way through a list that comes page by page. */
export function Pages({ after, next, go }: { after: string; next: string; go: (after: string) => void }) {
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
