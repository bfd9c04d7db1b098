import { LazyRecoverForm } from '../../components/account/lazy-recover-form.js';

/** @type {import('next').Metadata} */
export const metadata = { title: 'Forgot password · Chat-Sec' };

export default function Page() {
  return <LazyRecoverForm />;
}
