package routing_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

// model is the catalogue as plain maps, with the rules of routing written down a
// second time, naively: what the snapshot and the router must agree with.
type model struct {
	zones         map[string]*catalog.Zone
	clusters      map[string]*catalog.Cluster
	policies      map[string]*catalog.Policy
	buckets       map[string]*catalog.Bucket
	copies        map[string][]catalog.Copy
	pulled        map[exception]bool // true: to be used
	defaultPolicy string
	pulledAt      map[exception]time.Time // when they were compared

	router *routing.Router
	gaps   map[string]time.Time // clusters where changes were missed up to then
	exact  map[string]bool      // clusters whose feed tells everything
	walks  map[routing.CopyName]walk

	means map[[2]string]int64 // sizes of mean objects, by bucket and prefix
	sizes map[[2]string]int64 // sizes of objects, by bucket and key
}

// walk is a comparison under way.
type walk struct {
	began  time.Time
	cursor string
}

// modelTimes are those at which something happens; the last one is now. What is missed up to
// modelOpen is being missed now.
var (
	modelStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	modelTimes = []time.Time{{}, modelStart, modelStart.Add(10 * time.Second), modelStart.Add(20 * time.Second), modelStart.Add(30 * time.Second)}
	modelNow   = modelTimes[len(modelTimes)-1]
	modelOpen  = modelNow.Add(time.Hour)
)

const modelStaleness = 15 * time.Second

func newModel() *model {
	return &model{
		zones:         map[string]*catalog.Zone{},
		clusters:      map[string]*catalog.Cluster{},
		policies:      map[string]*catalog.Policy{"default": catalog.BuiltinPolicy()},
		buckets:       map[string]*catalog.Bucket{},
		copies:        map[string][]catalog.Copy{},
		defaultPolicy: "default",
	}
}

func (m *model) clone() *model {
	c := *m
	c.zones, c.clusters, c.policies = maps.Clone(m.zones), maps.Clone(m.clusters), maps.Clone(m.policies)
	c.buckets, c.copies = maps.Clone(m.buckets), maps.Clone(m.copies)
	return &c
}

// The small world that random tests play in. Names of each kind overlap little, so
// that references are often dangling and often not.
var (
	modelZones    = []string{"eu", "eu-1", "eu-2", "us", "us-1"}
	modelClusters = []string{"c0", "c1", "c2", "c3", "c4"}
	modelPolicies = []string{"p0", "p1", "p2", "default"}
	modelBuckets  = []string{"alpha", "beta", "gamma"}
	modelPrefixes = []string{"a", "a/", "a/b", "a/b/", "b/", "a/b/c/"}
	modelKeys     = []string{"", "a", "a/", "a/b", "a/b/", "a/b/c", "a/b/c/", "a/b/c/d", "a/bb", "a/x", "ab", "b/", "b/y", "z"}
	modelDirs     = []string{"a/", "a/b/", "a/b/c/", "b/", "z/", ""}
)

// drawMeans returns the copies of a bucket with sizes of mean objects, some of which are known.
func (m *model) drawMeans(t *rapid.T, bucket string) []catalog.Copy {
	copies := slices.Clone(m.copies[bucket])
	for i := range copies {
		c := &copies[i]
		c.MeanSize = rapid.SampledFrom([]int64{0, 0, 1, 7, 100}).Draw(t, "mean size")
		if m.means != nil && c.Primary && c.MeanSize > 0 {
			m.means[[2]string{bucket, c.Prefix}] = c.MeanSize
		}
	}
	return copies
}

// weights are the bytes that inputs count for.
func (m *model) weights(inputs []routing.Input) []int64 {
	all, sum, known := make([]int64, len(inputs)), int64(0), int64(0)
	for i, in := range inputs {
		size, ok := m.sizes[[2]string{in.Bucket, in.Key}]
		switch mean := m.means[[2]string{in.Bucket, m.ruleOf(in.Bucket, in.Key).Prefix}]; {
		case in.Scope == routing.ScopeObject && ok:
			all[i] = max(1, size)
		case in.Bytes > 0:
			all[i] = max(1, in.Bytes-1)
		case mean > 0:
			all[i] = mean
		default:
			continue
		}
		sum, known = sum+all[i], known+1
	}
	for i := range all {
		if all[i] == 0 {
			all[i] = 1
			if known > 0 {
				all[i] = max(1, sum/known)
			}
		}
	}
	return all
}

