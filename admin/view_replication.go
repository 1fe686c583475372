package admin

import (
	"time"

	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/storage"
)

// What the engine tells, as clients read it. Conversions between structs of the same
// fields are deliberate: a field that the engine gains does not compile until someone
// decides whether clients see it.

// statusView answers GET /fado/replication.
type statusView struct {
	Paused    bool           `json:"paused"`
	Workers   int            `json:"workers"`
	Queue     queueView      `json:"queue"`
	Rate      rateView       `json:"rate"`
	LagMS     lagView        `json:"lag_ms"`
	Transfers []transferView `json:"transfers"`
	// Verifications under way on this instance.
	Verifications []verificationView `json:"verifications"`
}

type queueView struct {
	Objects int64      `json:"objects"`
	Bytes   int64      `json:"bytes"`
	Oldest  *time.Time `json:"oldest"`
}

type rateView struct {
	Objects float64 `json:"objects"`
	Bytes   float64 `json:"bytes"`
}

type lagView struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
}

type transferView struct {
	Bucket  string    `json:"bucket"`
	Key     string    `json:"key"`
	From    string    `json:"from"`
	To      string    `json:"to"`
	Done    int64     `json:"done"`
	Total   int64     `json:"total"`
	Started time.Time `json:"started"`
}

func viewStatus(st replication.Status) statusView {
	return statusView{
		Paused: st.Paused, Workers: st.Workers,
		Queue: queueView(st.Queue), Rate: rateView(st.Rate), LagMS: lagView(st.LagMS),
		Transfers:     views(st.Transfers, func(t replication.Transfer) transferView { return transferView(t) }),
		Verifications: views(st.Verifications, viewVerification),
	}
}

// failureView is an item of GET /fado/replication/failures.
type failureView struct {
	Bucket      string    `json:"bucket"`
	Key         string    `json:"key"`
	Cluster     string    `json:"cluster"`
	Error       string    `json:"error"`
	Attempts    int       `json:"attempts"`
	NextAttempt time.Time `json:"next_attempt"`
	Since       time.Time `json:"since"`
}

func viewFailure(f replication.Failure) failureView { return failureView(f) }

// verificationView answers GET and POST /fado/buckets/{name}/verify.
type verificationView struct {
	Bucket string `json:"bucket"`
	// State is never, waiting, running, repairing (everything was compared, and what
	// differed is on its way), done, or failed.
	State string `json:"state"`
	// Deep: the bytes were read again, not only the listings.
	Deep bool `json:"deep"`
	// Error says why the last attempt ended early; it is tried again unless the state is
	// failed.
	Error    string     `json:"error"`
	Started  *time.Time `json:"started"`
	Finished *time.Time `json:"finished"`
	// Objects and bytes compared so far, each copy's counted. Bytes are those of the
	// listings, or with deep those that were read.
	Objects int64 `json:"objects"`
	Bytes   int64 `json:"bytes"`
	// Total objects and bytes, as far as they were known at the start.
	Total      int64 `json:"total"`
	TotalBytes int64 `json:"total_bytes"`
	// Estimate is when it will have ended at the pace so far; null if that can't be told.
	Estimate *time.Time `json:"estimate"`
	// Mismatches found, and their outcome: repaired from a good copy, or not.
	Mismatches   int64 `json:"mismatches"`
	Repaired     int64 `json:"repaired"`
	Unrepairable int64 `json:"unrepairable"`
	// Keys lists mismatches, at most 100 of them.
	Keys []mismatchView `json:"keys"`
}

type mismatchView struct {
	Key     string `json:"key"`
	Cluster string `json:"cluster"`
	Reason  string `json:"reason"`
	// State is repairing, repaired or unrepairable.
	State string `json:"state"`
}

func viewVerification(v replication.Verification) verificationView {
	return verificationView{
		Bucket: v.Bucket, State: v.State, Deep: v.Deep, Error: v.Error, Started: v.Started, Finished: v.Finished,
		Objects: v.Objects, Bytes: v.Bytes, Total: v.Total, TotalBytes: v.TotalBytes, Estimate: v.Estimate,
		Mismatches: v.Mismatches, Repaired: v.Repaired, Unrepairable: v.Unrepairable,
		Keys: views(v.Keys, func(m replication.Mismatch) mismatchView { return mismatchView(m) }),
	}
}

// objectPageView answers GET /fado/buckets/{name}/objects.
type objectPageView struct {
	Objects        []listedObjectView `json:"objects"`
	CommonPrefixes []string           `json:"common_prefixes"`
	Next           string             `json:"next"`
}

type listedObjectView struct {
	Key          string    `json:"key"`
	Size         int64     `json:"size"`
	LastModified time.Time `json:"last_modified"`
	ETag         string    `json:"etag"`
	VersionID    string    `json:"version_id"`
	Clusters     []string  `json:"clusters"`
}

