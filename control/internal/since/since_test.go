package since

import (
	"slices"
	"strconv"
	"testing"
	"time"
)

// What is found again keeps its moment, and what was gone in between begins again.
func TestFound(t *testing.T) {
	t.Parallel()
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	syncing, waiting := Key{"copy-state", "c1"}, Key{"copy-state", "c2"}
	var m Memory
	for _, step := range []struct {
		now   int64
		found []Key
		want  []time.Time
	}{
		{1, []Key{syncing}, []time.Time{at(1)}},
		{2, []Key{waiting, syncing}, []time.Time{at(2), at(1)}},
		{3, []Key{syncing}, []time.Time{at(1)}},
		{4, []Key{waiting}, []time.Time{at(4)}},
		{5, nil, nil},
		{6, []Key{waiting}, []time.Time{at(6)}},
	} {
		if got := m.Found("b", at(step.now), step.found...); !slices.Equal(got, step.want) {
			t.Errorf("at %d: got %v, want %v", step.now, got, step.want)
		}
	}
	if got := m.Found("other", at(7), waiting); !got[0].Equal(at(7)) {
		t.Errorf("another bucket: %v", got)
	}
}

// Buckets that are gone take no room.
func TestKeep(t *testing.T) {
	t.Parallel()
	var m Memory
	m.Found("gone", time.Unix(1, 0), Key{What: "no-primary"})
	m.Found("stays", time.Unix(1, 0), Key{What: "no-primary"})
	m.Keep(func(bucket string) bool { return bucket == "stays" })
	if len(m.of) != 1 || m.of["stays"] == nil {
		t.Errorf("%v", m.of)
	}
}

// However many buckets are not ok, memory is bounded: of those beyond it, it is not known since when.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	var m Memory
	waiting, now := Key{What: "copy-state"}, time.Unix(1, 0)
	for i := range most {
		m.Found(strconv.Itoa(i), now, waiting)
	}
	if got := m.Found("one more", now, waiting); !got[0].IsZero() || len(m.of) != most {
		t.Errorf("one more: %v, of %d buckets", got, len(m.of))
	}
	if got := m.Found("0", time.Unix(2, 0), waiting); !got[0].Equal(now) {
		t.Errorf("one that is remembered: %v", got)
	}
	m.Found("0", now)
	if got := m.Found("one more", now, waiting); !got[0].Equal(now) {
		t.Errorf("one more, where one is well again: %v", got)
	}
}
