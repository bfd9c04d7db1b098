'use client';
/** Whether the server is reached right now. */
import { useEffect, useState } from 'react';
import { useSnapshot } from './useSnapshot.js';

/** How long a connection may be away before that is told, ms: mostly it is back at once. */
const PATIENCE = 2000;

/** @returns {import('../lib/types.js').Connection} */
export function useConnection() {
  return useSnapshot((snapshot) => snapshot.connection);
}

/** Is there no connection, and not only for a moment? */
export function useOffline() {
  const away = useConnection() !== 'online';
  const [told, setTold] = useState(false);
  if (told && !away) setTold(false);
  useEffect(() => {
    if (!away) return undefined;
    const timer = setTimeout(() => setTold(true), PATIENCE);
    return () => clearTimeout(timer);
  }, [away]);
  return told && away;
}
