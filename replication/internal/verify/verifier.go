package verify

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/state"
)

// Verifier verifies buckets on this instance, a few at a time.
type Verifier struct {
	o    Options
	wake chan struct{}

	mu    sync.Mutex
	known map[string]*current // waiting or running, by bucket
	queue []string
}

// atATime is how many buckets are verified at a time.
const atATime = 2

// New returns a verifier at rest.
func New(o Options) *Verifier {
	return &Verifier{o: o, wake: make(chan struct{}, 1), known: make(map[string]*current)}
}

// Get returns the last verification of a bucket, or the one under way.
func (v *Verifier) Get(ctx context.Context, bucket string) (Verification, error) {
	if c := v.find(bucket); c != nil {
		return c.view(v.o.Now()), nil
	}
	return Last(ctx, v.o.Records, bucket)
}

// Waiting is what is shown of a verification that another instance was asked for.
func Waiting(bucket string, now time.Time) Verification {
	return shown(state.Verification{Bucket: bucket, UnderWay: true, State: stateWaiting, Deep: true, Started: now.UTC()}, nil)
}

// Last returns what the store keeps of a bucket's last verification.
func Last(ctx context.Context, records Records, bucket string) (Verification, error) {
	row, err := records.GetVerification(ctx, bucket)
	if errors.Is(err, state.ErrNotFound) {
		return shown(state.Verification{Bucket: bucket}, nil), nil
	}
	if err != nil {
		return Verification{}, err
	}
	v := &Verifier{o: Options{Records: records}}
	keys, err := v.listed(ctx, bucket)
	return shown(row, keys), err
}

// List returns those that wait or run on this instance, by bucket.
func (v *Verifier) List() []Verification {
	v.mu.Lock()
	known := make([]*current, 0, len(v.known))
	for _, c := range v.known {
		known = append(known, c)
	}
	v.mu.Unlock()
	list := make([]Verification, len(known))
	for i, c := range known {
		list[i] = c.view(v.o.Now())
	}
	slices.SortFunc(list, func(a, b Verification) int { return strings.Compare(a.Bucket, b.Bucket) })
	return list
}

func (v *Verifier) find(bucket string) *current {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.known[bucket]
}

// Request asks for a verification of a bucket, durably, and returns what is shown of it. One
// that waits or runs already is what is asked for, unless it is to be deep and was not; one
// that has come to its end is not: a new one begins behind it.
func (v *Verifier) Request(ctx context.Context, bucket string, deep bool) (Verification, error) {
	c, err := v.join(ctx, bucket, deep)
	if err != nil {
		return Verification{}, err
	}
	if err := v.save(ctx, c); err != nil {
		return Verification{}, err
	}
	v.signal()
	return c.view(v.o.Now()), nil
}

// join returns the verification of a bucket that a request is about.
func (v *Verifier) join(ctx context.Context, bucket string, deep bool) (*current, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	c := v.known[bucket]
	for c != nil && c.closing {
		v.mu.Unlock()
		select {
		case <-c.gone:
		case <-ctx.Done():
		}
		v.mu.Lock()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		c = v.known[bucket]
	}
	if c != nil {
		if deep { // under way with the listings alone: the bytes come behind them
			c.edit(func(row *state.Verification) { row.Deep = true })
		}
		return c, nil
	}
	c = newCurrent(state.Verification{
		Bucket: bucket, Node: v.o.Node, UnderWay: true, State: stateWaiting, Deep: deep, Started: v.o.Now().UTC(),
	})
	c.mismatched = v.o.Mismatched
	v.known[bucket] = c
	v.queue = append(v.queue, bucket)
	return c, nil
}

func (v *Verifier) signal() {
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

// stored reports a failure to write or read the store.
func (v *Verifier) stored(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		v.o.Log.Warn(what, zap.Error(err))
	}
}

// ended notes how a verification ended; false if there is more to do. Its outcome is shown
// once it is stored.
func (v *Verifier) ended(ctx context.Context, c *current, how string, cause error) bool {
	if !v.close(c, how) {
		return false
	}
	c.mu.Lock()
	row, damage := c.row, c.damage()
	c.mu.Unlock()
	row.State, row.Finished, row.Error, row.UnderWay = how, v.o.Now().UTC(), "", false
	row.Done, row.Step, row.Cursor, row.StepObjects, row.StepBytes = nil, "", "", 0, 0
	if cause != nil {
		row.Error = cause.Error()
	}
	if how == stateDone {
		row.Damage = damage
		v.setIssue(row.Bucket, damage)
	}
	v.stored(ctx, "could not store the outcome of a verification; it is resumed with the next start", v.end(ctx, c, row))
	c.edit(func(now *state.Verification) { *now = row })
	v.mu.Lock()
	delete(v.known, row.Bucket)
	v.mu.Unlock()
	close(c.gone)
	c.tell(v.o.Events, v.o.Now())
	v.o.Log.Info("verified a bucket", zap.String("bucket", row.Bucket), zap.String("state", how), zap.Bool("deep", row.Deep),
		zap.Int64("objects", row.Objects), zap.Int64("mismatches", row.Mismatches),
		zap.Int64("unrepairable", row.Unrepairable), zap.Error(cause))
	return true
}

// end stores the outcome, with the mismatches that changed last.
func (v *Verifier) end(ctx context.Context, c *current, row state.Verification) error {
	return c.inTurn(ctx, func() error {
		c.mu.Lock()
		changed := c.changed
		c.changed, c.repairs, c.final = nil, nil, true
		c.mu.Unlock()
		return v.put(ctx, row, changed)
	})
}

// setIssue says what could not be repaired in a bucket's status; "" if everything is well.
func (v *Verifier) setIssue(bucket, damage string) {
	v.o.Issues.Set(bucket, control.Source{Finder: control.FinderVerify}, control.Issue{Reason: damage, Code: control.ReasonDamaged})
}

// close closes a verification to further requests; false if it was joined since its
// last steps by a request that wants the bytes read, too.
func (v *Verifier) close(c *current, ended string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if ended == stateDone && c.row.Deep && !c.deepSeen {
		return false
	}
	c.closing = true
	return true
}
