package postgres

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/fado-project/fado/state"
)

// leases keeps this instance's lease: at most one at a time. TryLock makes one where
// Join has not.
type leases struct {
	mu      sync.Mutex
	current *lease
	closed  bool
	making  sync.Mutex // one is made at a time
}

// lease implements state.Member.
type lease struct {
	s  *core
	id string

	mu      sync.Mutex
	joined  bool
	until   time.Time
	changes state.Seq // to be told
	objects state.Seq
	told    [2]state.Seq
	held    map[string]*lock // by name; those that are gone until their rows are, too
	ended   bool
	lost    chan struct{}
	tell    chan struct{} // something is to be told
}

// instances implements [state.Instances].
type instances struct{ db *core }

// Join implements state.Instances. The lease that TryLock may have made becomes the
// member's, with its locks.
func (s instances) Join(ctx context.Context, node string) (state.Member, error) {
	const doing = "joining the other instances"
	if err := s.db.usable(ctx); err != nil {
		return nil, s.db.wrap(ctx, doing, err)
	}
	s.db.leases.making.Lock()
	defer s.db.leases.making.Unlock()
	if l := s.db.leases.live(); l != nil {
		l.mu.Lock()
		joined := l.joined
		l.mu.Unlock()
		if joined {
			return nil, fmt.Errorf("%s: this instance is a member already, as %s", doing, l.id)
		}
		ok, err := l.upgrade(ctx, node)
		if err != nil {
			return nil, s.db.wrap(ctx, doing, err)
		}
		if ok {
			return l, nil
		}
		l.end()
	}
	l, err := s.newLease(ctx, node, true)
	if err != nil {
		return nil, s.db.wrap(ctx, doing, err)
	}
	return l, nil
}

// live returns the lease that has not ended, if there is one.
func (ls *leases) live() *lease {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l := ls.current; l != nil && !l.over() {
		return l
	}
	return nil
}

// lease returns the lease there is, or makes one.
func (s instances) lease(ctx context.Context) (*lease, error) {
	s.db.leases.making.Lock()
	defer s.db.leases.making.Unlock()
	if l := s.db.leases.live(); l != nil {
		return l, nil
	}
	return s.newLease(ctx, "", false)
}

func (s instances) newLease(ctx context.Context, node string, joined bool) (*lease, error) {
	id := make([]byte, 12)
	rand.Read(id) // never fails
	l := &lease{
		s: s.db, id: hex.EncodeToString(id), joined: joined, held: make(map[string]*lock),
		lost: make(chan struct{}), tell: make(chan struct{}, 1),
	}
	if node != "" {
		l.id = node + "-" + l.id
	}
	sent := time.Now()
	err := s.db.attempt(ctx, s.db.patience(1), false, func(ctx context.Context, conn pooled) error {
		sent = time.Now()
		var b pgx.Batch
		b.Queue(`INSERT INTO fado.members (id, node, joined, changes, objects, lease_until)
			VALUES ($1, $2, $3, 0, 0, clock_timestamp() + $4::bigint * interval '1 millisecond')`, l.id, node, joined, s.db.o.Lease.Milliseconds())
		b.Queue("SELECT pg_notify('fado', $1)", noteMembers)
		return conn.SendBatch(ctx, &b).Close()
	})
	if err != nil {
		return nil, err
	}
	l.until = sent.Add(s.db.o.Lease)
	s.db.leases.mu.Lock()
	defer s.db.leases.mu.Unlock()
	if s.db.leases.closed {
		l.end()
		return nil, errClosed
	}
	s.db.leases.current = l
	s.db.wg.Go(l.keep)
	return l, nil
}

// upgrade makes a member of a lease that only held locks; false if it has ended.
func (l *lease) upgrade(ctx context.Context, node string) (bool, error) {
	var n int64
	err := l.s.write(ctx, "joining", func(ctx context.Context, q querier) error {
		tag, err := q.Exec(ctx, "UPDATE fado.members SET node = $2, joined = true WHERE id = $1 AND lease_until > clock_timestamp()", l.id, node)
		n = tag.RowsAffected()
		return err
	})
	if err == nil && n == 1 {
		l.mu.Lock()
		l.joined = true
		l.mu.Unlock()
	}
	return n == 1, err
}

// ID implements state.Member.
func (l *lease) ID() string { return l.id }

// LeaseUntil implements state.Member. It counts from before the renewal was sent, so it
// is before the moment that the database has. (The monotonic clock stands still while a
// whole machine is suspended; one that was has to ask the database first.)
func (l *lease) LeaseUntil() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.until
}

// Lost implements state.Member.
func (l *lease) Lost() <-chan struct{} { return l.lost }

// over says whether the lease has ended.
func (l *lease) over() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended || !time.Now().Before(l.until)
}

// end makes the end of the lease known here.
func (l *lease) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return
	}
	l.ended = true
	for _, k := range l.held {
		if !k.gone {
			k.gone = true
			close(k.lost)
		}
	}
	close(l.lost)
}

// Seen implements state.Member.
func (l *lease) Seen(changes, objects state.Seq) {
	l.mu.Lock()
	l.changes, l.objects = max(l.changes, changes), max(l.objects, objects)
	l.mu.Unlock()
	l.nudge()
}

// nudge sends what is to be told now, and not with the next renewal.
func (l *lease) nudge() {
	select {
	case l.tell <- struct{}{}:
	default:
	}
}

