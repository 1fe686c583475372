/** How many files and folders one drop has at most: each becomes a line of the page. */
const most = 10_000;

export interface Dropped {
  files: { path: string; file: File }[];
  /** The paths of what the browser could not read. */
  unread: string[];
}

/**
 * The files that were dropped, those of folders with their paths. What was dropped can be told only while the event is
 * handled: it is looked at before this waits for anything. It fails where there is more than a page should take.
 */
export async function dropped({ items, files }: Pick<DataTransfer, 'items' | 'files'>, limit = most): Promise<Dropped> {
  const left: { entry: FileSystemEntry; path: string }[] = [];
  const found: Dropped = { files: [], unread: [] };
  for (const item of items ?? []) {
    if (item.kind !== 'file') continue;
    const entry = item.webkitGetAsEntry?.();
    if (entry) left.push({ entry, path: entry.name });
    else {
      const file = item.getAsFile();
      if (file) found.files.push({ path: file.name, file });
    }
  }
  if (!items?.length) for (const file of files) found.files.push({ path: file.name, file });
  let seen = 0;
  for (let next = left.shift(); next; next = left.shift()) {
    if (++seen > limit) throw new Error(`There are more than ${limit.toLocaleString('en')} files and folders in it: copy them with an S3 client`);
    const { entry, path } = next;
    try {
      if (entry.isDirectory) {
        for (const inside of await entriesOf(entry as FileSystemDirectoryEntry, limit)) left.push({ entry: inside, path: `${path}/${inside.name}` });
      } else {
        const file = await new Promise<File>((done, failed) => (entry as FileSystemFileEntry).file(done, failed));
        found.files.push({ path, file });
      }
    } catch {
      found.unread.push(path);
    }
  }
  return found;
}

/** What is in a folder: it is told in parts, until one is empty. */
async function entriesOf(folder: FileSystemDirectoryEntry, limit: number): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  while (all.length <= limit) {
    const part = await new Promise<FileSystemEntry[]>((done, failed) => reader.readEntries(done, failed));
    if (part.length === 0) break;
    all.push(...part);
  }
  return all;
}
