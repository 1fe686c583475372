package storage

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/google/uuid"
)

// placement is where a copy comes among the versions of its key. A MinIO that keeps
// versions orders them by time, any other storage by arrival.
type placement struct {
	at time.Time // the time to give it; zero: the storage's own
	id string    // its version ID; "": as placeVersion decides
	// overMarker: a delete marker is there, for which some storages hold that something
	// is there and refuse If-None-Match: *. A version that comes between loses nothing.
	overMarker bool
}

func (p placement) setTime(h http.Header) {
	if !p.at.IsZero() {
		h.Set(minioSourceMTime, p.at.UTC().Format(time.RFC3339Nano))
	}
}

// restamps says whether what is copied is itself a stamped copy: then its stamp goes along,
// since its own time and ETag are not the original's.
func (t *transfer) restamps() bool {
	return t.opts.Version != nil && t.opts.Version.Source.ETag != ""
}

// askVersion has a GET ask for the very version that is to be copied.
func (t *transfer) askVersion(q *request) {
	if !t.opts.Below || t.opts.Version.VersionID == "" {
		return
	}
	if q.query == nil {
		q.query = make(url.Values)
	}
	q.query.Set("versionId", t.opts.Version.VersionID)
}

// place decides how a version is written so that it stands where the order of versions has
// it. The original's time is kept wherever it can be; where what is there has the same or,
// by its storage's clock, a later one, the copy gets the next moment and its stamp tells
// the time it stands for.
func (t *transfer) place(ctx context.Context) error {
	v := t.opts.Version
	t.obj.LastModified = v.LastModified
	if !t.to.preserve {
		return t.placeElsewhere(ctx)
	}
	if t.opts.Below {
		t.placed.at = v.Written
		if !t.preserve || uuid.Validate(v.VersionID) != nil {
			t.placed.id = derivedID(t.bucket, t.obj.Key, v.origin().ETag, v.Written)
		}
		return nil
	}
	if t.preserve {
		if err := t.checkBefore(ctx); err != nil || t.preserve {
			return err
		}
	}
	vs, err := t.dst.versionsOf(ctx, t.bucket, t.obj.Key, 1)
	if err != nil {
		return err
	}
	t.placed.at = v.Written
	if len(vs) > 0 && !vs[0].lastModified.Before(v.Written) {
		t.placed.at = afterVersion(vs[0].lastModified)
	}
	return nil
}

// placeElsewhere prepares a write to a storage whose versions are in order of arrival.
func (t *transfer) placeElsewhere(ctx context.Context) error {
	if t.opts.Below {
		return t.dst.fail(t.putRequest(), ErrUnsupported, "it takes no version that is older than what is there")
	}
	if t.opts.If.Absent {
		vs, err := t.dst.versionsOf(ctx, t.bucket, t.obj.Key, 1)
		if err != nil {
			return err
		}
		t.placed.overMarker = len(vs) > 0 && vs[0].deleteMarker
	}
	return t.checkBefore(ctx)
}
