package replication

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/document"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/replication/internal/asks"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/state"
)

// copied counts what replication copied.
type copied struct {
	noMetrics
	mu             sync.Mutex
	objects, bytes int64
}

func (c *copied) Replicated(_ string, bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.objects, c.bytes = c.objects+1, c.bytes+bytes
}

// take returns the counts since it was called last.
func (c *copied) take() (objects, bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	objects, bytes = c.objects, c.bytes
	c.objects, c.bytes = 0, 0
	return objects, bytes
}

// foretold is what resources would do to a world if they were put there, with what puts them.
func (w *world) foretold(rs ...catalog.Resource) (*document.Outlook, func()) {
	w.Helper()
	doc := new(document.Document)
	for _, r := range rs {
		doc.Items = append(doc.Items, document.Item{Path: r.ResourceName(), Resource: r})
	}
	at, err := w.ctl.Resources.Catalogue(context.Background())
	w.must(err)
	changes, err := document.Compare(doc, &document.Base{Catalogue: at.Snapshot, Owner: func(k catalog.Kind, name string) document.Owner {
		if at.Origin(k, name) == control.OriginAPI {
			return document.API
		}
		return document.Nobody
	}})
	w.must(err)
	outlook, err := changes.Forecast(&document.World{
		Settling: func(cat document.Catalogue) document.Settle { return w.eng.Reports().Forecast(cat).Settle },
		Copies:   w.copiesByBucket, Used: w.ctl.Usage.All(),
	}, document.Page{Limit: 100})
	w.must(err)
	return outlook, func() {
		w.Helper()
		var b control.Batch
		for _, ch := range changes.Changes {
			b.Puts = append(b.Puts, ch.Resource)
		}
		_, err := w.ctl.Resources.Apply(context.Background(), at, b)
		w.must(err)
	}
}

func (w *world) copiesByBucket(f func(string, []document.Row) error) error {
	rows := make(map[string][]document.Row)
	err := w.ctl.Store().Catalogue().EachCopy(context.Background(), func(c state.Copy) error {
		rows[c.Bucket] = append(rows[c.Bucket], document.Row{Copy: c.Routed(), Objects: c.Objects, Bytes: c.Bytes, Counted: !c.VerifiedAt.IsZero()})
		return nil
	})
	for _, b := range slices.Sorted(maps.Keys(rows)) {
		if err == nil {
			err = f(b, rows[b])
		}
	}
	return err
}

// What a plan says of copies, objects and bytes is what then happens, on real storages, one of
// which has never answered.
func TestPlansComeTrue(t *testing.T) {
	t.Parallel()
	counts := new(copied)
	w := newWorld(t, Settings{}, func(o *Options) { o.Metrics = counts })
	w.threeMinIOs()
	w.zone("c4")
	w.apply(&catalog.Cluster{Name: "c4", Zones: []string{"c4"}, Storage: &catalog.Storage{Endpoint: "http://127.0.0.1:1", BucketPrefix: w.prefix}})
	w.await("c4 to be given up", func() bool { return !w.eng.core.inputs().Unasked() })
	buckets := []string{"bkt-a", "bkt-b", "bkt-c"}
	for i, name := range buckets {
		w.makeBucket("c1", name)
		for n := range 5 + 3*i {
			key := fmt.Sprintf("k%03d", n)
			if n%3 == 0 {
				key = "p/" + key
			}
			w.put("c1", name, key, strings.Repeat("x", 10*n))
		}
		w.policy("p-"+name, 1, "c1", "c2", "c3", "c4")
	}
	w.policy("p-keys", 1, "c1", "c2", "c3", "c4")
	for _, name := range buckets {
		w.bucket(name, "p-"+name, "c1")
		w.awaitOK(name, "c1")
	}
	var exact, moved int
	for _, seed := range testenv.Seeds(t, 24) {
		rng := rand.New(rand.NewPCG(seed, 1))
		for _, name := range buckets {
			w.counted(name)
		}
		counts.take()
		before := w.stands(buckets)
		outlook, apply := w.foretold(w.anyChange(rng, buckets)...)
		if outlook.Blocked {
			continue
		}
		apply()
		for _, name := range buckets {
			w.await(name+" at rest", func() bool { return w.atRest(name) })
		}
		w.cameTrue(seed, outlook, before, w.stands(buckets), counts)
		if moved++; !outlook.Moves.Total.Estimated {
			exact++
		}
	}
	t.Logf("%d plans of %d were exact", exact, moved)
	if exact < 8 || moved-exact < 2 {
		t.Errorf("%d plans of %d were exact: too few of a kind", exact, moved)
	}
}

