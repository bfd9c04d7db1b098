'use client';
/** `RecoverForm` without prerendering: a form that stood there before its script could send what is typed as it is. */
import dynamic from 'next/dynamic';
import { Splash } from '../ui/splash.js';

export const LazyRecoverForm = dynamic(
  () => import('./recover-form.js').then((module) => module.RecoverForm),
  {
    ssr: false,
    loading: () => <Splash />,
  },
);
