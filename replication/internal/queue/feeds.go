package queue

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/storage"
)

// Feeds keeps a listener running on every storage that has one.
type Feeds struct {
	sites  *site.Sites
	intake *Intake
	log    *zap.Logger
	shared func() bool
	off    func() bool
	// leading runs f for as long as this instance holds a lock of the store.
	leading func(ctx context.Context, lock string, f func(context.Context))
	gaps    Gaps
	now     func() time.Time
}

func newFeeds(o Options, n *Intake) *Feeds {
	return &Feeds{
		sites: o.Sites, intake: n, log: o.Log, shared: o.Shared, off: o.NoEventFeed,
		leading: o.Leading, gaps: o.Gaps, now: o.Now,
	}
}

// reconcileEvery is the time between checks of the declared storages; a storage that is
// declared otherwise gets its listener after as long.
const reconcileEvery = 100 * time.Millisecond

type running struct {
	site *site.Site
	stop func()
}

// Run listens until ctx ends.
func (f *Feeds) Run(ctx context.Context) {
	all := make(map[string]running)
	defer func() {
		for _, l := range all {
			l.stop()
		}
	}()
	for {
		f.reconcile(ctx, all)
		if !delay.Sleep(ctx, reconcileEvery) {
			return
		}
	}
}

func (f *Feeds) reconcile(ctx context.Context, all map[string]running) {
	for _, name := range f.sites.Declared() {
		s := f.sites.Get(name)
		if l, ok := all[name]; ok && l.site == s {
			continue
		} else if ok {
			l.stop()
			delete(all, name)
		}
		if s != nil && s.Opened() {
			all[name] = running{s, f.listener(ctx, s)}
		}
	}
	for name, l := range all {
		if f.sites.Get(name) != l.site {
			l.stop()
			delete(all, name)
		}
	}
}

// listener starts listening to a site; stop ends it and waits.
func (f *Feeds) listener(ctx context.Context, s *site.Site) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.leading(ctx, "replication/listen/"+s.Name(), func(ctx context.Context) {
			s.Feed.Silent(site.SilentStarting)
			f.gaps.Open(s.Name()) // who listened before has left one
			s.Feed.Own.Store(true)
			defer s.Feed.Own.Store(false)
			f.listen(ctx, s)
		})
	}()
	return func() { cancel(); <-done }
}

// How long to wait before listening again.
const (
	relistenMin         = 200 * time.Millisecond
	relistenMax         = 30 * time.Second
	relistenSilent      = 5 * time.Second
	relistenUnsupported = 10 * time.Minute

	// upEvery is the time between checks whether a storage is up again.
	upEvery = 100 * time.Millisecond
	// downPatience is how long an instance holds the listener lock of a storage that it
	// can't reach.
	downPatience = 5 * time.Second
)

// listen follows a storage's events for as long as ctx lasts. What happens while it does
// not listen is found by the scan that every new beginning asks for.
func (f *Feeds) listen(ctx context.Context, s *site.Site) {
	defer s.Feed.Silent(site.SilentUnknown) // who listens next opens the gap
	if f.off() {
		s.Feed.Silent(site.SilentOff)
		f.gaps.Drop(s.Name())
		<-ctx.Done()
		return
	}
	wait := relistenMin
	down := f.now()
	for ctx.Err() == nil {
		if !s.Up() {
			s.Feed.Silent(site.SilentDown)
			if f.shared() && f.now().Sub(down) > downPatience {
				return // another instance may reach it
			}
			delay.Sleep(ctx, upEvery)
			continue
		}
		s.Feed.Replace(site.SilentDown, site.SilentStarting)
		began := false
		err := s.Reader().Listen(ctx, func() {
			began = true
			f.begun(s)
		}, func(ev storage.Event) { f.intake.Take(ctx, Event{Cluster: s.Name(), Event: ev}) })
		if ctx.Err() != nil {
			return
		}
		wait = f.ended(s, err, wait, began)
		delay.Sleep(ctx, delay.Jitter(wait))
		down = f.now()
	}
}

func (f *Feeds) begun(s *site.Site) {
	if s.Feed.Set() {
		f.log.Info("listening for changes", zap.String("cluster", s.Name()))
		f.gaps.Close(s.Name())
	}
}

// ended notes why a listener ended, and returns how long to wait.
func (f *Feeds) ended(s *site.Site, err error, wait time.Duration, began bool) time.Duration {
	why := "the listener ended"
	if err != nil {
		why = err.Error()
	}
	switch {
	case errors.Is(err, storage.ErrUnsupported):
		s.Feed.Silent(site.SilentNoFeed)
		f.gaps.Drop(s.Name())
		return relistenUnsupported
	case errors.Is(err, storage.ErrSilent):
		why = "the listener is silent"
		wait = max(wait, relistenSilent)
	case began:
		wait = relistenMin
	}
	if s.Feed.SilentFor(why) {
		f.gaps.Open(s.Name())
		f.log.Warn("not listening for changes; scanning until the listener is back", zap.String("cluster", s.Name()), zap.String("reason", why))
	}
	return min(2*wait, relistenMax)
}
