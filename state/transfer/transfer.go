package transfer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fado-project/fado/state"
)

// Errors that callers tell apart.
var (
	// ErrNotEmpty: the target holds something.
	ErrNotEmpty = errors.New("the target store is not empty")
	// ErrInUse: instances share one of the stores now.
	ErrInUse = errors.New("the store is in use")
	// ErrIncomplete: a transfer to this store did not complete.
	ErrIncomplete = errors.New("the store was being filled from another one, and that did not complete")
	// ErrDiffers: what the target holds is not what the source held.
	ErrDiffers = errors.New("the target does not hold what the source held")
)

// mark is the value of metaMark.
type mark struct {
	From  string    `json:"from"`
	Since time.Time `json:"since"`
}

// Options of a transfer.
type Options struct {
	// Source names the source, for those who find the mark. It carries no secret.
	Source string
	// OneMoment says that the source is read as it was at one moment: instances may go on
	// using it meanwhile.
	OneMoment bool
	// Paused has replication paused in the target, whatever it was in the source.
	Paused bool
	// Progress, if not nil, is told about every batch: how many rows of a kind were
	// copied or read back so far.
	Progress func(Progress)
}

// Progress tells how far a transfer is.
type Progress struct {
	Verifying bool
	What      string
	Done      int64
}

// Counts says how many rows of each kind there are.
type Counts []Count

// Count is the number of rows of a kind.
type Count struct {
	What string
	N    int64
}

// Move takes everything from one store to another. Both stay open.
func Move(ctx context.Context, from, to state.Movable, o Options) (Counts, error) {
	unlock, err := lockTarget(ctx, to)
	if err != nil {
		return nil, err
	}
	defer unlock()
	seq, err := checkSource(ctx, from, o.OneMoment)
	if err != nil {
		return nil, err
	}
	if err := prepareTarget(ctx, to, o.Source); err != nil {
		return nil, err
	}
	sums, err := copyAll(ctx, from, to, o)
	if err != nil {
		return nil, err
	}
	if err := to.RaiseSeq(ctx, seq); err != nil {
		return nil, err
	}
	if err := verify(ctx, to, sums, o); err != nil {
		return nil, err
	}
	if again, err := checkSource(ctx, from, o.OneMoment); err != nil || again != seq {
		return nil, errors.Join(fmt.Errorf("the source was changed meanwhile: stop every instance, and begin again: %w", ErrInUse), err)
	}
	if o.Paused {
		if err := to.Pauses().SetPaused(ctx, true); err != nil {
			return nil, err
		}
	}
	if err := to.Facts().PutMeta(ctx, metaMark, ""); err != nil {
		return nil, err
	}
	return sums.counts(), nil
}

// Check refuses a store that a transfer was filling and did not complete.
func Check(ctx context.Context, s state.Store) error {
	text, err := s.Facts().GetMeta(ctx, metaMark)
	if err != nil || text == "" {
		return err
	}
	var m mark
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return fmt.Errorf("reading meta value %s: %w: %w", metaMark, err, state.ErrCorrupt)
	}
	return fmt.Errorf("%w: begun %s, from %s: run caddy fado migrate-store again, which starts over", ErrIncomplete, m.Since.Format(time.RFC3339), m.From)
}

// lockTarget keeps a second transfer from the target. The source is only read.
func lockTarget(ctx context.Context, to state.Store) (unlock func(), err error) {
	l, ok, err := to.Locks().TryLock(ctx, lockName)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("another transfer fills the target now: %w", ErrInUse)
	}
	return func() { _ = l.Unlock() }, nil // it ends with the store anyway
}

// checkSource says whether the source can be read in peace, and its last change.
func checkSource(ctx context.Context, from state.Movable, oneMoment bool) (state.Seq, error) {
	if !oneMoment {
		if err := notShared(ctx, from, "source"); err != nil {
			return 0, err
		}
	}
	if err := Check(ctx, from); err != nil {
		return 0, fmt.Errorf("the source: %w", err)
	}
	return from.ChangeLog().Seq(ctx)
}

// notShared refuses a store that instances use at this moment. A store that serves one
// instance has been refused when it was opened.
func notShared(ctx context.Context, s state.Store, role string) error {
	shared, ok := s.(state.Shared)
	if !ok {
		return nil
	}
	members, err := shared.Instances().Members(ctx)
	if err != nil || len(members) == 0 {
		return err
	}
	names := make([]string, len(members))
	for i, m := range members {
		names[i] = m.Node
	}
	return fmt.Errorf("%d instances use the %s (%s): stop them first; one that was killed is gone when its lease has ended: %w", len(members), role, strings.Join(names, ", "), ErrInUse)
}

// prepareTarget refuses a target that holds something, and marks it as being filled.
func prepareTarget(ctx context.Context, to state.Movable, source string) error {
	if err := notShared(ctx, to, "target"); err != nil {
		return err
	}
	err := Check(ctx, to)
	if errors.Is(err, ErrIncomplete) {
		if err := to.Clear(ctx); err != nil {
			return fmt.Errorf("removing what an interrupted transfer left: %w", err)
		}
	} else if err != nil {
		return err
	}
	if err := refuseContent(ctx, to); err != nil {
		return err
	}
	text, err := json.Marshal(mark{From: source, Since: time.Now().UTC().Truncate(time.Second)})
	if err != nil {
		return err
	}
	return to.Facts().PutMeta(ctx, metaMark, string(text))
}

// refuseContent names what a store holds, if it is anything.
func refuseContent(ctx context.Context, s state.Movable) error {
	found := ""
	for _, k := range kinds {
		n, err := k.count(ctx, s)
		if err != nil {
			return err
		}
		if n > 0 {
			if found != "" {
				found += ", "
			}
			found += fmt.Sprintf("%d %s", n, k.what)
		}
	}
	if found != "" {
		return fmt.Errorf("%w: it holds %s", ErrNotEmpty, found)
	}
	return nil
}

// sums are those of each of the kinds, in their order.
type sums []sum

func (s sums) counts() Counts {
	counts := make(Counts, len(kinds))
	for i, k := range kinds {
		counts[i] = Count{What: k.what, N: s[i].n}
	}
	return counts
}

func copyAll(ctx context.Context, from, to state.Movable, o Options) (sums, error) {
	all := make(sums, len(kinds))
	for i, k := range kinds {
		var err error
		if all[i], err = k.move(ctx, from, to, o.teller(k.what, false)); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// verify reads the target back.
func verify(ctx context.Context, to state.Movable, want sums, o Options) error {
	var errs []error
	for i, k := range kinds {
		got, err := k.sum(ctx, to, o.teller(k.what, true))
		switch {
		case err != nil:
			return err
		case got.n != want[i].n:
			errs = append(errs, fmt.Errorf("%s: %d, expected %d: %w", k.what, got.n, want[i].n, ErrDiffers))
		case got != want[i]:
			errs = append(errs, fmt.Errorf("%s: as many as expected (%d), but not the same: %w", k.what, got.n, ErrDiffers))
		}
	}
	return errors.Join(errs...)
}

func (o Options) teller(what string, verifying bool) func(int64) {
	return func(done int64) {
		if o.Progress != nil {
			o.Progress(Progress{Verifying: verifying, What: what, Done: done})
		}
	}
}
