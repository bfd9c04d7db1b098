/** A line to the model server with a gate before whatever changes a chat, and what a server refuses with. */

/**
 * @param {any} server @param {string} device
 * @param {() => ((body: any, go: () => Promise<Response>) => Promise<Response>)|undefined} gateOf the gate as it is now
 */
export function gated(server, device, gateOf) {
  const { fetch } = server.transport(device);
  return (url, init) => {
    const gate = gateOf();
    const change = String(url).endsWith('/events') && init.method === 'POST';
    return change && gate ? gate(JSON.parse(init.body), () => fetch(url, init)) : fetch(url, init);
  };
}

export const refuse = (code, extra = {}) =>
  new Response(JSON.stringify({ type: 'about:blank', title: code, status: 409, code, ...extra }), {
    status: 409,
    headers: { 'content-type': 'application/problem+json' },
  });

/** What a signed object says. */
export const read = ({ protected: text }) => JSON.parse(Buffer.from(text, 'base64url').toString());
