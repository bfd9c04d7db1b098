/**
 * The page's settings, and the only reader of NEXT_PUBLIC_* variables. They are fixed when the page is built;
 * unset means that the API and the socket are where the page came from.
 */

/** Origin of the REST API without a trailing slash; '' is the page's own origin. */
export const API_URL = (process.env.NEXT_PUBLIC_API_URL ?? '').replace(/\/+$/, '');

/** Origin of the Socket.IO server without a trailing slash; '' is the page's own origin. */
export const SOCKET_URL = (process.env.NEXT_PUBLIC_SOCKET_URL ?? '').replace(/\/+$/, '');

/** Every path of the page. The open chat's id lives in the fragment of `chat`. */
export const PATHS = Object.freeze({
  home: '/',
  login: '/login',
  register: '/register',
  recover: '/recover',
  chat: '/chat',
});
