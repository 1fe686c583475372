package lbpolicy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

const (
	policyNamespace = "http.reverse_proxy.selection_policies."
	leastConn       = "least_conn"
	dataAware       = "data_aware"
)

// weightOf returns an endpoint's weight, at least 1.
func weightOf(ep *routing.Endpoint) int { return max(1, ep.Weight) }

// lessLoaded says whether a has fewer requests in flight per weight than b.
func lessLoaded(a, b *routing.Endpoint) bool {
	return a.Live.InFlight.Load()*int64(weightOf(b)) < b.Live.InFlight.Load()*int64(weightOf(a))
}

// leastLoaded is weighted least connections as Caddy's own and nginx's least_conn
// have it: the endpoint with the fewest requests in flight per weight. Among equals,
// as all are when idle, it is drawn at random in proportion to the weights, so that
// weights count however little there is to do. Nil if there are none.
func leastLoaded(candidates []*routing.Endpoint) *routing.Endpoint {
	var best *routing.Endpoint
	var bestLoad int64
	bestWeight, drawn := int64(1), int64(0)
	for _, ep := range candidates {
		load, weight := ep.Live.InFlight.Load(), int64(weightOf(ep))
		switch l, b := load*bestWeight, bestLoad*weight; {
		case best == nil || l < b:
			best, bestLoad, bestWeight, drawn = ep, load, weight, weight
		case l == b:
			// A reservoir of one, weighted.
			drawn += weight
			if rand.Int64N(drawn) < weight { //nolint:gosec // not a secret
				best, bestLoad, bestWeight = ep, load, weight
			}
		}
	}
	return best
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// balancers holds the selection policies that balance: the one configured, and those
// that policies in the catalogue name, each loaded when it is first needed. They live
// as long as the data_aware policy they belong to.
type balancers struct {
	fallback reverseproxy.Selector // nil: leastLoaded
	logger   *zap.Logger

	mu     sync.Mutex // for loading
	ctx    caddy.Context
	cancel context.CancelFunc
	byText atomic.Pointer[map[string]reverseproxy.Selector] // replaced, never changed
}

// balanceBy makes s the policy to balance with where no policy in the catalogue names one.
// Caddy's least_conn and none stand for leastLoaded.
func (b *balancers) balanceBy(s reverseproxy.Selector) {
	switch s.(type) {
	case nil, reverseproxy.LeastConnSelection, *reverseproxy.LeastConnSelection:
		b.fallback = nil
	default:
		b.fallback = s
	}
}

func (b *balancers) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cancel()
}

// of returns the policy to balance with; nil for leastLoaded. raw is the JSON of one
// the catalogue names, empty for none.
func (b *balancers) of(raw catalog.RawObject) reverseproxy.Selector {
	if len(raw) == 0 {
		return b.fallback
	}
	if s, ok := (*b.byText.Load())[string(raw)]; ok {
		return s
	}
	return b.load(raw)
}

// load loads the policy and remembers it. One that can't be loaded is remembered
// too, as the configured one, so that the warning comes once.
func (b *balancers) load(raw catalog.RawObject) reverseproxy.Selector {
	b.mu.Lock()
	defer b.mu.Unlock()
	known := *b.byText.Load()
	if s, ok := known[string(raw)]; ok {
		return s
	}
	s, err := b.instantiate(raw)
	if err != nil {
		b.logger.Warn("balancing with the default: the policy the bucket's policy names can't be loaded",
			zap.ByteString("balance", raw), zap.Error(err))
		s = b.fallback
	}
	more := maps.Clone(known)
	more[string(raw)] = s
	b.byText.Store(&more)
	return s
}

func (b *balancers) instantiate(raw catalog.RawObject) (reverseproxy.Selector, error) {
	name, options, err := splitPolicy(raw)
	if err != nil || name == leastConn {
		return nil, err
	}
	mod, err := b.ctx.LoadModuleByID(policyNamespace+name, options)
	if err != nil {
		return nil, err
	}
	s, ok := mod.(reverseproxy.Selector)
	if !ok {
		return nil, fmt.Errorf("%T is not a selection policy", mod)
	}
	return s, nil
}

// policyName returns the policy a balance object names.
func policyName(raw []byte) (string, error) {
	name, _, err := splitPolicy(raw)
	return name, err
}

// splitPolicy returns the policy a balance object names, and its options.
func splitPolicy(raw []byte) (string, json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return "", nil, fmt.Errorf("expected a JSON object such as {\"policy\": \"least_conn\"}: %w", err)
	}
	var name string
	if err := json.Unmarshal(fields["policy"], &name); err != nil || name == "" {
		return "", nil, errors.New(`"policy": expected the name of a selection policy, such as "least_conn"`)
	}
	if name == dataAware {
		return "", nil, errors.New("data_aware can't balance among its own candidates; expected another selection policy")
	}
	delete(fields, "policy")
	options, err := json.Marshal(fields)
	return name, options, err
}
