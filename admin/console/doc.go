// Package console is the HTTP handler that serves FaDO's console on an ordinary site: the
// directive fado_console. Its pages are embedded (dist, built from web), and its API is the
// table of operations of package admin, served by roles.
//
// It owns no state. Sessions, tokens and links are passes in the store, which holds their
// hashes only, so that a session holds on every instance and across restarts. Anyone who asks is
// found out again for every request.
//
// What it promises:
//
//   - it is closed by default: without a pass, or an identity that the configuration gives a
//     role, only static files are served, and they know nothing of the installation;
//   - no operation is done for a role that may not: the table says which it takes, and admin
//     holds it;
//   - a page of another site, or of another port of this host, can't use a session: see guard;
//   - an identity comes from Caddy's own authentication or from the answer of forward_auth,
//     never from what a client sends;
//   - no inline script or style, and nothing is fetched from elsewhere.
package console
