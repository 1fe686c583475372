package routing_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

// routeWorld is a random catalogue with its router, exceptions and live states.
type routeWorld struct {
	*model
	router  *routing.Router
	pending map[exception]bool
}

func drawWorld(t *rapid.T) *routeWorld {
	w := &routeWorld{model: newModel(), router: routing.NewRouter(), pending: map[exception]bool{}}
	w.router.SetClock(func() time.Time { return modelNow })
	w.model.router, w.gaps, w.exact = w.router, map[string]time.Time{}, map[string]bool{}
	w.walks, w.pulledAt = map[routing.CopyName]walk{}, map[exception]time.Time{}
	w.means, w.sizes = map[[2]string]int64{}, map[[2]string]int64{}
	w.router.Swap(w.fill(t, w.router.Snapshot()))
	for range rapid.IntRange(0, 8).Draw(t, "sizes") {
		bucket, key := rapid.SampledFrom(modelBuckets[:2]).Draw(t, "bucket"), rapid.SampledFrom(modelKeys).Draw(t, "key")
		size := rapid.SampledFrom([]int64{0, 1, 5, 50, 1 << 50}).Draw(t, "size")
		w.router.Sizes().Note(bucket, key, size)
		w.sizes[[2]string{bucket, key}] = min(size, 1<<44-2)
	}
	for _, ep := range w.router.Snapshot().Endpoints() {
		ep.Live.SetHealthy(rapid.IntRange(0, 5).Draw(t, "healthy") > 0, "refused")
		ep.Live.InFlight.Store(rapid.Int64Range(0, 4).Draw(t, "in flight"))
	}
	for _, c := range modelClusters {
		up := routing.StorageCondition(rapid.IntRange(0, 2).Draw(t, "storage"))
		state := w.router.Snapshot().ClusterState(c)
		state.SetStorage(up)
		if w.exact[c] = rapid.Bool().Draw(t, "exact feed"); w.exact[c] {
			state.SetExact(true)
		}
		switch w.gaps[c] = rapid.SampledFrom(append(modelTimes[:3:3], time.Time{}, time.Time{}, modelOpen)).Draw(t, "gap"); w.gaps[c] {
		case time.Time{}:
		case modelOpen:
			state.OpenGap()
		default:
			state.CloseGap(w.gaps[c])
		}
	}
	w.drawWalks(t)
	for range rapid.IntRange(0, 6).Draw(t, "pending") {
		e := exception{
			rapid.SampledFrom(modelBuckets[:2]).Draw(t, "bucket"),
			rapid.SampledFrom(modelKeys).Draw(t, "key"),
			rapid.SampledFrom(modelClusters).Draw(t, "cluster"),
		}
		w.pending[e] = true
		w.router.Pending.Add(e.bucket, e.key, e.cluster)
	}
	w.pulled = map[exception]bool{}
	for range rapid.IntRange(0, 4).Draw(t, "pulled") {
		e := exception{
			rapid.SampledFrom(modelBuckets[:2]).Draw(t, "bucket"),
			rapid.SampledFrom(modelKeys).Draw(t, "key"),
			rapid.SampledFrom(modelClusters).Draw(t, "cluster"),
		}
		w.pulled[e] = rapid.IntRange(0, 3).Draw(t, "to be used") > 0
		w.pulledAt[e] = rapid.SampledFrom(modelTimes).Draw(t, "pulled at")
		w.router.Pulled.Set(e.bucket, e.key, e.cluster, catalog.Pulled{ETag: "e", Current: w.pulled[e]})
		w.router.Pulled.Compare(e.bucket, e.key, e.cluster, w.pulledAt[e])
	}
	return w
}

// drawWalks draws comparisons under way.
func (w *routeWorld) drawWalks(t *rapid.T) {
	for range rapid.IntRange(0, 2).Draw(t, "walks") {
		copies := w.copies[rapid.SampledFrom(modelBuckets[:2]).Draw(t, "bucket")]
		if len(copies) == 0 {
			continue
		}
		c := rapid.SampledFrom(copies).Draw(t, "copy")
		for b := range w.copies {
			if slices.Contains(w.copies[b], c) {
				of := routing.CopyName{Bucket: b, Prefix: c.Prefix, Cluster: c.Cluster}
				w.walks[of] = walk{rapid.SampledFrom(modelTimes).Draw(t, "began"), rapid.SampledFrom(modelKeys).Draw(t, "cursor")}
				w.router.Compared.Walk(of, w.walks[of].began, w.walks[of].cursor)
			}
		}
	}
}

