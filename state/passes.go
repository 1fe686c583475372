package state

import (
	"context"
	"time"
)

// PassKind says what a Pass is.
type PassKind string

// The kinds of Pass.
const (
	PassSession PassKind = "session" // of a browser that signed in
	PassToken   PassKind = "token"   // of a script
	PassLink    PassKind = "link"    // lets one browser sign in, once
)

// Pass lets anyone who knows its secret use the console. The store knows only the secret's
// hash: who reads the store can't sign in.
type Pass struct {
	Kind PassKind
	// Sum is the SHA-256 of the secret, in hexadecimal; it is unique.
	Sum string
	// ID names the pass to people.
	ID string
	// Name is the user's, or the token's.
	Name string
	Role string
	// How the user signed in, or who made a token or a link.
	How string
	// Proof is what a session stands and falls with: a hash of what was shown at sign-in.
	Proof string
	// Until is when it becomes void, whatever happens; Used is its last use, coarsely.
	Created, Used, Until time.Time
}

// Passes keeps what lets people and scripts use the console, so that a session holds on
// every instance and across restarts.
type Passes interface {
	// PutPass adds a pass durably, or replaces the one with its Sum.
	PutPass(ctx context.Context, p Pass) error
	// GetPass reads one by the hash of its secret; ErrNotFound if there is none. A void one
	// is returned as well.
	GetPass(ctx context.Context, sum string) (Pass, error)
	// TakePass reads one of a kind and removes it: of concurrent callers, one gets it.
	TakePass(ctx context.Context, kind PassKind, sum string) (Pass, error)
	// TouchPass notes a use, as progress; nothing happens where there is no such pass.
	TouchPass(ctx context.Context, sum string, used time.Time) error
	// DeletePass removes the one of a kind with that ID durably, and says whether there was
	// one.
	DeletePass(ctx context.Context, kind PassKind, id string) (bool, error)
	// ListPasses reads those of a kind, or all (""), by name and ID.
	ListPasses(ctx context.Context, kind PassKind) ([]Pass, error)
	// ExpirePasses removes those that became void before a time, and the sessions that were
	// last used before idle.
	ExpirePasses(ctx context.Context, now, idle time.Time) error
}
