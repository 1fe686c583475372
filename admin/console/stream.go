package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/fado-project/fado/admin"
	"github.com/fado-project/fado/control"
)

const (
	// streamEvery is the least time between two frames: a tab redraws no more often.
	streamEvery = 500 * time.Millisecond
	// streamSoon is how long a change that comes alone waits for what goes with it.
	streamSoon = 30 * time.Millisecond
	// beatEvery is how often a stream says that it lives; it looks then whether the caller
	// still may.
	beatEvery = 5 * time.Second
	// streamRoom is how many events a stream may lag behind.
	streamRoom = 1024
	// maxNamed bounds the buckets that a frame names.
	maxNamed = 100
	// streamWrite bounds one write to a browser that does not read.
	streamWrite = 30 * time.Second
)

// changeView sums up what changed since the last frame.
type changeView struct {
	// Kinds of what changed: resource, copy, transfer, storage, function and so on.
	Kinds []control.EventType `json:"kinds"`
	// Buckets that it was about, a hundred at most.
	Buckets []string `json:"buckets"`
	// Missed: there was more.
	Missed bool `json:"missed"`
}

// beatView says that the stream lives.
type beatView struct {
	Time    time.Time `json:"time"`
	Version string    `json:"version"`
}

// streams tell browsers what changed.
type streams struct {
	app   func() (App, error)
	now   func() time.Time
	rooms *rooms
	// still says whether the caller of a stream may go on.
	still func(*http.Request) error
	// ended closes when the configuration that has these streams stops running; nil for never.
	ended <-chan struct{}
}

// serve tells a browser what changed, summed up, so that it knows what to read again.
func (ss *streams) serve(w http.ResponseWriter, r *http.Request, c *caller) {
	about, err := topicsOf(r.URL.Query()["topics"])
	if err != nil {
		admin.WriteError(w, http.StatusBadRequest, err.Error())
		return
	}
	app, err := ss.app()
	if err != nil || app.Control() == nil {
		admin.WriteError(w, http.StatusServiceUnavailable, "the fado app is starting")
		return
	}
	leave, ok := ss.enter(w, c)
	if !ok {
		return
	}
	defer leave()
	sub := app.Control().Events().Subscribe(streamRoom)
	defer sub.Close()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	s := &frames{w: w, rc: http.NewResponseController(w), version: app.Version(), about: about}
	_ = ss.follow(r, s, sub) // the answer has begun: there is no error left to give
	_ = s.rc.SetWriteDeadline(time.Time{})
}

// enter takes a place for a stream of a caller, which leave gives back; where there is none, the
// request is answered.
func (ss *streams) enter(w http.ResponseWriter, c *caller) (leave func(), ok bool) {
	who := c.How + " " + c.Name + " " + c.ID
	if !ss.rooms.enter(who) {
		admin.WriteError(w, http.StatusServiceUnavailable, "too many streams: close a tab")
		return nil, false
	}
	return func() { ss.rooms.leave(who) }, true
}

// hold has tell answer with a stream of its own, whose request ends when the caller may no longer.
func (ss *streams) hold(w http.ResponseWriter, r *http.Request, c *caller, tell func(*http.Request)) {
	leave, ok := ss.enter(w, c)
	if !ok {
		return
	}
	defer leave()
	var looks sync.WaitGroup
	defer looks.Wait()
	ctx, end := context.WithCancel(r.Context())
	defer end()
	looks.Go(func() {
		defer end()
		beat := time.NewTicker(beatEvery)
		defer beat.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-beat.C:
				if ss.still(r) != nil {
					return
				}
			}
		}
	})
	tell(r.WithContext(ctx))
}

// follow writes frames until the browser leaves or may no longer.
func (ss *streams) follow(r *http.Request, s *frames, sub *control.Subscription) error {
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	var (
		due  <-chan time.Time // when what was noted is sent; nil while there is nothing
		last time.Time
	)
	if err := s.beat(ss.now()); err != nil {
		return err
	}
	for {
		var err error
		select {
		case <-r.Context().Done():
			return r.Context().Err()
		case <-ss.ended: // the browser asks the next configuration
			return nil
		case e, ok := <-sub.C:
			if !ok {
				return nil
			}
			if s.note(e) && due == nil {
				due = time.After(max(streamSoon, streamEvery-time.Since(last)))
			}
		case <-due:
			due, last = nil, time.Now()
			err = s.flush(sub.Missed() > 0)
		case <-beat.C:
			if err = ss.still(r); err == nil {
				err = s.beat(ss.now())
			}
			if err == nil && due == nil { // what was missed is told also where nothing of its topics came since
				err = s.flush(sub.Missed() > 0)
			}
		}
		if err != nil {
			return err
		}
	}
}

// frames is one stream.
type frames struct {
	w       http.ResponseWriter
	rc      *http.ResponseController
	version string
	about   topics
	next    changeView
}

// note adds an event to the next frame; false where the stream does not tell of it.
func (s *frames) note(e control.Event) bool {
	if !s.about.has(e) {
		return false
	}
	s.next.Kinds = added(s.next.Kinds, e.Type)
	bucket := e.Bucket
	if bucket == "" && e.Kind == "bucket" {
		bucket = e.Name
	}
	switch {
	case bucket == "":
	case len(s.next.Buckets) < maxNamed:
		s.next.Buckets = added(s.next.Buckets, bucket)
	default:
		s.next.Missed = true
	}
	return true
}

// added is a list with an item, once.
func added[T comparable](list []T, item T) []T {
	if slices.Contains(list, item) {
		return list
	}
	return append(list, item)
}

// flush writes what was noted, if anything was.
func (s *frames) flush(missed bool) error {
	if len(s.next.Kinds) == 0 && !missed {
		return nil
	}
	s.next.Missed = s.next.Missed || missed
	if s.next.Kinds == nil {
		s.next.Kinds = []control.EventType{}
	}
	if s.next.Buckets == nil {
		s.next.Buckets = []string{}
	}
	err := s.send("change", s.next)
	s.next = changeView{}
	return err
}

func (s *frames) beat(now time.Time) error {
	return s.send("beat", beatView{Time: now.UTC(), Version: s.version})
}

func (s *frames) send(event string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_ = s.rc.SetWriteDeadline(time.Now().Add(streamWrite)) // where it can be bounded
	if _, err := fmt.Fprintf(s.w, "event: %s\ndata: %s\n\n", event, data); err != nil {
		return err
	}
	return s.rc.Flush()
}
