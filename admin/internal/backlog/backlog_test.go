package backlog

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/state"
)

var at = time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)

// A copy whose deletes are held is told with how many, of how many objects: also one that is marked
// and has none any more. Others are not.
func TestHeldCopies(t *testing.T) {
	t.Parallel()
	row := func(cluster, prefix string, held bool, objects int64) state.Copy {
		return state.Copy{Copy: catalog.Copy{Cluster: cluster, Prefix: prefix, HeldDeletes: held}, Objects: objects}
	}
	rows := []state.Copy{row("c1", "", false, 9), row("c2", "", true, 5), row("c2", "p/", true, 3), row("c3", "", true, 4)}
	logs := []state.Backlog{
		{Cluster: "c1", Objects: 7, Oldest: at},
		{Cluster: "c2", Objects: 2, HeldDeletes: 2, Oldest: at.Add(-time.Hour), OldestHeld: at},
		{Cluster: "c3"},
	}
	held := HeldCopies(rows, logs)
	if len(held) != 2 || held[0].Cluster != "c2" || held[0].Held != 2 || held[0].Objects != 8 || held[0].Since == nil || !held[0].Since.Equal(at) {
		t.Errorf("%+v", held)
	}
	if held[1].Cluster != "c3" || held[1].Held != 0 || held[1].Since != nil {
		t.Errorf("%+v", held)
	}
	if none := HeldCopies(rows[:1], logs[:1]); none == nil || len(none) > 0 {
		t.Errorf("%#v", none)
	}
}

// A row says when it is tried next only where that is not now and does not wait for people.
func TestViewPending(t *testing.T) {
	t.Parallel()
	row := state.Pending{Key: "k", Cluster: "c2", Size: 3, Since: at, Attempts: 2, NextAttempt: at, Error: "denied", ClaimedBy: "n1", Background: true}
	v := ViewPending(row)
	if v.Key != "k" || v.Cluster != "c2" || v.Size != 3 || v.Attempts != 2 || v.Error != "denied" || v.Node != "n1" || !v.Background || v.NextAttempt == nil {
		t.Errorf("%+v", v)
	}
	row.Hold = state.HoldConflict
	if v = ViewPending(row); v.NextAttempt != nil || v.Hold != "conflict" {
		t.Errorf("held: %+v", v)
	}
	if v = ViewPending(state.Pending{}); v.NextAttempt != nil {
		t.Errorf("due: %+v", v)
	}
}

// A conflict has every side; one that nobody could be asked about has none, which is a list.
func TestViewTrouble(t *testing.T) {
	t.Parallel()
	v := ViewConflict(replication.Conflict{Key: "k", Reason: "theirs", Copies: []replication.ConflictCopy{{Cluster: "c1", ETag: "e", Size: 4, LastModified: at}}})
	if v.Key != "k" || v.Reason != "theirs" || len(v.Copies) != 1 || v.Copies[0].Cluster != "c1" || v.Copies[0].Size != 4 {
		t.Errorf("%+v", v)
	}
	if v = ViewConflict(replication.Conflict{Key: "k"}); v.Copies == nil {
		t.Errorf("%#v", v)
	}
	if f := ViewFailure(replication.Failure{Bucket: "b", Key: "k", Cluster: "c", Attempts: 1}); f.Bucket != "b" || f.Key != "k" || f.Cluster != "c" || f.Attempts != 1 {
		t.Errorf("%+v", f)
	}
}

// Where a page ended is read back as it was written, whatever the key; rubbish is refused.
func TestPlace(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"k", "", "a/b//c/", "/", "ü"} {
		k, err := PlaceOf(Place(replication.Failure{Bucket: "b", Key: key, Cluster: "c1"}))
		if err != nil || k != (state.PendingKey{Bucket: "b", Key: key, Cluster: "c1"}) {
			t.Errorf("%q: %+v, %v", key, k, err)
		}
	}
	if k, err := PlaceOf(Place(replication.Failure{Bucket: "b"})); err != nil || k != (state.PendingKey{Bucket: "b"}) { // a purge of no cluster
		t.Errorf("%+v, %v", k, err)
	}
	if k, err := PlaceOf(""); err != nil || k != (state.PendingKey{}) {
		t.Errorf("%+v, %v", k, err)
	}
	for _, bad := range []string{"x", "b/c", "/c/k", "b//k"} {
		if _, err := PlaceOf(bad); err == nil || !strings.Contains(err.Error(), `"after"`) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// Clients script against the names of the fields.
func TestFields(t *testing.T) {
	t.Parallel()
	const moment = `"2027-01-31T00:00:00Z"`
	for want, v := range map[string]any{
		`{"bucket":"b","key":"k","cluster":"c","error":"e","cause":"full","attempts":1,"next_attempt":` + moment + `,"since":` + moment + `}`: ViewFailure(
			replication.Failure{Bucket: "b", Key: "k", Cluster: "c", Error: "e", Cause: "full", Attempts: 1, NextAttempt: at, Since: at},
		),
		`{"key":"k","reason":"r","copies":[{"cluster":"c","etag":"e","size":1,"last_modified":` + moment + `}]}`: ViewConflict(
			replication.Conflict{Key: "k", Reason: "r", Copies: []replication.ConflictCopy{{Cluster: "c", ETag: "e", Size: 1, LastModified: at}}},
		),
		`{"key":"k","cluster":"c","size":1,"since":` + moment + `,"hold":"deletes","attempts":2,"next_attempt":null,"error":"","cause":"refused","background":false,"node":""}`: ViewPending(
			state.Pending{Key: "k", Cluster: "c", Size: 1, Since: at, Hold: state.HoldDeletes, Attempts: 2, Cause: "refused"},
		),
		`{"bound":{"objects":9,"percent":0.5},"copies":[{"cluster":"c","held":2,"objects":4,"since":null}],"deletes":[{"key":"k","cluster":"c","size":1,"since":` + moment + `}],"next":"c/k"}`: HeldDeletesView{
			Bound: MaxDeletesView{Objects: 9, Percent: 0.5}, Copies: []HeldCopyView{{Cluster: "c", Held: 2, Objects: 4}},
			Deletes: []HeldDeleteView{{Key: "k", Cluster: "c", Size: 1, Since: at}}, Next: "c/k",
		},
		`{"pending":[],"next":""}`: PendingPageView{Pending: []PendingRowView{}},
	} {
		if got, err := json.Marshal(v); err != nil || string(got) != want {
			t.Errorf("%s, %v\nwant %s", got, err, want)
		}
	}
}
