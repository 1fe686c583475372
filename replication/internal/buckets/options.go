package buckets

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/replication/internal/copies"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// Why nothing may be removed, beside the errors of packages object and guard.
var (
	// ErrOneStorage says that two clusters are two names for one storage.
	ErrOneStorage = errors.New("they are two names for one storage")
	// ErrNotTheCopy says that another bucket lies where a copy was.
	ErrNotTheCopy = errors.New("another bucket lies where the copy was")
)

// Control is what this package needs of package control.
type Control interface {
	Store() state.Store
}

// Options of the buckets. All are required but CopyLockRule.
type Options struct {
	Router  *routing.Router
	Control Control
	Copies  *copies.Store
	Sites   *site.Sites
	Guard   *guard.Guard
	Deletes *object.Deletes
	Log     *zap.Logger
	Now     func() time.Time
	// AskSource is called before a primary is asked about a bucket. What it returns is to be
	// called with the answer: nil, or why the bucket can't be compared with anything.
	AskSource func(bucket string) (answer func(missing error))
	// CopyLockRule is [storage.CopyLockRule] if it is nil.
	CopyLockRule func(ctx context.Context, src storage.Reader, dst storage.Writer, bucket string) (changed bool, err error)
}
