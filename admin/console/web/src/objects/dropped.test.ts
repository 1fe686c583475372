import { expect, it } from 'vitest';
import { dropped } from './dropped';

const file = (name: string) => ({ isFile: true, isDirectory: false, name, file: (done: (f: File) => void) => done(new File(['x'], name)) });
const unreadable = (name: string) => ({
  isFile: true,
  isDirectory: false,
  name,
  file: (_: unknown, failed: (e: Error) => void) => failed(new Error('denied')),
});

/** A folder that tells what is in it two at a time, as browsers tell a hundred. */
function folder(name: string, ...inside: object[]) {
  const createReader = () => {
    const left = [...inside];
    return { readEntries: (done: (e: object[]) => void) => done(left.splice(0, 2)) };
  };
  return { isFile: false, isDirectory: true, name, createReader };
}

const drop = (...entries: object[]) => {
  const items = entries.map((e) => ({ kind: 'file', webkitGetAsEntry: () => e, getAsFile: () => null }));
  return { items, files: [] } as unknown as DataTransfer;
};
const paths = (d: { files: { path: string }[] }) => d.files.map((f) => f.path).sort();

it('has the files of folders with their paths, however many a folder tells at a time', async () => {
  const got = await dropped(drop(folder('a', file('1'), file('2'), file('3'), folder('b', file('4')), folder('none')), file('5')));
  expect(paths(got)).toEqual(['5', 'a/1', 'a/2', 'a/3', 'a/b/4']);
  expect(got.unread).toEqual([]);
});

it('goes without what can not be read, and says so', async () => {
  const got = await dropped(drop(folder('a', file('1'), unreadable('2'))));
  expect(paths(got)).toEqual(['a/1']);
  expect(got.unread).toEqual(['a/2']);
});

it('ends where there is too much, also where folders have no end', async () => {
  const many = folder('a', ...Array.from({ length: 9 }, (_, i) => file(`${i}`)));
  await expect(dropped(drop(many), 5)).rejects.toThrow('more than 5');
  const loop = { ...folder('loop'), createReader: () => ({ readEntries: (done: (e: object[]) => void) => done([loop]) }) };
  await expect(dropped(drop(loop), 5)).rejects.toThrow('more than 5');
});

it('takes files as they are where the browser knows no entries', async () => {
  const one = new File(['x'], 'one');
  const items = [{ kind: 'file', getAsFile: () => one }, { kind: 'string' }];
  expect(paths(await dropped({ items, files: [one] } as never))).toEqual(['one']);
});
