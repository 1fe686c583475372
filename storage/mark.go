package storage

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/fado-project/fado/storage/s3"
)

// Mark is a multipart upload that was begun and will get no part: of all that S3 can be given,
// the one thing that readers, listings, versions, events, lifecycle rules and object lock do
// not know of. Its ID is unique.
type Mark struct{ Key, ID string }

// Note is what [AbortUpload] takes the mark away by.
func (m Mark) Note() string {
	text, _ := json.Marshal(uploadState{ID: m.ID}) // plain fields
	return string(text)
}

// Births implements [Reader]. A date identifies a bucket only where the storage keeps the one
// that the bucket was made at: versitygw tells the directory's last change, and AWS S3 says
// that the date may change (S3 API reference, Bucket).
func (c server) Births(ctx context.Context) (map[string]time.Time, error) {
	p, err := c.who.Provider(ctx, c.wire)
	if err != nil {
		return nil, err
	}
	if !p.Births {
		return nil, fmt.Errorf("%s: when its buckets were made: %w", c.cfg.Name, ErrUnsupported)
	}
	return c.wire.Births(ctx)
}

// HasMark implements [Reader].
func (c buckets) HasMark(ctx context.Context, bucket string, m Mark) (bool, error) {
	_, err := c.wire.Parts(ctx, c.Physical(bucket), m.Key, m.ID, nil)
	switch {
	case err == nil:
		return true, nil
	case s3.NoUpload(err):
		return false, nil
	default:
		return false, err
	}
}

// PlaceMark implements [Writer].
func (c writer) PlaceMark(ctx context.Context, bucket, key string) (Mark, error) {
	id, err := c.wire.BeginUpload(ctx, &s3.Request{Name: "marking bucket", Method: http.MethodPost, Bucket: c.Physical(bucket), Key: key})
	return Mark{Key: key, ID: id}, err
}

// RemoveMark implements [Writer].
func (c writer) RemoveMark(ctx context.Context, bucket string, m Mark) error {
	return c.wire.AbortUpload(ctx, c.Physical(bucket), m.Key, m.ID)
}