func (w *routeWorld) drawQuery(t *rapid.T) *routing.Query {
	q := &routing.Query{
		UnknownBucketAny: rapid.Bool().Draw(t, "unknown any"),
		NoBucketReject:   rapid.Bool().Draw(t, "no bucket reject"),
		Spill:            rapid.SampledFrom([]int{0, 0, 1, 2, 3}).Draw(t, "spill"),
	}
	for range rapid.SampledFrom([]int{1, 1, 1, 2, 3, 0}).Draw(t, "inputs") {
		in := routing.Input{
			Bucket: rapid.SampledFrom([]string{"alpha", "alpha", "beta", "beta", "nowhere"}).Draw(t, "bucket"),
			Scope:  routing.Scope(rapid.IntRange(0, 2).Draw(t, "scope")),
		}
		switch in.Scope {
		case routing.ScopeBucket: // has no key
		case routing.ScopeObject:
			in.Key = rapid.SampledFrom(modelKeys).Draw(t, "key")
		case routing.ScopePrefix:
			in.Key = rapid.SampledFrom(modelDirs).Draw(t, "dir")
		}
		in.Bytes = rapid.SampledFrom([]int64{0, 0, 0, 1, 3, 40}).Draw(t, "bytes")
		q.Inputs = append(q.Inputs, in)
	}
	eps := w.router.Snapshot().Endpoints()
	if len(eps) > 0 && rapid.IntRange(0, 2).Draw(t, "retry") == 0 {
		q.Tried = rapid.SliceOfNDistinct(rapid.SampledFrom(eps), 0, 3, rapid.ID[*routing.Endpoint]).Draw(t, "tried")
	}
	if len(eps) > 0 && rapid.IntRange(0, 3).Draw(t, "narrowed") == 0 {
		not := rapid.SampledFrom(eps).Draw(t, "unusable")
		q.Usable = func(ep *routing.Endpoint) bool { return ep != not }
	}
	return q
}

// answer is what a decision comes to.
type answer struct {
	reason   routing.Reason
	locality routing.Locality
	urls     []string
}

func urlsOf(eps []*routing.Endpoint) []string {
	var urls []string
	for _, ep := range eps {
		urls = append(urls, ep.URL)
	}
	slices.Sort(urls)
	return urls
}

// naiveRoute is the rules of routing, tier by tier, over plain maps.
func (w *routeWorld) naiveRoute(q *routing.Query) answer {
	var known []routing.Input
	for _, in := range q.Inputs {
		switch {
		case w.buckets[in.Bucket] != nil:
			known = append(known, in)
		case !q.UnknownBucketAny:
			return answer{reason: routing.ReasonUnknownBucket}
		}
	}
	if len(q.Inputs) == 0 && q.NoBucketReject {
		return answer{reason: routing.ReasonNoBucket}
	}
	if len(known) == 0 {
		return w.naiveAny(q)
	}
	if got := w.naiveAmong(q, known, false); got.reason == "" {
		return got
	}
	return w.naiveAmong(q, known, true) // draining clusters are the last resort, for hits
}

func (w *routeWorld) naiveAmong(q *routing.Query, known []routing.Input, draining bool) answer {
	local, down, remote := w.naiveTiers(q, known, draining)
	if draining {
		remote = nil
	}
	free, remoteFree := pick(local, down), pick(remote...)
	busy := func(ep *routing.Endpoint) bool { return ep.Live.InFlight.Load() > int64(q.Spill) }
	untried := func(eps []*routing.Endpoint) []*routing.Endpoint {
		return filter(eps, func(ep *routing.Endpoint) bool { return !w.tried(q, ep) })
	}
	first := pick(untried(local), untried(down))
	if q.Spill > 0 && len(first) > 0 && len(filter(first, busy)) == len(first) {
		for _, tier := range remote {
			if spare := filter(untried(tier), func(ep *routing.Endpoint) bool { return !busy(ep) }); len(spare) > 0 {
				return answer{"", routing.LocalityRemote, urlsOf(spare)}
			}
		}
	}
	remoteFirst := []*routing.Endpoint{}
	for _, tier := range remote {
		remoteFirst = pick(remoteFirst, untried(tier))
	}
	switch {
	case len(first) > 0:
		return answer{"", routing.LocalityLocal, urlsOf(first)}
	case len(remoteFirst) > 0:
		return answer{"", routing.LocalityRemote, urlsOf(remoteFirst)}
	case len(free) > 0:
		return answer{"", routing.LocalityLocal, urlsOf(free)}
	case len(remoteFree) > 0:
		return answer{"", routing.LocalityRemote, urlsOf(remoteFree)}
	}
	return answer{reason: w.naiveRefusal(known)}
}

