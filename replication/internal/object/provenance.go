package object

import (
	"context"
	"fmt"
	"time"

	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/memory"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/storage"
)

// How long, and how many, writes are remembered.
const (
	recentFor = 5 * time.Minute
	recentMax = 50_000
)

// Provenance tells which objects are FaDO's own writes, by their marks and by what this instance
// wrote lately. All methods are safe for concurrent use.
type Provenance struct {
	given  *memory.Memory[ids.Object, storage.Object] // copied lately, by where from and to
	tokens *memory.Memory[ids.Object, string]         // of the stamped copies written last
}

func newProvenance(now func() time.Time) *Provenance {
	return &Provenance{
		given:  memory.New[ids.Object, storage.Object](recentMax, recentFor, now),
		tokens: memory.New[ids.Object, string](recentMax, 0, now),
	}
}

// Gave reports whether FaDO copied this version of an object from one storage to another
// lately: this write of it, not another of the same content.
func (v *Provenance) Gave(bucket, key string, from, to *site.Site, o storage.Object) bool {
	was, ok := v.given.Get(givenRef(bucket, key, from, to))
	return ok && was.ETag == o.ETag && was.Size == o.Size &&
		(nullID(was.VersionID) || nullID(o.VersionID) || was.VersionID == o.VersionID) &&
		was.LastModified.Truncate(time.Second).Equal(o.LastModified.Truncate(time.Second))
}

// Marked reports whether FaDO wrote this very version of an object. A stamped one may also be a
// server-side copy of what FaDO wrote under the same key, which carries the stamp along; the
// storage need not be asked for what this instance wrote last.
func (v *Provenance) Marked(ctx context.Context, bucket string, at *site.Site, o storage.Object) (bool, error) {
	if !o.Replica || o.Token == "" {
		return o.Replica, nil
	}
	if last, ok := v.tokens.Get(ids.ObjectIn(bucket, o.Key, at.Name())); ok && last == o.Token {
		return true, nil
	}
	ctx, cancel := at.Call(ctx)
	defer cancel()
	repeats, err := at.Reader().Repeats(ctx, bucket, o)
	at.Observed(err)
	if err != nil {
		return false, fmt.Errorf("asking %s whose an object is: %w", at.Name(), err)
	}
	return !repeats, nil
}

func givenRef(bucket, key string, from, to *site.Site) ids.Object {
	return ids.ObjectIn(bucket, key, from.Name()+">"+to.Name())
}
