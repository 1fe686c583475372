// Package port adapts package control to the interfaces that the rooms of replication
// declare for it, so that each names only the methods it uses. Who builds the engine, or a
// room in a test, uses it.
package port

import (
	"context"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/state"
)

// Port is control as the rooms of replication see it.
type Port struct{ *control.Control }

// Of returns the port of a control.
func Of(c *control.Control) Port { return Port{c} }

// Shared implements the rooms' Control interfaces, as do the methods below.
func (p Port) Shared() bool { return p.Members.Shared() }

// MayWrite implements them.
func (p Port) MayWrite() error { return p.Members.MayWrite() }

// Confirm implements them.
func (p Port) Confirm(ctx context.Context) error { return p.Members.Confirm(ctx) }

// WakeWorkers implements them.
func (p Port) WakeWorkers() { p.Pending.Wake() }

// AddPending implements them.
func (p Port) AddPending(ctx context.Context, rows ...state.Pending) error {
	return p.Pending.Add(ctx, rows...)
}

// FinishPending implements them.
func (p Port) FinishPending(ctx context.Context, keys ...state.PendingKey) error {
	return p.Pending.Finish(ctx, keys...)
}

// UpdateCopies implements them.
func (p Port) UpdateCopies(ctx context.Context, bucket string, f func([]state.Copy) ([]state.Copy, error)) error {
	return p.Copies.Update(ctx, bucket, f)
}

// SaveProgress implements them.
func (p Port) SaveProgress(ctx context.Context, rows ...state.Copy) error {
	return p.Copies.SaveProgress(ctx, rows...)
}
