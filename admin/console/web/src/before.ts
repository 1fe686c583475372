/** The greatest name that stands before one: the list begins after it. */
export function before(name: string): string {
  const last = name.charCodeAt(name.length - 1);
  return name === '' ? '' : `${name.slice(0, -1)}${String.fromCharCode(last - 1)}~`;
}
