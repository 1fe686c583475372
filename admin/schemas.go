package admin

import (
	"encoding/json"
	"iter"
	"reflect"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
)

// ownSchema returns the schema of types whose JSON is not what their Go kind suggests.
func ownSchema(t reflect.Type) (object, bool) {
	switch t {
	case reflect.TypeFor[json.RawMessage]():
		return object{}, true
	case reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}, true
	case reflect.TypeFor[measured]():
		return object{"type": []string{"number", "null"}}, true
	case reflect.TypeFor[catalog.Copies]():
		return object{"anyOf": []object{{"type": "integer", "minimum": 1, "maximum": catalog.MaxCopies}, {"const": "all"}}}, true
	case reflect.TypeFor[catalog.Size]():
		return object{"type": []string{"string", "integer"}, "examples": []string{"500GiB", "2TB"}}, true
	case reflect.TypeFor[catalog.Duration]():
		return object{"type": []string{"string", "integer"}, "examples": []string{"10s", "1h", "7d"}}, true
	case reflect.TypeFor[catalog.RawObject]():
		return object{"type": "object", "properties": object{"policy": object{"type": "string"}}, "required": []string{"policy"}}, true
	case reflect.TypeFor[mergePatch]():
		return object{"type": "object", "description": "The fields to change; null takes a field back to its default."}, true
	case reflect.TypeFor[catalog.Spread]():
		return enum(catalog.SpreadZone, catalog.SpreadCluster), true
	case reflect.TypeFor[catalog.Writes]():
		return enum(catalog.WritesPrimary, catalog.WritesAnywhere), true
	case reflect.TypeFor[catalog.Versions]():
		return enum(catalog.VersionsAll, catalog.VersionsCurrent), true
	case reflect.TypeFor[catalog.PrimaryMoves]():
		return enum(catalog.PrimaryFollow, catalog.PrimaryFixed), true
	case reflect.TypeFor[catalog.Promote]():
		return enum(catalog.PromoteManual), true
	case reflect.TypeFor[catalog.OnMiss]():
		return enum(catalog.OnMissRemote, catalog.OnMissReject, catalog.OnMissPull), true
	case reflect.TypeFor[role]():
		return enum(roleViewer, roleOperator, roleAdmin), true
	case reflect.TypeFor[control.Origin]():
		return enum(control.OriginConfig, control.OriginAPI), true
	case reflect.TypeFor[control.EventType]():
		return enum(control.EventTypes...), true
	}
	return nil, false
}

func enum[T ~string](values ...T) object {
	return object{"type": "string", "enum": values}
}

// stateNames lists the values of plain strings that have few, by type and JSON name.
var stateNames = map[string][]string{
	"bucketStatusView.state":  {control.BucketOK, control.BucketSyncing, control.BucketStuck, control.BucketConflict},
	"drainStatusView.state":   {"draining", "done"},
	"copyStatusView.role":     {"primary", "copy"},
	"verificationView.state":  {"never", "waiting", "running", "repairing", "done", "failed"},
	"mismatchView.state":      {"repairing", "repaired", "unrepairable"},
	"copyStatusView.state":    {"synced", "syncing", "waiting", "draining", "removing", "failed"},
	"prefixCopyView.role":     {"primary", "copy"},
	"prefixCopyView.state":    {"synced", "syncing", "waiting", "draining", "removing", "failed"},
	"storageStatusView.state": {"up", "down", "unknown"},
	"summaryView.status":      {"ok", "degraded"},
	"clusterSumView.storage":  {"", "up", "down", "unknown"},
	"attentionView.kind":      {"replication", "store", "cluster", "function", "bucket"},
	"matrixRowView.state":     {control.BucketOK, control.BucketSyncing, control.BucketStuck, control.BucketConflict},
	"overview.status":         {"ok", "degraded"},
	"overview.store":          {"sqlite", "postgres"},
	"nodesView.store":         {"sqlite", "postgres"},
	"candidateView.locality":  {"local", "remote", "none", ""},
	"decisionView.locality":   {"local", "remote", "none"},
	"pendingRowView.hold":     {"", "conflict", "deletes"},
	"purgeUnderWayView.mode":  {"copies", "all"},
	"storageCheckView.state":  {"up", "down"},
	"inputView.scope":         {"bucket", "object", "prefix"},
	"routeView.reason":        {"", "unknown-bucket", "no-fresh-copy", "no-endpoint", "zone-forbidden", "no-bucket"},
}

// fieldsOf yields the exported fields of a struct that encoding/json looks at.
func fieldsOf(t reflect.Type) iter.Seq[reflect.StructField] {
	return func(yield func(reflect.StructField) bool) {
		for f := range t.Fields() {
			if f.Tag.Get("json") == "-" || !f.IsExported() && !f.Anonymous {
				continue
			}
			if !yield(f) {
				return
			}
		}
	}
}

// object is a JSON object of the document. The document is built of plain maps, not of
// kin-openapi's types: tests read it with that library, and every build of Caddy with this
// module would have to carry it if the product did, for a third of a file.
type object = map[string]any

// mergePatch stands for the body of a PATCH in the table of operations.
type mergePatch struct{}
