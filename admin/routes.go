package admin

import (
	"net/http"
	"sync"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication"
)

// operationDoc is what the OpenAPI document says of an operation.
type operationDoc struct {
	id      string
	summary string
	// body is a value of the Go type a request's body is read into; nil for none.
	body      any
	bodyTypes []string
	replies   []replyDoc
	// errors lists the statuses answered with an error.
	errors []int
	// conditional operations take If-Match and If-None-Match.
	conditional bool
}

// replyDoc is one answer that is not an error.
type replyDoc struct {
	status  int
	doc     string
	body    any // a value of the Go type answered; nil for none
	media   string
	headers []string
}

const mediaJSON = "application/json"

var built struct {
	once  sync.Once
	table operations
}

// table returns every endpoint of the API.
func table() operations {
	built.once.Do(func() { built.table = allOperations() })
	return built.table
}

func allOperations() operations {
	t := generalOperations()
	for _, k := range []struct {
		collection
		view any
	}{
		{collection{catalog.KindZone, "/fado/zones"}, zoneView{}},
		{collection{catalog.KindCluster, "/fado/clusters"}, clusterView{}},
		{collection{catalog.KindPolicy, "/fado/policies"}, policyView{}},
		{collection{catalog.KindBucket, "/fado/buckets"}, bucketView{}},
	} {
		t = append(t, k.operations(k.view)...)
	}
	t = append(t, bucketOperations()...)
	return append(t, replicationOperations()...)
}

var (
	limitParam  = parameter{name: "limit", doc: "The most items to return.", integer: true}
	afterParam  = parameter{name: "after", doc: "Return only what comes after this name or key."}
	prefixParam = parameter{name: "prefix", doc: "A key prefix."}
	statusParam = parameter{
		name: "status", enum: []string{"true", "false"},
		doc: "Whether to tell each item's status. Default: true; without it long lists are quicker.",
	}
)

// operations returns the operations of a collection and its items; view is a value of
// the type that items are answered as.
func (k collection) operations(view any) operations {
	kind, item := string(k.kind), k.path+"/{name}"
	list, one := []parameter{limitParam, afterParam}, []parameter(nil)
	if k.kind == catalog.KindCluster || k.kind == catalog.KindBucket {
		list, one = append(list, statusParam), []parameter{statusParam}
	}
	input := catalog.NewResource(k.kind)
	tagged := []string{"ETag"}
	ops := operations{
		{method: http.MethodGet, path: k.path, handle: k.list, params: list, doc: operationDoc{
			id: "list-" + kind, summary: "All items, sorted by name; a page of them with limit and after.",
			replies: []replyDoc{{status: 200, doc: "The items. With limit, a Link header names the next page while there is one.", body: listOf(view), headers: []string{"Link"}}},
			errors:  []int{400, 503},
		}},
		{method: http.MethodPost, path: k.path, handle: k.create, doc: operationDoc{
			id: "create-" + kind, summary: "Create an item.", body: input, bodyTypes: []string{mediaJSON},
			replies: []replyDoc{{status: 201, doc: "Created, durable, and routed by.", body: view, headers: []string{"ETag", "Location"}}},
			errors:  []int{400, 409, 413, 503},
		}},
		{method: http.MethodGet, path: item, handle: k.get, params: one, doc: operationDoc{
			id: "get-" + kind, summary: "One item.",
			replies: []replyDoc{
				{status: 200, doc: "The item.", body: view, headers: tagged},
				{status: 304, doc: "If-None-Match names the item's ETag, and the answer would have no status.", headers: tagged},
			},
			errors: []int{400, 404, 412, 503},
		}},
		{method: http.MethodPut, path: item, handle: k.put, doc: operationDoc{
			id: "put-" + kind, summary: "Create or replace an item.", body: input, bodyTypes: []string{mediaJSON}, conditional: true,
			replies: []replyDoc{
				{status: 200, doc: "Replaced, durable, and routed by.", body: view, headers: tagged},
				{status: 201, doc: "Created, durable, and routed by.", body: view, headers: []string{"ETag", "Location"}},
			},
			errors: []int{400, 409, 412, 413, 503},
		}},
		{method: http.MethodPatch, path: item, handle: k.patch, doc: operationDoc{
			id: "patch-" + kind, summary: "Change an item by a JSON merge patch (RFC 7396); null takes a field back to its default.",
			body: mergePatch{}, bodyTypes: []string{"application/merge-patch+json", mediaJSON}, conditional: true,
			replies: []replyDoc{{status: 200, doc: "Changed, durable, and routed by.", body: view, headers: tagged}},
			errors:  []int{400, 404, 409, 412, 413, 503},
		}},
	}
	return append(ops, k.removal())
}

