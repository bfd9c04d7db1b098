'use client';
/** The bridge itself: a part of the library's snapshot as React state. */
import { useSyncExternalStore } from 'react';
import { getClient } from './client.js';

/**
 * @template T
 * @param {(snapshot: import('../lib/types.js').Snapshot) => T} select  picks a part that keeps its reference until it changes
 * @returns {T}
 */
export function useSnapshot(select) {
  const client = getClient();
  const read = () => select(client.getSnapshot());
  return useSyncExternalStore(client.subscribe, read, read);
}
