'use client';
/** `Gate` without prerendering: only the browser knows whether there is a session. */
import dynamic from 'next/dynamic';
import { Splash } from '../ui/splash.js';

export const LazyGate = dynamic(() => import('./gate.js').then((module) => module.Gate), {
  ssr: false,
  loading: () => <Splash />,
});
