package postgres

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fado-project/fado/state"
)

// lookAgain is how long AwaitSeen relies on a notification.
const lookAgain = 100 * time.Millisecond

// AwaitSeen implements state.Member. Many wait at the same time, for every object that is
// about to be acknowledged, so they share their looks at the members.
func (l *lease) AwaitSeen(ctx context.Context, changes, objects state.Seq) error {
	const doing = "waiting for the other instances"
	for {
		news := l.s.watch.news() // before the look, so that none is missed
		w, err := instances{l.s}.look(ctx)
		if err != nil {
			return l.s.wrap(ctx, doing, err)
		}
		if !w.behind(l.id, changes, objects) {
			return nil
		}
		select {
		case <-news:
		case <-time.After(lookAgain):
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", doing, ctx.Err())
		case <-l.s.done.Done():
			return fmt.Errorf("%s: %w", doing, errClosed)
		}
	}
}

// view is what the members had seen at a moment.
type view struct {
	members []state.MemberInfo
	err     error
	done    chan struct{}
}

// behind says whether a member other than this one has yet to see the numbers.
func (v *view) behind(self string, changes, objects state.Seq) bool {
	for _, m := range v.members {
		if m.ID != self && (m.Changes < changes || m.Objects < objects) {
			return true
		}
	}
	return false
}

// looks merges those who want to look: one looks, and those who come meanwhile share the
// look after it.
type looks struct {
	mu         sync.Mutex
	now, after *view
}

// look returns a view that was taken after the call.
func (s instances) look(ctx context.Context) (*view, error) {
	ls := &s.db.looks
	ls.mu.Lock()
	if ls.after == nil {
		ls.after = &view{done: make(chan struct{})}
	}
	v := ls.after
	if ls.now == nil {
		ls.now, ls.after = v, nil
		go s.takeLook()
	}
	ls.mu.Unlock()
	select {
	case <-v.done:
		return v, v.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// takeLook fills in views until no caller waits for one.
func (s instances) takeLook() {
	for {
		s.db.looks.mu.Lock()
		v := s.db.looks.now
		s.db.looks.mu.Unlock()
		v.members, v.err = s.viewMembers()
		close(v.done)
		s.db.looks.mu.Lock()
		s.db.looks.now, s.db.looks.after = s.db.looks.after, nil
		more := s.db.looks.now != nil
		s.db.looks.mu.Unlock()
		if !more {
			return
		}
	}
}

// viewMembers reads what the members have seen. One whose lease has ended counts until it
// is removed: only then can it not have renewed it.
func (s instances) viewMembers() (all []state.MemberInfo, err error) {
	err = s.db.read(s.db.done, "reading what the instances have seen", func(ctx context.Context, q querier) (err error) {
		if err := s.db.bury(ctx, q); err != nil {
			return err
		}
		all, err = collect(ctx, q, func(rows pgx.Rows) (m state.MemberInfo, err error) {
			return m, rows.Scan(&m.ID, (*int64)(&m.Changes), (*int64)(&m.Objects))
		}, "SELECT id, changes, objects FROM fado.members WHERE joined")
		return err
	})
	return all, err
}
