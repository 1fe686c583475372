package follow

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/fado-project/fado/control/internal/publish"
	"github.com/fado-project/fado/control/internal/record"
	"github.com/fado-project/fado/state"
)

const (
	objectPage = 4096 // changes of objects read at a time
	changePage = 256  // other changes: each has values to be read
)

// look brings memory up to what the store holds, in this order: new exceptions, changes
// of the catalogue and of copies, exceptions that are gone. So a copy is never routed to
// for a key that became an exception before the copy came to count, nor because its rows
// went with it.
func (f *Follower) look(ctx context.Context) error {
	for {
		read, err := f.readObjects(ctx)
		if err != nil {
			return err
		}
		changes, err := f.Host.Store().ChangeLog().Changes(ctx, f.position.Load().Changes, changePage)
		switch {
		case errors.Is(err, state.ErrNotFound):
			if err := f.reload(ctx); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		}
		if len(changes) > 0 {
			if err := f.apply(ctx, changes); err != nil {
				return err
			}
		}
		f.Exceptions.DropGone(read)
		f.seen()
		if len(changes) == 0 {
			return nil
		}
	}
}

// readObjects takes in what happened to pending and pulled rows, up to now. It returns the
// number of the read.
func (f *Follower) readObjects(ctx context.Context) (int64, error) {
	for {
		read := f.Exceptions.BeginRead()
		trimmed, err := f.readAllObjects(ctx)
		if !trimmed {
			return read, err
		}
		if err := f.reloadObjects(ctx); err != nil {
			return 0, err
		} // and again, with a read that begins after
	}
}

// readAllObjects reads to the end of the sequence; trimmed says that what comes next is
// no longer there.
func (f *Follower) readAllObjects(ctx context.Context) (trimmed bool, err error) {
	for {
		p := *f.position.Load()
		changes, err := f.Shared().Instances().ObjectChanges(ctx, p.Objects, objectPage)
		if err != nil {
			return errors.Is(err, state.ErrNotFound), err
		}
		f.Exceptions.Observe(changes)
		if err := f.Host.FollowPulled(ctx, changes...); err != nil {
			return false, err
		}
		f.Host.ObjectsChanged(changes)
		if n := len(changes); n > 0 {
			p.Objects = changes[n-1].Seq
			f.position.Store(&p)
		}
		if len(changes) < objectPage {
			return false, nil
		}
	}
}

// apply brings memory up to changes. A change does not carry its value: that is read, and
// may be newer.
func (f *Follower) apply(ctx context.Context, changes []state.Change) error {
	all, err := f.others(ctx, changes)
	if err != nil {
		return err
	}
	// Rows that were added before these values were written are exceptions before the
	// values are routed by.
	objects := func(ctx context.Context) error {
		_, err := f.readObjects(ctx)
		return err
	}
	if err := f.Order.Refresh(ctx, f.Host.Store().Catalogue(), all, objects); err != nil {
		return err
	}
	f.Host.Applied(ctx, all)
	p := *f.position.Load()
	p.Changes = changes[len(changes)-1].Seq
	f.position.Store(&p)
	f.passed(p.Changes)
	return nil
}

// others lists what others changed. Which changes are this instance's own is known once
// its turns about the same things have ended.
func (f *Follower) others(ctx context.Context, changes []state.Change) ([]*publish.Change, error) {
	all := Gather(changes)
	refs := make([]state.Ref, len(all))
	for i, c := range all {
		refs[i] = c.Ref
	}
	if err := f.Order.Await(ctx, refs...); err != nil {
		return nil, err
	}
	return Gather(slices.DeleteFunc(slices.Clone(changes), func(ch state.Change) bool { return f.isOwn(ch.Seq) })), nil
}

// Gather lists what changed, each thing once.
func Gather(changes []state.Change) []*publish.Change {
	var all []*publish.Change
	at := make(map[state.Ref]*publish.Change)
	for _, ch := range changes {
		ref := state.Ref{Kind: ch.Resource, Name: ch.Name}
		if ch.Kind == state.ChangeCopies {
			ref = record.Bucket(ch.Name)
		}
		c := at[ref]
		if c == nil {
			c = &publish.Change{Ref: ref}
			at[ref] = c
			all = append(all, c)
		}
		c.Resource = c.Resource || ch.Kind == state.ChangeResource
	}
	return all
}

// reload loads everything, because changes were missed. Routing continues by what it knew
// until the next snapshot is complete.
func (f *Follower) reload(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx) // it takes as long as it takes
	seq, err := f.Host.Store().ChangeLog().Seq(ctx)
	if err == nil {
		err = f.Host.Load(ctx, func(ctx context.Context) error {
			_, err := f.readObjects(ctx)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("loading the catalogue again: %w", err)
	}
	f.position.Store(&Position{Changes: seq, Objects: f.position.Load().Objects})
	f.Host.Reloaded(ctx)
	return nil
}

// reloadObjects loads all rows of objects, because changes were missed.
func (f *Follower) reloadObjects(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	seq, err := f.Shared().Instances().ObjectSeq(ctx)
	if err != nil {
		return err
	}
	if err := f.Host.LoadObjects(ctx); err != nil {
		return err
	}
	p := *f.position.Load()
	p.Objects = seq
	f.position.Store(&p)
	return nil
}

// Made notes a change that this instance made. It is called before the change's turn ends.
func (f *Follower) Made(seq state.Seq) {
	if f.Shared() == nil {
		return
	}
	f.ownMu.Lock()
	defer f.ownMu.Unlock()
	f.own[seq] = struct{}{}
}

// isOwn says whether a change was made here.
func (f *Follower) isOwn(seq state.Seq) bool {
	f.ownMu.Lock()
	defer f.ownMu.Unlock()
	_, ok := f.own[seq]
	return ok
}

// passed forgets own changes up to a number.
func (f *Follower) passed(seq state.Seq) {
	f.ownMu.Lock()
	defer f.ownMu.Unlock()
	for s := range f.own {
		if s <= seq {
			delete(f.own, s)
		}
	}
}
