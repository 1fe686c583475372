package admin

import (
	"net/http"

	"github.com/fado-project/fado/admin/internal/backlog"
	"github.com/fado-project/fado/admin/internal/events"
	"github.com/fado-project/fado/admin/internal/fleet"
	"github.com/fado-project/fado/admin/internal/sides"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication"
)

// allOperations lists every endpoint of the API.
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
		{collection{catalog.KindKey, "/fado/keys"}, keyView{}},
	} {
		t = append(t, k.operations(k.view)...)
	}
	t = append(t, documentOperations()...)
	t = append(t, auditOperations()...)
	t = append(t, bucketOperations()...)
	t = append(t, consoleOperations()...)
	t = append(t, historyOperations()...)
	t = append(t, rebalanceOperations()...)
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
	listed := []string{"Link"}
	if k.kind == catalog.KindBucket {
		list, listed = append(append(list, findParams...), orderParam), append(listed, "X-Total-Count")
	}
	input := catalog.NewResource(k.kind)
	tagged := []string{"ETag"}
	ops := operations{
		{
			name: "list-" + kind, method: http.MethodGet, pattern: k.path, role: roleViewer, handle: k.list,
			params:  list,
			summary: "All items, sorted by name; a page of them with limit and after.",
			replies: []reply{{status: 200, doc: "The items. With limit, a Link header names the next page while there is one.", body: listOf(view), headers: listed}},
			errors:  []int{400, 503},
		},
		{
			name: "create-" + kind, method: http.MethodPost, pattern: k.path, role: roleAdmin, handle: k.create, effect: effectChanges,
			summary: "Create an item.", request: input, requestTypes: []string{mediaJSON},
			replies: []reply{{status: 201, doc: "Created, durable, and routed by.", body: view, headers: []string{"ETag", "Location"}}},
			errors:  []int{400, 409, 413, 503},
		},
		{
			name: "get-" + kind, method: http.MethodGet, pattern: item, role: roleViewer, handle: k.get,
			params:  one,
			summary: "One item.",
			replies: []reply{
				{status: 200, doc: "The item.", body: view, headers: tagged},
				{status: 304, doc: "If-None-Match names the item's ETag, and the answer would have no status.", headers: tagged},
			},
			errors: []int{400, 404, 412, 503},
		},
		{
			name: "put-" + kind, method: http.MethodPut, pattern: item, role: roleAdmin, handle: k.put, effect: effectChanges,
			summary: "Create or replace an item.", request: input, requestTypes: []string{mediaJSON}, conditional: true,
			replies: []reply{
				{status: 200, doc: "Replaced, durable, and routed by.", body: view, headers: tagged},
				{status: 201, doc: "Created, durable, and routed by.", body: view, headers: []string{"ETag", "Location"}},
			},
			errors: []int{400, 409, 412, 413, 503},
		},
		{
			name: "patch-" + kind, method: http.MethodPatch, pattern: item, role: roleAdmin, needs: needsOfPatch(k.kind), handle: k.patch, effect: effectChanges,
			summary: "Change an item by a JSON merge patch (RFC 7396); null takes a field back to its default.",
			request: mergePatch{}, requestTypes: []string{"application/merge-patch+json", mediaJSON}, conditional: true,
			replies: []reply{{status: 200, doc: "Changed, durable, and routed by.", body: view, headers: tagged}},
			errors:  []int{400, 404, 409, 412, 413, 503},
		},
	}
	return append(ops, k.removal())
}

