package peers

import (
	"encoding/json"
	"time"

	"github.com/fado-project/fado/control"
)

// peerReport is what an instance publishes for the others.
type peerReport struct {
	Member string `json:"member"`
	// Turn counts the slots that the member has had. It may leave reports in former ones.
	Turn int64 `json:"turn"`
	// Version of its program.
	Version string `json:"version,omitempty"`
	// Cluster that it is in, "" where nobody says.
	Cluster string `json:"cluster,omitempty"`
	// Parts is how many parts of the work it has.
	Parts int `json:"parts"`
	// Feeds are the clusters whose storages it listens to, or tries to.
	Feeds map[string]feedStatus `json:"feeds,omitempty"`
	// Issues are the reasons it found why buckets are stuck.
	Issues map[string][]issue `json:"stuck,omitempty"`
	// Asks is what it asks of the others; the last ones.
	Asks []request `json:"asks,omitempty"`
	// Watches: it wants to know what the others move. Moving is that, told while one watches.
	Watches bool            `json:"watches,omitempty"`
	Moving  json.RawMessage `json:"moving,omitempty"`
}

// issue is why a bucket is stuck, as it is published.
type issue struct {
	Reason  string             `json:"reason"`
	Code    control.ReasonCode `json:"code,omitempty"`
	Cluster string             `json:"cluster,omitempty"`
	Since   time.Time          `json:"since,omitzero"`
	Short   []string           `json:"short,omitempty"`
}

// feedStatus is how a storage is listened to. Epoch changes with every beginning.
type feedStatus struct {
	Live  bool   `json:"live"`
	Epoch string `json:"epoch"`
	Why   string `json:"why,omitempty"`
	// None: there is nothing to listen to.
	None bool `json:"none,omitempty"`
}

// request is a Request as it is published.
type request struct {
	N       int64  `json:"n"` // counts the requests of a member
	Bucket  string `json:"bucket,omitempty"`
	Allow   int64  `json:"allow,omitempty"`
	Prefix  string `json:"prefix,omitempty"`
	Cluster string `json:"cluster,omitempty"`
	Read    string `json:"read,omitempty"`

	at time.Time // when it was asked
}
