package eventhook

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/fado-project/fado/replication"
)

// maxKey is the longest key S3 allows, in bytes.
const maxKey = 1024

// errShape names all that is understood.
var errShape = errors.New(`expected an S3 event ({"Records":[{"s3":{"bucket":{"name"},"object":{"key"}}}]}), ` +
	`an EventBridge event ({"detail":{"bucket":{"name"},"object":{"key"}}}), or an SNS notification or a CloudEvent that carries one of them`)

// parse reads the hints out of a notification; none for a test event. The error says
// what was expected. The whole body counts: one bad event refuses all, so that a sender
// never takes part of a batch for noted.
func parse(h http.Header, body []byte) ([]replication.Hint, error) {
	media, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	if media == "application/cloudevents-batch+json" {
		return parseBatch(body)
	}
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return nil, fmt.Errorf("the body is empty: %w", errShape)
	}
	if media == "application/cloudevents+json" {
		return parseCloudEvent(body)
	}
	if h.Get("Ce-Specversion") != "" {
		// Binary mode: the attributes are headers, the body is the data.
		return parseEvent(body)
	}
	return parseAny(body)
}

// parseAny reads a body whose content type tells nothing: what it is shows in it.
func parseAny(body []byte) ([]replication.Hint, error) {
	if body[0] == '[' {
		return parseBatch(body)
	}
	e, err := decode(body)
	if e.SpecVersion != "" {
		return e.cloudEvent()
	}
	return e.hints(err)
}

// parseBatch reads the CloudEvents JSON batch format.
func parseBatch(body []byte) ([]replication.Hint, error) {
	var events []json.RawMessage
	if err := json.Unmarshal(body, &events); err != nil {
		return nil, fmt.Errorf("a batch of CloudEvents: %w: expected a JSON array", err)
	}
	if events == nil {
		return nil, errors.New("a batch of CloudEvents: expected a JSON array, not null")
	}
	var hints []replication.Hint
	for i, e := range events {
		more, err := parseCloudEvent(e)
		if err != nil {
			return nil, fmt.Errorf("event %d of the batch: %w", i, err)
		}
		hints = append(hints, more...)
	}
	return hints, nil
}

// parseCloudEvent reads a CloudEvent in the JSON format (structured mode).
func parseCloudEvent(body []byte) ([]replication.Hint, error) {
	e, err := decode(body)
	if err != nil && e.SpecVersion == "" {
		return nil, fmt.Errorf("a CloudEvent: %w: expected a JSON object", err)
	}
	if e.SpecVersion == "" {
		return nil, errors.New("a CloudEvent without specversion: expected {\"specversion\":\"1.0\",…,\"data\":{…}}")
	}
	return e.cloudEvent()
}

// cloudEvent reads the event that a CloudEvent carries.
func (e *event) cloudEvent() ([]replication.Hint, error) {
	data := []byte(e.Data)
	if e.Base64 != "" {
		var err error
		if data, err = base64.StdEncoding.DecodeString(e.Base64); err != nil {
			return nil, fmt.Errorf("a CloudEvent's data_base64: %w", err)
		}
	}
	// Some bridges put the JSON into a string.
	if len(data) > 0 && data[0] == '"' {
		var text string
		if json.Unmarshal(data, &text) == nil && text != "" {
			data = []byte(text)
		}
	}
	if len(data) == 0 {
		return nil, fmt.Errorf("a CloudEvent without data: %w", errShape)
	}
	return parseEvent(data)
}

// event is every shape of an event at once, so that a body is read once: the S3 envelope,
// MinIO's, a single S3 record, EventBridge's envelope and its detail, and the CloudEvent
// around any of them.
type event struct {
	SpecVersion string          `json:"specversion"`
	Data        json.RawMessage `json:"data"`
	Base64      string          `json:"data_base64"`

	Event string `json:"Event"` // S3's test event

	Records []record `json:"Records"`

	Key string `json:"Key"` // MinIO: bucket/key

	S3 *entity `json:"s3"`

	Detail *entity `json:"detail"`
	entity

	// SNS: the event is a string.
	Type         string `json:"Type"`
	Message      string `json:"Message"`
	SubscribeURL string `json:"SubscribeURL"`
}

type record struct {
	S3 *entity `json:"s3"`
}

// entity names one object.
type entity struct {
	Bucket struct {
		Name string `json:"name"`
	} `json:"bucket"`
	Object struct {
		Key  string          `json:"key"`
		Size json.RawMessage `json:"size"` // a number, or a string of one: senders differ
	} `json:"object"`
}

// testEvent is what S3 sends when notifications are set up.
const testEvent = "s3:TestEvent"

// parseEvent reads one event that is not wrapped.
func parseEvent(body []byte) ([]replication.Hint, error) {
	e, err := decode(body)
	return e.hints(err)
}

