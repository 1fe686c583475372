package events

import (
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
)

// Event is the data of one event of GET /fado/events. Empty fields are left out.
type Event struct {
	Type    control.EventType `json:"type"`              // what happened
	Time    time.Time         `json:"time"`              // when
	Op      string            `json:"op,omitempty"`      // created, changed, deleted; copied, removed, failed
	Kind    string            `json:"kind,omitempty"`    // of the resource: zone, cluster, policy, bucket, key
	Name    string            `json:"name,omitempty"`    // of the resource
	Bucket  string            `json:"bucket,omitempty"`  // the bucket
	Prefix  string            `json:"prefix,omitempty"`  // of the copy's rule
	Key     string            `json:"key,omitempty"`     // the object's key
	Cluster string            `json:"cluster,omitempty"` // where it happened; of a primary that moved, where to
	From    string            `json:"from,omitempty"`    // where an object was read, or a primary moved from
	URL     string            `json:"url,omitempty"`     // of the function endpoint
	State   string            `json:"state,omitempty"`   // the state from now on
	Reason  string            `json:"reason,omitempty"`  // why
	Bytes   int64             `json:"bytes,omitempty"`   // bytes of the object, or compared so far
	// Elsewhere: it happened on another instance, which emits the event, too.
	Elsewhere bool  `json:"elsewhere,omitempty"`
	Objects   int64 `json:"objects,omitempty"` // objects compared so far, or left
	Total     int64 `json:"total,omitempty"`   // objects to compare in all
}

// AboutBucket says whether an event is about a bucket.
func AboutBucket(e *control.Event, bucket string) bool {
	return e.Bucket == bucket || e.Kind == string(catalog.KindBucket) && e.Name == bucket
}

// Types are the types of events.
func Types() []string {
	types := make([]string, len(control.EventTypes))
	for i, t := range control.EventTypes {
		types[i] = string(t)
	}
	return types
}
