package admin

import (
	"time"

	"github.com/fado-project/fado/admin/internal/clusters"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/storage"
)

// What the engine tells, as clients read it. Conversions between structs of the same
// fields are deliberate: a field that the engine gains does not compile until someone
// decides whether clients see it.

// statusView answers GET /fado/replication.
type statusView struct {
	// The instances whose figures these are: the one that answers, then the others by name.
	Nodes     []string       `json:"nodes"`
	Paused    bool           `json:"paused"`    // whether replication is paused
	Workers   int            `json:"workers"`   // objects they process at a time
	Queue     queueView      `json:"queue"`     // the pending objects of the whole store
	Rate      rateView       `json:"rate"`      // what they copy, over the last half minute
	LagMS     lagView        `json:"lag_ms"`    // from noticed to routable, of recent objects, in milliseconds; of several instances the highest
	Transfers []transferView `json:"transfers"` // objects on their way, the longest first, at most 100
	// Verifications under way on them.
	Verifications []verificationView `json:"verifications"`
}

type queueView struct {
	Objects int64      `json:"objects"` // how many
	Bytes   int64      `json:"bytes"`   // their bytes, as far as known
	Oldest  *time.Time `json:"oldest"`  // since when the oldest waits; null where none does
}

type rateView struct {
	Objects float64 `json:"objects"` // per second
	Bytes   float64 `json:"bytes"`   // per second
}

type lagView struct {
	P50 float64 `json:"p50"` // the median
	P99 float64 `json:"p99"` // the 99th percentile
}

type transferView struct {
	Bucket  string    `json:"bucket"`  // the object's bucket
	Key     string    `json:"key"`     // its key
	From    string    `json:"from"`    // the cluster it is read in
	To      string    `json:"to"`      // the cluster it is written in
	Done    int64     `json:"done"`    // bytes written so far
	Total   int64     `json:"total"`   // bytes in all; -1 while not known
	Started time.Time `json:"started"` // when it began
	Node    string    `json:"node"`    // the instance that copies it
	Rate    float64   `json:"rate"`    // bytes per second so far
	// When it will have ended at that rate; null while that can't be told.
	ETA *time.Time `json:"eta"`
}

func viewStatus(st replication.Status) statusView {
	return statusView{
		Nodes: orEmpty(st.Nodes), Paused: st.Paused, Workers: st.Workers,
		Queue: queueView(st.Queue), Rate: rateView(st.Rate), LagMS: lagView(st.LagMS),
		Transfers:     views(st.Transfers, func(t replication.Transfer) transferView { return transferView(t) }),
		Verifications: views(st.Verifications, viewVerification),
	}
}

// verificationView answers GET and POST /fado/buckets/{name}/verify.
type verificationView struct {
	Bucket string `json:"bucket"` // the bucket's name
	// State is never, waiting, running, repairing (everything was compared, and what
	// differed is on its way), done, or failed.
	State string `json:"state"`
	// Deep: the bytes were read again, not only the listings.
	Deep bool `json:"deep"`
	// Error says why the last attempt ended early; it is tried again unless the state is
	// failed.
	Error    string     `json:"error"`
	Started  *time.Time `json:"started"`  // when it began; null before
	Finished *time.Time `json:"finished"` // when it ended; null before
	// Objects and bytes compared so far, each copy's counted. Bytes are those of the
	// listings, or with deep those that were read.
	Objects int64 `json:"objects"`
	Bytes   int64 `json:"bytes"` // as for objects
	// Total objects and bytes, as far as they were known at the start.
	Total      int64 `json:"total"`
	TotalBytes int64 `json:"total_bytes"` // as for total
	// Estimate is when it will have ended at the pace so far; null if that can't be told.
	Estimate *time.Time `json:"estimate"`
	// Mismatches found, and their outcome: repaired from a good copy, or not.
	Mismatches   int64 `json:"mismatches"`
	Repaired     int64 `json:"repaired"`     // of these, repaired
	Unrepairable int64 `json:"unrepairable"` // of these, not repairable
	// Keys lists mismatches, at most 100 of them.
	Keys []mismatchView `json:"keys"`
}

type mismatchView struct {
	Key     string `json:"key"`     // the object's key
	Cluster string `json:"cluster"` // where it is not what it should be
	Reason  string `json:"reason"`  // what is wrong with it
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
	Objects        []listedObjectView `json:"objects"`         // in the order of keys
	CommonPrefixes []string           `json:"common_prefixes"` // what delimiter sums up
	Next           string             `json:"next"`            // what to give as after for the next page; "" at the end
}

