package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
)

// fillPending fills a store with n pending rows.
func fillPending(b *testing.B, s *Store, n int) {
	b.Helper()
	rows := make([]state.Pending, 0, 1000)
	for i := range n {
		rows = append(rows, benchRow(i))
		if len(rows) == cap(rows) {
			if _, err := s.Queue().AddPending(ctx, rows...); err != nil {
				b.Fatal(err)
			}
			rows = rows[:0]
		}
	}
}

func benchRow(i int) state.Pending {
	return state.Pending{
		Bucket: fmt.Sprintf("bucket-%d", i%7), Key: fmt.Sprintf("photos/2026/%08x.jpg", i*2654435761&0xffffffff),
		Cluster: "c1", Size: 4096, Since: time.UnixMilli(1_700_000_000_000 + int64(i)), Background: i%2 == 0,
	}
}

// BenchmarkPending adds, claims and finishes in batches of 1,000, and reports rows a
// second of each.
func BenchmarkPending(b *testing.B) {
	s := openAt(b, filepath.Join(b.TempDir(), "fado.db"))
	const batch = 1000
	now := time.UnixMilli(1_800_000_000_000)
	var add, claim, finish time.Duration
	rows, keys := make([]state.Pending, batch), make([]state.PendingKey, batch)
	for n := 0; b.Loop(); n++ {
		for i := range rows {
			rows[i] = benchRow(n*batch + i)
		}
		t0 := time.Now()
		if _, err := s.Queue().AddPending(ctx, rows...); err != nil {
			b.Fatal(err)
		}
		t1 := time.Now()
		got, err := s.Queue().ClaimPending(ctx, "n", batch, time.Minute, now)
		if err != nil || len(got) != batch {
			b.Fatal(len(got), err)
		}
		t2 := time.Now()
		for i, p := range got {
			keys[i] = state.PendingKey{Bucket: p.Bucket, Key: p.Key, Cluster: p.Cluster, Gen: p.Gen}
		}
		if _, err := s.Queue().FinishPending(ctx, keys...); err != nil {
			b.Fatal(err)
		}
		add, claim, finish = add+t1.Sub(t0), claim+t2.Sub(t1), finish+time.Since(t2)
	}
	rate := func(d time.Duration) float64 { return float64(b.N*batch) / d.Seconds() }
	b.ReportMetric(rate(add), "added/s")
	b.ReportMetric(rate(claim), "claimed/s")
	b.ReportMetric(rate(finish), "finished/s")
}

// BenchmarkPendingMillion does single steps with 1,000,000 rows waiting.
func BenchmarkPendingMillion(b *testing.B) {
	s := openAt(b, filepath.Join(b.TempDir(), "fado.db"))
	start := time.Now()
	fillPending(b, s, 1_000_000)
	b.Logf("1,000,000 rows added in batches of 1,000: %.0f/s", 1e6/time.Since(start).Seconds())
	now := time.UnixMilli(1_800_000_000_000)
	b.Run("Claim64", func(b *testing.B) {
		for b.Loop() {
			if got, err := s.Queue().ClaimPending(ctx, "n", 64, time.Hour, now); err != nil || len(got) != 64 {
				b.Fatal(len(got), err)
			}
		}
	})
	b.Run("ClaimNone", func(b *testing.B) {
		for b.Loop() {
			if got, err := s.Queue().ClaimPending(ctx, "n", 64, time.Hour, time.UnixMilli(1)); err != nil || len(got) != 0 {
				b.Fatal(len(got), err)
			}
		}
	})
	if err := s.Queue().ReleaseClaims(ctx, "n"); err != nil {
		b.Fatal(err)
	}
	i := 1_000_000
	b.Run("AddOne", func(b *testing.B) {
		for ; b.Loop(); i++ {
			if _, err := s.Queue().AddPending(ctx, benchRow(i)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Backlogs", func(b *testing.B) {
		for b.Loop() {
			if got, err := s.Queue().Backlogs(ctx, ""); err != nil || len(got) != 7 {
				b.Fatal(len(got), err)
			}
		}
	})
	b.Run("BacklogsOfBucket", func(b *testing.B) {
		for b.Loop() {
			if got, err := s.Queue().Backlogs(ctx, "bucket-3"); err != nil || len(got) != 1 {
				b.Fatal(len(got), err)
			}
		}
	})
	b.Run("EachPending", func(b *testing.B) {
		for b.Loop() {
			if err := s.Queue().EachPending(ctx, func(state.Pending) error { return nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkLoad streams 1,000,000 buckets and 3,000,000 copies, as a start does.
func BenchmarkLoad(b *testing.B) {
	s := openAt(b, filepath.Join(b.TempDir(), "fado.db"))
	fillCatalogue(b, s, 1_000_000)
	b.Run("Each", func(b *testing.B) {
		for b.Loop() {
			if err := s.Catalogue().Each(ctx, catalog.KindBucket, func(state.Record) error { return nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("EachCopy", func(b *testing.B) {
		for b.Loop() {
			if err := s.Catalogue().EachCopy(ctx, func(state.Copy) error { return nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func fillCatalogue(b *testing.B, s *Store, buckets int) {
	b.Helper()
	start := time.Now()
	const batch = 10_000
	for from := 0; from < buckets; from += batch {
		_, err := s.Catalogue().Update(ctx, func(tx state.Tx) error {
			for i := from; i < from+batch; i++ {
				name := fmt.Sprintf("bucket-%07d", i)
				if err := tx.Put(state.Record{
					Kind: catalog.KindBucket, Name: name, Body: []byte(`{"name":"` + name + `","policy":"gold","primary":"c1","prefixes":[]}`),
					Refs: []state.Ref{{Kind: catalog.KindPolicy, Name: "gold"}, {Kind: catalog.KindCluster, Name: "c1"}},
				}); err != nil {
					return err
				}
				for c := range 3 {
					if err := tx.PutCopy(state.Copy{
						Bucket: name, Copy: catalog.Copy{Cluster: fmt.Sprint("c", c+1), Primary: c == 0, State: catalog.CopySynced},
						Objects: int64(i), Bytes: int64(i) << 20, VerifiedAt: start, OwnedUntil: start,
					}); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.Logf("%d buckets with 3 copies each made in %v", buckets, time.Since(start).Round(time.Millisecond))
}

// BenchmarkUpdate is one small durable change; most of it is the disk's sync.
func BenchmarkUpdate(b *testing.B) {
	s := openAt(b, filepath.Join(b.TempDir(), "fado.db"))
	for b.Loop() {
		if _, err := s.Catalogue().Update(context.Background(), func(tx state.Tx) error {
			return tx.Put(state.Record{Kind: catalog.KindBucket, Name: "b", Body: []byte(`{}`)})
		}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGet reads one resource.
func BenchmarkGet(b *testing.B) {
	s := openAt(b, filepath.Join(b.TempDir(), "fado.db"))
	if _, err := s.Catalogue().Update(ctx, func(tx state.Tx) error {
		return tx.Put(state.Record{Kind: catalog.KindBucket, Name: "b", Body: []byte(`{}`)})
	}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.Catalogue().Get(ctx, catalog.KindBucket, "b"); err != nil {
			b.Fatal(err)
		}
	}
}