// consoleOperations are what the console is for, besides everything else.
func consoleOperations() operations {
	return operations{
		eventLogOperation(),
		flowsOperation(),
		checkClusterOperation(),
		checkPolicyOperation(),
		facetsOperation(),
		whatIfOperation(),
		{
			name: "nodes", method: http.MethodGet, pattern: "/fado/nodes", role: roleViewer, handle: nodes,
			summary: "The instances that share the store: what each looks after, and how far it is.",
			replies: []reply{{status: 200, doc: "The instances.", body: nodesView{}}}, errors: []int{400, 503},
		},
		{
			name: "matrix", method: http.MethodGet, pattern: "/fado/matrix", role: roleViewer, handle: matrix,
			params:  append([]parameter{limitParam, afterParam, byParam}, findParams...),
			summary: "Which cluster holds which bucket, and how fresh: a row a bucket, sorted by name, and a letter a cluster.",
			replies: []reply{{status: 200, doc: "The rows, 200 of them where no limit is given. X-Total-Count counts all that match.", body: fleet.MatrixView{}, headers: []string{"X-Total-Count"}}},
			errors:  []int{400, 503},
		},
		{
			name: "summary", method: http.MethodGet, pattern: "/fado/summary", role: roleViewer, handle: summary,
			params:  []parameter{copiesParam},
			summary: "Everything at a glance, from memory: buckets by state, what needs people and why, clusters.",
			replies: []reply{{status: 200, doc: "The summary, a few seconds old at most.", body: summaryView{}}}, errors: []int{400, 503},
		},
		{
			name: "make-link", method: http.MethodPost, pattern: "/fado/console/links", role: roleAdmin, local: true, handle: makeLink, acts: actsOnLink,
			summary: "Make a link that signs one browser in at the console, once, within five minutes. Only on Caddy's admin endpoint.",
			request: signInLinkInput{}, requestTypes: []string{mediaJSON},
			replies: []reply{{status: 201, doc: "The link.", body: signInLinkView{}}}, errors: []int{400, 413, 503},
		},
	}
}

// removal is the DELETE of an item; a bucket's can take its data with it.
func (k collection) removal() operation {
	op := operation{
		name: "delete-" + string(k.kind), method: http.MethodDelete, pattern: k.path + "/{name}", role: roleAdmin, handle: k.remove, effect: effectChanges,
		summary: "Delete an item that nothing refers to.", conditional: true,
		replies: []reply{{status: 204, doc: "Deleted."}},
		errors:  []int{400, 404, 409, 412, 503},
	}
	if k.kind == catalog.KindCluster {
		op.handle, op.acts = removeCluster, actsOnAbandon
		op.params = []parameter{
			{name: "abandon", enum: []string{"true", "false"}, doc: "Whether its storage is lost for good: 409 with what only lives there, unless confirmed. Default: false."},
			{name: "confirm", doc: "The cluster's name: it is abandoned, and what only lives there is given up."},
		}
		op.summary = "Delete a cluster that nothing refers to, or give one up whose storage is lost."
		op.replies = append(op.replies, reply{status: 409, doc: "Refused. With abandon: what only lives there.", body: abandonView{}})
		op.errors = []int{400, 404, 412, 503}
	}
	if k.kind == catalog.KindBucket {
		op.handle, op.acts = removeBucket, actsOnPurge
		op.params = []parameter{{
			name: "purge", enum: []string{string(replication.PurgeCopies), string(replication.PurgeAll)},
			doc: "Data to remove once the bucket is forgotten: all copies but the primary's, or all of it. Default: none.",
		}}
		op.summary = "Forget a bucket. Its data stays, unless purge says otherwise."
		op.replies = append(op.replies, reply{status: 202, doc: "Forgotten; all of its data is being removed.", body: purgeView{}})
	}
	return op
}

func generalOperations() operations {
	return operations{
		{
			name: "overview", method: http.MethodGet, pattern: "/fado/", role: roleViewer, handle: overviewOf,
			summary: "Version, counts, and health.",
			replies: []reply{{status: 200, doc: "The overview.", body: overview{}}}, errors: []int{400, 503},
		},
		{
			name: "route", method: http.MethodGet, pattern: "/fado/route", role: roleViewer, handle: explainRoute,
			params: []parameter{
				{name: "bucket", doc: "As the header X-FaDO-Bucket.", repeated: true},
				{name: "object", doc: "As the header X-FaDO-Object.", repeated: true},
				{name: "data", doc: "As the header X-FaDO-Data.", repeated: true},
				{name: "trace", enum: []string{"true", "false"}, doc: "Whether to tell the steps of the decision. Default: false."},
			},
			summary: "Where an invocation that names these inputs would go now, and why.",
			replies: []reply{{status: 200, doc: "The decision, null when it would be refused, and every candidate.", body: routeView{}}},
			errors:  []int{400, 503},
		},
		{
			name: "events", method: http.MethodGet, pattern: "/fado/events", role: roleViewer, handle: watchEvents,
			params: []parameter{
				{name: "type", doc: "Only events of this type.", repeated: true},
				{name: "bucket", doc: "Only events about this bucket."},
			},
			summary: "Events as server-sent events, until the client disconnects or the configuration ends. The event \"missed\" says that the client was too slow or has reconnected, and missed events; its data has how many (events, 0 if that is not known) and the reason.",
			replies: []reply{{status: 200, doc: "The stream; the data of each event is JSON.", body: events.Event{}, media: "text/event-stream"}},
			errors:  []int{400, 503},
		},
		{
			name: "openapi", method: http.MethodGet, pattern: "/fado/openapi.json", role: roleViewer, handle: serveOpenAPI, standalone: true,
			summary: "This document.",
			replies: []reply{{status: 200, doc: "OpenAPI 3.1.", body: map[string]any{}}}, errors: []int{400},
		},
	}
}

