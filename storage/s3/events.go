package s3

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// MinIO sends a listener's first byte with the first ping or event, so pings are
	// frequent; silence is told by many of them missing, so that a server that is
	// merely busy is not taken for a mute one.
	pingSeconds  = 1
	maxEventLine = 8 << 20
)

// Listening asks MinIO for the notifications of all buckets.
func Listening(dog *Watchdog) *Request {
	return &Request{
		Name: "listening for events", Method: http.MethodGet,
		Query: url.Values{
			"events": {"s3:ObjectCreated:*", "s3:ObjectRemoved:*"},
			"ping":   {strconv.Itoa(pingSeconds)}, "prefix": {""}, "suffix": {""},
		},
		Limit: Unlimited, Dog: dog,
	}
}

// An EventStream is MinIO's stream of the notifications of all buckets.
type EventStream struct {
	c    *Client
	ctx  context.Context
	q    *Request
	resp *http.Response
}

// Events opens the stream. ErrUnsupported from a server that has none: any S3 server
// answers GET / with its buckets, whatever the query says.
func (c *Client) Events(ctx context.Context, dog *Watchdog) (*EventStream, error) {
	q := Listening(dog)
	resp, err := c.Send(ctx, q)
	if err != nil {
		return nil, err
	}
	if ct := resp.Header.Get("Content-Type"); !strings.HasPrefix(ct, "text/event-stream") {
		_ = resp.Body.Close()
		return nil, c.at.fail(q, ErrUnsupported, "no event stream")
	}
	return &EventStream{c: c, ctx: ctx, q: q, resp: resp}, nil
}

// Close ends the stream.
func (s *EventStream) Close() { _ = s.resp.Body.Close() }

// Alive waits for the stream's first byte, and takes it.
func (s *EventStream) Alive() error {
	_, err := s.resp.Body.Read(make([]byte, 1))
	return err
}

// Read calls f with every record until the stream ends, and ready at the first line, which
// may be a ping.
func (s *EventStream) Read(ready func(), f func(*EventRecord)) error {
	lines := bufio.NewScanner(s.resp.Body)
	lines.Buffer(make([]byte, 0, bufferSize), maxEventLine)
	began := false
	for lines.Scan() {
		if !began {
			began = true
			ready()
		}
		records, err := parseEvents(lines.Bytes())
		if err != nil {
			return s.c.at.fail(s.q, ErrUnavailable, "the stream is not MinIO's: %s", s.c.at.clean(err.Error()))
		}
		for i := range records {
			f(&records[i])
		}
	}
	if err := lines.Err(); err != nil {
		return s.c.at.transportError(s.ctx, s.q, err)
	}
	if s.ctx.Err() != nil {
		return s.c.at.transportError(s.ctx, s.q, s.ctx.Err())
	}
	return s.c.at.fail(s.q, ErrUnavailable, "the storage ended the stream")
}

// parseEvents reads a line of the stream: events, or a ping, which has none.
func parseEvents(line []byte) ([]EventRecord, error) {
	var msg struct{ Records []EventRecord }
	err := json.Unmarshal(line, &msg)
	return msg.Records, err
}

// EventRecord is one record of an S3 event notification, as far as it is used.
type EventRecord struct {
	EventName string `json:"eventName"`
	EventTime string `json:"eventTime"`
	S3        struct {
		Bucket struct {
			Name string `json:"name"`
		} `json:"bucket"`
		Object struct {
			Key       string `json:"key"`
			Size      int64  `json:"size"`
			ETag      string `json:"eTag"`
			VersionID string `json:"versionId"`
			Sequencer string `json:"sequencer"`
		} `json:"object"`
	} `json:"s3"`
}

// Removed reports whether the record is of an object that is gone.
func (r *EventRecord) Removed() bool { return strings.Contains(r.EventName, "ObjectRemoved:") }

// RemovedVersion reports whether the record is of a version that was removed for good, by its ID if it
// has one.
func (r *EventRecord) RemovedVersion() bool {
	return strings.HasSuffix(r.EventName, "ObjectRemoved:Delete")
}

// Time is the object's modification time, which MinIO gives as the sequencer in
// nanoseconds; else the event's. Other servers' sequencers are no times: read as one, they
// lie long before or after the event.
func (r *EventRecord) Time() time.Time {
	t, _ := time.Parse(time.RFC3339Nano, r.EventTime)
	if ns, err := strconv.ParseInt(r.S3.Object.Sequencer, 16, 64); err == nil {
		if m := time.Unix(0, ns).UTC(); t.IsZero() || (m.Year() > 1970 && m.Before(t.AddDate(0, 0, 1))) {
			return m
		}
	}
	return t.UTC()
}