// decode reads a body as every shape. Where a member is of another type than in the shapes
// known, the error says so, and the others are read.
func decode(body []byte) (*event, error) {
	e := new(event)
	return e, json.Unmarshal(body, e)
}

// hints reads an event that is not wrapped, or is no more; err is what decoding it gave.
func (e *event) hints(err error) ([]replication.Hint, error) {
	if e.Event == testEvent { // its "Bucket" is a string, which the other shapes don't have
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, errShape)
	}
	switch {
	case e.Type == "Notification" && e.Message != "":
		return parseMessage([]byte(e.Message))
	case e.Type == "SubscriptionConfirmation":
		return nil, fmt.Errorf("SNS asks for its subscription to be confirmed: open %s", e.SubscribeURL)
	case e.Records != nil:
		return parseRecords(e.Records)
	case e.S3 != nil:
		return parseRecords([]record{{e.S3}})
	case e.Detail != nil:
		return one(e.Detail.hint(e.Detail.Object.Key))
	case e.Bucket.Name != "" || e.Object.Key != "":
		return one(e.hint(e.Object.Key))
	case e.Key != "":
		bucket, key, _ := strings.Cut(e.Key, "/")
		e.Bucket.Name = bucket
		return one(e.hint(key))
	default:
		return nil, errShape
	}
}

// parseMessage reads the event in an SNS notification, which carries no other.
func parseMessage(body []byte) ([]replication.Hint, error) {
	var inner struct {
		Type string `json:"Type"`
	}
	if json.Unmarshal(body, &inner) == nil && inner.Type != "" {
		return nil, errShape
	}
	return parseEvent(body)
}

func parseRecords(records []record) ([]replication.Hint, error) {
	hints := make([]replication.Hint, 0, len(records))
	for i, r := range records {
		if r.S3 == nil {
			return nil, fmt.Errorf("record %d has no s3: %w", i, errShape)
		}
		names := readings(r.S3.Object.Key)
		h, err := r.S3.hint(names[0])
		if err != nil {
			return nil, fmt.Errorf("record %d: %w", i, err)
		}
		for _, name := range names[1:] {
			if other, err := r.S3.hint(name); err == nil {
				h.Or = append(h.Or, other.Key)
			}
		}
		hints = append(hints, h)
	}
	return hints, nil
}

// readings are the names that a key in an S3 event record may stand for: first that by the
// encoding of S3, which is that of forms, with + for a space; then that of paths, with + for
// itself; and what it is as it stands, because versitygw, for one, does not encode. What is not UTF-8 is
// no name. EventBridge does not encode.
//
// Invariant: what changed is among the keys that are noted, no matter who sent it. A key too many
// costs a look at the storages; one too few is a change that nobody hears of.
func readings(key string) (names []string) {
	for _, decode := range []func(string) (string, error){url.QueryUnescape, url.PathUnescape} {
		if name, err := decode(key); err == nil && utf8.ValidString(name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if !slices.Contains(names, key) {
		names = append(names, key)
	}
	return names
}

// hint names the object, whose key is given as it is in the bucket.
func (e *entity) hint(key string) (replication.Hint, error) {
	switch {
	case e.Bucket.Name == "":
		return replication.Hint{}, fmt.Errorf("bucket.name is missing: %w", errShape)
	case key == "":
		return replication.Hint{}, fmt.Errorf("object.key is missing: %w", errShape)
	case len(key) > maxKey:
		return replication.Hint{}, fmt.Errorf("object.key has %d bytes: expected at most %d", len(key), maxKey)
	case !utf8.ValidString(key):
		return replication.Hint{}, errors.New("object.key is not UTF-8")
	}
	size, err := sizeOf(e.Object.Size)
	if err != nil {
		return replication.Hint{}, err
	}
	return replication.Hint{Physical: e.Bucket.Name, Key: key, Size: size}, nil
}

// sizeOf reads an object's size; what is not given, or negative, counts as nothing.
func sizeOf(raw json.RawMessage) (int64, error) {
	text := string(raw)
	if len(raw) > 0 && raw[0] == '"' {
		if err := json.Unmarshal(raw, &text); err != nil {
			return 0, fmt.Errorf("object.size: %w", err)
		}
	}
	if text == "" || text == "null" {
		return 0, nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return max(0, n), nil
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil && f == math.Trunc(f) && math.Abs(f) < 1<<53 { // 1e3, 5.0
		return max(0, int64(f)), nil
	}
	return 0, fmt.Errorf("object.size is %.40s: expected the bytes of the object, as a number or as a string of one", raw)
}

func one(h replication.Hint, err error) ([]replication.Hint, error) {
	if err != nil {
		return nil, err
	}
	return []replication.Hint{h}, nil
}
