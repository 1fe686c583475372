package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fado-project/fado/admin/internal/request"
	"github.com/fado-project/fado/control"
)

// missedView is the data of the event "missed": the watcher should read again what it
// is interested in.
type missedView struct {
	// Events is how many were left out, 0 if that is not known.
	Events int    `json:"events"`
	Reason string `json:"reason"` // why they were left out
}

// stream is one watcher's connection.
type stream struct {
	w  http.ResponseWriter
	rc *http.ResponseController
	id int
	// bucket is the one whose events are wanted, "" for all.
	bucket string
}

// watched returns the types of events that a watcher asks for; none for all.
func watched(q *request.Request) (types []control.EventType, err error) {
	for _, name := range q.R.URL.Query()["type"] {
		t := control.EventType(name)
		if !slices.Contains(control.EventTypes, t) {
			return nil, request.Bad("query parameter \"type\": %q: expected one of %s", name, strings.Join(Types(), ", "))
		}
		types = append(types, t)
	}
	return types, nil
}

// Serve streams what happens, as server-sent events, until the client goes or the
// configuration ends, which closes ended. A stream can't be resumed: a client that reconnects is told that
// it may have missed events.
func (s *Streams) Serve(q *request.Request, bus *control.Bus, ended <-chan struct{}) error {
	which, err := watched(q)
	if err != nil {
		return err
	}
	if q.R.Method != http.MethodHead {
		if err := s.enter(); err != nil {
			return err
		}
		defer s.leave()
	}
	to := &stream{w: q.W, rc: http.NewResponseController(q.W), bucket: q.Query("bucket")}
	sub := bus.Subscribe(eventRoom, which...)
	defer sub.Close()
	h := q.W.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	if q.R.Method == http.MethodHead {
		return nil
	}
	// Whatever ends the stream from here on, the answer has begun: there is no error
	// left to give.
	_ = to.run(q, s, sub, ended)
	_ = to.rc.SetWriteDeadline(time.Time{})
	return nil
}

// run writes events until the client has gone.
func (s *stream) run(q *request.Request, all *Streams, sub *control.Subscription, ended <-chan struct{}) error {
	if err := s.write(": the events of FaDO\nretry: 2000\n\n"); err != nil {
		return err
	}
	if q.R.Header.Get("Last-Event-ID") != "" {
		if err := s.missed(missedView{Reason: "reconnected"}); err != nil {
			return err
		}
	}
	beat := time.NewTicker(all.Heartbeat)
	defer beat.Stop()
	for {
		var err error
		select {
		case <-q.R.Context().Done():
			return q.R.Context().Err()
		case <-ended:
			return nil
		case e := <-sub.C:
			if s.bucket != "" && !AboutBucket(&e, s.bucket) {
				break
			}
			var data []byte
			if data, err = all.json(e); err == nil {
				err = s.send(string(e.Type), data)
			}
		case <-beat.C:
			err = s.write(":\n\n")
		}
		if n := sub.Missed(); n > 0 && err == nil {
			err = s.missed(missedView{Events: n, Reason: "lagged behind"})
		}
		if err != nil {
			return err
		}
	}
}

// missed tells that events were left out.
func (s *stream) missed(v missedView) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding an event: %w", err)
	}
	return s.send("missed", data)
}

// send writes one event.
func (s *stream) send(event string, data []byte) error {
	s.id++
	return s.write(fmt.Sprintf("id: %d\nevent: %s\ndata: %s\n\n", s.id, strings.TrimSpace(event), data))
}

func (s *stream) write(text string) error {
	if err := s.rc.SetWriteDeadline(time.Now().Add(eventWrite)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := s.w.Write([]byte(text)); err != nil {
		return err
	}
	return s.rc.Flush()
}