// removal is the DELETE of an item; a bucket's can take its data with it.
func (k collection) removal() operation {
	op := operation{method: http.MethodDelete, path: k.path + "/{name}", handle: k.remove, doc: operationDoc{
		id: "delete-" + string(k.kind), summary: "Delete an item that nothing refers to.", conditional: true,
		replies: []replyDoc{{status: 204, doc: "Deleted."}},
		errors:  []int{400, 404, 409, 412, 503},
	}}
	if k.kind == catalog.KindBucket {
		op.handle = removeBucket
		op.params = []parameter{{
			name: "purge", enum: []string{string(replication.PurgeCopies), string(replication.PurgeAll)},
			doc: "Data to remove once the bucket is forgotten: all copies but the primary's, or all of it. Default: none.",
		}}
		op.doc.summary = "Forget a bucket. Its data stays, unless purge says otherwise."
		op.doc.replies = append(op.doc.replies, replyDoc{status: 202, doc: "Forgotten; all of its data is being removed.", body: purgeView{}})
	}
	return op
}

func generalOperations() operations {
	return operations{
		{method: http.MethodGet, path: "/fado/", handle: overviewOf, doc: operationDoc{
			id: "overview", summary: "Version, counts, and whether all is well.",
			replies: []replyDoc{{status: 200, doc: "The overview.", body: overview{}}}, errors: []int{400, 503},
		}},
		{method: http.MethodGet, path: "/fado/route", handle: explainRoute, params: []parameter{
			{name: "bucket", doc: "As the header X-FaDO-Bucket.", repeated: true},
			{name: "object", doc: "As the header X-FaDO-Object.", repeated: true},
			{name: "data", doc: "As the header X-FaDO-Data.", repeated: true},
		}, doc: operationDoc{
			id: "route", summary: "Where an invocation that names these inputs would go now, and why.",
			replies: []replyDoc{{status: 200, doc: "The decision, null when it would be refused, and every candidate.", body: routeView{}}},
			errors:  []int{400, 503},
		}},
		{method: http.MethodGet, path: "/fado/events", handle: events, doc: operationDoc{
			id: "events", summary: "What happens, as server-sent events, until the client goes or the configuration ends. The event \"missed\" tells that the client could not keep up, or reconnected.",
			replies: []replyDoc{{status: 200, doc: "The stream; the data of each event is JSON.", body: eventView{}, media: "text/event-stream"}},
			errors:  []int{400, 503},
		}},
		{method: http.MethodGet, path: "/fado/openapi.json", handle: serveOpenAPI, standalone: true, doc: operationDoc{
			id: "openapi", summary: "This document.",
			replies: []replyDoc{{status: 200, doc: "OpenAPI 3.1.", body: map[string]any{}}}, errors: []int{400},
		}},
	}
}

