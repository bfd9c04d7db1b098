/** Files as the page words them. Pure. */

/** What the browser may draw. SVG is not among them: it is a document that could carry script, and is only saved. */
const IMAGES = ['image/png', 'image/jpeg', 'image/gif', 'image/webp', 'image/avif'];

/** Up to this size images are fetched by themselves, bytes. */
const UNASKED = 8 * 1024 * 1024;

/** @param {{mime: string}} file */
export function isImage({ mime }) {
  return IMAGES.includes(mime);
}

/** @param {{mime: string, size: number}} file */
export function isShownUnasked(file) {
  return isImage(file) && file.size <= UNASKED;
}

/** A name that cannot pretend to be another one: without paths, control characters and signs that turn the direction of writing. @param {string} name */
export function plainName(name) {
  return name.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}/\\]/gu, '_').trim() || 'file';
}

const UNITS = ['B', 'KB', 'MB', 'GB'];

/** "2.1 MB" @param {number} bytes */
export function sizeWords(bytes) {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}