func bucketOperations() operations {
	const base = "/fado/buckets/{name}"
	return operations{
		{
			name: "list-objects", method: http.MethodGet, pattern: base + "/objects", role: roleViewer, handle: objects,
			params: []parameter{
				prefixParam,
				{name: "delimiter", doc: "Keys that have it after the prefix are summed up in common_prefixes."},
				afterParam, limitParam,
			},
			summary: "The objects at the primary, and in which clusters each is current.",
			replies: []reply{{status: 200, doc: "A page; next is what to give as after for the following one, empty at the end.", body: objectPageView{}}},
			errors:  []int{400, 404, 503},
		},
		{
			name: "list-conflicts", method: http.MethodGet, pattern: base + "/conflicts", role: roleViewer, handle: conflicts,
			params:  []parameter{limitParam, afterParam},
			summary: "The keys where an object that FaDO did not write blocks a copy, with what each storage holds.",
			replies: []reply{{status: 200, doc: "The conflicts by key, 1000 of them where no limit is given. A Link header names the next page while there is one.", body: []backlog.ConflictView{}, headers: []string{"Link"}}}, errors: []int{400, 404, 503},
		},
		{
			name: "resolve-conflicts", method: http.MethodPost, pattern: base + "/conflicts/resolve", role: roleOperator, needs: needsOfResolution, handle: resolveConflicts, acts: actsOnConflicts,
			summary: "Resolve one conflict, or all of them: the winner's object stays, and replaces the others.",
			request: resolveInput{}, requestTypes: []string{mediaJSON},
			replies: []reply{{status: 200, doc: "What was settled, and what was refused. When nothing could be settled because objects would be lost: 409.", body: resolutionView{}}},
			errors:  []int{400, 404, 409, 413, 503},
		},
		{
			name: "placement", method: http.MethodGet, pattern: base + "/placement", role: roleViewer, handle: bucketPlacement,
			params:  []parameter{prefixParam},
			summary: "The clusters the policy of the bucket, or of a prefix, chooses now, and for every cluster why or why not.",
			replies: []reply{{status: 200, doc: "The placement.", body: placementView{}}}, errors: []int{400, 404, 503},
		},
		{
			name: "sync-bucket", method: http.MethodPost, pattern: base + "/sync", role: roleOperator, handle: syncBucket, acts: acting(false),
			summary: "Scan and reconcile now.",
			replies: []reply{{status: 202, doc: "Under way.", body: syncView{}}}, errors: []int{400, 404, 503},
		},
		{
			name: "promote-bucket", method: http.MethodPost, pattern: base + "/promote", role: roleAdmin, handle: promoteBucket, effect: effectChanges,
			summary: "Swap the primary, of a bucket whose move to another one is prepared.", conditional: true,
			replies: []reply{{status: 202, doc: "The roles are about to be swapped; status.primary tells when they are.", body: bucketView{}, headers: []string{"ETag"}}},
			errors:  []int{400, 404, 409, 412, 503},
		},
		{
			name: "verify-bucket", method: http.MethodPost, pattern: base + "/verify", role: roleOperator, handle: verifyBucket, acts: acting(false, "deep"),
			params: []parameter{{
				name: "deep", enum: []string{"true", "false"}, doc: "Whether the bytes are read again, too. Default: false.",
			}},
			summary: "Compare all copies with the primary, and repair what differs from a good one.",
			replies: []reply{{status: 202, doc: "Under way, across restarts.", body: verificationView{}}}, errors: []int{400, 404, 503},
		},
		{
			name: "verification", method: http.MethodGet, pattern: base + "/verify", role: roleViewer, handle: verification,
			summary: "The result of the last verification, or the progress of the current one.",
			replies: []reply{{status: 200, doc: "The verification; state \"never\" if there was none.", body: verificationView{}}}, errors: []int{400, 404, 503},
		},
		{
			name: "sides", method: http.MethodGet, pattern: base + "/trust", role: roleViewer, handle: listSides,
			summary: "The sides of a bucket that may be said to be right where its primary's storage may not be the one it was, and what each choice loses, by what is known: storages are not asked.",
			replies: []reply{{status: 200, doc: "The sides.", body: sides.SidesView{}}}, errors: []int{400, 404, 503},
		},
		{
			name: "trust-side", method: http.MethodPost, pattern: base + "/trust", role: roleAdmin, handle: trustSide, acts: acting(true, "cluster"),
			params: []parameter{{
				name: "cluster", doc: "The cluster whose data is right: the primary's, which copies then follow, or that of a whole copy, which then becomes the primary.",
			}},
			summary: "Say which side is right, of a bucket that is stopped because the storage of its primary may not be the one it was.",
			replies: []reply{{status: 200, doc: "The bucket goes on: all copies are compared.", body: trustView{}}}, errors: []int{400, 404, 409, 503},
		},
		releaseOperation(base),
		heldDeletesOperation(base),
		pendingOperation(base),
		{
			name: "confirm-deletes", method: http.MethodPost, pattern: base + "/deletes/confirm", role: roleOperator, handle: confirmDeletes, acts: acting(true),
			summary: "Apply the deletes that max_deletes holds back.",
			replies: []reply{{status: 200, doc: "How many.", body: deletesView{}}}, errors: []int{400, 404, 503},
		},
		{
			name: "reject-deletes", method: http.MethodPost, pattern: base + "/deletes/reject", role: roleOperator, handle: rejectDeletes, acts: acting(false),
			summary: "Restore at the primary the objects whose deletes max_deletes holds back.",
			replies: []reply{{status: 200, doc: "How many.", body: deletesView{}}}, errors: []int{400, 404, 503},
		},
	}
}

