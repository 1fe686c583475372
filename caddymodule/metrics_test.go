package caddymodule

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// total sums a family over its labels: counters, gauges, and of histograms the samples.
func total(t *testing.T, name string, wantLabels ...string) (sum float64) {
	t.Helper()
	for _, m := range gather(t, name) {
		if len(m.GetLabel()) != len(wantLabels) {
			t.Errorf("%s has the labels %s, expected %v", name, labels(m), wantLabels)
			continue
		}
		for i, l := range m.GetLabel() { // Prometheus sorts them
			if l.GetName() != wantLabels[i] {
				t.Errorf("%s has the labels %s, expected %v", name, labels(m), wantLabels)
			}
		}
		sum += figure(m)
	}
	return sum
}

func figure(m *dto.Metric) float64 {
	switch {
	case m.GetCounter() != nil:
		return m.GetCounter().GetValue()
	case m.GetGauge() != nil:
		return m.GetGauge().GetValue()
	}
	return float64(m.GetHistogram().GetSampleCount())
}

// Every metric that the documentation names is there, with its labels, and moves when
// what it counts happens.
func TestEveryMetricMoves(t *testing.T) {
	noLeaks(t)
	s := newSite(t)
	mustLoad(t, s.config(t))
	app := running(t)
	cluster := func() *routing.ClusterState { return app.Router().Snapshot().ClusterState("c2") }
	pend := func() {
		row := state.Pending{Bucket: "shared", Key: "k", Cluster: "c2", Size: 7, Since: time.Now().Add(-time.Hour)}
		if err := app.Control().Pending.Add(context.Background(), row); err != nil {
			t.Fatal(err)
		}
	}
	pendAs := func(key string, hold state.Hold) {
		row := state.Pending{Bucket: "shared", Key: key, Cluster: "c2", Size: 7, Since: time.Now(), Hold: hold}
		if err := app.Control().Pending.Add(context.Background(), row); err != nil {
			t.Fatal(err)
		}
	}
	held := func() {
		err := app.Control().Copies.Update(t.Context(), "shared", func(now []state.Copy) ([]state.Copy, error) {
			return append(now, state.Copy{
				Bucket: "shared", Copy: catalog.Copy{Cluster: "c-drains", State: catalog.CopySynced, Compared: time.Now().Add(-time.Hour)},
				Objects: 5, VerifiedAt: time.Now().Add(-time.Hour),
			}), nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	nothing := func() {}
	if _, err := app.Control().Resources.Create(t.Context(), &catalog.Cluster{
		Name: "c-drains", Zones: []string{"eu"}, Drain: true, Storage: &catalog.Storage{Endpoint: "http://127.0.0.1:3", Region: "us-east-1"},
	}); err != nil {
		t.Fatal(err)
	}
	documented := make(map[string]bool)
	for _, m := range firstColumn(t, "docs/operations.md", "metric") {
		name, _, _ := strings.Cut(strings.TrimPrefix(m, "caddy_fado_"), "{")
		documented[name] = true
	}
	cluster().SetStorage(routing.StorageDown)
	for _, m := range []struct {
		name   string
		labels []string
		move   func()
		by     float64 // 0: by anything
	}{
		{"route_decisions_total", []string{"locality"}, func() {
			if _, err := s.get(http.DefaultClient); err != nil {
				t.Fatal(err)
			}
		}, 0},
		{"route_rejections_total", []string{"reason"}, func() { app.Invocations().CountRejection(routing.ReasonNoBucket) }, 1},
		{"pending_objects", []string{"bucket", "cluster"}, pend, 1},
		{"pending_bytes", []string{"bucket", "cluster"}, nothing, 7},
		{"pending_oldest_seconds", []string{"bucket", "cluster"}, nothing, 0},
		{"replicated_objects_total", []string{"cluster"}, func() { counters.Replicated("c1", 10) }, 1},
		{"replicated_bytes_total", []string{"cluster"}, func() { counters.Replicated("c1", 10) }, 10},
		{"replication_errors_total", []string{"cluster", "kind"}, func() { counters.Failed("c1", "unavailable") }, 1},
		{"replication_lag_seconds", nil, func() { counters.Lag(time.Second) }, 1},
		{"route_cluster_decisions_total", []string{"cluster", "locality"}, func() { app.Invocations().CountDecision("c1", routing.LocalityLocal) }, 1},
		{"verify_mismatches_total", []string{"cluster"}, func() { counters.Mismatched("c1") }, 1},
		{"conflicts", []string{"bucket"}, func() { pendAs("c", state.HoldConflict) }, 1},
		{"held_deletes", []string{"bucket"}, func() { pendAs("d", state.HoldDeletes) }, 1},
		{"paused", nil, func() {
			if err := app.Replication().Pause(context.Background()); err != nil {
				t.Fatal(err)
			}
		}, 1},
		{"pulls_total", []string{"result"}, func() { counters.Pulled("copied") }, 1},
		{"primary_moves_total", []string{"cluster"}, func() {
			app.Control().Events().Emit(control.Event{Type: control.EventPrimaryMoved, Bucket: "shared", From: "c1", Cluster: "c2"})
		}, 1},
		{"copies", []string{"cluster", "state"}, held, 1},
		{"drain_objects", []string{"cluster"}, nothing, 5},
		{"compared_age_seconds", []string{"cluster"}, nothing, 0},
		{"s3_requests_total", []string{"code", "operation"}, func() { app.S3().CountS3("GetObject", "OK", time.Second) }, 1},
		{"s3_request_seconds", []string{"operation"}, func() { app.S3().CountS3("GetObject", "OK", time.Second) }, 1},
		{"s3_bytes_total", []string{"direction"}, func() { app.S3().CountS3Bytes("in", 5) }, 5},
		{"s3_open_requests", nil, func() { app.S3().CountS3Open(1) }, 1},
		{"s3_failovers_total", nil, app.S3().CountS3Failover, 1},
		{"s3_cache_hits_total", nil, func() { app.S3().CountS3Cache(true, 7) }, 1},
		{"s3_cache_misses_total", nil, func() { app.S3().CountS3Cache(false, 0) }, 1},
		{"s3_cache_saved_bytes_total", nil, func() { app.S3().CountS3Cache(true, 7) }, 7},
		{"storage_up", []string{"cluster"}, func() { cluster().SetStorage(routing.StorageUp) }, 1},
	} {
		name := "caddy_fado_" + m.name
		before := 0.0
		delete(documented, m.name)
		if !slices.Contains([]string{"pending_bytes", "pending_oldest_seconds", "drain_objects", "compared_age_seconds"}, m.name) { // move with the objects
			before = total(t, name, m.labels...)
		}
		m.move()
		moved := total(t, name, m.labels...) - before
		for end := time.Now().Add(2 * time.Minute); moved <= 0 && time.Now().Before(end); { // some are read every two seconds
			time.Sleep(50 * time.Millisecond)
			moved = total(t, name, m.labels...) - before
		}
		if moved <= 0 || m.by != 0 && moved != m.by {
			t.Errorf("%s moved by %v, expected %v", name, moved, m.by)
		}
	}
	for name, labels := range map[string][]string{"buckets": {"state"}, "build_info": {"version"}, "feed": {"cluster", "kind"}} {
		delete(documented, name)
		if total(t, "caddy_fado_"+name, labels...) < 1 {
			t.Errorf("caddy_fado_%s tells nothing", name)
		}
	}
	if total(t, "caddy_fado_function_up", "cluster", "url") != 2 {
		t.Error("both functions are up, and caddy_fado_function_up tells otherwise")
	}
	for _, name := range []string{"storage_full", "snapshot_age_seconds"} { // stay at 0 here
		delete(documented, name)
		if gather(t, "caddy_fado_"+name) == nil {
			t.Errorf("caddy_fado_%s is missing", name)
		}
	}
	delete(documented, "function_up")
	if len(documented) > 0 {
		t.Errorf("not tried: %v", slices.Collect(maps.Keys(documented)))
	}
}