func (w *routeWorld) tried(q *routing.Query, ep *routing.Endpoint) bool {
	return slices.Contains(q.Tried, ep)
}

func filter(eps []*routing.Endpoint, keep func(*routing.Endpoint) bool) (out []*routing.Endpoint) {
	for _, ep := range eps {
		if keep(ep) {
			out = append(out, ep)
		}
	}
	return out
}

// pick returns the first tier that has endpoints.
func pick(tiers ...[]*routing.Endpoint) []*routing.Endpoint {
	for _, t := range tiers {
		if len(t) > 0 {
			return t
		}
	}
	return nil
}

func (w *routeWorld) free(q *routing.Query, cluster string, draining bool) []*routing.Endpoint {
	return filter(w.router.Snapshot().Endpoints(), func(ep *routing.Endpoint) bool {
		return ep.Cluster == cluster && w.clusters[cluster].Drain == draining && ep.Live.Healthy() &&
			(ep.MaxRequests == 0 || ep.Live.InFlight.Load() < int64(ep.MaxRequests)) &&
			(q.Usable == nil || q.Usable(ep))
	})
}

func (w *routeWorld) naiveAny(q *routing.Query) answer {
	var all []*routing.Endpoint
	for _, c := range modelClusters {
		all = append(all, w.free(q, c, false)...)
	}
	rest := filter(all, func(ep *routing.Endpoint) bool { return !w.tried(q, ep) })
	if urls := urlsOf(pick(rest, all)); len(urls) > 0 {
		return answer{"", routing.LocalityNone, urls}
	}
	return answer{reason: routing.ReasonNoEndpoint}
}

func (w *routeWorld) hit(known []routing.Input, cluster string) bool {
	for _, in := range known {
		if !w.current(in, cluster, w.pending) || !w.allowedHit(in, cluster) {
			return false
		}
	}
	return true
}

func (w *routeWorld) remoteOK(known []routing.Input, cluster string) bool {
	for _, in := range known {
		if !w.allowedRemote(in, cluster) || w.rejects(in) {
			return false
		}
	}
	return true
}

func (w *routeWorld) rejects(in routing.Input) bool {
	return slices.ContainsFunc(w.concerned(in), func(r catalog.PrefixRule) bool {
		return w.policies[r.Policy] != nil && w.policies[r.Policy].OnMiss == catalog.OnMissReject
	})
}

// naiveTiers returns the free endpoints of the holders, of those whose storage is
// down, and of the others by how many bytes they lack.
func (w *routeWorld) naiveTiers(q *routing.Query, known []routing.Input, draining bool) (local, down []*routing.Endpoint, remote [][]*routing.Endpoint) {
	weights, lacking := w.weights(known), map[int64][]*routing.Endpoint{}
	for _, c := range modelClusters {
		storageDown := w.router.Snapshot().ClusterState(c).Storage() == routing.StorageDown
		switch {
		case w.hit(known, c) && storageDown:
			down = append(down, w.free(q, c, draining)...)
		case w.hit(known, c):
			local = append(local, w.free(q, c, draining)...)
		case w.remoteOK(known, c):
			lacks := int64(0)
			for i, in := range known {
				if storageDown || len(known) == 1 || !w.hit([]routing.Input{in}, c) {
					lacks += weights[i]
				}
			}
			lacking[lacks] = append(lacking[lacks], w.free(q, c, draining)...)
		}
	}
	for _, lacks := range slices.Sorted(maps.Keys(lacking)) {
		remote = append(remote, lacking[lacks])
	}
	return local, down, remote
}

