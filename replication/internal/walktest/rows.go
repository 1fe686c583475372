package walktest

import (
	"maps"
	"slices"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// Primary is the row of the bucket's primary.
func Primary(cluster string) state.Copy {
	return state.Copy{Bucket: Bucket, Copy: catalog.Copy{Cluster: cluster, Primary: true, State: catalog.CopySynced}}
}

// CopyOf is the row of another copy.
func CopyOf(cluster string, s catalog.CopyState) state.Copy {
	return state.Copy{Bucket: Bucket, Copy: catalog.Copy{Cluster: cluster, State: s}}
}

// Rows replaces the rows of the bucket's copies.
func (w *World) Rows(rows ...state.Copy) {
	w.Helper()
	w.Must(w.Copies.Update(w.Context(), Bucket, func([]state.Copy) ([]state.Copy, error) { return rows, nil }))
}

// AddRow adds one.
func (w *World) AddRow(c state.Copy) {
	w.Helper()
	w.Must(w.Copies.Update(w.Context(), Bucket, func(rows []state.Copy) ([]state.Copy, error) { return append(rows, c), nil }))
}

// SetState changes the state of the copy in a cluster, if there is one.
func (w *World) SetState(cluster string, s catalog.CopyState) {
	w.Helper()
	w.Must(w.Copies.Update(w.Context(), Bucket, func(rows []state.Copy) ([]state.Copy, error) {
		if i := copyrows.Index(rows, "", cluster); i >= 0 {
			rows[i].State = s
		}
		return rows, nil
	}))
}

// AllRows returns the rows of the bucket's copies.
func (w *World) AllRows() []state.Copy {
	w.Helper()
	rows, err := w.Store.Catalogue().CopiesOf(w.Context(), Bucket)
	w.Must(err)
	return rows
}

// HasRow reports whether there is a copy in a cluster.
func (w *World) HasRow(cluster string) bool {
	w.Helper()
	return copyrows.Index(w.AllRows(), "", cluster) >= 0
}

// Row returns the row of the bucket's copy in a cluster.
func (w *World) Row(cluster string) state.Copy {
	w.Helper()
	rows := w.AllRows()
	i := copyrows.Index(rows, "", cluster)
	if i < 0 {
		w.Fatalf("no copy in %s", cluster)
	}
	return rows[i]
}

// Pending returns the bucket's pending rows, by cluster/key.
func (w *World) Pending() map[string]state.Pending {
	w.Helper()
	rows, err := w.Store.Queue().ListPending(w.Context(), state.PendingFilter{Bucket: Bucket}, state.PendingKey{}, 1000)
	w.Must(err)
	m := make(map[string]state.Pending)
	for _, r := range rows {
		m[r.Cluster+"/"+r.Key] = r
	}
	return m
}

// WantKeys fails the test unless rows are pending of just these, by cluster/key.
func (w *World) WantKeys(m map[string]state.Pending, keys ...string) {
	w.Helper()
	if got := slices.Sorted(maps.Keys(m)); !slices.Equal(got, keys) {
		w.Fatalf("pending: %q, want %q", got, keys)
	}
}

// Settle works off what is pending and not held, as workers do.
func (w *World) Settle() {
	w.Helper()
	w.Must(w.TryAll())
}

// TryAll is Settle as far as it can be done, and returns what an object met.
func (w *World) TryAll() (met error) {
	w.Helper()
	for _, r := range w.Pending() {
		if r.Hold != state.HoldNone {
			continue
		}
		if _, err := w.Objects.Settle(w.Context(), object.Task{Object: ids.ObjectIn(Bucket, r.Key, r.Cluster), Size: r.Size}); err != nil {
			met = err
			continue
		}
		w.Must(w.Ctl.Pending.Finish(w.Context(), r.RowKey()))
	}
	return met
}

// WantSame fails the test unless two clusters show the same objects.
func (w *World) WantSame(a, b string) {
	w.Helper()
	if x, y := w.Fakes[a].Contents(Bucket), w.Fakes[b].Contents(Bucket); !maps.Equal(x, y) {
		w.Fatalf("%s has %q, %s has %q", a, x, b, y)
	}
}

// WantBodies fails the test unless a key's versions in a cluster are these, "" for a delete marker.
func (w *World) WantBodies(cluster, key string, want ...string) {
	w.Helper()
	if got := w.Fakes[cluster].Bodies(Bucket, key); !slices.Equal(got, want) {
		w.Errorf("%s has %q of %s, want %q", cluster, got, key, want)
	}
}

// History returns the versions of a key in a cluster.
func (w *World) History(cluster, key string) []storage.Version {
	w.Helper()
	h, err := w.Fakes[cluster].Reader().History(w.Context(), Bucket, key, storage.MaxHistory)
	w.Must(err)
	return h.Versions
}

// Reborn removes the bucket in a cluster and makes it again, empty.
func (w *World) Reborn(cluster string) {
	w.Helper()
	f := w.Fakes[cluster]
	for k := range f.Contents(Bucket) {
		f.UserDelete(Bucket, k)
	}
	w.Must(f.Writer().RemoveBucket(w.Context(), Bucket))
	_, err := f.Writer().EnsureBucket(w.Context(), Bucket, false)
	w.Must(err)
	_, err = w.Site(cluster).Births.Now(w.Context(), Bucket)
	w.Must(err)
}
