package routing_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

const benchBuckets = 1_000_000

// benchWorld is a million buckets with three copies each over 200 clusters, made once
// and shared by the benchmarks.
var benchWorld = sync.OnceValue(func() *routing.Router {
	r := routing.NewRouter()
	r.Swap(loadBuckets(r.Snapshot(), benchBuckets))
	return r
})

func benchBucket(i int) string { return fmt.Sprintf("bucket-%07d", i) }

func loadBuckets(s *routing.Snapshot, n int) *routing.Snapshot {
	return s.Edit(func(e *routing.Editor) {
		sites(e, 200)
		copies := synced("", "", "")
		b := &catalog.Bucket{Policy: "any"}
		for i := range n {
			b.Name = benchBucket(i)
			for j := range copies {
				copies[j].Cluster = fmt.Sprintf("c%03d", (i+j*67)%200)
			}
			e.PutBucket(b)
			e.SetCopies(b.Name, copies)
		}
	})
}

// benchNames are n names of buckets all over the catalogue, one after the other in
// memory: a request has its names at hand, whatever bucket they are of.
func benchNames(n int) []string {
	rnd := rand.New(rand.NewPCG(3, 4))
	var all strings.Builder
	for range n {
		all.WriteString(benchBucket(rnd.IntN(benchBuckets)))
	}
	names, size := make([]string, n), len(benchBucket(0))
	for i := range names {
		names[i] = all.String()[i*size : (i+1)*size]
	}
	return names
}

func benchRoute(b *testing.B, r *routing.Router, in routing.Input, names []string, locality routing.Locality) {
	b.Helper()
	q := &routing.Query{Inputs: []routing.Input{in}}
	var d routing.Decision
	r.Route(q, &d)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		q.Inputs[0].Bucket = names[i%len(names)]
		r.Route(q, &d)
		if d.Locality != locality {
			b.Fatalf("routed %v (%q)", d.Locality, d.Reason)
		}
		i++
	}
}

// BenchmarkRoute is the choice itself at a million buckets with three copies. "spread"
// asks for buckets at random, so that nearly every look-up misses the caches;
// "hot" for 1,000.
func BenchmarkRoute(b *testing.B) {
	r := benchWorld()
	spread := benchNames(1 << 20)
	object := routing.Input{Key: "dir/object-17", Scope: routing.ScopeObject}
	b.Run("object/spread", func(b *testing.B) { benchRoute(b, r, object, spread, routing.LocalityLocal) })
	b.Run("object/hot", func(b *testing.B) { benchRoute(b, r, object, spread[:1000], routing.LocalityLocal) })
	b.Run("bucket/spread", func(b *testing.B) { benchRoute(b, r, routing.Input{}, spread, routing.LocalityLocal) })

	pending := routing.NewRouter()
	pending.Swap(r.Snapshot())
	for i := range 100_000 {
		pending.Pending.Add(benchBucket(i*10), fmt.Sprintf("dir/object-%d", i), fmt.Sprintf("c%03d", i%200))
	}
	b.Run("object/spread/100k pending", func(b *testing.B) { benchRoute(b, pending, object, spread, routing.LocalityLocal) })

	miss := routing.NewRouter()
	miss.Swap(r.Snapshot().Edit(func(e *routing.Editor) {
		for _, name := range spread[:1<<16] {
			e.SetCopies(name, nil)
		}
	}))
	b.Run("object/spread/miss with 200 clusters", func(b *testing.B) { benchRoute(b, miss, object, spread[:1<<16], routing.LocalityRemote) })
}

// BenchmarkEdit is one change at a million buckets.
func BenchmarkEdit(b *testing.B) {
	s := benchWorld().Snapshot()
	copies := synced("c001", "c002", "c003")
	b.Run("copies", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			s = s.Edit(func(e *routing.Editor) { e.SetCopies(benchBucket(i*7919%benchBuckets), copies) })
		}
	})
	b.Run("bucket", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			bucket := &catalog.Bucket{Name: benchBucket(i * 7919 % benchBuckets), Policy: "any"}
			s = s.Edit(func(e *routing.Editor) { e.PutBucket(bucket) })
		}
	})
	b.Run("policy", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s = s.Edit(func(e *routing.Editor) { e.PutPolicy(&catalog.Policy{Name: "any", Zones: []string{"z001"}}) })
		}
	})
	b.Run("cluster of 200", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c := *s.Cluster("c007")
			s = s.Edit(func(e *routing.Editor) { e.PutCluster(&c) })
		}
	})
}

// BenchmarkLoad loads a million buckets in one edit, and reports what they take.
func BenchmarkLoad(b *testing.B) {
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		s := loadBuckets(routing.NewSnapshot(), benchBuckets)
		allocated := before.TotalAlloc
		runtime.ReadMemStats(&after)
		allocated = after.TotalAlloc - allocated
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/benchBuckets, "heap-B/bucket")
		b.ReportMetric(float64(allocated)/benchBuckets, "allocated-B/bucket")
		runtime.KeepAlive(s)
	}
}

// BenchmarkPending is the exception index with a million entries.
func BenchmarkPending(b *testing.B) {
	p := routing.NewPendingIndex()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	key := func(i int) string { return fmt.Sprintf("dir-%d/object-%d", i%1000, i) }
	const n = 1_000_000
	for i := range n {
		p.Add(benchBucket(i%5000), key(i), "c001")
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	keys := make([]string, 1<<16)
	for i := range keys {
		keys[i] = key(i * 13 % n)
	}
	b.Run("Has", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if !p.Has("bucket-0000000", keys[0], "c001") {
				b.Fatal("not pending")
			}
		}
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "heap-B/entry")
	})
	b.Run("AddRemove", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			k := keys[i%len(keys)]
			p.Add("another-bucket", k, "c001")
			p.Remove("another-bucket", k, "c001")
		}
	})
}
