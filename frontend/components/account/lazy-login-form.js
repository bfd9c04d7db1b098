'use client';
/** `LoginForm` without prerendering: a form that stood there before its script could send a typed password as it is. */
import dynamic from 'next/dynamic';
import { Splash } from '../ui/splash.js';

export const LazyLoginForm = dynamic(() => import('./login-form.js').then((module) => module.LoginForm), {
  ssr: false,
  loading: () => <Splash />,
});