// keep renews the lease until it ends, on a connection of its own: those of the pool may
// all be at work.
func (l *lease) keep() {
	defer l.end()
	var conn *pgx.Conn
	defer func() { closeConn(conn) }()
	every := l.s.o.Lease / 4
	next := time.NewTimer(every)
	defer next.Stop()
	for {
		select {
		case <-l.lost:
			return
		case <-l.s.done.Done():
			return
		case <-l.tell:
		case <-next.C:
		}
		wait := every
		if l.s.frozen.Load() {
			next.Reset(10 * time.Millisecond)
			continue
		}
		gone, err := l.renew(&conn)
		if gone || l.over() {
			return
		}
		if err != nil {
			closeConn(conn)
			conn = nil
			wait = min(every, 100*time.Millisecond)
		}
		next.Reset(wait)
	}
}

// renewal prolongs a lease that has not ended, and carries what the member has seen.
const renewal = `UPDATE fado.members SET lease_until = clock_timestamp() + $2::bigint * interval '1 millisecond',
		changes = greatest(changes, $3), objects = greatest(objects, $4)
	WHERE id = $1 AND lease_until > clock_timestamp()`

// renew sends one sign of life; gone says that the lease has ended.
func (l *lease) renew(conn **pgx.Conn) (gone bool, err error) {
	l.mu.Lock()
	until, seen := l.until, [2]state.Seq{l.changes, l.objects}
	news := seen != l.told
	var loose []string
	for name, k := range l.held {
		if k.swept = k.gone; k.gone {
			loose = append(loose, name)
		}
	}
	l.mu.Unlock()
	ctx, cancel := context.WithDeadline(l.s.done, until)
	defer cancel()
	if *conn == nil {
		if *conn, err = l.s.connect(ctx); err != nil {
			return false, err
		}
	}
	sent := time.Now()
	var b pgx.Batch
	var n int64
	b.Queue(renewal, l.id, l.s.o.Lease.Milliseconds(), int64(seen[0]), int64(seen[1])).Exec(func(tag pgconn.CommandTag) error {
		n = tag.RowsAffected()
		return nil
	})
	if news {
		b.Queue("SELECT pg_notify('fado', $1)", noteSeen)
	}
	if len(loose) > 0 {
		b.Queue("DELETE FROM fado.locks WHERE member = $1 AND name = ANY ($2)", l.id, loose)
		b.Queue("SELECT pg_notify('fado', $1)", noteLocks)
	}
	if err := (*conn).SendBatch(ctx, &b).Close(); err != nil {
		return false, err
	}
	if n == 0 {
		return true, nil
	}
	l.settle(true, loose...)
	if len(loose) > 0 {
		l.s.watch.locks.Wake() // only now can this instance take them
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until, l.told = sent.Add(l.s.o.Lease), seen
	return false, nil
}

// Leave implements state.Member.
func (l *lease) Leave(ctx context.Context) error {
	l.end()
	return l.s.read(ctx, "leaving the other instances", func(ctx context.Context, q querier) error {
		var b pgx.Batch
		queueBurial(&b, "id = $1", l.id)
		return q.SendBatch(ctx, &b).Close()
	})
}

// queueBurial removes members, with their locks, and frees their claims.
func queueBurial(b *pgx.Batch, which string, args ...any) {
	b.Queue(`WITH dead AS (DELETE FROM fado.members WHERE `+which+` RETURNING id)
		UPDATE fado.pending SET claimed_by = '', claim_until = 0
		WHERE claimed_by <> '' AND claimed_by = ANY (ARRAY(SELECT id FROM dead))`, args...)
	b.Queue("SELECT pg_notify('fado', $1)", noteMembers)
}

// leaseEnded is a lease's end by the database's clock. Who removes the row waits for a renewal
// that is under way, and looks at the time again.
const leaseEnded = "lease_until <= clock_timestamp()"

// bury removes members whose leases have ended.
func (s *core) bury(ctx context.Context, q querier) error {
	n, _, err := one[int64](ctx, q, "SELECT count(*) FROM fado.members WHERE "+leaseEnded)
	if err != nil || n == 0 {
		return err
	}
	var b pgx.Batch
	queueBurial(&b, leaseEnded)
	return q.SendBatch(ctx, &b).Close()
}

func (s instances) Members(ctx context.Context) (all []state.MemberInfo, err error) {
	err = s.db.read(ctx, "listing instances", func(ctx context.Context, q querier) (err error) {
		all, err = collect(ctx, q, func(rows pgx.Rows) (m state.MemberInfo, err error) {
			err = rows.Scan(&m.ID, &m.Node, (*int64)(&m.Changes), (*int64)(&m.Objects), &m.LeaseUntil)
			m.LeaseUntil = m.LeaseUntil.UTC()
			return m, err
		}, "SELECT id, node, changes, objects, lease_until FROM fado.members WHERE joined AND lease_until > clock_timestamp() ORDER BY node, id")
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// close leaves, so that others need not wait for the lease, if that takes no time.
func (ls *leases) close() {
	ls.mu.Lock()
	ls.closed = true
	l := ls.current
	ls.mu.Unlock()
	if l == nil {
		return
	}
	wasOver := l.over()
	l.end()
	if wasOver {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = l.s.pool.AcquireFunc(ctx, func(conn pooled) error { // or the lease ends by itself
		var b pgx.Batch
		queueBurial(&b, "id = $1", l.id)
		return conn.SendBatch(ctx, &b).Close()
	})
}

var errLost = errors.New("this instance's lease has ended")
