package clusters

import "time"

// ReasonView is one reason for a state that is not ok.
type ReasonView struct {
	// Code names the kind of reason to programs.
	Code    string `json:"code"`
	Text    string `json:"text"`    // a sentence
	Cluster string `json:"cluster"` // the cluster it is about; "" for none
	// The function endpoint it is about; left out where it is about none.
	URL string `json:"url,omitempty"`
	// Action is the operation that helps, empty where nothing but time or a look does.
	Action string `json:"action"`
	// Since when it is so, as far as this instance knows; null where it does not.
	Since *time.Time `json:"since"`
}

// AttentionView is one thing that needs people.
type AttentionView struct {
	// Kind is replication, store, cluster, function, bucket or purge.
	Kind string `json:"kind"`
	// The bucket's name, or the cluster's.
	Name    string       `json:"name"`
	State   string       `json:"state"`   // what is wrong, in a word
	Reasons []ReasonView `json:"reasons"` // why
}

// ClusterSumView is one cluster at a glance.
type ClusterSumView struct {
	Name  string   `json:"name"`  // its name
	Zones []string `json:"zones"` // the zones it is in
	// Storage is up, down or unknown; empty for a cluster without one.
	Storage   string `json:"storage"`
	Error     string `json:"error"`      // why its storage is down, or full
	Full      bool   `json:"full"`       // whether its storage has no space left
	UsedBytes int64  `json:"used_bytes"` // bytes in its storage that FaDO knows of
	// Capacity in bytes, 0 if none is declared.
	Capacity  int64  `json:"capacity"`
	Feed      string `json:"feed"`      // how changes at its storage are noticed
	Functions int    `json:"functions"` // how many function endpoints it has
	Healthy   int    `json:"healthy"`   // how many of these are healthy
	InFlight  int64  `json:"in_flight"` // requests its endpoints are serving for this instance
	Drain     bool   `json:"drain"`     // whether it is being emptied
}

// Moment is a time as clients see it; nil for none.
func Moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return new(t.UTC())
}
