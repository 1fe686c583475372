package admin

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
)

// BenchmarkAuditCost compares the rate at which one client changes buckets by the API with audit
// records and without, in one run, in turn: medians of rounds. It reports the cost in percent.
func BenchmarkAuditCost(b *testing.B) {
	const changes = 200
	declared := func(keep time.Duration) control.Config {
		return control.Config{AuditKeep: keep, Policies: []*catalog.Policy{{Name: "p"}, {Name: "q"}}}
	}
	type side struct {
		*harness
		kept bool
		took []time.Duration
	}
	sides := []*side{{harness: start(b, declared(24*time.Hour)), kept: true}, {harness: start(b, declared(0))}}
	for round := 0; b.Loop(); round++ {
		slices.Reverse(sides) // a machine is not the same from one moment to the next
		for _, s := range sides {
			began := time.Now()
			for i := range changes {
				body := fmt.Sprintf(`{"name": "bucket-%d", "policy": %q}`, i, []string{"p", "q"}[round%2])
				req, err := http.NewRequestWithContext(b.Context(), http.MethodPut, fmt.Sprintf("%s/fado/buckets/bucket-%d", s.url, i), strings.NewReader(body))
				if err != nil {
					b.Fatal(err)
				}
				req.Header.Set("Content-Type", "application/json")
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					b.Fatal(err)
				}
				answer, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode/100 != 2 {
					b.Fatalf("%d %s %v", resp.StatusCode, answer, err)
				}
			}
			s.took = append(s.took, time.Since(began))
		}
	}
	rate := make(map[bool]float64)
	for _, s := range sides {
		all := slices.Sorted(slices.Values(s.took))
		rate[s.kept] = changes / all[len(all)/2].Seconds()
	}
	b.ReportMetric(rate[true], "changes/s")
	b.ReportMetric(rate[false], "changes/s-without")
	b.ReportMetric(100*(1-rate[true]/rate[false]), "%cost")
}
