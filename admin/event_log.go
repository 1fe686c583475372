package admin

import (
	"net/http"

	"github.com/fado-project/fado/admin/internal/events"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
)

// loggedEventView is one event of GET /fado/events/log.
type loggedEventView struct {
	// Numbers grow with time on each instance, across its restarts too.
	Seq int64 `json:"seq"`
	events.Event
}

func viewLoggedEvent(e control.LoggedEvent) loggedEventView {
	return loggedEventView{e.Seq, events.Event(e.Event)}
}

// eventLimit is how many events are listed where no limit is said.
const eventLimit = 1000

// eventLogOf answers with what this instance keeps of the events there were.
func eventLogOf(c *call) error {
	limit, err := c.Limit(eventLimit)
	if err != nil {
		return err
	}
	after, err := c.Number("an event", "after", 0)
	if err != nil {
		return err
	}
	kind, bucket, cluster := control.EventType(c.Query("type")), c.Query("bucket"), c.Query("cluster")
	log := c.catalogue.Events().Log(after, limit, func(e *control.Event) bool {
		return (kind == "" || e.Type == kind) && (bucket == "" || events.AboutBucket(e, bucket)) &&
			(cluster == "" || e.Cluster == cluster || e.From == cluster || e.Kind == string(catalog.KindCluster) && e.Name == cluster)
	})
	return c.Reply(http.StatusOK, views(log, viewLoggedEvent))
}

// watchEvents streams what happens from now on.
func watchEvents(c *call) error { return c.streams.Serve(c.Request, c.catalogue.Events(), c.ended) }

// eventLogOperation is GET /fado/events/log.
func eventLogOperation() operation {
	return operation{
		name: "event-log", method: http.MethodGet, pattern: "/fado/events/log", role: roleViewer, handle: eventLogOf,
		params: []parameter{
			{name: "after", doc: "Only events behind the one of this number, the first ones of them. Without it: the last ones there are."},
			{name: "type", enum: events.Types(), doc: "Only events of this type."},
			{name: "bucket", doc: "Only events about this bucket."},
			{name: "cluster", doc: "Only events about this cluster."},
			limitParam,
		},
		summary: "What happened, as this instance saw it: the last 8,000 events and the last 2,000 objects copied or removed, since it started.",
		replies: []reply{{status: 200, doc: "The events in order, 1000 of them where no limit is given.", body: []loggedEventView{}}}, errors: []int{400, 503},
	}
}
