package control

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control/follow"
	"github.com/fado-project/fado/control/internal/record"
	"github.com/fado-project/fado/state"
)

// Origin says who owns a resource.
type Origin string

// The origins.
const (
	OriginConfig Origin = "config"
	OriginAPI    Origin = "api"
)

// Item is a resource with its origin and entity tag.
type Item struct {
	Resource catalog.Resource // a copy of its own: the caller may change it; secrets in clear
	Origin   Origin
	ETag     string // strong, with its quotes
}

// Precondition carries If-Match and If-None-Match (RFC 9110, section 13).
type Precondition struct {
	// IfMatch: entity tags one of which the item must have; "*" matches any item.
	// Nil: no condition.
	IfMatch []string
	// IfNoneMatchAny: the item must not exist (If-None-Match: *).
	IfNoneMatchAny bool
}

// Errors of changes, besides *catalog.ValidationError, *InUseError and
// state.ErrUnavailable.
var (
	ErrNotFound     = state.ErrNotFound
	ErrExists       = errors.New("already exists")
	ErrPrecondition = errors.New("the precondition does not hold")
	ErrConfigOwned  = errors.New("declared by the configuration; change it there")
	// ErrClosed answers calls on a Control that was closed.
	ErrClosed = follow.ErrClosed
	// ErrCutOff says that this instance has no lease on the shared store.
	ErrCutOff = follow.ErrCutOff
)

// InUseError refuses a change that other resources stand in the way of.
type InUseError struct {
	What string // "cluster c1"
	Why  string // "is referred to by"
	By   []state.Ref
	More bool   // By is cut short
	Hint string // what to do about it; "": nothing to say
}

// maxNamed bounds how many resources an InUseError lists.
const maxNamed = 20

// inUse returns the refusal of a change of a resource, with at most maxNamed of those
// that stand in the way.
func inUse(what state.Ref, why string, by []state.Ref) *InUseError {
	e := &InUseError{What: string(what.Kind) + " " + what.Name, Why: why, By: by}
	if len(by) > maxNamed {
		e.By, e.More = by[:maxNamed], true
	}
	return e
}

// Error lists what stands in the way.
func (e *InUseError) Error() string {
	names := make([]string, len(e.By))
	for i, r := range e.By {
		names[i] = string(r.Kind) + " " + r.Name
	}
	s := fmt.Sprintf("%s %s %s", e.What, e.Why, strings.Join(names, ", "))
	if e.More {
		s += " and others"
	}
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// check evaluates the condition for an item with an entity tag, or none.
func (p Precondition) check(exists bool, etag string) error {
	if p.IfNoneMatchAny && exists {
		return ErrPrecondition
	}
	if p.IfMatch == nil {
		return nil
	}
	if exists && (slices.Contains(p.IfMatch, "*") || slices.Contains(p.IfMatch, etag)) {
		return nil
	}
	return ErrPrecondition
}

func itemOf(r state.Record) (Item, error) {
	res, err := record.Decode(r)
	return Item{Resource: res, Origin: OriginAPI, ETag: revTag(r.Rev)}, err
}

func revTag(s state.Seq) string { return `"` + strconv.FormatInt(int64(s), 36) + `"` }