func (w *routeWorld) naiveRefusal(known []routing.Input) routing.Reason {
	var allowed, anywhere, rejects bool
	for _, in := range known {
		rejects = rejects || w.rejects(in)
	}
	for name, c := range w.clusters {
		if len(c.Functions) == 0 || slices.ContainsFunc(known, func(in routing.Input) bool { return !w.allowedHit(in, name) }) {
			continue
		}
		allowed = true
		anywhere = anywhere || w.hit(known, name) || w.remoteOK(known, name)
	}
	switch {
	case !allowed:
		return routing.ReasonZoneForbidden
	case rejects || !anywhere:
		return routing.ReasonNoFreshCopy
	default:
		return routing.ReasonNoEndpoint
	}
}

// Route answers what the rules, written down naively, answer; and says it again when
// its decision is used again.
func TestRouteFollowsTheRules(t *testing.T) {
	seen := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		var d routing.Decision
		for range 4 {
			q := w.drawQuery(t)
			w.router.Route(q, &d)
			got := answer{d.Reason, d.Locality, urlsOf(d.Candidates)}
			same(t, fmt.Sprintf("%+v", q), got, w.naiveRoute(q))
			checkResidency(t, w, q, &d)
			checkBalance(t, w, &d)
			seen[string(d.Reason)+" "+d.Locality.String()]++
		}
	})
	if testing.Short() {
		return // too few cases to find one of each
	}
	for _, kind := range []string{
		" local", " remote", " none", "unknown-bucket none", "no-bucket none",
		"zone-forbidden none", "no-fresh-copy none", "no-endpoint none",
	} {
		if seen[kind] == 0 {
			t.Errorf("no case of %q was tried: %v", kind, seen)
		}
	}
}

// checkResidency holds a decision to promise 2, and a local one to promise 3, whatever
// else is right.
func checkResidency(t *rapid.T, w *routeWorld, q *routing.Query, d *routing.Decision) {
	for _, ep := range d.Candidates {
		for i := range d.Inputs() {
			in := d.Input(i)
			if !w.allowedHit(in, ep.Cluster) {
				t.Fatalf("%+v was sent to %s, which its policy does not allow", in, ep.Cluster)
			}
			if d.Locality == routing.LocalityLocal && !w.current(in, ep.Cluster, w.pending) {
				t.Fatalf("%+v: %s is a hit, and not current", in, ep.Cluster)
			}
			if d.Locality == routing.LocalityRemote && !w.allowedRemote(in, ep.Cluster) {
				t.Fatalf("%+v reads remotely in %s, which may not", in, ep.Cluster)
			}
		}
	}
}

func checkBalance(t *rapid.T, w *routeWorld, d *routing.Decision) {
	var want catalog.RawObject
	if d.Reason != routing.ReasonNone {
		return
	}
	if d.Inputs() > 0 {
		if p := w.policies[w.concerned(d.Input(0))[0].Policy]; p != nil {
			want = p.Balance
		}
	}
	same(t, "balance", string(d.Balance), string(want))
}

// Explain's eligible candidates begin with those Route balances among, and it lists
// every endpoint of every cluster once, with a reason.
func TestExplainAgreesWithRoute(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		for range 4 {
			q := w.drawQuery(t)
			var d routing.Decision
			w.router.Route(q, &d)
			ex := w.router.Explain(q, nil)
			same(t, "reason", ex.Reason, d.Reason)
			var first, listed []string
			eligible := 0
			for i, c := range ex.Candidates {
				if c.Reason == "" {
					t.Fatalf("%+v has no reason", c)
				}
				if c.Eligible {
					same(t, "eligible candidates before", eligible, i)
					eligible++
				}
				if i < len(d.Candidates) {
					same(t, "locality", c.Locality, d.Locality.String())
					first = append(first, c.URL)
				}
				listed = append(listed, c.Cluster+" "+c.URL)
				checkFresh(t, w, &d, c)
			}
			slices.Sort(first)
			same(t, "first candidates", first, urlsOf(d.Candidates))
			same(t, "eligible without a reason to refuse", eligible > 0, d.Reason == routing.ReasonNone)
			slices.Sort(listed)
			same(t, "listed", listed, w.everything())
			checkSteps(t, &d, ex)
		}
	})
}

