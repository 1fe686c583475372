package replication

import (
	"context"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/copies"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/limit"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/plan"
	"github.com/fado-project/fado/replication/internal/report"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/storage"
)

// core is the rooms that the parts of the engine use, and next to no behaviour: it is
// there so that each part need not name them again.
type core struct {
	ctl      *control.Control
	log      *zap.Logger
	now      func() time.Time
	tune     Tuning
	settings *atomic.Pointer[Settings]
	version  string // of this program
	open     func(cluster string, s *catalog.Storage) (storage.Storage, error)

	sites   *site.Sites
	guard   *guard.Guard
	pause   *guard.Pause
	slots   *limit.Slots
	copies  *copies.Store
	deletes *object.Deletes
	report  *report.Report
	objects *object.Settler
}

// conf returns the settings in force.
func (c *core) conf() Settings { return *c.settings.Load() }

// snap returns the catalogue that is routed by now.
func (c *core) snap() *routing.Snapshot { return c.ctl.Router().Snapshot() }

// stored reports a failure to write the store. What says what failed and what happens next.
func (c *core) stored(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		c.log.Warn(what, zap.Error(err))
	}
}

// alone reports whether no other instance is alive. Where that can't be told one may be.
func (c *core) alone(ctx context.Context) bool {
	members, err := c.ctl.Members.List(ctx)
	return err == nil && len(members) <= 1
}

// inputs are those of plans by the catalogue as it is now.
func (c *core) inputs() *plan.Inputs {
	snap := c.snap()
	silent, unasked := c.ctl.Usage.Silent(snap)
	return plan.NewInputs(snap, c.ctl.Usage.All(), silent).Expect(snap, unasked)
}
