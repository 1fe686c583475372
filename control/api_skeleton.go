package control

import (
	"context"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
)

// Control is described in the package comment. Skeleton; being implemented.
type Control struct{}

// New returns a Control that has done nothing yet.
func New(o Options) (*Control, error) { return &Control{}, nil }

// Start loads the store into memory; from then on Router answers. It may be called
// once.
func (c *Control) Start(ctx context.Context) error { return nil }

// Ready is closed once Start has loaded the store and a configuration is attached.
func (c *Control) Ready() <-chan struct{} { return nil }

// Close stops what Start began. It does not close the store.
func (c *Control) Close() {}

// Attach makes cfg the configuration in force: its resources join the catalogue. The
// most recently attached configuration that is still attached is in force, so that a
// reload that fails falls back to what ran before. An error changes nothing.
func (c *Control) Attach(ctx context.Context, cfg Config) (*Attachment, error) { return nil, nil }

// Attachment is a configuration's hold on the catalogue.
type Attachment struct{}

// Detach takes the configuration's resources back. It may be called more than once.
func (a *Attachment) Detach() {}

// ValidateConfig checks a configuration by itself, without a store: names, values,
// and references among what it declares. References to what it does not declare are
// checked by Attach, since the API may have made them.
func ValidateConfig(cfg Config, checkBalance func(catalog.RawObject) error) error { return nil }

// Router returns the router of what is in force; always the same value.
func (c *Control) Router() *catalog.Router { return nil }

// Events returns the bus of what happens.
func (c *Control) Events() *Bus { return nil }

// Store returns the store, for reads.
func (c *Control) Store() state.Store { return nil }

// Node returns this instance's name.
func (c *Control) Node() string { return "" }

// OnChange adds a hook that runs before a change is answered.
func (c *Control) OnChange(f BeforeAnswer) {}

// List returns items of a kind sorted by name, after a name, at most limit (0: all).
func (c *Control) List(ctx context.Context, k catalog.Kind, after string, limit int) ([]Item, error) {
	return nil, nil
}

// Get returns one item, or ErrNotFound.
func (c *Control) Get(ctx context.Context, k catalog.Kind, name string) (Item, error) {
	return Item{}, nil
}

// Create adds a resource; ErrExists if there is one of that name.
func (c *Control) Create(ctx context.Context, r catalog.Resource) (Item, error) { return Item{}, nil }

// Replace creates or replaces a resource and says whether it was created. mask is
// called within the change with the item that is there now (nil for none) and may
// complete r from it: the admin API fills "***" in with the stored secret.
// Replacing a resource with an equal one changes nothing, its ETag included.
func (c *Control) Replace(ctx context.Context, r catalog.Resource, pre Precondition, complete func(r, now catalog.Resource) error) (it Item, created bool, err error) {
	return Item{}, false, nil
}

// Modify changes the item that is there by f, which returns its replacement.
func (c *Control) Modify(ctx context.Context, k catalog.Kind, name string, pre Precondition, f func(now catalog.Resource) (catalog.Resource, error)) (Item, error) {
	return Item{}, nil
}

// Delete removes a resource: ErrNotFound, ErrConfigOwned, ErrPrecondition, *InUseError.
// A bucket is forgotten: its data stays.
func (c *Control) Delete(ctx context.Context, k catalog.Kind, name string, pre Precondition) error {
	return nil
}

// What replication does to the catalogue: each is durable, then visible.

// UpdateCopies runs f on the rows of a bucket's copies in one transaction; f returns
// the rows as they should be (added, changed, left out to delete).
func (c *Control) UpdateCopies(ctx context.Context, bucket string, f func(now []state.Copy) ([]state.Copy, error)) error {
	return nil
}

// SaveProgress stores rows of copies that still exist, and routes by them.
func (c *Control) SaveProgress(ctx context.Context, copies ...state.Copy) error { return nil }

// AddPending stores rows and makes them exceptions to freshness before it returns.
// Concurrent calls share transactions.
func (c *Control) AddPending(ctx context.Context, rows ...state.Pending) error { return nil }

// ClaimPending claims due rows for this node.
func (c *Control) ClaimPending(ctx context.Context, max int, lease time.Duration) ([]state.Pending, error) {
	return nil, nil
}

// FinishPending removes rows after their verified write, in the store and then from
// routing. Concurrent calls share transactions. A row whose Gen moved on stays.
func (c *Control) FinishPending(ctx context.Context, rows ...state.PendingKey) error { return nil }

// FailPending notes failed attempts or holds.
func (c *Control) FailPending(ctx context.Context, rows ...state.Pending) error { return nil }

// PendingAdded delivers a value soon after rows were added or released, so that
// workers need not poll; values are merged.
func (c *Control) PendingAdded() <-chan struct{} { return nil }

// SetUsedBytes tells the solver how much a cluster's storage holds.
func (c *Control) SetUsedBytes(cluster string, bytes int64) {}
