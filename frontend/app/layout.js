/** The frame of every page: language, theme colours and the global tokens. Nothing here needs script. */
import './globals.css';

/** @type {import('next').Metadata} */
export const metadata = {
  title: 'Chat-Sec',
  description: 'Encrypted, signed conversations.',
  referrer: 'no-referrer',
  robots: { index: false, follow: false },
  formatDetection: { telephone: false, address: false, email: false },
};

/** @type {import('next').Viewport} */
export const viewport = {
  width: 'device-width',
  initialScale: 1,
  interactiveWidget: 'resizes-content',
  themeColor: [
    { media: '(prefers-color-scheme: light)', color: '#f5f6f8' },
    { media: '(prefers-color-scheme: dark)', color: '#101216' },
  ],
};

/** @param {{children: React.ReactNode}} props */
export default function RootLayout({ children }) {
  return (
    <html lang="en">
      <body>
        <noscript>
          <p className="bare">
            Chat-Sec makes its keys in your browser, so it needs JavaScript to be switched on.
          </p>
        </noscript>
        {children}
      </body>
    </html>
  );
}