func replicationOperations() operations {
	const base = "/fado/replication"
	return operations{
		{
			name: "replication", method: http.MethodGet, pattern: base, role: roleViewer, handle: replicationStatus,
			params:  []parameter{{name: "node", doc: "Whose figures are told: all, of every instance that copies together, or those of the instance that answers. Others begin to tell when they are asked for: that takes a few seconds. Default: this instance."}},
			summary: "Workers, queue, rates, lag, and the transfers in progress.",
			replies: []reply{{status: 200, doc: "The figures.", body: statusView{}}}, errors: []int{400, 503},
		},
		{
			name: "failures", method: http.MethodGet, pattern: base + "/failures", role: roleViewer, handle: failures,
			params:  []parameter{limitParam, {name: "after", doc: "What the Link header of the page before says."}},
			summary: "The objects that could not be copied or removed yet, and the purges that can't go on.",
			replies: []reply{{status: 200, doc: "The failures by bucket, key and cluster, 1000 of them where no limit is given. A Link header names the next page while there is one, X-Total-Count counts all.", body: []backlog.FailureView{}, headers: []string{"Link", "X-Total-Count"}}}, errors: []int{400, 503},
		},
		purgesOperation(),
		{
			name: "retry-failures", method: http.MethodPost, pattern: base + "/failures/retry", role: roleOperator, handle: retryFailures, acts: acting(false),
			summary: "Retry all of them now.",
			replies: []reply{{status: 202, doc: "How many are due now.", body: retriedView{}}}, errors: []int{400, 503},
		},
		{
			name: "pause-replication", method: http.MethodPost, pattern: base + "/pause", role: roleOperator, handle: pause, acts: acting(false),
			summary: "Start no new work on any instance, across restarts.",
			replies: []reply{{status: 200, doc: "The state of the switch.", body: pausedView{}}}, errors: []int{400, 503},
		},
		{
			name: "resume-replication", method: http.MethodPost, pattern: base + "/resume", role: roleOperator, handle: resume, acts: acting(false),
			summary: "Resume work on all instances.",
			replies: []reply{{status: 200, doc: "The state of the switch.", body: pausedView{}}}, errors: []int{400, 503},
		},
	}
}
