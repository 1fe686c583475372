package replication

import (
	"github.com/fado-project/fado/replication/internal/evict"
	"github.com/fado-project/fado/replication/internal/jobs"
	"github.com/fado-project/fado/replication/internal/move"
	"github.com/fado-project/fado/state"
)

// What people start, decide and watch on an instance; package jobs says how.
type (
	Decisions     = jobs.Decisions
	Rebalances    = jobs.Rebalances
	Abandonments  = jobs.Abandonments
	Verifications = jobs.Verifications
)

// Decisions returns the engine's.
func (e *Engine) Decisions() *Decisions { return e.jobs.Decisions }

// Rebalances returns the engine's.
func (e *Engine) Rebalances() *Rebalances { return e.jobs.Rebalances }

// Abandonments returns the engine's.
func (e *Engine) Abandonments() *Abandonments { return e.jobs.Abandonments }

// Verifications returns the engine's.
func (e *Engine) Verifications() *Verifications { return e.jobs.Verifications }

// What they are told.
type (
	// Conflict is one key where people decide; ConflictCopy is what one cluster has of it.
	Conflict     = jobs.Conflict
	ConflictCopy = jobs.ConflictCopy
	// Verdict is an operator's decision about conflicts, Resolution its outcome, and Refusal a key
	// that stays in conflict.
	Verdict    = jobs.Verdict
	Resolution = jobs.Resolution
	Refusal    = jobs.Refusal
	// RebalanceStatus is what a rebalance has yet to move; RebalanceMove what it changes about one
	// rule of a bucket.
	RebalanceStatus = jobs.RebalanceStatus
	RebalanceMove   = jobs.RebalanceMove
	// Abandonment is what is lost with a cluster's storage; AbandonedBucket what of one bucket.
	Abandonment     = jobs.Abandonment
	AbandonedBucket = jobs.AbandonedBucket
)

// WinnerNewest lets the object that was modified last win.
const WinnerNewest = jobs.WinnerNewest

// Why people's word can't be taken.
var (
	// ErrBadWinner: a winner is neither "newest" nor a cluster of the bucket.
	ErrBadWinner = jobs.ErrBadWinner
	// ErrNoneLeaves: no copy leaves; see [Decisions.ReleaseHistory].
	ErrNoneLeaves = evict.ErrNoneLeaves
	// ErrNotStopped and ErrNoWhole: see [Decisions.Trust].
	ErrNotStopped = move.ErrNotStopped
	ErrNoWhole    = move.ErrNoWhole
)

// HeldIn returns the cluster that still has the object of a held delete.
func HeldIn(row state.Pending, copies []state.Copy) string { return jobs.HeldIn(row, copies) }
