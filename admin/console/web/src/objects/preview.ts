/** How much of a text is shown, and up to which size an image is. */
export const maxText = 256 << 10;
export const maxImage = 16 << 20;

export type Kind = { as: 'text' } | { as: 'image'; type: string } | { as: 'none' };

const images = ['image/png', 'image/jpeg', 'image/gif', 'image/webp', 'image/avif', 'image/bmp', 'image/svg+xml', 'image/x-icon'];

const imageNames: Record<string, string> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  gif: 'image/gif',
  webp: 'image/webp',
  avif: 'image/avif',
  bmp: 'image/bmp',
  svg: 'image/svg+xml',
  ico: 'image/x-icon',
};

const texts = /^(text\/|application\/(json|xml|javascript|x-javascript|ecmascript|yaml|x-yaml|x-ndjson|ndjson|toml|sql|x-sh|xhtml\+xml)$|.*\+(json|xml)$)/;

const textNames =
  /\.(txt|md|csv|tsv|log|json|ndjson|jsonl|xml|xsl|ya?ml|toml|ini|conf|cfg|env|html?|xhtml|css|[cm]?js|tsx?|jsx|go|py|rb|rs|java|c|h|cc|cpp|sh|sql|tf|proto)$/i;

/** Types that say nothing: the name decides. */
const unsaid = ['', 'application/octet-stream', 'binary/octet-stream'];

/**
 * How an object may be shown: as text, its source; as an image, in which no script runs; else not at
 * all. What is shown never has a type of the object's own choice.
 */
export function kindOf(type: string, key: string): Kind {
  const t = type.split(';')[0].trim().toLowerCase();
  if (images.includes(t)) return { as: 'image', type: t };
  if (texts.test(t)) return { as: 'text' };
  if (!unsaid.includes(t)) return { as: 'none' };
  const image = imageNames[/\.([a-z]+)$/i.exec(key)?.[1].toLowerCase() ?? ''];
  if (image) return { as: 'image', type: image };
  return textNames.test(key) ? { as: 'text' } : { as: 'none' };
}
