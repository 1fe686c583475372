import { counted } from '../format';
import { ask } from './wire';

/** What became of objects that were to be deleted. */
export interface Removed {
  done: string[];
  /** Why the others are still there. */
  failed: { key: string; error: Error }[];
}

/** How many requests are under way at a time: browsers have six connections to a server. */
const atOnce = 4;

/** Deletes objects, one request each, because that is what URLs are signed for. What fails does not stop the others. */
export async function removeAll(
  bucket: string,
  keys: string[],
  remove: (key: string) => Promise<unknown> = (key) => ask({ bucket, key, operation: 'delete' }),
): Promise<Removed> {
  const result: Removed = { done: [], failed: [] };
  const left = [...keys];
  const work = async () => {
    for (let key = left.shift(); key !== undefined; key = left.shift()) {
      try {
        await remove(key);
        result.done.push(key);
      } catch (error) {
        result.failed.push({ key, error: error as Error });
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  if (result.done.length === 0 && result.failed.length > 0) throw result.failed[0].error;
  return result;
}

/** Tells what became of them. */
export function deletedText({ done, failed }: Removed): string {
  const first = failed[0];
  const text = `${counted(done.length, 'object')} ${done.length === 1 ? 'is' : 'are'} deleted`;
  return first ? `${text}, ${counted(failed.length, 'object')} ${failed.length === 1 ? 'is' : 'are'} not: ${first.key}: ${first.error.message}` : text;
}
