package storage

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
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
	pingSeconds    = 1
	silenceTimeout = 10 * time.Second
	maxEventLine   = 8 << 20
)

// openListener asks MinIO for the notifications of all buckets.
func (c *Client) openListener(ctx context.Context, dog *watchdog) (*http.Response, error) {
	q := &request{
		name: "listening for events", method: http.MethodGet,
		query: url.Values{
			"events": {"s3:ObjectCreated:*", "s3:ObjectRemoved:*"},
			"ping":   {strconv.Itoa(pingSeconds)}, "prefix": {""}, "suffix": {""},
		},
		dog: dog,
	}
	resp, err := c.send(ctx, q)
	if err != nil {
		return nil, err
	}
	// Any S3 server answers GET / with its buckets, whatever the query says.
	if ct := resp.Header.Get("Content-Type"); !strings.HasPrefix(ct, "text/event-stream") {
		_ = resp.Body.Close()
		return nil, c.fail(q, ErrUnsupported, "no event stream")
	}
	return resp, nil
}

// Listen implements [Storage]. The stream counts as begun at its first byte: a MinIO
// that never flushes accepts the request too.
func (c *Client) Listen(ctx context.Context, ready func(), f func(Event)) error {
	p, err := c.provider(ctx)
	if err != nil {
		return err
	}
	if !p.listener {
		return c.fail(&request{name: "listening for events"}, ErrUnsupported, "%s has no listener", p.name)
	}
	ctx, dog := watch(ctx, c.silence)
	defer dog.stop()
	resp, err := c.openListener(ctx, dog)
	if err == nil {
		defer resp.Body.Close()
		err = c.readEvents(ctx, resp.Body, ready, f)
	}
	if errors.Is(context.Cause(ctx), errStalled) {
		return c.fail(&request{name: "listening for events"}, ErrSilent, "nothing came for %v", c.silence)
	}
	return err
}

// readEvents reads a line per event or ping until the stream ends.
func (c *Client) readEvents(ctx context.Context, body io.Reader, ready func(), f func(Event)) error {
	q := &request{name: "listening for events"}
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 0, bufferSize), maxEventLine)
	began := false
	for lines.Scan() {
		if !began {
			began = true
			ready()
		}
		var msg struct{ Records []eventRecord }
		if err := json.Unmarshal(lines.Bytes(), &msg); err != nil {
			return c.fail(q, ErrUnavailable, "the stream is not MinIO's: %s", shorten(err.Error()))
		}
		for i := range msg.Records {
			if e, ok := c.event(&msg.Records[i]); ok {
				f(e)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return c.transportError(ctx, q, err)
	}
	if ctx.Err() != nil {
		return c.transportError(ctx, q, ctx.Err())
	}
	return c.fail(q, ErrUnavailable, "the storage ended the stream")
}

// eventRecord is one record of an S3 event notification, as far as it is used.
type eventRecord struct {
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

// event translates a record; false for buckets that are not below our prefix.
func (c *Client) event(r *eventRecord) (Event, bool) {
	bucket, ok := strings.CutPrefix(r.S3.Bucket.Name, c.cfg.BucketPrefix)
	if !ok || bucket == "" || r.S3.Object.Key == "" {
		return Event{}, false
	}
	return Event{
		Bucket: bucket, Key: r.S3.Object.Key, Size: r.S3.Object.Size,
		Removed:   strings.Contains(r.EventName, "ObjectRemoved:"),
		VersionID: r.S3.Object.VersionID, ETag: trimETag(r.S3.Object.ETag),
		Time: r.time(),
	}, true
}

// time is the object's modification time, which MinIO gives as the sequencer in
// nanoseconds; else the event's.
func (r *eventRecord) time() time.Time {
	t, _ := time.Parse(time.RFC3339Nano, r.EventTime)
	if ns, err := strconv.ParseInt(r.S3.Object.Sequencer, 16, 64); err == nil {
		if m := time.Unix(0, ns).UTC(); t.IsZero() || (m.Year() > 1970 && m.Year() < 2200) {
			return m
		}
	}
	return t.UTC()
}
