'use client';
/**
 * Where the timeline stands: opens at the divider or the bottom, follows new messages only from near the bottom,
 * goes down for own ones, and keeps the lines in view still when older ones come in above.
 */
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from 'react';

/** How near to the bottom counts as there, px. */
const NEAR = 80;
/** How near to the top the page before is fetched, px. */
const REACH = 400;

/** @param {HTMLElement} list */
function isNearBottom(list) {
  return list.scrollHeight - list.scrollTop - list.clientHeight <= NEAR;
}

/** @param {HTMLElement} list */
function startAt(list) {
  const divider = list.querySelector('[data-divider]');
  if (divider instanceof HTMLElement) {
    list.scrollTop = divider.offsetTop - list.clientHeight / 4;
  } else {
    list.scrollTop = list.scrollHeight;
  }
}

/**
 * @param {import('../../lib/types.js').OpenView|undefined} view
 * @param {boolean} opened  the newest page is here; before that there is no place to start at
 * @param {(() => Promise<void>)|null} loadMore  null while there is nothing to load
 */
export function useTimelineScroll(view, opened, loadMore) {
  const ref = useRef(/** @type {HTMLDivElement|null} */ (null));
  const past = useRef({ ready: false, first: '', last: '', height: 0, near: true, asked: '', failed: false });
  const [atBottom, setAtBottom] = useState(true);
  const [missed, setMissed] = useState(0);
  const items = view?.items;

  const look = useCallback(() => {
    const list = ref.current;
    if (!list) return;
    past.current.near = isNearBottom(list);
    setAtBottom(past.current.near);
    if (past.current.near) setMissed(0);
  }, []);

  const toBottom = useCallback(() => {
    const list = ref.current;
    if (list) list.scrollTop = list.scrollHeight;
    look();
  }, [look]);

  useLayoutEffect(() => {
    const list = ref.current;
    const newest = items?.at(-1);
    if (!list || !items || !newest) return;
    const before = past.current;
    if (!before.ready) {
      startAt(list);
      before.ready = opened;
    } else if (newest.key !== before.last) {
      const own = newest.kind === 'message' && newest.mine;
      const since = items.slice(items.findIndex(({ key }) => key === before.last) + 1);
      if (before.near || own) list.scrollTop = list.scrollHeight;
      else setMissed((n) => n + since.filter(({ kind }) => kind === 'message').length);
    } else if (items[0].key !== before.first) {
      list.scrollTop += list.scrollHeight - before.height;
    } else if (before.near) {
      list.scrollTop = list.scrollHeight;
    }
    Object.assign(before, { first: items[0].key, last: newest.key, height: list.scrollHeight });
    look();
  }, [items, opened, look]);

  // A keyboard that opens, a notice or a growing field must not push the newest message out of view.
  useEffect(() => {
    const list = ref.current;
    if (!list) return undefined;
    const observer = new ResizeObserver(() => {
      if (past.current.near) list.scrollTop = list.scrollHeight;
      past.current.height = list.scrollHeight;
    });
    observer.observe(list);
    return () => observer.disconnect();
  }, []);

  /** Asks for the page before, once for each first item held: a page that cannot be had is not asked for in a loop. */
  const reach = useCallback(() => {
    const list = ref.current;
    const { ready, first, asked } = past.current;
    if (!list || !loadMore || !ready || first === asked || list.scrollTop >= REACH) return;
    past.current.asked = first;
    loadMore().catch(() => {
      past.current.failed = true;
    });
  }, [loadMore]);

  // Also when a page is too short to fill the pane: then nobody can scroll to ask for more.
  const first = items?.[0]?.key;
  useEffect(reach, [reach, first]);

  const onScroll = useCallback(() => {
    if (past.current.failed) Object.assign(past.current, { asked: '', failed: false });
    look();
    reach();
  }, [look, reach]);

  return { ref, onScroll, atBottom, toBottom, missed };
}
