/**
 * The keyboard in the list of messages: arrows, Home and End go from message to message; Enter into its actions; R, E
 * and Delete do one at once; Esc goes back to the field. Typing elsewhere is left alone.
 */

/** @param {HTMLElement} list @returns {HTMLElement[]} */
function articlesOf(list) {
  return [...list.querySelectorAll('article')];
}

/** Where a message stands in the timeline. @param {string} id @param {string} from @returns {HTMLElement|null} */
export function findArticle(id, from) {
  return document.querySelector(`article[data-id="${CSS.escape(id)}"][data-from="${CSS.escape(from)}"]`);
}

/** Where a key leads from message `at` of `count`; null: nowhere. @param {string} key @param {number} at @param {number} count */
function placeOf(key, at, count) {
  switch (key) {
    case 'ArrowUp':
      return at < 0 ? count - 1 : Math.max(0, at - 1);
    case 'ArrowDown':
      return at < 0 ? count - 1 : Math.min(count - 1, at + 1);
    case 'Home':
      return 0;
    case 'End':
      return count - 1;
    default:
      return null;
  }
}

/** @type {Record<string, string>} key → accessible name of the action; '' is the first one */
const SHORTCUTS = { Enter: '', r: 'Reply', e: 'React', Delete: 'Delete' };

/** @param {React.KeyboardEvent<HTMLElement>} event  `currentTarget` is the list */
export function onMessageKey(event) {
  const { key, currentTarget: list, target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || !(target instanceof HTMLElement)) return;
  if (target.closest('dialog')) return; // opened from a message, with keys of its own
  const article = target.closest('article');
  if (key === 'Escape' && article) {
    event.preventDefault();
    if (target === article) document.querySelector('textarea')?.focus();
    else article.focus();
    return;
  }
  // Inside a toolbar or a button the keys are theirs.
  if (target !== list && target !== article) return;
  const articles = articlesOf(list);
  const place = placeOf(key, article ? articles.indexOf(article) : -1, articles.length);
  if (place !== null && articles[place]) {
    event.preventDefault();
    articles[place].focus();
    return;
  }
  if (!article || !Object.hasOwn(SHORTCUTS, key)) return;
  const bar = article.querySelector('[role="toolbar"]');
  const label = SHORTCUTS[key];
  const button = bar?.querySelector(label ? `button[aria-label="${label}"]` : 'button');
  if (!(button instanceof HTMLElement)) return;
  event.preventDefault();
  button.focus();
  if (label) button.click();
}