// anyChange draws new policies, and buckets' rules, primaries and clusters' drains.
func (w *world) anyChange(rng *rand.Rand, buckets []string) (rs []catalog.Resource) {
	for _, name := range append([]string{"keys"}, buckets...) {
		if rng.IntN(3) == 0 {
			continue
		}
		allowed := []string{"c1", "c2", "c3", "c4"}
		rng.Shuffle(len(allowed), func(i, j int) { allowed[i], allowed[j] = allowed[j], allowed[i] })
		allowed = allowed[:1+rng.IntN(len(allowed))]
		p := &catalog.Policy{Name: "p-" + name, Copies: catalog.Copies{N: 1 + rng.IntN(len(allowed))}, Clusters: allowed}
		if rng.IntN(2) == 0 {
			p.Prefer = allowed
		}
		if rng.IntN(4) == 0 {
			p.Primary = catalog.PrimaryFixed
		}
		rs = append(rs, p)
	}
	for _, name := range buckets {
		if rng.IntN(3) > 0 {
			continue
		}
		b := &catalog.Bucket{Name: name, Policy: "p-" + name}
		if rng.IntN(3) == 0 {
			b.Prefixes = []catalog.PrefixRule{{Prefix: "p/", Policy: "p-keys"}}
		}
		if rng.IntN(3) == 0 {
			b.Primary = []string{"c1", "c2", "c3"}[rng.IntN(3)]
			b.Promote = []catalog.Promote{"", catalog.PromoteManual}[rng.IntN(2)]
		}
		rs = append(rs, b)
	}
	if rng.IntN(3) == 0 {
		c := w.ctl.Router().Snapshot().Cluster([]string{"c1", "c2", "c3"}[rng.IntN(3)]).Clone().(*catalog.Cluster)
		c.Drain = !c.Drain
		rs = append(rs, c)
	}
	return rs
}

// atRest reports whether nothing of a bucket is on its way, or will be.
func (w *world) atRest(bucket string) bool {
	snap := w.ctl.Router().Snapshot()
	copies, primary := snap.Of(bucket).Copies(), snap.Of(bucket).Primary()
	if slices.ContainsFunc(copies, func(c catalog.Copy) bool { return c.State != catalog.CopySynced || c.FormerPrimary || c.Moving }) {
		return false
	}
	decl := snap.Bucket(bucket)
	p := w.eng.core.inputs().Plan(decl, snap.Of(bucket).Rules(), copyrows.FromCatalog(bucket, copies), primary)
	return !p.Changed && (p.Target == primary || asks.PromotedByHand(decl, p.Target))
}

// stand is where a bucket stands: its primary, the clusters of each rule, and what each
// cluster's storage holds, by key.
type stand struct {
	primary  string
	rules    map[string][]string
	contents map[string]map[string]string
}

func (w *world) stands(buckets []string) map[string]stand {
	w.Helper()
	all := make(map[string]stand)
	for _, b := range buckets {
		s := stand{rules: make(map[string][]string), contents: make(map[string]map[string]string)}
		rows, err := w.store.Catalogue().CopiesOf(context.Background(), b)
		w.must(err)
		s.primary = copyrows.PrimaryOf(rows)
		for _, r := range rows {
			s.rules[r.Prefix] = append(s.rules[r.Prefix], r.Cluster)
		}
		for _, in := range s.rules {
			slices.Sort(in)
		}
		for _, c := range []string{"c1", "c2", "c3"} {
			s.contents[c] = w.contents(c, b)
		}
		all[b] = s
	}
	return all
}

