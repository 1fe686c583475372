package control

import (
	"context"
	"slices"
	"sync"

	"github.com/fado-project/fado/catalog"
)

// Hooks tell other rooms of this process what changed. They run after routing goes by the
// change, in the goroutine that made it: only those of BeforeAnswer may take their time.
// None is ever left out, unlike an event of the Bus. Hooks are added before Start.
type Hooks struct {
	mu           sync.Mutex
	beforeAnswer []func(ctx context.Context)
	onResource   []func(ResourceChange)
	onCopies     []func(bucket string)
}

// Op says how a resource changed.
type Op string

// The operations on a resource.
const (
	OpCreated Op = "created"
	OpChanged Op = "changed"
	OpDeleted Op = "deleted"
)

// ResourceChange is the change of one resource; the zero value says that anything may have
// changed (another configuration is in force, or everything was loaded again).
type ResourceChange struct {
	Kind catalog.Kind
	Name string
	Op   Op
	// Elsewhere: another instance made the change.
	Elsewhere bool
}

// Any says that anything may have changed.
func (r ResourceChange) Any() bool { return r.Kind == "" }

// BeforeAnswer adds a hook that runs after a change of the catalogue is durable and routed
// by, before it is answered, on every instance. Replication uses one to end or abort
// writes that the change forbids. The end of the request's context is not passed on, since
// the change is in force.
func (h *Hooks) BeforeAnswer(f func(ctx context.Context)) { add(h, &h.beforeAnswer, f) }

// OnResource adds a hook for changes of resources, whichever instance made them. It must
// not block.
func (h *Hooks) OnResource(f func(ResourceChange)) { add(h, &h.onResource, f) }

// OnCopies adds a hook for changes that another instance made to the copies of a bucket
// ("": of any); the other one may rely on it once the hook returned. It must not block.
func (h *Hooks) OnCopies(f func(bucket string)) { add(h, &h.onCopies, f) }

func add[F any](h *Hooks, list *[]F, f F) {
	h.mu.Lock()
	defer h.mu.Unlock()
	*list = append(slices.Clone(*list), f)
}

// each runs f on the hooks there are now.
func each[F any](h *Hooks, list *[]F, f func(F)) {
	h.mu.Lock()
	now := *list
	h.mu.Unlock()
	for _, hook := range now {
		f(hook)
	}
}

// answering runs the hooks that come before an answer.
func (h *Hooks) answering(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	each(h, &h.beforeAnswer, func(f func(context.Context)) { f(ctx) })
}

func (h *Hooks) resource(r ResourceChange) {
	each(h, &h.onResource, func(f func(ResourceChange)) { f(r) })
}

func (h *Hooks) copies(bucket string) {
	each(h, &h.onCopies, func(f func(string)) { f(bucket) })
}
