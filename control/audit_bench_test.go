package control_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/testenv"
)

// BenchmarkAuditCost compares the rate of changes with audit records and without, in one run, in
// turn: medians of rounds. It reports the cost in percent of the rate without.
func BenchmarkAuditCost(b *testing.B) {
	for _, engine := range []string{"sqlite", "postgres"} {
		for _, clients := range []int{1, 8} {
			b.Run(fmt.Sprintf("%s/clients=%d", engine, clients), func(b *testing.B) {
				w := newAuditBench(b, engine, clients)
				for b.Loop() {
					w.rounds()
				}
				w.report()
			})
		}
	}
}

type auditBench struct {
	*testing.B
	clients int
	on, off *control.Control
	took    map[*control.Control][]time.Duration
	rounded map[*control.Control]int // rounds so far: each changes every bucket
}

func newAuditBench(b *testing.B, engine string, clients int) *auditBench {
	b.Helper()
	w := &auditBench{B: b, clients: clients, took: make(map[*control.Control][]time.Duration), rounded: make(map[*control.Control]int)}
	start := func(keep time.Duration) *control.Control {
		name := "sqlite:" + filepath.Join(b.TempDir(), "fado.db")
		if engine == "postgres" {
			name = testenv.PostgresDatabase(b)
		}
		c, err := control.New(control.Options{Store: storeOf(b, name), Node: "n1"})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(c.Close)
		if err := c.Start(context.Background()); err != nil {
			b.Fatal(err)
		}
		if _, err := c.Attach(context.Background(), control.Config{AuditKeep: keep, Policies: []*catalog.Policy{{Name: "p"}, {Name: "q"}}}); err != nil {
			b.Fatal(err)
		}
		return c
	}
	w.on, w.off = start(24*time.Hour), start(0)
	for _, c := range []*control.Control{w.on, w.off} {
		w.changes(c, 100)
	}
	return w
}

const (
	auditRounds  = 12
	auditChanges = 200 // of a round, by all clients
)

// rounds alternates who begins, since a machine is not the same from one moment to the next.
func (w *auditBench) rounds() {
	for i := range auditRounds {
		order := []*control.Control{w.on, w.off}
		if i%2 == 1 {
			slices.Reverse(order)
		}
		for _, c := range order {
			w.took[c] = append(w.took[c], w.changes(c, auditChanges))
		}
	}
}

// changes makes so many changes of buckets.
func (w *auditBench) changes(c *control.Control, n int) time.Duration {
	w.rounded[c]++
	policy := []string{"p", "q"}[w.rounded[c]%2]
	var wg sync.WaitGroup
	began := time.Now()
	for client := range w.clients {
		wg.Go(func() {
			for i := range n / w.clients {
				b := &catalog.Bucket{Name: fmt.Sprintf("bucket-%d-%d", client, i), Policy: policy}
				if _, _, err := c.Resources.Replace(context.Background(), b, control.Precondition{}, nil); err != nil {
					w.Error(err)
				}
			}
		})
	}
	wg.Wait()
	return time.Since(began)
}

func (w *auditBench) report() {
	median := func(c *control.Control) float64 {
		all := slices.Sorted(slices.Values(w.took[c]))
		return float64(auditChanges) / all[len(all)/2].Seconds()
	}
	on, off := median(w.on), median(w.off)
	w.ReportMetric(on, "changes/s")
	w.ReportMetric(off, "changes/s-without")
	w.ReportMetric(100*(1-on/off), "%cost")
}
