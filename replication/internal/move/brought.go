package move

import (
	"context"
	"slices"
	"time"

	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/storage"
)

// brought reports whether the new primary had what the old one has, and users deleted it there behind the move:
// below the delete marker that it shows lies FaDO's copy of that very write. What FaDO remembers of the objects
// that it copied ends with a restart, and after some minutes; this does not. It tells nothing where the new primary
// keeps no versions.
func (c *carry) brought(ctx context.Context, src storage.Object) (bool, error) {
	if keeps, err := c.new.HasHistory(ctx, c.bucket); err != nil || !keeps {
		return false, err
	}
	cctx, cancel := c.new.Call(ctx)
	defer cancel()
	all, err := c.new.Reader().Versions(cctx, c.bucket, src.Key)
	c.new.Observed(err)
	if err != nil {
		return false, err
	}
	i := slices.IndexFunc(all, func(v storage.Version) bool { return !v.Deleted })
	if i < 1 || !sameWrite(all[i].Object, src) {
		return false, nil
	}
	return c.o.Objects.Provenance.Marked(ctx, c.bucket, c.new, all[i].Object)
}

// sameWrite reports whether a copy is of that very write. HEADs tell whole seconds.
func sameWrite(dst, src storage.Object) bool {
	return storage.Compare(src, dst) == storage.Equal && object.Modified(dst).Truncate(time.Second).Equal(src.LastModified.Truncate(time.Second))
}
