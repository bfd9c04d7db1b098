/** What a browser calls itself, in two words. Pure. */

/** First match counts: most browsers name others too. @type {readonly (readonly [RegExp, string])[]} */
const BROWSERS = [
  [/\bEdgA?\//, 'Edge'],
  [/\bOPR\//, 'Opera'],
  [/\bFirefox\/|\bFxiOS\//, 'Firefox'],
  [/\bChrom(e|ium)\/|\bCriOS\//, 'Chrome'],
  [/\bSafari\//, 'Safari'],
];

/** @type {readonly (readonly [RegExp, string])[]} */
const SYSTEMS = [
  [/\bAndroid\b/, 'Android'],
  [/\biPhone\b|\biPad\b/, 'iOS'],
  [/\bWindows\b/, 'Windows'],
  [/\bMac OS X\b/, 'macOS'],
  [/\bCrOS\b/, 'ChromeOS'],
  [/\bLinux\b/, 'Linux'],
];

/** @param {readonly (readonly [RegExp, string])[]} table @param {string} agent */
function find(table, agent) {
  return table.find(([pattern]) => pattern.test(agent))?.[1];
}

/** "Firefox on Linux"; what is no browser is shown by its own name, cut short. @param {string} agent */
export function agentWords(agent) {
  const browser = find(BROWSERS, agent);
  const system = find(SYSTEMS, agent);
  if (!browser) return agent.trim().slice(0, 60) || 'Unknown app';
  return system ? `${browser} on ${system}` : browser;
}