func bucketOperations() operations {
	const base = "/fado/buckets/{name}"
	return operations{
		{method: http.MethodGet, path: base + "/objects", handle: objects, params: []parameter{
			prefixParam,
			{name: "delimiter", doc: "Keys that have it after the prefix are summed up in common_prefixes."},
			afterParam, limitParam,
		}, doc: operationDoc{
			id: "list-objects", summary: "The objects at the primary, and in which clusters each is current.",
			replies: []replyDoc{{status: 200, doc: "A page; next is what to give as after for the following one, empty at the end.", body: objectPageView{}}},
			errors:  []int{400, 404, 503},
		}},
		{method: http.MethodGet, path: base + "/conflicts", handle: conflicts, params: []parameter{limitParam}, doc: operationDoc{
			id: "list-conflicts", summary: "The keys where somebody else's object stands in the way of a copy, with what each storage holds.",
			replies: []replyDoc{{status: 200, doc: "The conflicts.", body: []conflictView{}}}, errors: []int{400, 404, 503},
		}},
		{method: http.MethodPost, path: base + "/conflicts/resolve", handle: resolveConflicts, doc: operationDoc{
			id: "resolve-conflicts", summary: "Settle one conflict, or all of them: the winner's object stays, the others follow it.",
			body: resolveInput{}, bodyTypes: []string{mediaJSON},
			replies: []replyDoc{{status: 200, doc: "What was settled, and what was refused. When nothing could be settled because objects would be lost: 409.", body: resolutionView{}}},
			errors:  []int{400, 404, 409, 413, 503},
		}},
		{method: http.MethodGet, path: base + "/placement", handle: bucketPlacement, params: []parameter{prefixParam}, doc: operationDoc{
			id: "placement", summary: "The clusters the policy of the bucket, or of a prefix, chooses now, and for every cluster why or why not.",
			replies: []replyDoc{{status: 200, doc: "The placement.", body: placementView{}}}, errors: []int{400, 404, 503},
		}},
		{method: http.MethodPost, path: base + "/sync", handle: syncBucket, doc: operationDoc{
			id: "sync-bucket", summary: "Scan and reconcile now.",
			replies: []replyDoc{{status: 202, doc: "Under way.", body: syncView{}}}, errors: []int{400, 404, 503},
		}},
		{method: http.MethodPost, path: base + "/verify", handle: verifyBucket, params: []parameter{{
			name: "deep", enum: []string{"true", "false"}, doc: "Whether the bytes are read again, too. Default: false.",
		}}, doc: operationDoc{
			id: "verify-bucket", summary: "Compare all copies with the primary, and repair what differs from a good one.",
			replies: []replyDoc{{status: 202, doc: "Under way, across restarts.", body: verificationView{}}}, errors: []int{400, 404, 503},
		}},
		{method: http.MethodGet, path: base + "/verify", handle: verification, doc: operationDoc{
			id: "verification", summary: "What the last verification found, or how far the one under way has come.",
			replies: []replyDoc{{status: 200, doc: "The verification; state \"never\" if there was none.", body: verificationView{}}}, errors: []int{400, 404, 503},
		}},
		{method: http.MethodPost, path: base + "/deletes/confirm", handle: confirmDeletes, doc: operationDoc{
			id: "confirm-deletes", summary: "Apply the deletes that max_deletes holds back.",
			replies: []replyDoc{{status: 200, doc: "How many.", body: deletesView{}}}, errors: []int{400, 404, 503},
		}},
		{method: http.MethodPost, path: base + "/deletes/reject", handle: rejectDeletes, doc: operationDoc{
			id: "reject-deletes", summary: "Bring the objects back to the primary whose deletes max_deletes holds back.",
			replies: []replyDoc{{status: 200, doc: "How many.", body: deletesView{}}}, errors: []int{400, 404, 503},
		}},
	}
}

func replicationOperations() operations {
	const base = "/fado/replication"
	return operations{
		{method: http.MethodGet, path: base, handle: replicationStatus, doc: operationDoc{
			id: "replication", summary: "Workers, queue, rates, lag, and the transfers in progress.",
			replies: []replyDoc{{status: 200, doc: "The figures of this instance.", body: statusView{}}}, errors: []int{400, 503},
		}},
		{method: http.MethodGet, path: base + "/failures", handle: failures, params: []parameter{limitParam}, doc: operationDoc{
			id: "failures", summary: "The objects that could not be brought to where they should be yet.",
			replies: []replyDoc{{status: 200, doc: "The failures.", body: []failureView{}}}, errors: []int{400, 503},
		}},
		{method: http.MethodPost, path: base + "/failures/retry", handle: retryFailures, doc: operationDoc{
			id: "retry-failures", summary: "Try all of them again now.",
			replies: []replyDoc{{status: 202, doc: "How many are due now.", body: retriedView{}}}, errors: []int{400, 503},
		}},
		{method: http.MethodPost, path: base + "/pause", handle: pause, doc: operationDoc{
			id: "pause-replication", summary: "Begin no new work, on any instance, across restarts.",
			replies: []replyDoc{{status: 200, doc: "The state of the switch.", body: pausedView{}}}, errors: []int{400, 503},
		}},
		{method: http.MethodPost, path: base + "/resume", handle: resume, doc: operationDoc{
			id: "resume-replication", summary: "Go on.",
			replies: []replyDoc{{status: 200, doc: "The state of the switch.", body: pausedView{}}}, errors: []int{400, 503},
		}},
	}
}
