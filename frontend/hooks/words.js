/** The library's tables that the page shows: algorithms, and failures in words. */
import { ALGORITHMS, FAILURES } from '../lib/index.js';

export { ALGORITHMS };

/** @type {Record<string, {title: string, explain: string}>} */
const table = FAILURES;

/** A failure's or warning's words; an unknown name is shown as it is. @param {string} name */
export function failureWords(name) {
  return Object.hasOwn(table, name) ? table[name] : { title: name, explain: '' };
}

/** What to tell the user of an error that an action threw. @param {Error & {code?: string, detail?: string}} error */
export function errorWords(error) {
  const { title, explain } = failureWords(error?.code ?? 'unavailable');
  return explain ? `${title}. ${explain}` : error?.detail || title;
}

/** @param {string} id @returns {string} e.g. "RSA-PSS"; an unknown algorithm is shown by its id */
export function algorithmLabel(id) {
  return ALGORITHMS.find((algorithm) => algorithm.id === id)?.label ?? id;
}
