package walk

import (
	"testing"

	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/object"
)

// An older version that a user brings back at a copy, with all of FaDO's stamps, is the user's: the next change
// at the primary does not go over it. Storages keep no times here.
func TestRestoredAtACopyIsAConflict(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Fakes["c2"].KeepVersions(bkt)
	w.synced("a")
	settle := func() error {
		_, err := w.Objects.Settle(t.Context(), object.Task{Object: ids.ObjectIn(bkt, "a", "c2"), Size: -1})
		return err
	}
	w.Fakes["c1"].User(bkt, "a", "second")
	w.Must(settle())
	w.Fakes["c2"].CopyVersion(bkt, "a")
	w.Fakes["c1"].User(bkt, "a", "third")
	w.WantErr(settle(), object.ErrConflict)
	w.WantBodies("c2", "a", "body of a", "second", "body of a")
}
