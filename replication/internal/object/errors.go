package object

import (
	"context"
	"errors"
	"fmt"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// Errors that say why an object is not settled now.
var (
	ErrConflict = errors.New("not FaDO's to replace or remove")
	ErrHeld     = errors.New("held: more deletes than max_deletes allows")
	ErrOlder    = errors.New("the primary has an older object than the copy was made of")
	ErrNoSource = errors.New("the primary's bucket is missing")
	ErrLeaving  = errors.New("the copy is leaving")
	ErrNotMade  = errors.New("the copy's bucket is yet to be made")
	ErrNoCopy   = errors.New("no copy of this object is wanted there")
	ErrStalled  = errors.New("the transfer stalled")
	// ErrDamaged says that an object's bytes are not what its storage acknowledged.
	ErrDamaged = errors.New("the bytes are damaged")
	// ErrChanged: a copy's row is not what the decision was made by.
	ErrChanged = errors.New("the copy's state changed")
)

// Errors that say why what is about a whole copy or bucket is not done now.
var (
	// ErrNotYet: it waits for something that will come by itself.
	ErrNotYet = errors.New("not yet")
	// ErrBlocked: people have to do something first.
	ErrBlocked = errors.New("people have to decide")
)

// conflict is [ErrConflict] about one object.
type conflict struct {
	text string
	of   storage.Object
}

// Conflict returns an [ErrConflict] about the object that is there, and why it is one.
func Conflict(of storage.Object, format string, args ...any) error {
	return &conflict{fmt.Sprintf(format, args...), of}
}

// Error implements error.
func (e *conflict) Error() string { return ErrConflict.Error() + ": " + e.text }

// Is reports that it is an [ErrConflict].
func (e *conflict) Is(target error) bool { return target == ErrConflict }

// ForeignIn returns which object an [ErrConflict] is about.
func ForeignIn(err error) state.Foreign {
	if c, ok := errors.AsType[*conflict](err); ok {
		return ForeignOf(c.of)
	}
	return state.ForeignAny
}

// KindOf names an error for rows and for the failures' counter, as one of a bounded set.
func KindOf(err error) state.Cause {
	for _, k := range []struct {
		err  error
		kind state.Cause
	}{
		{ErrConflict, "conflict"},
		{ErrHeld, "held"},
		{site.ErrUnversioned, "unversioned"},
		{guard.ErrForbidden, "forbidden"},
		{ErrNoSource, "no_source"},
		{guard.ErrElsewhere, "elsewhere"},
		{control.ErrCutOff, "cut_off"},
		{site.ErrDown, state.CauseDown},
		{ErrStalled, "stalled"},
		{storage.ErrDenied, "denied"},
		{storage.ErrFull, state.CauseFull},
		{storage.ErrLocked, "locked"},
		{storage.ErrRefused, state.CauseRefused},
		{storage.ErrInconsistent, "inconsistent"},
		{ErrDamaged, state.CauseCorrupt},
		{storage.ErrCorrupt, state.CauseCorrupt},
		{storage.ErrPrecondition, "changed"},
		{storage.ErrNoBucket, "no_bucket"},
		{storage.ErrUnavailable, "unavailable"},
		{context.DeadlineExceeded, "timeout"},
	} {
		if errors.Is(err, k.err) {
			return k.kind
		}
	}
	return "other"
}
