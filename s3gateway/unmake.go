package s3gateway

import (
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"net/http"
	"net/url"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/s3gateway/internal/s3err"
	"github.com/fado-project/fado/storage"
)

// How a bucket is removed.
//
// Invariant: DeleteBucket removes no object that any storage shows. That the primary's bucket is empty,
// and nothing is known to differ from it, is not enough: what others wrote at a copy is found by a scan, what
// lies in the place of a copy that was not begun was never compared, and a primary whose bucket has gone or
// was made again has nothing because it lost it. So each place of a copy is looked at.

// deleteBucket answers DeleteBucket. The primary's storage removes its bucket first, which it
// only does if it is empty, so that nothing written meanwhile is lost; then the catalogue
// forgets the bucket and its copies go.
func deleteBucket(c writer) error {
	item, err := c.control.Resources.Get(c.ctx, catalog.KindBucket, c.bucket)
	if err != nil {
		return err
	}
	if item.Origin == control.OriginConfig {
		return control.ErrConfigOwned
	}
	if err := (making{c}).awaitEmptied(); err != nil {
		return err
	}
	if primary := c.router().Snapshot().Of(c.bucket).Primary(); primary != "" {
		if err := (making{c}).removeFrom(primary); err != nil {
			return err
		}
	}
	if err := c.h.app.Replication().Purge(c.ctx, c.bucket, replication.PurgeAll, control.Precondition{}); err != nil {
		return err
	}
	c.writeBody(http.StatusNoContent, "", nil)
	return nil
}

// removeFrom has the primary's storage remove its bucket.
func (m making) removeFrom(primary string) error {
	c := m.c
	_, err := c.write(primary, &storage.Forward{Name: c.op.name, Method: http.MethodDelete, Bucket: c.bucket}, nil)
	if e, ok := errors.AsType[*s3err.Error](err); ok && e.Code == "SlowDown" && errors.Is(e, errNoPhysical) {
		return nil // removed by an attempt before
	}
	return err
}

// errNoPhysical: the storage has no bucket of that name.
var errNoPhysical = errors.New("the physical bucket is not there")

// emptiedPoll is how often the copies are looked at that are not known to differ and show something.
const emptiedPoll = 500 * time.Millisecond

// awaitEmptied waits until the copies have followed the primary, and show nothing: what differs from
// it there may be no copy of FaDO's, and would be removed for good. Where one shows something that nothing is
// known of, a scan finds out what it is.
func (m making) awaitEmptied() error {
	c := m.c
	ctx, cancel := context.WithTimeout(c.ctx, cmp.Or(c.h.emptiedPatience, bucketPatience))
	defer cancel()
	for scanned := false; ; {
		changed := c.control.Pending.Changed(c.bucket)
		if !m.differs() {
			shows, err := m.shows(ctx)
			if err != nil || !shows {
				return err
			}
			if !scanned {
				scanned = true
				m.scan()
			}
		}
		select {
		case <-changed:
		case <-time.After(emptiedPoll):
		case <-ctx.Done():
			return s3err.New(http.StatusConflict, "BucketNotEmpty", "The bucket you tried to delete is not empty: copies of it still differ from its primary.")
		}
	}
}

// differs reports whether anything is known to differ between the bucket's copies, or one was
// not compared yet.
func (m making) differs() bool {
	c := m.c
	for _, cp := range c.router().Snapshot().Of(c.bucket).Copies() {
		if cp.State <= catalog.CopySyncing && !cp.Primary || c.router().Pending.HasBelow(c.bucket, "", cp.Cluster) {
			return true
		}
	}
	return false
}

// shows reports whether the storage of any copy shows an object in the bucket there.
func (m making) shows(ctx context.Context) (bool, error) {
	c := m.c
	for _, cp := range c.router().Snapshot().Of(c.bucket).Copies() {
		if cp.Primary {
			continue // it removes no bucket that has any
		}
		if shows, err := m.showsIn(ctx, cp.Cluster); shows || err != nil {
			return shows, err
		}
	}
	return false, nil
}

func (m making) showsIn(ctx context.Context, cluster string) (bool, error) {
	c := m.c
	a, err := c.gateway.Read(ctx, c.reading(cluster, c.bucket, ""), &storage.Forward{
		Name: c.op.name, Method: http.MethodGet, Bucket: c.bucket, Query: url.Values{"list-type": {"2"}, "max-keys": {"1"}},
	})
	if err != nil {
		return false, err
	}
	body, err := c.readAnswer(a)
	if e, ok := errors.AsType[*s3err.Error](err); ok && errors.Is(e, errNoPhysical) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var page listing
	if err := xml.Unmarshal(body, &page); err != nil {
		return false, s3err.Unreadable(err)
	}
	return len(page.Contents) > 0, nil
}

// scan has the bucket compared.
func (m making) scan() {
	c := m.c
	if err := c.h.app.Replication().SyncBucket(c.ctx, c.bucket); err != nil {
		c.h.log.Debug("comparing the copies of a bucket that is to go", zap.String("request_id", c.id), zap.Error(err))
	}
}
