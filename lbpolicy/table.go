package lbpolicy

import (
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/fado-project/fado/routing"
)

// upstreamTable holds an upstream per address. It is replaced, never changed.
type upstreamTable struct {
	// eps is the snapshot's list of endpoints, all of which have their upstream in
	// byDial; nil when some don't.
	eps    []*routing.Endpoint
	byDial map[string]*reverseproxy.Upstream
	made   time.Time
}

// tableExpiry is how long Caddy's set-up of an upstream is used. Caddy forgets the
// state of dynamic upstreams it has not been given for an hour.
const tableExpiry = 10 * time.Minute

// sameSlice says whether two slices are the same memory: a snapshot's list of
// endpoints is replaced, never changed.
func sameSlice(a, b []*routing.Endpoint) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}