// --- the rules of routing, naively

func (m *model) above(zone string) (all []string, known bool) {
	for range 20 {
		all = append(all, zone)
		z := m.zones[zone]
		if z == nil {
			return all, false
		}
		if z.Parent == "" {
			return all, true
		}
		zone = z.Parent
	}
	return all, false
}

func (m *model) allowsPolicy(policy, cluster string) bool {
	p, c := m.policies[policy], m.clusters[cluster]
	if p == nil || c == nil {
		return false
	}
	inside := len(p.Zones) == 0
	for _, z := range c.Zones {
		all, known := m.above(z)
		for _, a := range all {
			if slices.Contains(p.ExcludeZones, a) {
				return false
			}
			inside = inside || slices.Contains(p.Zones, a)
		}
		if !known && len(p.ExcludeZones) > 0 {
			return false
		}
	}
	return inside && (len(p.Clusters) == 0 || slices.Contains(p.Clusters, cluster))
}

func (m *model) rules(bucket string) []catalog.PrefixRule {
	b := m.buckets[bucket]
	if b == nil {
		return nil
	}
	rules := []catalog.PrefixRule{{Policy: b.Policy}}
	rules = append(rules, b.Prefixes...)
	slices.SortFunc(rules, func(a, b catalog.PrefixRule) int { return cmp.Compare(a.Prefix, b.Prefix) })
	for i := range rules {
		rules[i].Policy = cmp.Or(rules[i].Policy, m.defaultPolicy)
	}
	return rules
}

func (m *model) ruleOf(bucket, key string) (best catalog.PrefixRule) {
	for i, r := range m.rules(bucket) {
		if strings.HasPrefix(key, r.Prefix) && (i == 0 || len(r.Prefix) > len(best.Prefix)) {
			best = r
		}
	}
	return best
}

// concerned returns the rules an input concerns, the covering one first.
func (m *model) concerned(in routing.Input) []catalog.PrefixRule {
	cover := m.ruleOf(in.Bucket, in.Key)
	if in.Scope == routing.ScopeBucket {
		cover = m.ruleOf(in.Bucket, "")
	}
	list := []catalog.PrefixRule{cover}
	for _, r := range m.rules(in.Bucket) {
		below := in.Scope == routing.ScopeBucket || in.Scope == routing.ScopePrefix && strings.HasPrefix(r.Prefix, in.Key)
		if below && r.Prefix != cover.Prefix && len(r.Prefix) > len(cover.Prefix) {
			list = append(list, r)
		}
	}
	return list
}

func (m *model) copyOf(bucket, prefix, cluster string) *catalog.Copy {
	for i, c := range m.copies[bucket] {
		if c.Prefix == prefix && c.Cluster == cluster {
			return &m.copies[bucket][i]
		}
	}
	return nil
}

type exception struct{ bucket, key, cluster string }

// current says whether a cluster holds the current version of an input.
func (m *model) current(in routing.Input, cluster string, pending map[exception]bool) bool {
	if m.byCopy(in, cluster, pending) {
		return true
	}
	c, e := m.clusters[cluster], exception{in.Bucket, in.Key, cluster}
	return c != nil && c.Storage != nil && in.Scope == routing.ScopeObject && m.pulled[e] && !pending[e] && !m.outdatedPull(in, cluster, pending)
}

// primaryOf returns the cluster of a rule's primary, "" if it has none.
func (m *model) primaryOf(bucket, prefix string) string {
	for _, c := range m.copies[bucket] {
		if c.Prefix == prefix && c.Primary {
			return c.Cluster
		}
	}
	return ""
}

// writtenIn returns where the keys of a rule are written.
func (m *model) writtenIn(bucket, prefix string) string {
	switch {
	case m.primaryOf(bucket, prefix) != "":
		return m.primaryOf(bucket, prefix)
	case len(m.copies[bucket]) == 0:
		return m.buckets[bucket].Primary
	default:
		return m.primaryOf(bucket, "")
	}
}

