/** A text as a QR code: with its quiet zone, and dark on white in every theme, since scanners want it so. */
import { drawQr } from './safety.js';
import styles from './security.module.css';

/** @param {{text: string, label: string}} props */
export function QrCode({ text, label }) {
  const { size, path } = drawQr(text);
  return (
    <svg
      className={styles.qr}
      viewBox={`0 0 ${size} ${size}`}
      shapeRendering="crispEdges"
      role="img"
      aria-label={label}
    >
      <rect width={size} height={size} fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  );
}
