/** Times in words, by the reader's own locale and zone. Input is RFC 3339 text or null; a bad one reads as ''. */

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' });
const dayThisYear = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });
const dayAnyYear = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'long', year: 'numeric' });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' });

/** @param {string|null|undefined} at @returns {Date|null} */
export function dateOf(at) {
  const date = at ? new Date(at) : null;
  return date && !Number.isNaN(date.getTime()) ? date : null;
}

/** @param {string|null|undefined} at */
export function clockTime(at) {
  const date = dateOf(at);
  return date ? clock.format(date) : '';
}

/** @param {string|null|undefined} at */
export function fullTime(at) {
  const date = dateOf(at);
  return date ? full.format(date) : '';
}

/** The day in the reader's zone, as a key that two items of one day share. @param {string|null|undefined} at */
export function dayKey(at) {
  return dateOf(at)?.toDateString() ?? '';
}

/** "today", "yesterday", else the date. @param {string|null|undefined} at @param {Date} [now] */
export function dayWords(at, now = new Date()) {
  const date = dateOf(at);
  if (!date) return '';
  const midnight = (/** @type {Date} */ d) => new Date(d.getFullYear(), d.getMonth(), d.getDate()).getTime();
  const days = Math.round((midnight(date) - midnight(now)) / 86_400_000);
  const words =
    days === 0 || days === -1
      ? relative.format(days, 'day')
      : (date.getFullYear() === now.getFullYear() ? dayThisYear : dayAnyYear).format(date);
  return words.charAt(0).toLocaleUpperCase() + words.slice(1);
}