// wantedIn returns where a key is or is to be, the primary first.
func (m *model) wantedIn(bucket, key string) (primary, others []string) {
	if m.buckets[bucket] == nil {
		return nil, nil
	}
	rule := m.ruleOf(bucket, key).Prefix
	also, found := "", false
	for _, c := range m.copies[bucket] {
		declared := slices.ContainsFunc(m.rules(bucket), func(r catalog.PrefixRule) bool { return r.Prefix == c.Prefix })
		if c.Prefix == rule || !strings.HasPrefix(key, c.Prefix) || !c.Primary || found && len(c.Prefix) < len(also) {
			continue
		}
		if m.primaryOf(bucket, rule) == "" || !declared && len(c.Prefix) > len(rule) {
			also, found = c.Prefix, true
		}
	}
	for _, c := range m.copies[bucket] {
		if c.Prefix != rule && (!found || c.Prefix != also) || !c.Primary && c.State > catalog.CopySynced {
			continue
		}
		if c.Primary {
			primary = append(primary, c.Cluster)
		} else {
			others = append(others, c.Cluster)
		}
	}
	slices.Sort(primary)
	primary = slices.Compact(primary)
	slices.Sort(others)
	others = slices.DeleteFunc(slices.Compact(others), func(c string) bool { return slices.Contains(primary, c) })
	return primary, others
}

// missed returns up to when changes in a cluster may have been missed.
func (m *model) missed(r *routing.Router, cluster string) time.Time {
	if s := r.Snapshot().ClusterState(cluster); s == nil || s.Storage() == routing.StorageDown {
		return time.Time{}
	}
	return m.gaps[cluster]
}

func (m *model) comparedAt(c catalog.Copy, in routing.Input) time.Time {
	at := c.Compared
	if c.State == catalog.CopySyncing {
		at = time.Time{}
	}
	w, ok := m.walks[routing.CopyName{Bucket: in.Bucket, Prefix: c.Prefix, Cluster: c.Cluster}]
	if ok && in.Scope == routing.ScopeObject && in.Key <= w.cursor && w.began.After(at) {
		at = w.began
	}
	return at
}

// tooOld says whether a comparison does not count any more.
func (m *model) tooOld(r catalog.PrefixRule, exact bool, compared time.Time) bool {
	p := m.policies[r.Policy]
	return p != nil && p.MaxStaleness > 0 && !exact && modelNow.Sub(compared) > time.Duration(p.MaxStaleness)
}

// outdated says whether a copy may not be what it is known to be.
func (m *model) outdated(c catalog.Copy, r catalog.PrefixRule, in routing.Input) bool {
	exact, compared := true, m.comparedAt(c, in)
	for _, w := range m.copies[in.Bucket] {
		if w.Prefix != c.Prefix || w.Cluster == c.Cluster || !w.Primary && !c.Anywhere && !m.policyAnywhere(r) || m.clusters[w.Cluster] == nil {
			continue
		}
		exact = exact && m.exact[w.Cluster]
		with := compared
		if !w.Primary {
			with = m.comparedAt(w, in)
		}
		if with.Before(m.missed(m.router, w.Cluster)) {
			return true
		}
	}
	return m.tooOld(r, exact, compared)
}

// outdatedPull says whether an object on demand may not be what it was compared with: the rule's primary, or the
// bucket's while the rule has none, may be behind, and so may what was written elsewhere.
func (m *model) outdatedPull(in routing.Input, cluster string, pending map[exception]bool) bool {
	r, exact, compared := m.ruleOf(in.Bucket, in.Key), true, m.pulledAt[exception{in.Bucket, in.Key, cluster}]
	prefix := r.Prefix
	if m.primaryOf(in.Bucket, prefix) == "" {
		prefix = ""
	}
	for _, w := range m.copies[in.Bucket] {
		if w.Prefix != prefix || m.clusters[w.Cluster] == nil || !w.Primary && !w.Anywhere {
			continue
		}
		if w.Primary && pending[exception{in.Bucket, in.Key, w.Cluster}] {
			return true
		}
		exact = exact && m.exact[w.Cluster]
		with := compared
		if !w.Primary {
			with = m.comparedAt(w, in)
		}
		if with.Before(m.missed(m.router, w.Cluster)) {
			return true
		}
	}
	return m.tooOld(r, exact, compared)
}

