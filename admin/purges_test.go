package admin

import (
	"slices"
	"testing"
	"time"

	"github.com/fado-project/fado/admin/internal/fleet"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/state"
)

func TestPurges(t *testing.T) {
	h := withCopies(t)
	if a := h.do("GET", "/fado/replication/purges", "").want(200); string(a.body) != "[]\n" {
		t.Errorf("%s", a.body)
	}
	_, err := h.ctl.Store().Purges().AddPurge(t.Context(), state.Purge{
		Bucket: "gone", Mode: state.PurgeCopies, Primary: "c1", Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Targets: []state.PurgeTarget{{Cluster: "c2"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	h.engine.stuck = []replication.Failure{{Bucket: "gone", Error: "purging: away", NextAttempt: time.Date(2026, 1, 2, 3, 5, 5, 0, time.UTC)}}
	want := `[{"bucket":"gone","mode":"copies","primary":"c1","since":"2026-01-02T03:04:05Z","clusters":["c2"],"error":"purging: away","next_attempt":"2026-01-02T03:05:05Z"}]` + "\n"
	if a := h.do("GET", "/fado/replication/purges", "").want(200); string(a.body) != want {
		t.Errorf("%s", a.body)
	}
}

// A purge that can't go on needs people: the summary tells of it, as GET /fado/ does.
func TestStuckPurgesNeedAttention(t *testing.T) {
	h := withCopies(t)
	h.engine.stuck = []replication.Failure{{Bucket: "gone", Cluster: "c2", Error: "purging: away", Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}}
	if reason := h.do("GET", "/fado/", "").want(200).at("reason"); reason != "bucket gone can't be purged in c2: purging: away" {
		t.Errorf("the overview says %v", reason)
	}
	var v summaryView
	h.do("GET", "/fado/summary", "").want(200).json(&v)
	for _, a := range v.Attention {
		if a.Kind == "purge" && a.Name == "gone" && v.Status == "degraded" {
			return
		}
	}
	t.Errorf("%s, %+v", v.Status, v.Attention)
}

// However many purges can't go on, as of a storage that is gone, a summary stays small.
func TestAttentionToPurgesIsBounded(t *testing.T) {
	h := withCopies(t)
	h.engine.stuck = slices.Repeat([]replication.Failure{{Bucket: "gone", Cluster: "c2", Error: "purging: away"}}, 5000)
	var v summaryView
	h.do("GET", "/fado/summary", "").want(200).json(&v)
	if n := len(v.Attention); n > 2*fleet.MaxWorst {
		t.Errorf("%d things need people", n)
	}
}
