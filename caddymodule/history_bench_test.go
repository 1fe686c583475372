package caddymodule

import (
	"fmt"
	"testing"
	"time"

	"github.com/fado-project/fado/history"
	"github.com/fado-project/fado/state"
)

// BenchmarkSampler takes what the history costs every 10 s, with 100,000 objects pending in few
// buckets, and in as many.
func BenchmarkSampler(b *testing.B) {
	for _, buckets := range []int{8, 1000, 100_000} {
		b.Run(fmt.Sprintf("buckets=%d", buckets), func(b *testing.B) {
			s := newSite(b)
			mustLoad(b, s.config(b))
			rt := running(b).runtime.Load()
			rows := make([]state.Pending, 0, 1000)
			for i := range 100_000 {
				rows = append(rows, state.Pending{Bucket: fmt.Sprintf("b-%06d", i%buckets), Key: fmt.Sprintf("k-%06d", i), Cluster: "c2", Size: 10, Hold: state.HoldConflict})
				if len(rows) == cap(rows) {
					if _, err := rt.control.Store().Queue().AddPending(b.Context(), rows...); err != nil {
						b.Fatal(err)
					}
					rows = rows[:0]
				}
			}
			rings := history.New(time.Hour, 10*time.Second, 1<<20)
			m := &sampler{rt: rt}
			now := time.Now()
			for b.Loop() {
				now = now.Add(10 * time.Second)
				m.sample(b.Context(), rings, now)
			}
		})
	}
}
