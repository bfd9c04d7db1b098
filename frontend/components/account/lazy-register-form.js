'use client';
/** `RegisterForm` without prerendering: a form that stood there before its script could send a typed password as it is. */
import dynamic from 'next/dynamic';
import { Splash } from '../ui/splash.js';

export const LazyRegisterForm = dynamic(
  () => import('./register-form.js').then((module) => module.RegisterForm),
  {
    ssr: false,
    loading: () => <Splash />,
  },
);
