package replication

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/document"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
)

// foretold is what a document would do to a world, with what it takes to do it.
func (w *world) foretold(body string) (*document.Outlook, func()) {
	w.Helper()
	doc, err := document.Parse([]byte(body), document.JSON)
	w.must(err)
	at, err := w.ctl.Resources.Catalogue(context.Background())
	w.must(err)
	changes, err := document.Compare(doc, &document.Base{Catalogue: at.Snapshot, Owner: func(k catalog.Kind, name string) document.Owner {
		if at.Origin(k, name) == control.OriginAPI {
			return document.API
		}
		return document.Nobody
	}})
	w.must(err)
	used := w.ctl.Usage.All()
	outlook, err := changes.Forecast(&document.World{
		Settling: func(cat document.Catalogue) document.Settle { return NewForecast(cat, used).Settle },
		Copies:   w.copiesByBucket, Used: used,
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
	err := w.ctl.Store().EachCopy(context.Background(), func(c state.Copy) error {
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

// What a plan says of copies, objects and bytes is what then happens, on real storages.
func TestPlansComeTrue(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, nil)
	w.threeMinIOs()
	clusters := []string{"c1", "c2", "c3"}
	in := map[string][]string{"bkt-a": {"c1"}, "bkt-b": {"c1"}} // the primary first
	for name, n := range map[string]int{"bkt-a": 12, "bkt-b": 5} {
		w.makeBucket("c1", name)
		for i := range n {
			w.put("c1", name, fmt.Sprintf("k%03d", i), strings.Repeat("x", 10*i))
		}
		w.policy("p-"+name, 1, clusters...)
		w.bucket(name, "p-"+name, "")
		w.awaitOK(name, "c1")
	}
	for _, seed := range testenv.Seeds(t, 5) {
		rng := rand.New(rand.NewPCG(seed, 1))
		for name := range in {
			w.counted(name, in[name])
		}
		outlook, apply := w.foretold(anyPolicies(rng))
		for i := range outlook.Moves.Buckets {
			in[outlook.Moves.Buckets[i].Bucket] = w.afterMove(&outlook.Moves.Buckets[i], in)
		}
		apply()
		for name, where := range in {
			w.awaitOK(name, where...)
			w.awaitSame(name, where...)
			for _, c := range clusters {
				if !slices.Contains(where, c) {
					w.await(name+" has left "+c, func() bool { return len(w.contents(c, name)) == 0 })
				}
			}
		}
	}
}

// anyPolicies draws a document that changes both policies.
func anyPolicies(rng *rand.Rand) string {
	doc := map[string]any{"fado": 1}
	var policies []any
	for _, name := range []string{"p-bkt-a", "p-bkt-b"} {
		allowed := []string{"c1", "c2", "c3"}
		rng.Shuffle(3, func(i, j int) { allowed[i], allowed[j] = allowed[j], allowed[i] })
		allowed = allowed[:1+rng.IntN(3)]
		policies = append(policies, map[string]any{"name": name, "copies": 1 + rng.IntN(len(allowed)), "clusters": allowed, "prefer": allowed})
	}
	doc["policies"] = policies
	text, _ := json.Marshal(doc)
	return string(text)
}

// counted waits until a bucket's rows tell what its storage holds.
func (w *world) counted(bucket string, where []string) {
	w.Helper()
	objects, bytes := w.holds(where[0], bucket)
	w.must(w.eng.SyncBucket(context.Background(), bucket))
	w.await("bucket "+bucket+" is counted", func() bool {
		for _, c := range where {
			if row, ok := w.copyRow(bucket, "", c); !ok || row.Objects != objects || row.Bytes != bytes || row.VerifiedAt.IsZero() {
				return false
			}
		}
		return true
	})
}

// holds counts what a storage holds of a bucket.
func (w *world) holds(cluster, bucket string) (objects, bytes int64) {
	w.Helper()
	for _, what := range w.contents(cluster, bucket) {
		var etag string
		var size int64
		_, err := fmt.Sscan(what, &etag, &size)
		w.must(err)
		objects, bytes = objects+1, bytes+size
	}
	return objects, bytes
}

// afterMove returns where a bucket is after a move, the primary first, and holds the move's
// figures against the storage.
func (w *world) afterMove(m *document.Move, in map[string][]string) []string {
	w.Helper()
	where := slices.Clone(in[m.Bucket])
	objects, bytes := w.holds(where[0], m.Bucket)
	if m.Objects != objects || m.Bytes != bytes {
		w.Errorf("the plan has %d objects and %d bytes of %s; its storage has %d and %d", m.Objects, m.Bytes, m.Bucket, objects, bytes)
	}
	primary := where[0]
	if m.From != m.To {
		primary = m.To
	}
	where = slices.DeleteFunc(append(where, m.Add...), func(c string) bool { return c == primary || slices.Contains(m.Remove, c) })
	return append([]string{primary}, where...)
}