// merged says whether a cluster has the keys that belonged to rules which are gone.
func (m *model) merged(in routing.Input, cluster string) bool {
	for _, o := range m.copies[in.Bucket] {
		declared := slices.ContainsFunc(m.rules(in.Bucket), func(r catalog.PrefixRule) bool { return r.Prefix == o.Prefix })
		overlaps := in.Scope == routing.ScopeBucket || strings.HasPrefix(in.Key, o.Prefix) ||
			in.Scope == routing.ScopePrefix && strings.HasPrefix(o.Prefix, in.Key)
		if declared || !o.Primary || !overlaps || len(o.Prefix) < len(m.concerned(in)[0].Prefix) {
			continue
		}
		if c := m.copyOf(in.Bucket, o.Prefix, cluster); c == nil || !c.Primary && !reached(*c, in) {
			return false
		}
	}
	return true
}

// reached says whether a copy's state covers an input.
func reached(c catalog.Copy, in routing.Input) bool {
	switch {
	case c.State == catalog.CopySynced:
		return true
	case c.State != catalog.CopySyncing || in.Scope == routing.ScopeBucket || c.Cursor == "":
		return false
	case in.Scope == routing.ScopeObject:
		return in.Key <= c.Cursor
	default:
		return c.Cursor > in.Key && !strings.HasPrefix(c.Cursor, in.Key)
	}
}

// anywhere says whether a key may have been written at every copy.
func (m *model) anywhere(bucket, key string) bool {
	r := m.ruleOf(bucket, key)
	return m.buckets[bucket] != nil && (m.policyAnywhere(r) || slices.ContainsFunc(m.copies[bucket], func(c catalog.Copy) bool {
		return c.Prefix == r.Prefix && c.Anywhere
	}))
}

func (m *model) policyAnywhere(r catalog.PrefixRule) bool {
	p := m.policies[r.Policy]
	return p != nil && p.Writes == catalog.WritesAnywhere
}

// byCopy is current without what was pulled.
func (m *model) byCopy(in routing.Input, cluster string, pending map[exception]bool) bool {
	if c := m.clusters[cluster]; c == nil || c.Storage == nil {
		return false
	}
	lacks := false
	for i, r := range m.concerned(in) {
		c := m.copyOf(in.Bucket, r.Prefix, cluster)
		if c == nil {
			lacks = lacks || i == 0 || in.Scope != routing.ScopeBucket // a whole bucket's copy need not take part in each rule
			continue
		}
		if c.Primary && !c.Anywhere && !m.policyAnywhere(r) {
			continue
		}
		if !c.Primary && !reached(*c, in) || m.outdated(*c, r, in) {
			return false
		}
	}
	cover := m.concerned(in)[0]
	isNew := m.primaryOf(in.Bucket, cover.Prefix) == "" && m.copyOf(in.Bucket, cover.Prefix, cluster) == nil
	switch {
	case isNew && m.writtenIn(in.Bucket, cover.Prefix) == cluster:
	case lacks || !m.merged(in, cluster):
		return false
	}
	for e := range pending {
		if e.bucket != in.Bucket || e.cluster != cluster {
			continue
		}
		if in.Scope == routing.ScopeObject && e.key == in.Key ||
			in.Scope == routing.ScopePrefix && strings.HasPrefix(e.key, in.Key) {
			return false
		}
	}
	return true
}

// allowedHit says whether an invocation naming the input may run beside its data in a
// cluster, allowedRemote whether it may read it from elsewhere.
func (m *model) allowedHit(in routing.Input, cluster string) bool {
	if in.Scope == routing.ScopeBucket {
		return m.allowsPolicy(m.ruleOf(in.Bucket, "").Policy, cluster)
	}
	return m.allowedRemote(in, cluster)
}

func (m *model) allowedRemote(in routing.Input, cluster string) bool {
	return !slices.ContainsFunc(m.concerned(in), func(r catalog.PrefixRule) bool {
		return !m.allowsPolicy(r.Policy, cluster)
	})
}

// --- generators

func subset(t *rapid.T, label string, of []string, most int) []string {
	list := rapid.SliceOfNDistinct(rapid.SampledFrom(of), 0, most, rapid.ID[string]).Draw(t, label)
	slices.Sort(list)
	return list
}

