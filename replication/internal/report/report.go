// Package report tells what replication did to objects: to people by events, to Prometheus
// by counters, to the status by figures. Nothing that is decided hangs on it. Every room of
// replication that brings objects in step uses it.
package report

import (
	"time"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/ids"
)

// Metrics is what is counted.
type Metrics interface {
	Replicated(cluster string, bytes int64)
	Failed(cluster, kind string)
	Lag(d time.Duration)
}

// VerifyMetrics may be implemented by Metrics.
type VerifyMetrics interface{ Mismatched(cluster string) }

// LinkMetrics may be implemented by Metrics.
type LinkMetrics interface {
	CopiedOver(from, to string, bytes int64)
}

// Emitter takes events for people.
type Emitter interface{ Emit(e control.Event) }

// Report tells what was done. Make it with [New].
type Report struct {
	Figures *Figures
	Links   *Links
	metrics Metrics
	events  Emitter
}

// New returns a report.
func New(m Metrics, e Emitter, now func() time.Time) *Report {
	return &Report{Figures: NewFigures(now), Links: &Links{now: now, links: make(map[[2]string]*linkMeter)}, metrics: m, events: e}
}

// Moved counts bytes of an object on their way from one cluster to another.
func (r *Report) Moved(from, to string, n int64) { r.Links.moved(from, to, n) }

// Copied tells that an object was brought to where it should be.
func (r *Report) Copied(o ids.Object, from string, bytes int64) {
	r.Figures.copied(bytes)
	r.metrics.Replicated(o.Cluster, bytes)
	if m, ok := r.metrics.(LinkMetrics); ok {
		m.CopiedOver(from, o.Cluster, bytes)
	}
	r.emit(o, control.Event{Op: "copied", From: from, Bytes: bytes})
}

// Removed tells that an object was removed from where it should not be.
func (r *Report) Removed(o ids.Object) { r.emit(o, control.Event{Op: "removed"}) }

// Failed tells that an object could not be brought in step; kind is one of a bounded set.
func (r *Report) Failed(o ids.Object, kind, reason string) {
	r.metrics.Failed(o.Cluster, kind)
	r.emit(o, control.Event{Op: "failed", Reason: reason})
}

// WalkFailed counts a failed walk of a copy in a cluster.
func (r *Report) WalkFailed(cluster, kind string) { r.metrics.Failed(cluster, kind) }

// Mismatched tells that a verification found an object not to be what it should be.
func (r *Report) Mismatched(cluster string) {
	if m, ok := r.metrics.(VerifyMetrics); ok {
		m.Mismatched(cluster)
	}
}

// Took tells how long a live change took from being noticed to being routable.
func (r *Report) Took(d time.Duration) {
	r.Figures.took(d)
	r.metrics.Lag(d)
}

func (r *Report) emit(o ids.Object, e control.Event) {
	e.Type, e.Bucket, e.Key, e.Cluster = control.EventTransfer, o.Bucket, o.Key, o.Cluster
	r.events.Emit(e)
}
