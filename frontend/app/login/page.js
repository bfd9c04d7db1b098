import { LazyLoginForm } from '../../components/account/lazy-login-form.js';

/** @type {import('next').Metadata} */
export const metadata = { title: 'Log in · Chat-Sec' };

export default function Page() {
  return <LazyLoginForm />;
}
