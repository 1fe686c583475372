// Package control is where the catalogue is changed: every change, whoever asks for
// it (the admin API, a configuration, replication), goes through [Control], which
// writes the store first, then publishes what routing reads, then answers. So
// nothing is visible that is not durable, and nothing is answered that this
// instance does not route by.
//
// Two sources of resources meet here: those a configuration declares (origin
// "config", held in memory for as long as the configuration runs) and those the API
// makes (origin "api", in the store). Where both have a name, the configuration's
// wins.
//
// Control knows nothing of Caddy or S3.
package control

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
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
)

// InUseError refuses a change that other resources stand in the way of.
type InUseError struct {
	What string // "cluster c1"
	Why  string // "is referred to by"
	By   []state.Ref
	More bool // By is cut short
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
	return s
}

// Config is what a running configuration declares.
type Config struct {
	DefaultPolicy string // "" for the built-in one
	Zones         []*catalog.Zone
	Clusters      []*catalog.Cluster
	Policies      []*catalog.Policy
	Buckets       []*catalog.Bucket
}

// Options of a Control.
type Options struct {
	// Store is the open store; nil with Open.
	Store state.Store
	// Open opens the store, for one that may be out of reach at the start (then its error
	// is a state.ErrUnavailable): it is tried again until it succeeds. Close closes what
	// Open returned.
	Open func(context.Context) (state.Store, error)
	// Kind is what the store that Open opens calls itself, for the time before.
	Kind string
	// OpenPatience is how long Start tries to Open before it loads from the Mirror;
	// default 5 s.
	OpenPatience time.Duration
	// Mirror, when given, is a store on local disk to which everything is written that
	// this instance routes by, soon after. Control closes it.
	Mirror state.Store
	// OpenMirror opens the mirror where Mirror is nil: it is tried until it succeeds, because
	// a runtime that is about to end may still have it.
	OpenMirror func(context.Context) (state.Store, error)
	// MaxMirrorAge bounds how old a mirror may be that Start loads from; 0: any age.
	MaxMirrorAge time.Duration

	Log  *zap.Logger
	Node string
	// Now is the clock; default time.Now.
	Now func() time.Time
	// CheckBalance says whether the JSON of a selection policy is one; default:
	// everything is. Caddy's adapter sets it.
	CheckBalance func(catalog.RawObject) error
}

// BeforeAnswer hooks run after a change is durable and routed by, before it is
// answered. Replication uses one to end or abort writes that the change forbids.
type BeforeAnswer func(ctx context.Context)
