package console

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fado-project/fado/control"
)

// The topics of a stream, besides those of single buckets.
const (
	topicOverview  = "overview"
	topicFlows     = "flows"
	topicTransfers = "transfers"
	topicBucket    = "bucket:" // and the bucket's name
)

// topics are what a stream tells of.
type topics struct {
	all, overview, transfers bool
	buckets                  []string
}

// topicsOf reads a list of topics; without one it is all. Each that is none is named.
func topicsOf(asked []string) (topics, error) {
	var t topics
	t.all = len(asked) == 0
	var unknown []string
	for topic := range strings.SplitSeq(strings.Join(asked, ","), ",") {
		bucket, ofBucket := strings.CutPrefix(topic, topicBucket)
		switch {
		case t.all, topic == topicFlows: // rates are read every few seconds, and no event tells of them
		case topic == topicOverview:
			t.overview = true
		case topic == topicTransfers:
			t.transfers = true
		case ofBucket && bucket != "":
			t.buckets = append(t.buckets, bucket)
		default:
			unknown = append(unknown, fmt.Sprintf("%q", topic))
		}
	}
	if len(unknown) > 0 {
		return t, fmt.Errorf("query parameter \"topics\": %s: expected %s, %s, %s or %s<name>", strings.Join(unknown, ", "), topicOverview, topicFlows, topicTransfers, topicBucket)
	}
	return t, nil
}

// has says whether an event is of one of the topics. What people change is of each: what is shown has it in it.
func (t *topics) has(e control.Event) bool {
	switch e.Type {
	case control.EventResource, control.EventConfiguration:
		return true
	case control.EventTransfer:
		return t.all || t.transfers || slices.Contains(t.buckets, e.Bucket)
	case control.EventStorage: // a bucket's state goes by the storages of its copies
		return t.all || t.overview || len(t.buckets) > 0
	default:
		return t.all || t.overview || e.Bucket != "" && slices.Contains(t.buckets, e.Bucket)
	}
}