// counted waits until a bucket's rows tell what its storages hold.
func (w *world) counted(bucket string) {
	w.Helper()
	w.must(w.eng.SyncBucket(context.Background(), bucket))
	asked := time.Now()
	w.await("bucket "+bucket+" is counted", func() bool {
		rows, err := w.store.Catalogue().CopiesOf(context.Background(), bucket)
		w.must(err)
		for _, r := range rows {
			objects, bytes := ruled(w.contents(r.Cluster, bucket), r.Prefix, w.ctl.Router().Snapshot().Of(bucket).Rules())
			if r.Objects != objects || r.Bytes != bytes || r.VerifiedAt.Before(asked.Add(-time.Second)) {
				return false
			}
		}
		return true
	})
}

// ruled counts the keys that belong to a rule.
func ruled(contents map[string]string, prefix string, rules []catalog.PrefixRule) (objects, bytes int64) {
	for key, what := range contents {
		rule := ""
		for _, r := range rules {
			if strings.HasPrefix(key, r.Prefix) {
				rule = r.Prefix
			}
		}
		if rule == prefix {
			objects, bytes = objects+1, bytes+sizeOf(what)
		}
	}
	return objects, bytes
}

func sizeOf(what string) (size int64) {
	_, _ = fmt.Sscan(what[strings.LastIndexByte(what, ' ')+1:], &size)
	return size
}

// more counts what one storage holds after and did not hold before.
func more(before, after map[string]string) (objects, bytes int64) {
	for key, what := range after {
		if before[key] != what {
			objects, bytes = objects+1, bytes+sizeOf(what)
		}
	}
	return objects, bytes
}

// cameTrue holds a plan against what happened.
func (w *world) cameTrue(seed uint64, o *document.Outlook, before, after map[string]stand, counts *copied) {
	w.Helper()
	var objects, bytes, gone, goneBytes int64
	for b := range after {
		for _, c := range []string{"c1", "c2", "c3"} {
			n, size := more(before[b].contents[c], after[b].contents[c])
			objects, bytes = objects+n, bytes+size
			n, size = more(after[b].contents[c], before[b].contents[c])
			gone, goneBytes = gone+n, goneBytes+size
		}
		w.movedAs(seed, b, o, before[b], after[b])
	}
	t, r := &o.Moves.Total, &o.Moves.Removed
	if !t.Estimated && (t.Objects != objects || t.Bytes != bytes || r.Objects != gone || r.Bytes != goneBytes) ||
		t.Objects < objects || t.Bytes < bytes || r.Objects < gone || r.Bytes < goneBytes {
		w.Errorf("seed %d: the plan says %+v and removed %+v; copied were %d objects, %d bytes, removed %d, %d", seed, *t, *r, objects, bytes, gone, goneBytes)
	}
	if n, size := counts.take(); n != objects || size != bytes {
		w.Errorf("seed %d: %d objects and %d bytes were copied, and %d and %d came", seed, n, size, objects, bytes)
	}
}

// movedAs holds what a plan says of one bucket's copies against those it has.
func (w *world) movedAs(seed uint64, bucket string, o *document.Outlook, before, after stand) {
	w.Helper()
	where := make(map[string][]string)
	for prefix := range after.rules {
		where[prefix] = before.rules[prefix]
		if where[prefix] == nil {
			where[prefix] = before.rules[""] // it had no rule of its own
		}
	}
	primary, ready := before.primary, true
	for _, m := range o.Moves.Buckets {
		if m.Bucket != bucket {
			continue
		}
		if m.From != m.To {
			primary = m.To
			ready = !slices.Contains(m.Add, m.To)
		}
		if in, ok := where[m.Prefix]; ok {
			in = slices.DeleteFunc(append(slices.Clone(in), m.Add...), func(c string) bool { return slices.Contains(m.Remove, c) })
			slices.Sort(in)
			where[m.Prefix] = in
		}
	}
	if !maps.EqualFunc(where, after.rules, slices.Equal[[]string]) {
		w.Errorf("seed %d: by the plan %s is in %v, it is in %v; before in %v", seed, bucket, where, after.rules, before.rules)
	}
	// Of several copies that are made for a primary that has to move, the first that is ready
	// becomes it.
	if primary != after.primary && (ready || before.primary == after.primary) {
		w.Errorf("seed %d: by the plan %s is written in %s, it is in %s", seed, bucket, primary, after.primary)
	}
}
