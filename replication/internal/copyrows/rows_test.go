package copyrows

import (
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
)

func row(prefix, cluster string, s catalog.CopyState) state.Copy {
	return state.Copy{Copy: catalog.Copy{Prefix: prefix, Cluster: cluster, State: s}}
}

func TestFind(t *testing.T) {
	t.Parallel()
	rows := []state.Copy{row("", "c1", catalog.CopySynced), row("a/", "c1", catalog.CopySynced), row("a/", "c2", catalog.CopySynced)}
	rows[1].MadeBucket = true
	if i := Index(rows, "a/", "c2"); i != 2 {
		t.Errorf("index %d, want 2", i)
	}
	if i := Index(rows, "", "c2"); i != -1 {
		t.Errorf("index %d of a row that is not there", i)
	}
	if !MadeBucket(rows, "c1") || MadeBucket(rows, "c2") {
		t.Error("made buckets belong to clusters, whatever the rule")
	}
	if p := PrimaryOf(rows); p != "" {
		t.Errorf("primary %q of rows without one", p)
	}
	rows[2].Primary = true
	if p := PrimaryOf(rows); p != "c2" {
		t.Errorf("primary %q, want c2", p)
	}
}

func TestEarlier(t *testing.T) {
	t.Parallel()
	one, two := time.Unix(1, 0), time.Unix(2, 0)
	if !Earlier(one, two).Equal(one) || !Earlier(two, one).Equal(one) {
		t.Error("the later time was returned")
	}
	if !Earlier(one, time.Time{}).IsZero() || !Earlier(time.Time{}, one).IsZero() {
		t.Error("zero is not the earliest")
	}
}

func TestResync(t *testing.T) {
	t.Parallel()
	c := row("a/", "c1", catalog.CopyDraining)
	c.Cursor, c.ScanCursor, c.Error, c.DrainSince, c.Objects, c.MadeBucket = "k", "l", "broken", time.Unix(1, 0), 7, true
	Resync(&c)
	want := row("a/", "c1", catalog.CopyWaiting)
	want.Objects, want.MadeBucket = 7, true
	if c != want {
		t.Errorf("got %+v, want %+v", c, want)
	}
}

func TestSyncedEverywhere(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		rows []state.Copy
		want bool
	}{
		{"no copies", nil, false},
		{"every rule", []state.Copy{row("", "c1", catalog.CopySynced), row("a/", "c1", catalog.CopySynced), row("a/", "c2", catalog.CopyWaiting)}, true},
		{"one rule is elsewhere", []state.Copy{row("", "c1", catalog.CopySynced), row("a/", "c2", catalog.CopySynced)}, false},
		{"one is not synced yet", []state.Copy{row("", "c1", catalog.CopySynced), row("a/", "c1", catalog.CopySyncing)}, false},
		{"a removed rule's copy does not count", []state.Copy{row("", "c1", catalog.CopySynced), row("a/", "c2", catalog.CopyDraining)}, true},
	} {
		copies := make([]catalog.Copy, len(c.rows))
		for i, r := range c.rows {
			copies[i] = r.Copy
		}
		if got := SyncedEverywhere(copies, "c1"); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestFromCatalog(t *testing.T) {
	t.Parallel()
	copies := []catalog.Copy{{Prefix: "a/", Cluster: "c1", State: catalog.CopySynced}, {Cluster: "c2"}}
	rows := FromCatalog("b", copies)
	for i, r := range rows {
		if r.Bucket != "b" || r.Copy != copies[i] {
			t.Errorf("row %d is %+v, want %+v of b", i, r, copies[i])
		}
	}
	if len(rows) != 2 {
		t.Errorf("%d rows, want 2", len(rows))
	}
}

func TestInCatalog(t *testing.T) {
	t.Parallel()
	rows := []state.Copy{{Bucket: "b", Copy: catalog.Copy{Cluster: "c1", Primary: true}, Objects: 3}, {Bucket: "b", Copy: catalog.Copy{Cluster: "c2"}}}
	if got := InCatalog(rows); len(got) != 2 || got[0] != rows[0].Copy || got[1] != rows[1].Copy {
		t.Errorf("%+v", got)
	}
}