func viewObjectPage(p replication.ObjectPage) objectPageView {
	return objectPageView{
		Objects: views(p.Objects, func(o replication.ListedObject) listedObjectView {
			v := listedObjectView(o)
			v.Clusters = orEmpty(v.Clusters)
			return v
		}),
		CommonPrefixes: orEmpty(p.CommonPrefixes), Next: p.Next,
	}
}

// conflictView is an item of GET /fado/buckets/{name}/conflicts.
type conflictView struct {
	Key    string             `json:"key"`
	Reason string             `json:"reason"`
	Copies []conflictCopyView `json:"copies"`
}

type conflictCopyView struct {
	Cluster      string    `json:"cluster"`
	ETag         string    `json:"etag"`
	Size         int64     `json:"size"`
	LastModified time.Time `json:"last_modified"`
}

func viewConflict(c replication.Conflict) conflictView {
	return conflictView{
		Key: c.Key, Reason: c.Reason,
		Copies: views(c.Copies, func(cp replication.ConflictCopy) conflictCopyView { return conflictCopyView(cp) }),
	}
}

// resolutionView answers POST /fado/buckets/{name}/conflicts/resolve.
type resolutionView struct {
	// Resolved counts the keys that are no conflict any more.
	Resolved int `json:"resolved"`
	// Refused lists keys that stay in conflict, at most 1000 of them.
	Refused []refusalView `json:"refused"`
	// RefusedTotal counts all of them.
	RefusedTotal int `json:"refused_total"`
}

type refusalView struct {
	Key    string `json:"key"`
	Reason string `json:"reason"`
}

func viewResolution(r replication.Resolution) resolutionView {
	return resolutionView{Resolved: r.Resolved, Refused: views(r.Refused, viewRefusal), RefusedTotal: r.RefusedTotal}
}

// viewRefusal says how to give up an object, where that is all that stands in the way.
func viewRefusal(r replication.Refusal) refusalView {
	v := refusalView{Key: r.Key, Reason: r.Reason}
	if r.Lossy {
		v.Reason += `; to give the object up for good, say "discard": true`
	}
	return v
}

// storageStatusView is the storage part of a cluster's status.
type storageStatusView struct {
	State        string           `json:"state"` // up, down, unknown
	Error        string           `json:"error"`
	Capabilities capabilitiesView `json:"capabilities"`
	UsedBytes    int64            `json:"used_bytes"`
	// Full: the storage has no space left. What has to be written there waits, while one
	// object at a time probes it.
	Full bool `json:"full,omitempty"`
	// Feed says how changes made directly at the storage are noticed: "listening", or
	// "scanning: " and why.
	Feed string `json:"feed"`
}

type capabilitiesView struct {
	// Provider is the row of the table it goes by; "S3" is any that is not known.
	Provider        string `json:"provider"`
	Versioning      bool   `json:"versioning"`
	Notifications   bool   `json:"notifications"`
	Tags            bool   `json:"tags"`
	ConditionalPut  bool   `json:"conditional_put"`
	PreserveVersion bool   `json:"preserve_version"`
	// ConditionalDelete: DeleteObject honours If-Match.
	ConditionalDelete bool `json:"conditional_delete"`
	// Checksums: it checks and keeps the checksums of S3's x-amz-checksum headers.
	Checksums bool `json:"checksums"`
	// SortedList: listings come in the order of keys, without which nothing can be
	// compared.
	SortedList bool                `json:"sorted_list"`
	Multipart  multipartLimitsView `json:"multipart"`
}

type multipartLimitsView struct {
	MaxParts int   `json:"max_parts"`
	MinPart  int64 `json:"min_part"` // of all parts but the last
	MaxPart  int64 `json:"max_part"`
}

func viewStorageStatus(st replication.StorageStatus) *storageStatusView {
	return &storageStatusView{
		State: st.State, Error: st.Error, Capabilities: viewCapabilities(st.Capabilities),
		UsedBytes: st.UsedBytes, Full: st.Full, Feed: st.Feed,
	}
}

func viewCapabilities(c storage.Capabilities) capabilitiesView {
	return capabilitiesView{
		Provider: c.Provider, Versioning: c.Versioning, Notifications: c.Notifications, Tags: c.Tags,
		ConditionalPut: c.ConditionalPut, PreserveVersion: c.PreserveVersion, ConditionalDelete: c.ConditionalDelete,
		Checksums: c.Checksums, SortedList: c.SortedList, Multipart: multipartLimitsView(c.Multipart),
	}
}

// drainStatusView tells how far a cluster that drains has come.
type drainStatusView struct {
	// State is draining, or done: no bucket has data there that FaDO knows of.
	State string `json:"state"`
	// What is still there.
	Buckets int64 `json:"buckets"`
	Objects int64 `json:"objects"`
	Bytes   int64 `json:"bytes"`
	// Reason names what does not leave by itself.
	Reason string `json:"reason,omitempty"`
}

// viewDrainStatus returns nil for a cluster that does not drain.
func viewDrainStatus(st *replication.DrainStatus) *drainStatusView {
	return (*drainStatusView)(st)
}
