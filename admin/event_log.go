package admin

import (
	"net/http"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
)

// loggedEventView is one event of GET /fado/events/log.
type loggedEventView struct {
	// Numbers grow with time on each instance, across its restarts too.
	Seq int64 `json:"seq"`
	eventView
}

func viewLoggedEvent(e control.LoggedEvent) loggedEventView {
	return loggedEventView{e.Seq, eventView(e.Event)}
}

// eventLimit is how many events are listed where no limit is said.
const eventLimit = 1000

// eventLogOf answers with what this instance keeps of the events there were.
func eventLogOf(c *call) error {
	limit, err := c.limit(eventLimit)
	if err != nil {
		return err
	}
	after, err := c.numberOf("an event", "after", 0)
	if err != nil {
		return err
	}
	kind, bucket, cluster := control.EventType(c.query("type")), c.query("bucket"), c.query("cluster")
	log := c.catalogue.Events().Log(after, limit, func(e *control.Event) bool {
		return (kind == "" || e.Type == kind) && (bucket == "" || aboutBucket(e, bucket)) &&
			(cluster == "" || e.Cluster == cluster || e.From == cluster || e.Kind == string(catalog.KindCluster) && e.Name == cluster)
	})
	return c.reply(http.StatusOK, views(log, viewLoggedEvent))
}

// aboutBucket says whether an event is about a bucket.
func aboutBucket(e *control.Event, bucket string) bool {
	return e.Bucket == bucket || e.Kind == string(catalog.KindBucket) && e.Name == bucket
}

// eventTypes are the types of events.
func eventTypes() []string {
	types := make([]string, len(control.EventTypes))
	for i, t := range control.EventTypes {
		types[i] = string(t)
	}
	return types
}

// eventLogOperation is GET /fado/events/log.
func eventLogOperation() operation {
	return operation{
		name: "event-log", method: http.MethodGet, pattern: "/fado/events/log", role: roleViewer, handle: eventLogOf,
		params: []parameter{
			{name: "after", doc: "Only events behind the one of this number, the first ones of them. Without it: the last ones there are."},
			{name: "type", enum: eventTypes(), doc: "Only events of this type."},
			{name: "bucket", doc: "Only events about this bucket."},
			{name: "cluster", doc: "Only events about this cluster."},
			limitParam,
		},
		summary: "What happened, as this instance saw it: the last 8,000 events and the last 2,000 objects copied or removed, since it started.",
		replies: []reply{{status: 200, doc: "The events in order, 1000 of them where no limit is given.", body: []loggedEventView{}}}, errors: []int{400, 503},
	}
}
