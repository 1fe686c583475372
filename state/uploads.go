package state

import (
	"context"
	"time"
)

// Upload is a multipart upload that FaDO began at a cluster's storage and has neither
// completed nor aborted: a transfer resumes it after a crash or an interruption.
type Upload struct {
	Bucket, Key, Cluster string
	// Token is the storage package's: which upload of which source object this is, and
	// in what parts.
	Token   string
	Started time.Time
}

// Uploads keeps the uploads under way, one per bucket, key and cluster. It is as durable
// as progress is.
type Uploads interface {
	PutUpload(ctx context.Context, u Upload) error
	// GetUpload reads one; ErrNotFound if there is none.
	GetUpload(ctx context.Context, bucket, key, cluster string) (Upload, error)
	// DeleteUpload removes one; nothing happens where there is none.
	DeleteUpload(ctx context.Context, bucket, key, cluster string) error
	// EachUpload streams every row, in no particular order. They outlive their bucket
	// and copy, so that what was begun can be aborted.
	EachUpload(ctx context.Context, f func(Upload) error) error
}
