/** A safety number as it is drawn: the QR code's modules, and the digits in rows. Pure. */
import encodeQR from 'qr';

const QUIET = 4; // modules

/** At level M, the quiet zone counted. @param {string} text @returns {{size: number, path: string}} in modules; the path fills the dark ones */
export function drawQr(text) {
  const rows = encodeQR(text, 'raw', { ecc: 'medium', border: QUIET });
  let path = '';
  rows.forEach((row, y) =>
    row.forEach((dark, x) => {
      if (dark) path += `M${x} ${y}h1v1h-1z`;
    }),
  );
  return { size: rows.length, path };
}

/** Groups of five in rows of four. @param {string} digits @returns {string[][]} */
export function rowsOfDigits(digits) {
  const groups = digits.split(' ');
  return [0, 4, 8].map((start) => groups.slice(start, start + 4));
}
