package lbpolicy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"github.com/puzpuzpuz/xsync/v4"
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
	fallback *balancer // nil: leastLoaded
	logger   *zap.Logger

	mu     sync.Mutex // for loading
	ctx    caddy.Context
	cancel context.CancelFunc
	byText atomic.Pointer[map[string]*balancer] // replaced, never changed
}

// balancer is a selection policy. One that keeps a state is there once for each rule of a
// bucket: else a client that alternates two buckets would have every request of one of them
// go to the same endpoint, under round_robin.
type balancer struct {
	reverseproxy.Selector
	raw   catalog.RawObject // what makes another one; nil: it has no state
	rules *xsync.Map[ruleName, reverseproxy.Selector]
}

type ruleName struct{ bucket, prefix string }

// maxRules bounds the rules that a policy has a state of its own for; further ones share one.
const maxRules = 1 << 16

// stateless are Caddy's selection policies that decide by the request, the endpoints or chance
// alone.
var stateless = []string{"random", "random_choose", "first", "ip_hash", "client_ip_hash", "uri_hash", "query", "header", "cookie"}

// newBalancer returns the policy s, whose JSON is raw.
func newBalancer(s reverseproxy.Selector, raw catalog.RawObject) *balancer {
	b := &balancer{Selector: s}
	if name, err := policyName(raw); err == nil && !slices.Contains(stateless, name) {
		b.raw, b.rules = raw, xsync.NewMap[ruleName, reverseproxy.Selector]()
	}
	return b
}

// balanceBy makes s the policy to balance with where no policy in the catalogue names one.
// Caddy's least_conn and none stand for leastLoaded.
func (b *balancers) balanceBy(s reverseproxy.Selector) {
	switch s.(type) {
	case nil, reverseproxy.LeastConnSelection, *reverseproxy.LeastConnSelection:
		b.fallback = nil
	default:
		b.fallback = newBalancer(s, rawOf(s))
	}
}

// rawOf returns the JSON of a policy that was loaded; nil if it can't be told.
func rawOf(s reverseproxy.Selector) catalog.RawObject {
	mod, ok := s.(caddy.Module)
	if !ok {
		return nil
	}
	options, err := json.Marshal(s)
	if err != nil {
		return nil
	}
	fields := make(map[string]json.RawMessage)
	if err := json.Unmarshal(options, &fields); err != nil {
		return nil
	}
	if fields["policy"], err = json.Marshal(mod.CaddyModule().ID.Name()); err != nil {
		return nil
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		return nil
	}
	return raw
}

func (b *balancers) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cancel()
}

// of returns the policy to balance with for a decision; nil for leastLoaded.
func (b *balancers) of(d *routing.Decision) reverseproxy.Selector {
	one := b.fallback
	if len(d.Balance) > 0 {
		var ok bool
		if one, ok = (*b.byText.Load())[string(d.Balance)]; !ok {
			one = b.load(d.Balance)
		}
	}
	if one == nil || one.Selector == nil {
		return nil
	}
	bucket, prefix := d.Rule()
	if one.rules == nil || bucket == "" {
		return one.Selector
	}
	name := ruleName{bucket, prefix}
	if s, ok := one.rules.Load(name); ok {
		return s
	}
	return b.ownOf(one, name)
}

// ownOf returns a rule's own policy, loaded if need be.
func (b *balancers) ownOf(one *balancer, name ruleName) reverseproxy.Selector {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s, ok := one.rules.Load(name); ok {
		return s
	}
	if one.rules.Size() >= maxRules {
		return one.Selector
	}
	s, err := b.instantiate(one.raw)
	if err != nil || s == nil {
		s = one.Selector
	}
	one.rules.Store(name, s)
	return s
}

// load loads the policy and remembers it. One that can't be loaded is remembered
// too, as the configured one, so that the warning comes once.
func (b *balancers) load(raw catalog.RawObject) *balancer {
	b.mu.Lock()
	defer b.mu.Unlock()
	known := *b.byText.Load()
	if one, ok := known[string(raw)]; ok {
		return one
	}
	s, err := b.instantiate(raw)
	one := newBalancer(s, raw)
	if err != nil {
		b.logger.Warn("balancing with the default: the policy the bucket's policy names can't be loaded",
			zap.ByteString("balance", raw), zap.Error(err))
		one = b.fallback
	}
	more := maps.Clone(known)
	more[string(raw)] = one
	b.byText.Store(&more)
	return one
}

// instantiate loads a policy; nil for leastLoaded.
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
