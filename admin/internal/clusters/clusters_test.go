package clusters

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/routing"
)

var then = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// told is what the engine would say.
type told struct {
	storages map[string]replication.StorageStatus
	drains   map[string]replication.DrainStatus
}

func (r told) Storage(cluster string) replication.StorageStatus { return r.storages[cluster] }

func (r told) Drained(cluster string) (replication.DrainStatus, bool) {
	d, known := r.drains[cluster]
	return d, known
}

// fleet are clusters with a storage and two functions each, and one with neither.
func fleet() *routing.Snapshot {
	return routing.NewSnapshot().Edit(func(e *routing.Editor) {
		e.PutCluster(&catalog.Cluster{Name: "bare"})
		for _, c := range []string{"c2", "c1"} {
			e.PutCluster(&catalog.Cluster{
				Name: c, Zones: []string{"eu"}, Drain: c == "c2", Storage: &catalog.Storage{Endpoint: "http://" + c, Capacity: 1000},
				Functions: []catalog.Function{{URL: "http://" + c + "/a"}, {URL: "http://" + c + "/b"}},
			})
		}
	})
}

func codes(reasons []ReasonView) (all []string) {
	for _, r := range reasons {
		all = append(all, r.Code)
	}
	return all
}

// What is wrong with a cluster is told with since when, and with what helps where something does.
func TestReasons(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		storage  replication.StorageStatus
		drain    replication.DrainStatus
		down     bool // the storage, as routing knows it
		function bool // that is down
		want     []string
		text     string
		undated  bool
	}{
		"all is well": {storage: replication.StorageStatus{State: "up"}, drain: replication.DrainStatus{State: "draining"}},
		"down":        {storage: replication.StorageStatus{State: "down", Error: "no route", Full: true}, down: true, want: []string{"storage-down"}, text: "no route"},
		"never up":    {storage: replication.StorageStatus{State: "down", Error: "no such host"}, want: []string{"storage-down"}, text: "no such host", undated: true},
		"refuses": {
			storage: replication.StorageStatus{State: "down", Error: "AccessDenied", Refuses: true}, down: true,
			want: []string{"storage-down", "storage-refuses"}, text: "access key",
		},
		"full":          {storage: replication.StorageStatus{State: "up", Full: true, FullSince: then}, want: []string{"storage-full"}, text: "no space"},
		"drain":         {drain: replication.DrainStatus{State: "draining", Reason: "bucket b stays", Since: then}, want: []string{"drain-stuck"}, text: "bucket b stays"},
		"function":      {function: true, want: []string{"function-down"}, text: "http://c2/b is down: no answer"},
		"several":       {storage: replication.StorageStatus{Full: true, FullSince: then}, drain: replication.DrainStatus{Reason: "r", Since: then}, function: true, want: []string{"storage-full", "drain-stuck", "function-down"}},
		"down, undated": {storage: replication.StorageStatus{State: "down"}, want: []string{"storage-down"}, undated: true},
	} {
		snap := fleet()
		if c.down {
			snap.ClusterState("c2").SetStorage(routing.StorageDown)
		}
		for _, ep := range snap.Endpoints() {
			if c.function && ep.URL == "http://c2/b" {
				ep.Live.SetHealthy(false, "no answer")
			}
		}
		l := NewLook(snap, told{map[string]replication.StorageStatus{"c2": c.storage}, map[string]replication.DrainStatus{"c2": c.drain}})
		got := l.Reasons(snap.Cluster("c2"))
		if !slices.Equal(codes(got), c.want) || got == nil {
			t.Errorf("%s: %+v, want %v", name, got, c.want)
			continue
		}
		text := ""
		for _, r := range got {
			text += r.Text
			if (r.Since == nil) != c.undated || r.Cluster != "c2" || (r.URL != "") != (r.Code == "function-down") || (r.Action != "") != (r.Code == "storage-refuses") {
				t.Errorf("%s: %+v", name, r)
			}
		}
		if !strings.Contains(text, c.text) {
			t.Errorf("%s: %q, want %q", name, text, c.text)
		}
		if other := l.Reasons(snap.Cluster("c1")); len(other) > 0 {
			t.Errorf("%s: of another cluster %+v", name, other)
		}
	}
}

// A cluster that drains no more is not told to be stuck by what memory still has of it.
func TestNoDrain(t *testing.T) {
	t.Parallel()
	snap := fleet()
	l := NewLook(snap, told{drains: map[string]replication.DrainStatus{"c1": {Reason: "bucket b stays"}}})
	if got := l.Reasons(snap.Cluster("c1")); len(got) > 0 {
		t.Errorf("%+v", got)
	}
}

// What people have to see to is told once, clusters by name before functions, and so many of these.
func TestAttention(t *testing.T) {
	t.Parallel()
	snap := fleet()
	for _, ep := range snap.Endpoints() {
		ep.Live.SetHealthy(false, "no answer")
	}
	l := NewLook(snap, told{
		map[string]replication.StorageStatus{"c1": {State: "down", Error: "no route"}, "c2": {Full: true}},
		map[string]replication.DrainStatus{"c2": {Reason: "bucket b stays", Since: then}},
	})
	var got []string
	for _, a := range l.Attention(3) {
		got = append(got, fmt.Sprint(a.Kind, " ", a.Name, " ", a.State, " ", codes(a.Reasons)))
	}
	want := []string{"cluster c1 down [storage-down]", "cluster c2 full [storage-full drain-stuck]"}
	if len(got) != 5 || !slices.Equal(got[:2], want) || !strings.HasPrefix(got[2], "function c") {
		t.Errorf("%q", got)
	}
	if all := NewLook(fleet(), told{}).Attention(3); all == nil || len(all) > 0 {
		t.Errorf("where all is well: %+v", all)
	}
}

// Clusters at a glance are sorted, and count their functions.
func TestSums(t *testing.T) {
	t.Parallel()
	snap := fleet()
	for _, ep := range snap.Endpoints() {
		ep.Live.InFlight.Store(2)
		ep.Live.SetHealthy(ep.URL != "http://c1/a", "no answer")
	}
	sums := NewLook(snap, told{storages: map[string]replication.StorageStatus{"c1": {State: "up", UsedBytes: 10, Feed: "listening"}}}).Sums()
	if len(sums) != 3 || sums[0].Name != "bare" || sums[0].Zones == nil || sums[0].Storage != "" {
		t.Fatalf("%+v", sums)
	}
	if c := sums[1]; c.Name != "c1" || c.Storage != "up" || c.UsedBytes != 10 || c.Capacity != 1000 || c.Functions != 2 || c.Healthy != 1 || c.InFlight != 4 || c.Drain {
		t.Errorf("%+v", c)
	}
	if !sums[2].Drain {
		t.Errorf("%+v", sums[2])
	}
}
