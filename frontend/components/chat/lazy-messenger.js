'use client';
/** `Messenger` without prerendering: it needs the keys that only the browser holds. */
import dynamic from 'next/dynamic';
import { Splash } from '../ui/splash.js';

export const LazyMessenger = dynamic(() => import('./messenger.js').then((module) => module.Messenger), {
  ssr: false,
  loading: () => <Splash />,
});
