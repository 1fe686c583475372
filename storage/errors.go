package storage

import (
	"errors"
	"net/http"

	"github.com/fado-project/fado/storage/s3"
)

// Error is a failed request: what was asked, of which storage, and what came back.
// It wraps one of the sentinels; the text holds no secret.
type Error = s3.Error

// Errors that callers tell apart with errors.Is.
var (
	// ErrNotFound: the bucket is there and the key is not (or its current version is
	// a delete marker). Only ever returned on positive evidence.
	ErrNotFound = s3.ErrNotFound
	// ErrNoBucket: the physical bucket is not there.
	ErrNoBucket = s3.ErrNoBucket
	// ErrPrecondition: a conditional write found something else there, or a read's
	// source changed meanwhile.
	ErrPrecondition = s3.ErrPrecondition
	// ErrDenied: the credentials are refused or may not do this.
	ErrDenied = s3.ErrDenied
	// ErrFull: no space or quota left.
	ErrFull = s3.ErrFull
	// ErrRefused: this storage will never take this key or object.
	ErrRefused = s3.ErrRefused
	// ErrInconsistent: the storage's answers about a key contradict each other, so that neither
	// counts.
	ErrInconsistent = s3.ErrInconsistent
	// ErrLocked: object lock keeps the version: its retention period is not over, or it is
	// under a legal hold.
	ErrLocked = s3.ErrLocked
	// ErrUnavailable: the storage can't be reached, is overloaded or answers rubbish;
	// the same call may succeed later.
	ErrUnavailable = s3.ErrUnavailable
	// ErrCorrupt: what arrived is not what was sent (size or checksum differ).
	ErrCorrupt = s3.ErrCorrupt
	// ErrUnsupported: the storage does not have this feature.
	ErrUnsupported = s3.ErrUnsupported
	// ErrSilent: a listener's keep-alive pings stopped.
	ErrSilent = s3.ErrSilent
)

// At returns the name of the storage an error came from; "" if it tells none. A copy
// touches two of them.
func At(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Storage
	}
	return ""
}

// IsThrottled reports whether a storage answered that it is asked too often: it is slow, and
// not down.
func IsThrottled(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (e.Status == http.StatusTooManyRequests || e.Code == "SlowDown" || e.Code == "TooManyRequests" || e.Code == "RequestLimitExceeded")
}
