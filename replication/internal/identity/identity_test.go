package identity

import (
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
)

func TestCompare(t *testing.T) {
	t.Parallel()
	const here, there = 3, 5
	born := time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)
	later, second := born.Add(time.Millisecond), born.Truncate(time.Second)
	for _, tc := range []struct {
		name       string
		known, now Identity
		want       Verdict
	}{
		{"nothing noted", Identity{}, Identity{here, born}, Unknown},
		{"address alone", Identity{At: here}, Identity{At: here}, Same},
		{"another address", Identity{At: here}, Identity{At: there}, Other},
		{"the same bucket", Identity{here, born}, Identity{here, born.Add(time.Microsecond)}, Same},
		{"made again", Identity{here, born}, Identity{here, later}, Other},
		{"by another name", Identity{here, born}, Identity{there, born}, Same},
		{"by another name, made in the same second", Identity{here, second}, Identity{there, second}, Other},
		{"another bucket elsewhere", Identity{here, born}, Identity{there, later}, Other},
		{"tells less now", Identity{here, born}, Identity{At: here}, Same},
		{"tells less, elsewhere", Identity{here, born}, Identity{At: there}, Other},
		{"tells more now", Identity{At: here}, Identity{here, born}, Same},
		{"nowhere", Nowhere, Identity{here, born}, Other},
		{"nowhere, by accident", Nowhere, Nowhere, Other},
	} {
		if got := tc.known.Compare(tc.now); got != tc.want {
			t.Errorf("%s: %d, want %d", tc.name, got, tc.want)
		}
	}
	if got := (Identity{here, born}).Learnt(Identity{At: here}); got != (Identity{here, born}) {
		t.Errorf("learnt %v, want the birth kept", got)
	}
	if got := (Identity{here, born}).Learnt(Identity{At: there}); !got.Born.IsZero() {
		t.Errorf("learnt %v, want no birth from elsewhere", got)
	}
}

func TestDiffer(t *testing.T) {
	t.Parallel()
	born := time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)
	for _, tc := range []struct {
		a, b time.Time
		want bool
	}{
		{born, born.Add(time.Millisecond), true},
		{born, born.Add(time.Microsecond), false},
		{born, time.Time{}, false},
		{time.Time{}, time.Time{}, false},
	} {
		if got := Differ(Identity{1, tc.a}, Identity{3, tc.b}); got != tc.want {
			t.Errorf("%v and %v: %v", tc.a, tc.b, got)
		}
	}
}

// A row keeps its identity, and no address of a storage is that of nowhere.
func TestRows(t *testing.T) {
	t.Parallel()
	id := Identity{7, time.UnixMilli(5)}
	var c state.Copy
	id.Put(&c)
	if Of(c) != id || OfTarget(state.PurgeTarget{At: 7, Born: id.Born}) != id {
		t.Errorf("read back %v", Of(c))
	}
	for _, s := range []catalog.Storage{{Endpoint: "http://a"}, {Endpoint: "http://b"}, {Endpoint: "http://a", BucketPrefix: "p"}} {
		if a := s.Address(); a == nowhere || a == 0 {
			t.Errorf("%+v has the address %d", s, a)
		}
	}
}