type listedObjectView struct {
	Key          string    `json:"key"`           // the object's key
	Size         int64     `json:"size"`          // its bytes
	LastModified time.Time `json:"last_modified"` // when it was written at the primary
	ETag         string    `json:"etag"`          // its ETag at the primary
	VersionID    string    `json:"version_id"`    // its version there; "" where the bucket keeps none
	Clusters     []string  `json:"clusters"`      // where it is current, the primary first
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
	Key    string `json:"key"`    // the object's key
	Reason string `json:"reason"` // why it stays in conflict
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
	State        string           `json:"state"`        // up, down, unknown
	Error        string           `json:"error"`        // why it is down, or full
	Capabilities capabilitiesView `json:"capabilities"` // what it offers; null each, until it was asked
	UsedBytes    int64            `json:"used_bytes"`   // bytes in it that FaDO knows of
	// Full: the storage has no space left. What has to be written there waits, while one
	// object at a time probes it.
	Full bool `json:"full,omitempty"`
	// Feed says how changes made directly at the storage are noticed: "listening", or
	// "scanning: " and why.
	Feed string `json:"feed"`
	// Seconds that its clock is ahead of this instance's, to about one; null where it does not tell.
	ClockSkew *float64 `json:"clock_skew_s"`
}

// capabilitiesView is what a storage was found to offer. Until it was asked, what it offers is
// null.
type capabilitiesView struct {
	// The row of the table of providers that it goes by; "S3" is any that is not known, and ""
	// one that was not asked yet.
	Provider string `json:"provider"`
	// Whether it can keep versions of objects.
	Versioning *bool `json:"versioning"`
	// Whether it tells a listener of changes.
	Notifications *bool `json:"notifications"`
	// Whether it keeps tags of objects.
	Tags *bool `json:"tags"`
	// Whether PutObject honours If-Match and If-None-Match.
	ConditionalPut *bool `json:"conditional_put"`
	// Whether copies from its like keep version IDs, ETags and times.
	PreserveVersion *bool `json:"preserve_version"`
	// Whether DeleteObject honours If-Match.
	ConditionalDelete *bool `json:"conditional_delete"`
	// Whether it checks and keeps the checksums of S3's x-amz-checksum headers.
	Checksums *bool `json:"checksums"`
	// Whether listings come in the order of keys, without which nothing can be compared.
	SortedList *bool `json:"sorted_list"`
	// The limits of its multipart uploads.
	Multipart *multipartLimitsView `json:"multipart"`
}

type multipartLimitsView struct {
	// The most parts of an upload.
	MaxParts int `json:"max_parts"`
	// The fewest bytes of a part, the last one excepted.
	MinPart int64 `json:"min_part"`
	// The most bytes of a part.
	MaxPart int64 `json:"max_part"`
}

func viewStorageStatus(st replication.StorageStatus) *storageStatusView {
	return &storageStatusView{
		State: st.State, Error: st.Error, Capabilities: viewCapabilities(st.Capabilities),
		UsedBytes: st.UsedBytes, Full: st.Full, Feed: st.Feed, ClockSkew: seconds(st.Skew),
	}
}

// seconds are those of a duration; null where there is none.
func seconds(d *time.Duration) *float64 {
	if d == nil {
		return nil
	}
	return new(d.Seconds())
}

func viewCapabilities(c *storage.Capabilities) capabilitiesView {
	if c == nil {
		return capabilitiesView{}
	}
	limits := multipartLimitsView(c.Multipart)
	return capabilitiesView{
		Provider: c.Provider, Versioning: &c.Versioning, Notifications: &c.Notifications, Tags: &c.Tags,
		ConditionalPut: &c.ConditionalPut, PreserveVersion: &c.PreserveVersion, ConditionalDelete: &c.ConditionalDelete,
		Checksums: &c.Checksums, SortedList: &c.SortedList, Multipart: &limits,
	}
}

// drainStatusView tells how far a cluster that drains has come.
type drainStatusView struct {
	// State is draining, or done: no bucket has data there that FaDO knows of.
	State string `json:"state"`
	// What is still there.
	Buckets int64 `json:"buckets"`
	Objects int64 `json:"objects"` // their objects
	Bytes   int64 `json:"bytes"`   // their bytes
	// Reason names what does not leave by itself.
	Reason string `json:"reason,omitempty"`
	// Since when it does not; left out where all leaves.
	Since *time.Time `json:"since,omitempty"`
}

// viewDrainStatus returns nil for a cluster that does not drain.
func viewDrainStatus(st *replication.DrainStatus) *drainStatusView {
	if st == nil {
		return nil
	}
	return &drainStatusView{State: st.State, Buckets: st.Buckets, Objects: st.Objects, Bytes: st.Bytes, Reason: st.Reason, Since: clusters.Moment(st.Since)}
}