// checkSteps holds the steps to be about every candidate, and to end at what was decided.
func checkSteps(t *rapid.T, d *routing.Decision, ex routing.Explanation) {
	same(t, "candidates at the first step", ex.Steps[0].In, len(ex.Candidates))
	var names []string
	for _, st := range ex.Steps {
		names = append(names, st.Step)
		same(t, st.Step+": who is left", st.In-len(st.Dropped), st.Out)
		same(t, st.Step+": clusters are left", len(st.Kept) > 0, st.Out > 0)
		for _, out := range st.Dropped {
			if out.Reason == "" {
				t.Fatalf("%s: %+v dropped out for no reason", st.Step, out)
			}
		}
	}
	same(t, "the first steps", names[:4], []string{"Allowed", "Hits", "Free endpoints", "On miss"})
	last := ex.Steps[len(ex.Steps)-1]
	same(t, "the last step", last.Step, "Balance")
	same(t, "who is balanced among", last.Out, len(d.Candidates))
}

func checkFresh(t *rapid.T, w *routeWorld, d *routing.Decision, c routing.Candidate) {
	fresh := d.Inputs() > 0
	for i := range d.Inputs() {
		fresh = fresh && w.current(d.Input(i), c.Cluster, w.pending)
	}
	same(t, "fresh", c.Fresh, fresh)
}

func (w *routeWorld) everything() []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(w.clusters)) {
		if len(w.clusters[name].Functions) == 0 {
			all = append(all, name+" ")
		}
		for _, f := range w.clusters[name].Functions {
			all = append(all, name+" "+f.URL)
		}
	}
	slices.Sort(all)
	return all
}

// The storage a function is told to read from is its own on a hit, and else that of a
// current, allowed holder, the best there is.
func TestStorageFor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		q := w.drawQuery(t)
		var d routing.Decision
		w.router.Route(q, &d)
		for _, ep := range d.Candidates {
			endpoint, bucket := d.StorageFor(ep)
			want := w.bestSource(&d, ep)
			if want == "" {
				same(t, "endpoint and bucket", endpoint+bucket, "")
				continue
			}
			c := w.clusters[want]
			same(t, "endpoint", endpoint, c.Storage.Endpoint)
			same(t, "bucket", bucket, c.Storage.BucketPrefix+d.Input(0).Bucket)
		}
	})
}

func (w *routeWorld) bestSource(d *routing.Decision, ep *routing.Endpoint) string {
	if d.Inputs() == 0 {
		return ""
	}
	in := d.Input(0)
	holders := []string{}
	for _, c := range modelClusters {
		if w.hit([]routing.Input{in}, c) {
			holders = append(holders, c)
		}
	}
	if slices.Contains(holders, ep.Cluster) {
		return ep.Cluster
	}
	best, bestScore := "", -1
	for _, c := range holders {
		if w.copyOf(in.Bucket, w.concerned(in)[0].Prefix, c) == nil {
			continue // what was pulled may go at any time
		}
		score := 0
		if w.router.Snapshot().ClusterState(c).Storage() != routing.StorageDown {
			score += 4
		}
		if w.clusters[c].Zones[0] == ep.Zone {
			score += 2
		}
		if w.copyOf(in.Bucket, w.concerned(in)[0].Prefix, c).Primary {
			score++
		}
		if score > bestScore {
			best, bestScore = c, score
		}
	}
	if best != "" {
		return best
	}
	// Nothing current is allowed: the data is still where the bucket is written.
	if p := w.writtenIn(in.Bucket, w.concerned(in)[0].Prefix); p != "" && w.clusters[p] != nil && w.clusters[p].Storage != nil {
		return p
	}
	return ""
}

// CurrentIn lists exactly the clusters that are current, among those that should be.
func TestCurrentIn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		b := rapid.SampledFrom(modelBuckets).Draw(t, "bucket")
		key := rapid.SampledFrom(modelKeys).Draw(t, "key")
		in := routing.Input{Bucket: b, Key: key, Scope: routing.ScopeObject}
		want := []string{}
		for _, c := range modelClusters {
			current := w.buckets[b] != nil && w.current(in, c, w.pending)
			same(t, "current "+c, w.router.Current(b, key, c), current)
			if current {
				want = append(want, c)
			}
		}
		got := w.router.CurrentIn([]string{}, b, key)
		slices.Sort(got)
		same(t, "current in", got, want)
	})
}
