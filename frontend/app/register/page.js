import { LazyRegisterForm } from '../../components/account/lazy-register-form.js';

/** @type {import('next').Metadata} */
export const metadata = { title: 'Create account · Chat-Sec' };

export default function Page() {
  return <LazyRegisterForm />;
}
