'use client';
/** Whether the server is reached right now. */
import { useSnapshot } from './useSnapshot.js';

/** @returns {import('../lib/types.js').Connection} */
export function useConnection() {
  return useSnapshot((snapshot) => snapshot.connection);
}
