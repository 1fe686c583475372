package postgres

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"

	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
)

// pollEvery is how long a lost notification can go unnoticed.
const pollEvery = time.Second

// What notifications say. Their text only tells whom to wake, never what is true.
const (
	noteSeen    = "seen"    // a member has seen changes
	noteMembers = "members" // members came or went
	noteLocks   = "locks"   // a lock was given back
	noteReports = "reports" // a report was put
)

// watchers are the channels of Watch, and those who wait for news of the members.
type watchers struct {
	stored.Watchers
	locks, reports stored.Watchers           // of News
	latest         atomic.Pointer[heardWhen] // what the last poll found
	deaf           atomic.Bool               // for tests: notifications are lost

	mu      sync.Mutex
	members chan struct{} // closed at the next news
}

// Watch implements state.ChangeLog. The channel also closes with the store.
func (s changeLog) Watch(ctx context.Context) <-chan struct{} { return s.db.watch.Add(ctx) }

func (s instances) News(ctx context.Context, of state.NewsKind) <-chan struct{} {
	if of == state.NewsReports {
		return s.db.watch.reports.Add(ctx)
	}
	return s.db.watch.locks.Add(ctx)
}

// wakePeers tells those who wait for what other instances do.
func (ws *watchers) wakePeers() {
	ws.locks.Wake()
	ws.reports.Wake()
}

// Close closes all channels.
func (ws *watchers) Close() {
	ws.Watchers.Close()
	ws.locks.Close()
	ws.reports.Close()
}

// news returns what closes at the next news of the members.
func (ws *watchers) news() <-chan struct{} {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.members == nil {
		ws.members = make(chan struct{})
	}
	return ws.members
}

func (ws *watchers) wakeNews() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.members != nil {
		close(ws.members)
		ws.members = nil
	}
}

// listener hears of what other instances commit.
type listener struct{ db *core }

// listen keeps a connection that hears of what others do, and comes back after it broke.
func (s listener) listen() {
	var last heard
	pause := backoffs()
	for s.db.done.Err() == nil {
		began := time.Now()
		err := s.listenOnce(&last)
		if time.Since(began) > pollEvery { // it listened
			pause.Reset()
		}
		if s.db.done.Err() != nil {
			return
		}
		s.db.log.Debug("lost the connection for notifications; will reconnect", zap.Error(s.db.wrap(s.db.done, "listening", err)))
		select {
		case <-time.After(pause.NextBackOff()):
		case <-s.db.done.Done():
		}
	}
}

func (s listener) listenOnce(last *heard) error {
	if err := schema(s).ready(s.db.done); err != nil {
		return err
	}
	conn, err := s.db.connect(s.db.done)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	if _, err := conn.Exec(s.db.done, "LISTEN fado"); err != nil {
		return err
	}
	s.db.watch.wakePeers() // their news may have come while there was no listener
	for {
		// Changes from before the subscription are found by their numbers.
		if err := s.poll(conn, last); err != nil {
			return err
		}
		if err := s.hear(conn); err != nil {
			return err
		}
	}
}

// hear passes notifications on until it is time to look for lost ones.
func (s listener) hear(conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(s.db.done, pollEvery)
	defer cancel()
	for {
		note, err := conn.WaitForNotification(ctx)
		switch {
		case err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) && !conn.IsClosed():
			return nil
		case err != nil:
			return err
		case s.db.watch.deaf.Load():
		case note.Payload == noteSeen:
			s.db.watch.wakeNews()
		case note.Payload == noteLocks:
			s.db.watch.locks.Wake()
		case note.Payload == noteReports:
			s.db.watch.reports.Wake()
		case note.Payload == noteMembers:
			s.db.watch.wakeNews()
			s.db.watch.wakePeers()
			s.db.watch.Wake()
		default:
			s.db.watch.Wake()
		}
	}
}

// heard are the numbers that tell that something happened.
type heard struct{ seq, objects, news int64 }

// heardWhen is what was heard at a moment.
type heardWhen struct {
	heard
	at time.Time
}

func (s instances) Latest(ctx context.Context) (changes, objects state.Seq, err error) {
	if l := s.db.watch.latest.Load(); l != nil && time.Since(l.at) < 2*pollEvery {
		return state.Seq(l.seq), state.Seq(l.objects), nil
	}
	if changes, err = changeLog(s).Seq(ctx); err == nil {
		objects, err = s.ObjectSeq(ctx)
	}
	return changes, objects, err
}

// poll looks for what notifications missed, and for instances that are gone, in one
// statement: it is what an idle instance costs, beside its lease.
func (s listener) poll(conn *pgx.Conn, last *heard) error {
	ctx, cancel := context.WithTimeout(s.db.done, s.db.o.ConnectTimeout)
	defer cancel()
	var now heard
	var ended bool
	began := time.Now()
	err := conn.QueryRow(ctx, `SELECT seq, greatest(objects_trimmed, (SELECT max(seq) FROM fado.object_changes)),
		(SELECT version FROM fado.news),
		EXISTS (SELECT FROM fado.members WHERE `+leaseEnded+`) FROM fado.counters`).Scan(&now.seq, &now.objects, &now.news, &ended)
	if err != nil {
		return err
	}
	s.db.watch.latest.Store(&heardWhen{now, began})
	if now != *last {
		*last = now
		s.db.watch.Wake()
	}
	if ended && !s.db.frozen.Load() {
		return s.db.bury(ctx, conn)
	}
	return nil
}