func drawZone(t *rapid.T) *catalog.Zone {
	z := &catalog.Zone{Name: rapid.SampledFrom(modelZones).Draw(t, "zone")}
	if i := strings.IndexByte(z.Name, '-'); i > 0 && rapid.Bool().Draw(t, "inside") {
		z.Parent = z.Name[:i]
	}
	return z
}

func drawCluster(t *rapid.T, name string) *catalog.Cluster {
	c := &catalog.Cluster{
		Name:  name,
		Zones: rapid.SliceOfNDistinct(rapid.SampledFrom(modelZones), 1, 2, rapid.ID[string]).Draw(t, "zones"),
		Drain: rapid.IntRange(0, 5).Draw(t, "drain") == 0,
	}
	if rapid.IntRange(0, 5).Draw(t, "storage") > 0 {
		c.Storage = &catalog.Storage{
			Endpoint:     "http://s3." + name,
			BucketPrefix: rapid.SampledFrom([]string{"", name + "-"}).Draw(t, "bucket_prefix"),
		}
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "functions") {
		c.Functions = append(c.Functions, catalog.Function{
			URL:         fmt.Sprintf("http://f%d.%s/base", i, name),
			MaxRequests: rapid.SampledFrom([]int{0, 0, 3}).Draw(t, "max_requests"),
		})
	}
	c.Normalize()
	return c
}

func drawPolicy(t *rapid.T, name string) *catalog.Policy {
	p := &catalog.Policy{
		Name:    name,
		Zones:   subset(t, "zones", modelZones, 2),
		Writes:  rapid.SampledFrom([]catalog.Writes{catalog.WritesPrimary, catalog.WritesPrimary, catalog.WritesAnywhere}).Draw(t, "writes"),
		Balance: catalog.RawObject(fmt.Sprintf(`{"policy":%q}`, name)),
		OnMiss:  rapid.SampledFrom([]catalog.OnMiss{catalog.OnMissRemote, catalog.OnMissRemote, catalog.OnMissReject}).Draw(t, "on_miss"),
	}
	if rapid.IntRange(0, 3).Draw(t, "bounded") == 0 {
		p.MaxStaleness = catalog.Duration(modelStaleness)
	}
	if rapid.IntRange(0, 3).Draw(t, "excludes") == 0 {
		p.ExcludeZones = subset(t, "exclude_zones", modelZones, 1)
	}
	if rapid.IntRange(0, 3).Draw(t, "lists") == 0 {
		p.Clusters = subset(t, "clusters", modelClusters, 4)
	}
	p.Normalize()
	return p
}

func drawBucket(t *rapid.T, name string) *catalog.Bucket {
	b := &catalog.Bucket{
		Name:    name,
		Policy:  rapid.SampledFrom(append(modelPolicies, "")).Draw(t, "policy"),
		Primary: rapid.SampledFrom([]string{"", "", "c0", "c1"}).Draw(t, "primary"),
	}
	for _, prefix := range subset(t, "prefixes", modelPrefixes, 3) {
		b.Prefixes = append(b.Prefixes, catalog.PrefixRule{
			Prefix: prefix,
			Policy: rapid.SampledFrom(modelPolicies).Draw(t, "prefix policy"),
		})
	}
	b.Normalize()
	return b
}

