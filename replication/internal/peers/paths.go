package peers

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/routing"
)

// Paths knows through which instances bytes of objects may pass: those in clusters that the
// object's policy allows, and those of which nobody says where they are.
type Paths struct {
	router   *routing.Router
	peers    *Peers
	claimant func() string // this instance's name
}

// NewPaths returns the paths by what instances tell of themselves.
func NewPaths(r *routing.Router, p *Peers, claimant func() string) *Paths {
	return &Paths{router: r, peers: p, claimant: claimant}
}

// Others returns how many other instances bytes of an object may pass through.
func (p *Paths) Others(bucket, key string) (n int) {
	snap := p.router.Snapshot()
	rule, known := snap.Of(bucket).RuleOf(key)
	clusters, _ := p.peers.Clusters()
	for _, c := range clusters {
		if known && snap.PassesPolicy(rule.Policy, c) {
			n++
		}
	}
	return n
}

// Blocked says which rules of a bucket no live instance may carry the bytes of, "" if there are
// none or that is not known.
func (p *Paths) Blocked(bucket string) string {
	snap := p.router.Snapshot()
	clusters, known := p.peers.Clusters()
	if !known || snap.Here() == "" {
		return ""
	}
	clusters = append(clusters, snap.Here())
	var why []string
	for _, rule := range snap.Of(bucket).Rules() {
		if snap.Policy(rule.Policy) != nil && !p.passesAny(rule.Policy, clusters) {
			why = append(why, noPath(rule, clusters))
		}
	}
	return strings.Join(why, "; ")
}

func (p *Paths) passesAny(policy string, clusters []string) bool {
	snap := p.router.Snapshot()
	for _, c := range clusters {
		if snap.PassesPolicy(policy, c) {
			return true
		}
	}
	return false
}

// noPath says that no instance may carry what a rule covers.
func noPath(rule catalog.PrefixRule, clusters []string) string {
	what := "the bucket's objects"
	if rule.Prefix != "" {
		what = fmt.Sprintf("the objects below %q", rule.Prefix)
	}
	return fmt.Sprintf("no instance may copy or serve %s: policy %s allows none of the clusters that instances are in (%s)",
		what, rule.Policy, strings.Join(slices.Compact(slices.Sorted(slices.Values(clusters))), ", "))
}

// Delegate asks another instance to read all of a bucket for its verification, where its bytes
// may not pass through this one, and says whether it did. [guard.ErrPath]: there is none.
func (p *Paths) Delegate(ctx context.Context, bucket string) (bool, error) {
	snap := p.router.Snapshot()
	if p.passesAll(bucket, snap.Here()) {
		return false, nil
	}
	shares, own := p.peers.Shares(), p.claimant()
	for _, member := range slices.Sorted(maps.Keys(shares)) {
		if member != own && p.passesAll(bucket, shares[member].Cluster) {
			return true, p.peers.Ask(ctx, Request{Bucket: bucket, Read: member})
		}
	}
	return false, fmt.Errorf("bucket %s: %w", bucket, guard.ErrPath)
}

// passesAll reports whether the bytes of all of a bucket may pass through an instance in a
// cluster.
func (p *Paths) passesAll(bucket, here string) bool {
	snap := p.router.Snapshot()
	for _, rule := range snap.Of(bucket).Rules() {
		if !snap.PassesPolicy(rule.Policy, here) {
			return false
		}
	}
	return true
}

// Yield leaves a bucket to another instance where there is one that may do what this one may not.
func (p *Paths) Yield(bucket string) {
	clusters, _ := p.peers.Clusters()
	for _, rule := range p.router.Snapshot().Of(bucket).Rules() {
		if !p.router.Snapshot().PassesPolicy(rule.Policy, p.router.Snapshot().Here()) && p.passesAny(rule.Policy, clusters) {
			p.peers.Shards.Yield(bucket)
			return
		}
	}
}
