package purge

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/buckets"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// Control is what this package needs of package control.
type Control interface {
	Store() state.Store
}

// Resources is what it needs of *control.Resources.
type Resources interface {
	// DeleteWith removes a resource and does in the same transaction what within does.
	DeleteWith(ctx context.Context, k catalog.Kind, name string, pre control.Precondition, within func(state.Tx) error) error
}

// Options of the purges. All are required.
type Options struct {
	Router    *routing.Router
	Control   Control
	Resources Resources
	Sites     *site.Sites
	Guard     *guard.Guard
	Pause     *guard.Pause
	Objects   *object.Settler
	Buckets   *buckets.Buckets
	Log       *zap.Logger
	Now       func() time.Time
}