// drawCopies draws copies of all rules of a bucket, and sometimes of one that is not
// declared, in any order.
func (m *model) drawCopies(t *rapid.T, bucket string) []catalog.Copy {
	copies := []catalog.Copy{}
	prefixes := []string{rapid.SampledFrom(modelPrefixes).Draw(t, "maybe undeclared")}
	for _, r := range m.rules(bucket) {
		prefixes = append(prefixes, r.Prefix)
	}
	slices.Sort(prefixes)
	for _, prefix := range slices.Compact(prefixes) {
		primary := rapid.Bool().Draw(t, "has primary")
		for _, cluster := range subset(t, "copies", modelClusters, 4) {
			c := catalog.Copy{Prefix: prefix, Cluster: cluster}
			switch {
			case primary:
				c.Primary, c.State, primary = true, catalog.CopySynced, false
			case rapid.Bool().Draw(t, "synced"):
				c.State = catalog.CopySynced
			default:
				c.State = catalog.CopyState(rapid.IntRange(0, 5).Draw(t, "state"))
			}
			c.Compared = rapid.SampledFrom(modelTimes).Draw(t, "compared")
			if c.State == catalog.CopySyncing {
				c.Cursor = rapid.SampledFrom(modelKeys).Draw(t, "cursor")
			}
			flags := rapid.Uint8().Draw(t, "flags")
			for i, flag := range []*bool{&c.Moving, &c.Anywhere, &c.FormerPrimary, &c.HeldDeletes, &c.MadeBucket, &c.Verified} {
				*flag = flags>>i&1 != 0
			}
			copies = append(copies, c)
		}
	}
	return rapid.Permutation(copies).Draw(t, "order")
}

// step makes one random change to the model and to the editor alike.
func (m *model) step(t *rapid.T, e *routing.Editor) {
	switch rapid.IntRange(0, 9).Draw(t, "step") {
	case 0:
		z := drawZone(t)
		m.zones[z.Name] = z
		e.PutZone(z)
	case 1, 2:
		c := drawCluster(t, rapid.SampledFrom(modelClusters).Draw(t, "cluster"))
		m.clusters[c.Name] = c
		e.PutCluster(c)
	case 3:
		p := drawPolicy(t, rapid.SampledFrom(modelPolicies).Draw(t, "policy"))
		m.policies[p.Name] = p
		e.PutPolicy(p)
	case 4, 5:
		b := drawBucket(t, rapid.SampledFrom(modelBuckets).Draw(t, "bucket"))
		m.buckets[b.Name] = b
		e.PutBucket(b)
	case 6:
		m.defaultPolicy = rapid.SampledFrom(modelPolicies).Draw(t, "default policy")
		e.SetDefaultPolicy(m.defaultPolicy)
	case 7:
		m.delete(t, e)
	default:
		b := rapid.SampledFrom(modelBuckets).Draw(t, "bucket")
		copies := m.drawCopies(t, b)
		if m.buckets[b] != nil {
			m.copies[b] = copies
		}
		e.SetCopies(b, copies)
	}
}

func (m *model) delete(t *rapid.T, e *routing.Editor) {
	kind := rapid.SampledFrom(catalog.Kinds).Draw(t, "kind")
	var name string
	switch kind {
	case catalog.KindZone:
		name = rapid.SampledFrom(modelZones).Draw(t, "name")
		delete(m.zones, name)
	case catalog.KindCluster:
		name = rapid.SampledFrom(modelClusters).Draw(t, "name")
		delete(m.clusters, name)
	case catalog.KindPolicy:
		name = rapid.SampledFrom(modelPolicies).Draw(t, "name")
		delete(m.policies, name)
		if name == "default" {
			m.policies[name] = catalog.BuiltinPolicy()
		}
	case catalog.KindBucket:
		name = rapid.SampledFrom(modelBuckets).Draw(t, "name")
		delete(m.buckets, name)
		delete(m.copies, name)
	case catalog.KindKey: // routing keeps what it is given
		name = "none"
	}
	e.Delete(kind, name)
}

// fill makes a whole random catalogue.
func (m *model) fill(t *rapid.T, s *routing.Snapshot) *routing.Snapshot {
	return s.Edit(func(e *routing.Editor) {
		for _, name := range modelZones {
			z := &catalog.Zone{Name: name}
			if i := strings.IndexByte(name, '-'); i > 0 {
				z.Parent = name[:i]
			}
			m.zones[name] = z
			e.PutZone(z)
		}
		for _, name := range modelClusters {
			m.clusters[name] = drawCluster(t, name)
			e.PutCluster(m.clusters[name])
		}
		for _, name := range modelPolicies {
			m.policies[name] = drawPolicy(t, name)
			e.PutPolicy(m.policies[name])
		}
		for _, name := range modelBuckets[:2] {
			m.buckets[name] = drawBucket(t, name)
			e.PutBucket(m.buckets[name])
			m.copies[name] = m.drawCopies(t, name)
			e.SetCopies(name, m.drawMeans(t, name))
		}
	})
}
